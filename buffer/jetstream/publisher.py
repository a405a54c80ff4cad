"""Publishing: all chunks of a request go out, then all are known to be stored, or the request is refused.

- A message that is not acknowledged is sent again, with the same `Nats-Msg-Id`: the stream knows it again and stores it
  once. A request that comes again, here or at another replica, has the same ids, so a half-stored one is completed.
- Of each source, one message is on its way at a time. Otherwise the second could be stored before the first one, when
  that has to be sent again. It also makes the place of each message exact.
- While nobody acknowledges anything, one message stands for all that wait: it is sent every quarter of a second, and
  once it is acknowledged, the others follow.
- A server that has acknowledged nothing for two seconds is left for another one: the leader may have been cut off from
  its peers, and does not know it yet.
- After ten seconds in all, a request is refused. An election takes four to nine.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from buffer.broker import BrokerUnavailable
from buffer.jetstream.epoch import Ack
from buffer.jetstream.message import Encoder, join

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nats.aio.msg import Msg

    from buffer.chunk import Chunk
    from buffer.jetstream.connection import Connection
    from buffer.jetstream.ledger import Ledger
    from buffer.jetstream.shares import Shares
    from buffer.jetstream.subjects import Subjects
    from buffer.source import Source

# What may be on its way or wait for it, of all requests.
WINDOW_MESSAGES = 256
WINDOW_BYTES = 8 * 1024 * 1024

GIVE_UP_SECONDS = 10.0
_AGAIN_SECONDS = 0.25
_ACK_SECONDS = 1.0
_LEAVE_SECONDS = 2.0
# How long others may have to wait for a request to be encoded, in seconds.
_TURN_SECONDS = 0.005
# How long before the last message of a source goes its farewell is sent, in seconds.
_FAREWELL_SECONDS = 10


class _Request:
    """What has been asked to be stored together."""

    __slots__ = ("done", "left", "until")

    def __init__(self, done: asyncio.Future[None], until: float) -> None:
        self.done = done
        self.left = 0  # messages that are not known to be stored
        self.until = until

    def end_one(self) -> None:
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class _Outgoing:
    """A message, from the window to its acknowledgement."""

    __slots__ = ("body", "headers", "lines", "request", "sent_at", "source", "token")

    def __init__(self, request: _Request, source: Source, lines: int, body: bytes, headers: dict[str, str]) -> None:
        self.request = request
        self.source = source
        self.lines = lines  # 0: a farewell
        self.body = body
        self.headers = headers
        self.token = ""  # until it is sent
        self.sent_at = 0.0


class Publisher:
    """Sends chunks to the stream. `stored(number)` is called for every message that it has stored."""

    def __init__(
        self,
        connection: Connection,
        subjects: Subjects,
        ledger: Ledger,
        shares: Shares,
        *,
        stored: Callable[[int], None],
    ) -> None:
        self.problem = ""  # why messages are not acknowledged, as far as that is known
        self.repeated = 0  # messages that were sent again
        self._connection = connection
        self._subjects = subjects
        self._ledger = ledger
        self._shares = shares
        self._stored = stored
        self._encoder = Encoder()
        self._queues: dict[Source, deque[_Outgoing]] = {}  # the first one of each is on its way
        self._on_its_way: dict[str, _Outgoing] = {}  # by token, in the order in which they were sent last
        self._count = self._bytes = 0  # in the window
        self._waiters: deque[asyncio.Future[None]] = deque()  # for room in the window
        self._acked_at = 0.0
        self._connected_at = 0.0  # what was sent before that was sent on another connection
        self._in_trouble = False
        self._left_at = 0.0  # when a server was left
        self._timer: asyncio.TimerHandle | None = None
        self._farewells: dict[Source, float] = {}  # when to send them
        self._time = asyncio.get_running_loop().time

    async def publish(self, chunks: Sequence[Chunk], key: bytes) -> None:
        """Return once all chunks are stored. Raises BrokerUnavailable."""
        if not chunks:
            return
        if asyncio.current_task() is None:
            await asyncio.sleep(0)  # it goes on in a task then, which timeouts need
        name = key.hex() or secrets.token_hex(16)
        request = _Request(asyncio.get_running_loop().create_future(), self._time() + GIVE_UP_SECONDS)
        request.left = len(chunks)
        try:
            async with asyncio.timeout_at(request.until):
                await self._put_all(request, chunks, name)
                await request.done
        except TimeoutError:
            raise BrokerUnavailable(self.problem or "NATS does not acknowledge what is sent") from None
        finally:
            if request.left:
                self._abandon(request)

    def connected(self) -> None:
        """Send again what is on its way: the connection that it was sent on is gone."""
        self._connected_at = self._time()
        if self._on_its_way:
            self._in_trouble = True
            self._send(next(iter(self._on_its_way.values())))

    def say_farewells(self, *, at_once: bool = False) -> None:
        """Send the farewells that are due, or all there are to come: nobody else would send them."""
        now = self._time()
        for source in [source for source, when in self._farewells.items() if at_once or when <= now]:
            if self._count >= WINDOW_MESSAGES:
                return  # the rest gets its turn
            del self._farewells[source]
            request = _Request(asyncio.get_running_loop().create_future(), now + GIVE_UP_SECONDS)
            request.left = 1
            body = self._encoder.farewell_body(source)
            self._put(_Outgoing(request, source, 0, body, {"Nats-Msg-Id": secrets.token_hex(16)}))

    async def close(self, seconds: float) -> None:
        """Send all farewells, and wait at most so long for what is on its way."""
        until = self._time() + seconds
        while self._time() < until and (self._farewells or self._count) and self._connection.is_up:
            self.say_farewells(at_once=True)
            await asyncio.sleep(0.01)
        if self._timer is not None:
            self._timer.cancel()

    async def _put_all(self, request: _Request, chunks: Sequence[Chunk], name: str) -> None:
        turn_ends = self._time() + _TURN_SECONDS
        for index, chunk in enumerate(chunks):
            if self._time() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = self._time() + _TURN_SECONDS
            body = self._encoder.body(chunk)
            headers = {"Nats-Msg-Id": f"{name}-{index:x}"}
            seconds = self._shares.seconds(chunk.source, chunk.size)
            if seconds < self._shares.max_seconds:
                headers["Nats-TTL"] = f"{seconds}s"
            await self._room(len(body))
            self._plan_farewell(chunk.source, seconds)
            self._put(_Outgoing(request, chunk.source, chunk.count, body, headers))

    async def _room(self, size: int) -> None:
        """Wait until there is room for so many bytes in the window."""
        while self._count >= WINDOW_MESSAGES or (self._count and self._bytes + size > WINDOW_BYTES):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _put(self, out: _Outgoing) -> None:
        self._count += 1
        self._bytes += len(out.body)
        queue = self._queues.setdefault(out.source, deque())
        queue.append(out)
        if len(queue) == 1:
            self._send(out)

    def _send(self, out: _Outgoing) -> None:
        now = self._time()
        if not out.token:
            if not self._on_its_way:
                self._acked_at = now  # there was nothing to acknowledge
            out.token = self._connection.expect(lambda msg: self._answered(out, msg))
        else:
            del self._on_its_way[out.token]
            self.repeated += 1
        self._on_its_way[out.token] = out
        out.sent_at = now
        place = self._ledger.entry(out.source).place
        subject = self._subjects.of(out.source.namespace)
        payload = join(place, out.body, is_farewell=not out.lines)
        self._connection.send(subject, payload, out.token, out.headers)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._tick)

    def _answered(self, out: _Outgoing, msg: Msg) -> None:
        problem = ""
        if not msg.data:
            problem = "no leader answers for the stream"
        else:
            ack = msgspec.json.decode(msg.data, type=_Answer)
            if ack.error is None:
                self._end(out, ack)
                return
            problem = f"NATS says: {ack.error.description}"
        self.problem = problem
        self._in_trouble = True

    def _end(self, out: _Outgoing, ack: Ack) -> None:
        """Note that a message is stored; send what has waited for that."""
        entry = self._ledger.entry(out.source)
        if ack.duplicate:
            # By this process, or by another one that was sent the same request: nobody knows which.
            entry.doubt(ack.seq)
        else:
            entry.add(out.lines, ack.seq)
            self._stored(ack.seq)
        self._acked_at = self._time()
        self.problem = ""
        self._remove(out)
        out.request.end_one()
        if self._in_trouble:
            self._in_trouble = False
            for waiting in list(self._on_its_way.values()):
                is_gone = waiting.sent_at < self._connected_at
                if is_gone or self._acked_at - waiting.sent_at >= _AGAIN_SECONDS / 2:
                    self._send(waiting)

    def _remove(self, out: _Outgoing) -> None:
        """Take the first message of a source out of the window, and send the next one."""
        self._connection.forget(out.token)
        self._on_its_way.pop(out.token, None)
        queue = self._queues[out.source]
        queue.popleft()
        self._release(out)
        if queue:
            self._send(queue[0])
        else:
            del self._queues[out.source]

    def _release(self, out: _Outgoing) -> None:
        self._count -= 1
        self._bytes -= len(out.body)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    def _abandon(self, request: _Request) -> None:
        """Forget the messages of a request that will not be stored, or not for this process to know."""
        for source in [source for source, queue in self._queues.items() if any(o.request is request for o in queue)]:
            queue = self._queues[source]
            first = queue[0]
            for out in [out for out in queue if out.request is request and out is not first]:
                queue.remove(out)
                self._release(out)
            if first.request is request:
                self._ledger.entry(source).doubt()
                self._remove(first)

    def _plan_farewell(self, source: Source, seconds: int) -> None:
        if seconds < self._shares.max_seconds:
            self._farewells[source] = self._time() + max(seconds - _FAREWELL_SECONDS, seconds / 2)
        else:
            self._farewells.pop(source, None)

    def _tick(self) -> None:
        self._timer = None
        if not self._on_its_way:
            return
        now = self._time()
        self._drop_old_farewells(now)
        silent = now - self._acked_at
        if self._in_trouble or silent > _ACK_SECONDS:
            self._in_trouble = True
            if self._on_its_way:
                self._send(next(iter(self._on_its_way.values())))
            is_silent = now - max(self._acked_at, self._connected_at) > _LEAVE_SECONDS
            if is_silent and now - self._left_at > 2 * _LEAVE_SECONDS:
                self._left_at = now
                self._connection.cut()
        else:
            for out in list(self._on_its_way.values()):
                if now - out.sent_at > _ACK_SECONDS:
                    self._send(out)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._tick)

    def _drop_old_farewells(self, now: float) -> None:
        """Give up farewells as requests are given up; nobody waits for them."""
        for out in [out for out in self._on_its_way.values() if not out.lines and out.request.until < now]:
            self._abandon(out.request)


class _Refusal(msgspec.Struct):
    description: str = ""


class _Answer(Ack):
    error: _Refusal | None = None
