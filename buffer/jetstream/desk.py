"""The desk: what the followers of all namespaces share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from buffer.jetstream.batch import Batch
from buffer.jetstream.leader import Leader
from buffer.jetstream.message import Decoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from buffer.broker import Receiver
    from buffer.jetstream.connection import Connection
    from buffer.jetstream.subjects import Subjects

# Namespaces that are fetched at the same time: that bounds what is on its way, in memory and on the network.
_AT_ONCE = 8
# How long messages are delivered before others get a turn, in seconds.
_TURN_SECONDS = 0.005


class Waiting(Protocol):
    """What has messages to deliver."""

    def step(self) -> bool:
        """Deliver the next one, if it can be; tell whether there is more to deliver now."""


class Desk:
    """Where followers ask, and where their messages wait to be delivered.

    `check_epoch()` asks the leader for the epoch, and tells whether it has answered; `highest()` asks for the highest
    number that the stream has given out, and returns None if there is no answer. `highest_known()` is what that was a
    second ago, at most. `written(since)` returns a number that the stream has given out since then, on the
    loop's clock; None if it takes nothing.
    """

    def __init__(
        self,
        connection: Connection,
        stream_name: str,
        subjects: Subjects,
        receiver: Receiver,
        *,
        check_epoch: Callable[[], Awaitable[bool]],
        highest: Callable[[], Awaitable[int | None]],
        highest_known: Callable[[], int],
        written: Callable[[float], Awaitable[int | None]],
    ) -> None:
        self.connection = connection
        self.leader = Leader(connection, stream_name)
        self.subjects = subjects
        self.receiver = receiver
        self.check_epoch = check_epoch
        self.highest = highest
        self.highest_known = highest_known
        self.written = written
        self.decoder = Decoder()
        self.unreadable = 0  # messages
        self.filled = 0  # times that something had not been heard, and was fetched
        self.turn = asyncio.Semaphore(_AT_ONCE)
        self.time = asyncio.get_running_loop().time
        self._waiting: dict[Waiting, None] = {}  # in the order of their turns
        self._direct = f"$JS.API.DIRECT.GET.{stream_name}"
        self._run_later: asyncio.Handle | None = None

    def batch(self, request: bytes) -> Batch:
        """Ask for a batch of messages."""
        return Batch(self.connection, self._direct, request)

    def schedule(self, one: Waiting) -> None:
        """Have somebody deliver what it has heard, when its turn comes."""
        self._waiting[one] = None
        self._run_soon()

    def close(self) -> None:
        """Deliver nothing any more."""
        self._waiting.clear()
        if self._run_later is not None:
            self._run_later.cancel()

    def _run_soon(self) -> None:
        if self._run_later is None:
            self._run_later = asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._run_later = None
        until = self.time() + _TURN_SECONDS
        while self._waiting:
            one = next(iter(self._waiting))
            del self._waiting[one]
            if one.step():
                self._waiting[one] = None
            if self.time() > until:
                break
        if self._waiting:
            self._run_soon()
