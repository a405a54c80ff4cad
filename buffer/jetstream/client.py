"""nats-py's client, with less between it and us: no task a subscription, and none a message."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client
from nats.aio.msg import Msg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it is over: while it connects, nats-py may miss that it was."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


class DirectClient(Client):
    """A client that hands over and sends at once, and can be cut off.

    Messages go to the handler of the subject that was subscribed to.
    """

    def __init__(self, handlers: Mapping[str, Callable[[Msg], None]]) -> None:
        super().__init__()
        self._handlers = handlers

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """Hand a message over: nats-py would wake a task for it, and take five times as long to read its headers."""
        subscription = self._subs.get(sid)
        handler = None if subscription is None else self._handlers.get(subscription.subject)
        if handler is None:
            return
        try:
            handler(Msg(self, subject.decode(), reply.decode(), data, _headers(headers) if headers else None))
        except Exception as error:  # noqa: BLE001 - no message may end the connection
            await self._error_cb(error)

    def write(self, commands: Sequence[bytes]) -> None:
        """Send whole commands of the protocol: `publish` takes two more tasks to do that, and twice the CPU."""
        pending, self._pending, self._pending_data_size = self._pending, [], 0
        if self._transport is not None:
            self._transport.write(b"".join([*pending, *commands]))  # subscriptions before what they are for

    def abort(self) -> None:
        """Cut the connection whatever is still to be sent: to a server that takes nothing, closing would wait."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def end(self) -> None:
        """Close the connection for good, in about a second at most, and whatever goes on to make it again."""
        with suppress(Exception):
            await asyncio.wait_for(self.close(), 1)
        self.abort()
        if self._reconnection_task is not None:
            await end_task(self._reconnection_task)


def _headers(block: bytes) -> dict[str, str]:
    """Return the headers of a message, and the status in its first line as `Status`."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status := first[len("NATS/1.0 ") :][:3]:
        headers["Status"] = status
    return headers
