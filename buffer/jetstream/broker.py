"""The broker of any number of replicas, with one stream of NATS JetStream between them.

A replica publishes what it is sent (`publisher`), and follows the namespaces that have readers here (`follower`). The
numbers are the stream's, and so is the epoch (`epoch`): a cursor means the same at every replica. A replica that
publishes a chunk hears of it as all others do.

    subjects    what is called what                  message     what is stored
    connection  to NATS, and what is answered        stream      made or checked
    epoch       the name of the numbering            batch       reading from any copy
    publisher   retries, window, giving up           follower    backlog and live, without a seam
    ledger      what was written of each source      losses      what was missed of it
    shares      for how long each message is kept    peers       among how many replicas
    followers   what is followed here                held        what the stream held at first
    absence     when too much may have been missed
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from buffer.broker import BrokerUnavailable, Lagging
from buffer.jetstream.absence import Absence
from buffer.jetstream.client import end_task
from buffer.jetstream.connection import Connection, Servers
from buffer.jetstream.desk import Desk
from buffer.jetstream.epoch import Epoch
from buffer.jetstream.followers import Followers
from buffer.jetstream.ledger import Ledger
from buffer.jetstream.peers import Peers
from buffer.jetstream.publisher import Publisher
from buffer.jetstream.shares import Shares
from buffer.jetstream.stream import Stream, StreamMissing, StreamRefused, StreamSettings
from buffer.jetstream.subjects import Subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.broker import Receiver
    from buffer.chunk import Chunk
    from buffer.jetstream.stream import StreamState

# How long a start waits for NATS before it goes on without, in seconds; how long a reader waits for its namespace.
_START_SECONDS = 5.0
_FOLLOW_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
# How often the leader is asked, and how long it may be silent before another server is asked, in seconds.
_PULSE_SECONDS = 1.0
_SILENT_SECONDS = 2.0
# How long a namespace is followed after its last reader has left, in seconds.
LINGER_SECONDS = 300.0
_ANNOUNCE_PULSES = 5


class Options(NamedTuple):
    """Where NATS is, and what the stream is to be like."""

    servers: Servers
    stream: StreamSettings


class JetStreamBroker:
    """Publishes to a stream, and delivers the namespaces that are followed here. To be made where a loop runs.

    `now` returns Unix seconds: a stream that is made is numbered from the time on, so that numbers never come again.
    """

    def __init__(self, options: Options, now: Callable[[], float], *, linger: float = LINGER_SECONDS) -> None:
        self.epoch = secrets.token_hex(6)  # until the stream's is known
        self.weakness = ""
        self._fits = False  # whether the stream has been checked on this connection
        self._refused = ""  # what does not fit, if anything
        self._now = now
        self._linger = linger
        self._monotonic = asyncio.get_running_loop().time
        settings = options.stream
        self._subjects = Subjects(settings.name)
        self._connection = Connection(options.servers, self._note_connected)
        self._stream = Stream(self._connection, settings, self._subjects)
        self._epoch = Epoch(self._connection, self._stream, self._subjects, self._restart, self._monotonic)
        self._ledger = Ledger()
        self._shares = Shares(settings.namespace_bytes, settings.max_age, self._monotonic)
        self._peers = Peers(self._connection, self._subjects.peers, self._monotonic)
        self._publisher = Publisher(
            self._connection, self._subjects, self._ledger, self._shares, stored=self._note_stored
        )
        self._has_published = False
        self._desk: Desk | None = None  # once started
        self._followers: Followers | None = None  # likewise
        self._answered_at = self._monotonic()  # when the leader did
        self._is_answered = False
        self._absence: Absence | None = None  # while the leader is out of reach
        self._checking = asyncio.Lock()
        self._checks = self._checked = 0  # how many have begun, and the last one that came to its end
        self._pulse_now = asyncio.Event()
        self._pulse: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str:
        """What keeps the stream from taking messages, as a clause; empty if it takes them."""
        if self._refused:
            return self._refused
        if not self._connection.is_up:
            error = self._connection.last_error
            return f"there is no connection to NATS ({error})" if error else "there is no connection to NATS"
        if not self._epoch.name or not self._is_answered:
            return "no leader answers for the stream"
        return ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Connections to NATS, messages that were sent again or could not be read, gaps that were filled."""
        return {
            "connected": self._connection.connects,
            "sent_again": self._publisher.repeated,
            "unreadable": 0 if self._desk is None else self._desk.unreadable,
            "filled": 0 if self._desk is None else self._desk.filled,
        }

    async def start(self, receiver: Receiver) -> None:
        """Connect, and make or check the stream. Goes on without NATS; raises BrokerUnavailable if NATS refuses."""
        self._desk = Desk(
            self._connection,
            self._stream.settings.name,
            self._subjects,
            receiver,
            check_epoch=self.check,
            first=self._first,
            highest=self._highest,
            highest_known=lambda: self._epoch.highest,
            written=self._written,
        )
        self._followers = Followers(self._desk, self._linger)
        self._connection.hear(self._subjects.live_epoch, lambda _: self._pulse_now.set())
        await self._connection.open(_START_SECONDS)
        until = self._monotonic() + _START_SECONDS
        while self._connection.is_up and not self._epoch.name and not self._refused and self._monotonic() < until:
            await self.check()
        if self._refused:
            await self._connection.close()
            raise StreamRefused(self._refused)
        self._pulse = asyncio.create_task(self._beat())

    async def publish(self, chunks: Sequence[Chunk], key: bytes = b"") -> None:
        """Store all chunks of a request in the stream, in ten seconds at most. Raises BrokerUnavailable."""
        if self._desk is None:
            raise BrokerUnavailable("it has not been started")
        if self._refused or not self._epoch.name:
            raise BrokerUnavailable(self.problem)
        self._has_published = True
        await self._publisher.publish(chunks, key)

    async def follow(self, namespace: str, seq: int = 0, epoch: str = "", *, whole: bool = True) -> bool:
        """Return once what the stream holds of a namespace has been delivered, in five seconds. Raises Lagging.

        Unless the `whole` is waited for, return at once.
        """
        if self._followers is None or not self._epoch.name:
            raise Lagging  # nothing has been here yet
        follower = self._followers.add_reader(namespace)
        if not whole:
            return False
        if asyncio.current_task() is None:
            await asyncio.sleep(0)  # it goes on in a task then, which timeouts need
        try:
            async with asyncio.timeout(_FOLLOW_SECONDS):
                # If it has been learnt elsewhere, what is held here has been given out there, with other numbers.
                if epoch not in ("", self.epoch) and not await self.check():
                    raise Lagging
                seq = seq if epoch in ("", self.epoch) else 0
                await follower.wait(seq)
        except TimeoutError:
            if epoch or seq > follower.last:
                raise Lagging from None  # what is missing may be what went without a trace
        return follower.held.doubts(seq)

    def release(self, namespace: str) -> None:
        """Follow a namespace no longer than some minutes after its last reader has left."""
        if self._followers is not None:
            self._followers.remove_reader(namespace)

    async def close(self) -> None:
        """Send what others must know, then disconnect."""
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            await end_task(pulse)
        if self._followers is not None:
            self._followers.close()
        if self._desk is not None:
            self._desk.close()
        await self._publisher.close(_CLOSE_SECONDS)
        await self._connection.close()
        await asyncio.sleep(0)

    async def check(self) -> bool:
        """Ask the leader for the epoch, and make the stream if there is none. Tell whether it has answered.

        One check is made for all who ask before it begins.
        """
        asked = self._checks
        async with self._checking:
            if self._checked <= asked:
                self._checks += 1
                epoch = self.epoch
                self._is_answered = await self._check_stream() and await self._check_epoch()
                self._checked = self._checks
                if not self._is_answered:
                    self._note_absence()
                else:
                    self._answered_at = self._monotonic()
                    absence, self._absence = self._absence, None
                    if (
                        absence is not None
                        and self.epoch == epoch
                        and absence.hides(self._epoch.state, self._answered_at)
                    ):
                        self._begin_anew()
            return self._is_answered

    def _note_absence(self) -> None:
        if self._absence is None and self._followers is not None:
            last = max(self._epoch.highest, self._followers.highest)
            self._absence = Absence(last, self._monotonic(), self._stream.settings)

    async def _check_stream(self) -> bool:
        """Make or check the stream, once a connection; tell whether it is as it should be."""
        if self._fits:
            return True
        try:
            # Microseconds: numbers grow more slowly than time does, and a cursor has 15 hexadecimal digits for them.
            await self._stream.ensure(int(self._now() * 1_000_000))
        except StreamRefused as error:
            self._refused = error.problem
        except BrokerUnavailable:
            pass  # it may be there in a moment
        else:
            self._refused, self._fits = "", True
        return self._fits

    async def _check_epoch(self) -> bool:
        try:
            return await self._epoch.check()
        except StreamMissing:
            self._fits = False
        with suppress(StreamMissing):  # it may have been deleted again
            return await self._check_stream() and await self._epoch.check()
        return False

    async def _beat(self) -> None:
        """Do once a second what nothing else triggers."""
        beats = 0
        while True:
            try:
                async with asyncio.timeout(_PULSE_SECONDS):
                    await self._pulse_now.wait()
            except TimeoutError:
                beats += 1
            self._pulse_now.clear()
            await self._check_or_leave()
            self._publisher.say_farewells()
            self._shares.replicas = self._peers.count()
            if beats % _ANNOUNCE_PULSES == 0 and self._has_published:
                self._peers.announce()
                self._has_published = False
            if self._followers is not None and self._connection.is_up:
                self._followers.peek()

    async def _check_or_leave(self) -> None:
        if not self._connection.is_up:
            self._answered_at = self._monotonic()
            return
        await self.check()
        if self._monotonic() - self._answered_at > _SILENT_SECONDS:
            self._answered_at = self._monotonic()
            self._connection.cut()

    def _note_connected(self) -> None:
        self._answered_at = self._monotonic()
        self._fits = False
        self._note_absence()
        self._pulse_now.set()
        self._publisher.connected()
        if self._followers is not None:
            self._followers.refresh()

    async def _first(self) -> int | None:
        state = await self._state()
        return None if state is None else state.first_seq

    async def _highest(self) -> int | None:
        state = await self._state()
        return None if state is None else state.last_seq

    async def _state(self) -> StreamState | None:
        with suppress(StreamMissing):
            return await self._stream.state()
        return None

    async def _written(self, since: float) -> int | None:
        async with self._checking:
            return await self._epoch.written(since)

    def _note_stored(self, number: int) -> None:
        self._epoch.highest = max(self._epoch.highest, number)

    def _restart(self, epoch: str) -> None:
        """Begin anew with a numbering that was not known before."""
        self.epoch = epoch
        self._ledger.clear()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Drop everything that was delivered, and load what there is."""
        if self._desk is not None:
            self._desk.receiver.restart(self.epoch)
        if self._followers is not None:
            self._followers.restart()
