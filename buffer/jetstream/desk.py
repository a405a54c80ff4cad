"""The desk: what the followers of all namespaces share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from buffer.jetstream.batch import Batch, Fetched
from buffer.jetstream.leader import Leader
from buffer.jetstream.message import Decoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from buffer.broker import Receiver
    from buffer.jetstream.connection import Connection
    from buffer.jetstream.subjects import Subjects

# Namespaces that are fetched at the same time: that bounds what is on its way, in memory and on the network.
_AT_ONCE = 8
# How long to wait for the next message of a batch: the peer that was chosen to answer may be frozen.
_BATCH_SECONDS = 0.5
# How long messages are delivered before others get a turn, in seconds.
_TURN_SECONDS = 0.005


class BatchSize(NamedTuple):
    """The most that a server sends at a time."""

    messages: int
    bytes: int

    def next(self) -> BatchSize:
        """Return the size of the batch after one of this size."""
        return BatchSize(min(4 * self.messages, MAX_BATCH.messages), min(4 * self.bytes, MAX_BATCH.bytes))


# The first batch is small, so that readers get their first line soon.
FIRST_BATCH = BatchSize(32, 256 * 1024)
# Enough for throughput, and no more than can be decoded in some 50 ms. A server sends up to 64 MB otherwise.
MAX_BATCH = BatchSize(1000, 4 * 1024 * 1024)


class Waiting(Protocol):
    """What has messages to deliver."""

    def step(self) -> bool:
        """Deliver the next one, if it can be; tell whether there is more to deliver now."""


class Desk:
    """Where followers ask, and where their messages wait to be delivered.

    `check_epoch()` asks the leader for the epoch, and tells whether it has answered. `first()` and `highest()` ask for
    the number that the stream begins with, and the highest that it has given out; None without an answer.
    `highest_known()` is what the latter was a second ago, at most. `written(since)` returns a number that the stream
    has given out since then, on the loop's clock; None if it takes nothing.
    """

    def __init__(
        self,
        connection: Connection,
        stream_name: str,
        subjects: Subjects,
        receiver: Receiver,
        *,
        check_epoch: Callable[[], Awaitable[bool]],
        first: Callable[[], Awaitable[int | None]],
        highest: Callable[[], Awaitable[int | None]],
        highest_known: Callable[[], int],
        written: Callable[[float], Awaitable[int | None]],
    ) -> None:
        self.connection = connection
        self.leader = Leader(connection, stream_name)
        self.subjects = subjects
        self.receiver = receiver
        self.check_epoch = check_epoch
        self.first = first
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

    async def fetch(self, first: int, subject: str, size: BatchSize) -> tuple[Sequence[Fetched], bool]:
        """Return a batch of messages of a subject from a number on, and whether the server has no more than these."""
        request = {"seq": first, "next_by_subj": subject, "batch": size.messages, "max_bytes": size.bytes}
        batch, messages = Batch(self.connection, self._direct, msgspec.json.encode(request)), list[Fetched]()
        try:
            while (message := await batch.next(_BATCH_SECONDS)) is not None:
                messages.append(message)
        finally:
            batch.end()
        return messages, batch.was_last

    def schedule(self, one: Waiting) -> None:
        """Have a follower deliver what it has heard, when its turn comes."""
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
