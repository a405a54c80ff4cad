"""Streams for connections whose requests one coroutine reads and answers, and what is left of them for Tornado."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# How much is received at a time while it is not known what of: memory that a client costs that sends half a head.
RECEIVE_BYTES = 64 * 1024

_NOTHING = memoryview(b"")


class RawStream:
    """A socket without buffers, for one coroutine, which waits for one thing at a time.

    What does not come in time raises TimeoutError, which is an OSError (see `expect_within`).
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._is_watched = False  # whether the event loop tells when something arrives
        self._take_some = partial(connection.recv, RECEIVE_BYTES)
        self._take: Callable[[], Any] = self._take_some  # what receives it then
        self._waiter: asyncio.Future[Any] | None = None
        self._next: Callable[[bytes], None] | None = None  # what gets that where nobody waits
        self._deadline = math.inf  # on the loop's clock, of all that is waited for
        self._alarm: asyncio.TimerHandle | None = None  # no later than that while there is a waiter

    def receive(self) -> asyncio.Future[bytes]:
        """Return what arrives next, at most RECEIVE_BYTES; nothing at the end. Raises OSError."""
        return self._received(self._take_some)

    async def receive_into(self, buffer: memoryview) -> int:
        """Receive some bytes into a buffer that has room; return how many. Raises OSError, also at the end."""
        size: int = await self._received(partial(self.socket.recv_into, buffer))
        if not size:
            raise ConnectionAbortedError
        return size

    async def fill(self, buffer: memoryview, filled: Callable[[int], None]) -> int:
        """Fill a buffer; return its size. `filled(size)` is called for each part that comes. Raises OSError."""
        left = buffer
        while left:
            size = await self.receive_into(left)
            filled(size)
            left = left[size:]
        return len(buffer)

    async def send(self, data: bytes, seconds: float) -> None:
        """Send all of it within so many seconds; nearly always the kernel takes an answer at once. Raises OSError."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await asyncio.sleep(0)  # what has been begun without a task (see `eager`) goes on in one: timeouts need it
            async with asyncio.timeout(seconds):
                await self._loop.sock_sendall(self.socket, data[sent:])

    def expect_within(self, seconds: float) -> None:
        """Say how long all that is received from now on may take to come."""
        self._deadline = self._loop.time() + seconds

    def call_with_next(self, received: Callable[[bytes], None]) -> None:
        """Have `received` called with what arrives next: nothing at the end, nor if it does not come in time."""
        self._next = received
        self._watch()
        self._set_alarm()

    def release(self) -> None:
        """Let go of the socket, which stays open. Does nothing the second time."""
        self._next = None
        self._stop_watching()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _received(self, take: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have something received by `take` once it has arrived; return what will be what that returns."""
        self._take = take
        self._waiter = waiter = self._loop.create_future()
        self._watch()
        self._set_alarm()
        return waiter

    @property
    def _is_awaited(self) -> bool:
        """Whether anybody waits for what arrives."""
        return self._next is not None or (self._waiter is not None and not self._waiter.done())

    def _arrived(self) -> None:
        # Received right here, or the event loop would report it a second time before the waiter can run.
        if not self._is_awaited:
            self._stop_watching()
            return
        try:
            received = self._take()
        except BlockingIOError:
            return
        except OSError as error:
            self._give(error.with_traceback(None))  # which knows this frame (see `tune_gc` on cycles)
        else:
            self._give(received)

    def _give(self, outcome: Any) -> None:
        """Give what has come, or an OSError, to whoever waits for it."""
        call, waiter = self._next, self._waiter
        self._next = self._waiter = None
        self._take = self._take_some  # the buffer is not to stay for the sake of this
        is_error = isinstance(outcome, OSError)
        if call is not None:
            call(b"" if is_error else outcome)
        elif waiter is not None and is_error:
            waiter.set_exception(outcome)
        elif waiter is not None:
            waiter.set_result(outcome)

    def _set_alarm(self) -> None:
        """See to it that a deadline is noticed. One timer serves many requests."""
        alarm, deadline = self._alarm, self._deadline
        if alarm is not None and alarm.when() > deadline:
            alarm.cancel()
            alarm = None
        if alarm is None and deadline < math.inf:
            self._alarm = self._loop.call_at(deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._alarm = None
        if not self._is_awaited:
            return  # the next wait sets a new one
        if self._deadline > self._loop.time():
            self._set_alarm()
        else:
            self._give(TimeoutError())

    def _watch(self) -> None:
        if not self._is_watched:
            self._loop.add_reader(self.socket, self._arrived)
            self._is_watched = True

    def _stop_watching(self) -> None:
        if self._is_watched:
            self._loop.remove_reader(self.socket)
            self._is_watched = False


class UnreadStream(IOStream):
    """A connection of which something has been received already: that is read first."""

    def __init__(self, connection: socket.socket, unread: bytes | memoryview, **options: Any) -> None:
        self._before = memoryview(unread)
        super().__init__(connection, **options)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read into a buffer; return how many bytes, None if there are none yet, 0 at the end."""
        size = min(len(buf), len(self._before))
        if not size:
            return super().read_from_fd(buf)
        buf[:size] = self._before[:size]
        self._before = self._before[size:] or _NOTHING
        return size
