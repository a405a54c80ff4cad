"""The broker of a single process whose backlog, and whose cursors, survive a restart.

Whatever comes in is written to a database before it is delivered, by a thread, in transactions that take all requests
that come together. What leaves the rings is deleted again with one of the next. If the database cannot be written, logs
are taken and delivered all the same, and written once that works again; until then `weakness` says what is wrong.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import suppress
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from buffer.broker import TURN_SECONDS, BrokerUnavailable
from buffer.database import Batch, Database, DatabaseFailed
from buffer.gathering import Gathering
from buffer.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.broker import Receiver
    from buffer.chunk import Chunk
    from buffer.source import Source

# How many chunks are read at a time at the start: they are delivered in a few milliseconds.
_CHUNKS_A_READ = 256

# Chunks that have left the rings are deleted once there are so many of them, or after so many seconds: those that are
# neighbours in the database cost hardly more than one alone.
_GONE_A_WRITE = 64
_GONE_SECONDS = 1.0

# A write that takes longer than this, in seconds, counts as failed until it is over. So does closing the file, but for
# that there is little patience after such a write. And how soon it is tried again to write after that has failed.
PATIENCE_SECONDS, _LITTLE_PATIENCE = 10.0, 1.0
RETRY_SECONDS = 5.0

# While nothing can be written, it is noted of so many sources that some of their chunks have left.
_MAX_EVICTED = 20_000


class _Request(NamedTuple):
    """What `publish` was given; `done` once it has been delivered."""

    chunks: Sequence[Chunk]
    key: bytes
    done: asyncio.Future[None]


class DiskBroker:
    """Numbers chunks, keeps them in a folder as long as the rings do, and delivers them.

    `let_go` must be called for each chunk that leaves the rings. Requests from before the start are known by their keys
    for `key_seconds`. `now` returns Unix seconds. `report` is called with a sentence when writing begins to fail, and
    when it works again.
    """

    def __init__(
        self, folder: str, *, key_seconds: float, now: Callable[[], float], report: Callable[[str], None]
    ) -> None:
        self.epoch = secrets.token_hex(6)
        self.problem = "it has not been started"
        self.weakness = ""
        self.counts: Mapping[str, int] = {}
        self._folder = folder
        self._key_seconds = key_seconds
        self._now = now
        self._report = report
        self._worker: Worker  # from the start on
        self._gathering: Gathering  # likewise: to wake the thread costs more than to write one more
        self._database: Database | None = None
        self._receiver: Receiver  # from the start on
        self._next_seq = 1
        self._known: set[bytes] = set()  # keys of requests from before the start
        self._known_until = 0.0  # in Unix seconds
        self._waiting: list[_Request] = []  # to be written
        self._is_writing = False
        self._writing_up_to = 0  # the highest number of what is being written
        self._patience: asyncio.TimerHandle | None = None  # while something is being written
        self._ready: deque[_Request] = deque()  # to be delivered
        self._delivered = 0  # chunks of the first of them
        self._is_delivering = False  # it goes on in the next turn of the event loop
        self._unwritten: dict[int, Chunk] = {}  # delivered although they could not be written
        self._gone: list[int] = []
        self._evicted: dict[Source, int] = {}
        self._timer: asyncio.TimerHandle | None = None  # for the next write if nothing comes
        self._forgot_evicted = False  # since there were too many
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, receiver: Receiver) -> None:
        """Deliver what has been kept, then whatever comes. Raises BrokerUnavailable if another process is at it."""
        loop = asyncio.get_running_loop()
        self._receiver, self._worker = receiver, Worker("disk")
        self._gathering = Gathering(lambda: len(self._waiting), self._write, call_soon=loop.call_soon, time=loop.time)
        try:
            await self._load(receiver)
        except DatabaseFailed as error:
            if error.is_taken:
                self._worker.stop()
                raise BrokerUnavailable(f"DATA_DIR cannot be used: {error.problem}") from None
            await self._give_up(error.problem)
        self.problem = ""
        if self._gone:  # while the backlog was read
            self._write_within(_GONE_SECONDS)

    async def _load(self, receiver: Receiver) -> None:
        run = self._worker.run
        self._database = database = await run(lambda: Database(self._folder))
        self.epoch, self._next_seq = database.epoch, database.next_seq
        receiver.restart(self.epoch)
        for first, until in await run(database.skipped):
            receiver.skip(first, until)
        chunks = database.chunks()
        while some := await run(lambda: list(islice(chunks, _CHUNKS_A_READ))):
            for chunk in some:
                receiver.receive(chunk)
        for source, seq in await run(database.losses):
            receiver.lose(source, seq, None)
        self._known_until = self._now() + self._key_seconds
        self._known = await run(lambda: database.keys(self._now() - self._key_seconds))

    async def _give_up(self, problem: str) -> None:
        """Go on in memory alone, for good."""
        if self._database is not None:
            await self._worker.run(self._database.close)
        self._database = None
        self._gone, self._evicted = [], {}
        self.epoch, self._next_seq = secrets.token_hex(6), 1
        self._receiver.restart(self.epoch)
        self._weaken(problem)

    async def publish(self, chunks: Sequence[Chunk], key: bytes = b"") -> None:
        """Store and deliver all chunks of a request, unless it was stored before the start."""
        if self.problem:
            raise BrokerUnavailable(self.problem)
        if not chunks or (key in self._known and self._now() < self._known_until):
            return
        for chunk in chunks:
            chunk.seq = self._next_seq
            self._next_seq += 1
        request = _Request(chunks, key, asyncio.get_running_loop().create_future())
        self._idle.clear()
        if self.weakness:
            self._go_without(request)
        else:
            self._waiting.append(request)
            self._gather()
        await request.done

    async def follow(self, namespace: str, seq: int = 0, epoch: str = "", *, whole: bool = True) -> bool:  # noqa: ARG002 - the port's signature
        """Return at once: what is kept of any namespace has been delivered."""
        return False

    def release(self, namespace: str) -> None:
        """Do nothing: no namespace is ever forgotten."""

    def let_go(self, chunk: Chunk) -> None:
        """Have a chunk deleted: it has left the rings."""
        if self._database is None:
            return
        self._evicted[chunk.source] = chunk.seq
        is_unwritten = self._unwritten.pop(chunk.seq, None) is not None
        if not is_unwritten or (self._is_writing and chunk.seq <= self._writing_up_to):
            self._gone.append(chunk.seq)
        if not self.problem:
            self._write_within(_GONE_SECONDS)

    async def close(self) -> None:
        """Write and deliver what has come, and force all of it onto the disk."""
        self.problem = "it is closed"
        try:
            is_stuck = self._is_writing and self._patience is None
            async with asyncio.timeout(_LITTLE_PATIENCE if is_stuck else PATIENCE_SECONDS):
                await self._idle.wait()
                await self._close_database()
        except TimeoutError:
            self._report("DATA_DIR does not answer: what has been written may not be on the disk yet")
            self._worker.stop(wait=False)
        else:
            self._worker.stop()

    async def _close_database(self) -> None:
        for timer in (self._timer, self._patience):
            if timer is not None:
                timer.cancel()
        database, self._database = self._database, None
        if database is not None:
            batch = Batch(list(self._unwritten.values()), (), self._gone, self._evicted)
            with suppress(DatabaseFailed):
                await self._worker.run(lambda: database.write(batch, self._now(), self._key_seconds))
            await self._worker.run(database.close)

    def _gather(self) -> None:
        """Write what waits, and what comes right after it."""
        if (self._waiting or self._unwritten) and not self._is_writing:
            self._gathering.begin()

    def _write(self, *, all_gone: bool = False) -> None:
        """Have the thread write what there is, unless it is writing already."""
        are_gone = all_gone or len(self._gone) >= _GONE_A_WRITE
        if self._is_writing or self._database is None or not (self._waiting or self._unwritten or are_gone):
            return
        requests, self._waiting = self._waiting, []
        chunks = [*self._unwritten.values(), *(chunk for request in requests for chunk in request.chunks)]
        batch = Batch(chunks, [request.key for request in requests if request.key], (), {})
        if are_gone:
            batch = batch._replace(gone=self._gone, evicted=self._evicted)
            self._gone, self._evicted = [], {}
        self._is_writing, self._writing_up_to = True, max((chunk.seq for chunk in chunks), default=0)
        write, now = self._database.write, self._now()
        self._worker.submit(
            lambda: write(batch, now, self._key_seconds), lambda outcome: self._written(requests, batch, outcome.error)
        )
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience, requests, batch)

    def _written(self, requests: Sequence[_Request], batch: Batch, error: Exception | None) -> None:
        """Deliver the requests of a batch, whether or not it could be written, and write what has come meanwhile."""
        self._is_writing = False
        if self._patience is None:
            requests = ()  # they have been delivered
        else:
            self._patience.cancel()
        if error is not None:
            self._unwritten |= {chunk.seq: chunk for chunk in batch.chunks}
            gone = [*batch.gone, *self._gone]
            self._gone = [seq for seq in gone if self._unwritten.pop(seq, None) is None]
            self._evicted = {**batch.evicted, **self._evicted}
            self._weaken(str(error))
            self._ready += requests
            self._go_without_waiting()
        else:
            for chunk in batch.chunks if self._unwritten else ():
                self._unwritten.pop(chunk.seq, None)
            if self.weakness and not self._unwritten:
                self._recover()
            self._gather()
            self._ready += requests
        self._deliver()

    def _lose_patience(self, requests: Sequence[_Request], batch: Batch) -> None:
        """Deliver what waits for a write that takes too long. What has not been written by then is written after it."""
        self._patience = None
        assert self._database is not None  # noqa: S101 - something is being written to it
        Thread(target=self._database.unmark, daemon=True).start()  # it may not answer either
        self._unwritten |= {chunk.seq: chunk for chunk in batch.chunks}
        self._weaken("the disk does not answer")
        self._ready += requests
        self._go_without_waiting()
        self._deliver()

    def _go_without_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._go_without(request)

    def _go_without(self, request: _Request) -> None:
        """Deliver a request that cannot be written now."""
        if self._database is not None:
            self._unwritten |= {chunk.seq: chunk for chunk in request.chunks}
            if len(self._evicted) > _MAX_EVICTED:
                self._evicted, self._forgot_evicted = {}, True
        self._ready.append(request)
        self._deliver()

    def _deliver(self) -> None:
        """Deliver what is ready, a few milliseconds' worth in each turn of the event loop."""
        if self._is_delivering:
            return
        time = asyncio.get_running_loop().time
        until = time() + TURN_SECONDS
        while self._ready:
            request = self._ready[0]
            for chunk in islice(request.chunks, self._delivered, None):
                if time() > until:
                    self._is_delivering = True
                    asyncio.get_running_loop().call_soon(self._deliver_on)
                    return
                self._receiver.receive(chunk)
                self._delivered += 1
            self._ready.popleft()
            self._delivered = 0
            if not request.done.done():  # the publisher may have given up
                request.done.set_result(None)
        if not self._waiting and (not self._is_writing or self._patience is None):
            self._idle.set()

    def _deliver_on(self) -> None:
        self._is_delivering = False
        self._deliver()

    def _weaken(self, problem: str) -> None:
        """Note, and report once, that nothing can be written; try again later unless that is of no use."""
        weakness = f"DATA_DIR takes no logs: {problem}"
        if weakness != self.weakness:
            self._report(f"{weakness}; until it does, they are kept in memory alone, and lost with a restart")
        self.weakness = weakness
        if self._database is not None:
            self._write_within(RETRY_SECONDS)

    def _recover(self) -> None:
        self.weakness = ""
        self._report("DATA_DIR takes logs again; all that are in memory have been written")
        if self._database is not None and not self._forgot_evicted:
            self._worker.submit(self._database.mark, lambda _: None)

    def _write_within(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        if self._is_writing:
            self._write_within(_GONE_SECONDS)
        self._write(all_gone=True)
