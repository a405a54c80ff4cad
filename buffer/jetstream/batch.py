"""A batch: messages of a stream that are read straight from a server that has a copy of it (Direct Get)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from buffer.jetstream.connection import Connection

_END_OF_BATCH, _NOT_FOUND = "204", "404"
_REFUSED_SECONDS = 0.1


class Fetched(NamedTuple):
    """A message of the stream, and its number."""

    number: int
    data: bytes


class Batch:
    """The answers to one request. `was_last` says, in the end, whether the server had no more than these."""

    def __init__(self, connection: Connection, subject: str, request: bytes) -> None:
        self.was_last = False
        self._connection = connection
        self._last = 0  # the number of the last message that has been returned
        self._messages: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._token = connection.expect(self._take)
        connection.send(subject, request, self._token)

    async def next(self, seconds: float) -> Fetched | None:
        """Return the next message; None at the end, or if it does not come within so many seconds, or got lost.

        The server that answers need not be the one of the connection: if that is made anew, messages in between are
        lost, and the others come.
        """
        if not self._messages:
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        msg = self._messages.popleft()
        if not self._messages:
            self._arrived.clear()
        headers = msg.headers or {}
        status = headers.get("Status")
        if status in (None, _END_OF_BATCH) and headers.get("Nats-Last-Sequence") != str(self._last):
            return None
        if status is None and "Nats-Sequence" in headers:
            self._last = int(headers["Nats-Sequence"])
            return Fetched(self._last, msg.data)
        if status == _END_OF_BATCH:
            self.was_last = headers.get("Nats-Num-Pending") == "0"
        elif status == _NOT_FOUND:
            self.was_last = True
        else:
            await asyncio.sleep(_REFUSED_SECONDS)  # no server has the stream right now
        return None

    def end(self) -> None:
        """Take no more answers."""
        self._connection.forget(self._token)

    def _take(self, msg: Msg) -> None:
        self._messages.append(msg)
        self._arrived.set()
