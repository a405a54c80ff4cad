"""Streams for connections that are read without Tornado, and what is left of them for Tornado."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream

from handlers import tcp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# How much is received at a time while it is not known what of: most requests are no longer.
RECEIVE_BYTES = 256 * 1024

_NOTHING = memoryview(b"")


class RawStream:
    """A socket without buffers. Who asks for what arrives next is called with it; nothing is received unasked."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._is_watched = False  # whether the event loop tells when something arrives
        self._received: Callable[[bytes], None] | None = None  # what is called then
        self._most = RECEIVE_BYTES
        self._least = 1
        self._deadline = math.inf  # on the loop's clock, of all that is asked for
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf  # no later than the deadline while something is asked for

    def receive(self, received: Callable[[bytes], None], *, most: int = RECEIVE_BYTES, least: int = 1) -> None:
        """Have `received` called with what arrives next, at most so many bytes.

        Nothing means that no more comes: the peer has closed or reset the connection, or the deadline has passed. Fewer
        than `least` bytes are given only if no more fit into the kernel, or will come.
        """
        self._received, self._most = received, most
        if least != self._least:
            tcp.expect(self.socket, least)
            self._least = least
        if not self._is_watched:
            self._loop.add_reader(self.socket, self._arrived)
            self._is_watched = True
        if self._alarm_at > self._deadline:
            self._set_alarm()

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
        """Say how long all that is asked for from now on may take to come."""
        self._deadline = self._loop.time() + seconds

    def release(self) -> None:
        """Let go of the socket, which stays open. Does nothing the second time."""
        self._received = None
        self._stop_watching()
        if self._least != 1:
            with suppress(OSError):  # closed by the peer
                tcp.expect(self.socket, 1)
            self._least = 1
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _arrived(self) -> None:
        if self._received is None:
            self._stop_watching()
            return
        try:
            data = self.socket.recv(self._most)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._give(data)

    def _give(self, data: bytes) -> None:
        received, self._received = self._received, None
        if received is not None:
            received(data)

    def _set_alarm(self) -> None:
        """See to it that a deadline is noticed. One timer serves many requests."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(self._deadline, self._check_deadline), self._deadline

    def _check_deadline(self) -> None:
        self._alarm, self._alarm_at = None, math.inf
        if self._received is None:
            return  # whoever asks next sets a new one
        if self._deadline > self._loop.time():
            self._set_alarm()
        else:
            with suppress(OSError):
                self.socket.recv(self._most)  # or closing would look like a reset to the peer
            self._give(b"")

    def _stop_watching(self) -> None:
        if self._is_watched:
            self._loop.remove_reader(self.socket)
            self._is_watched = False


class UnreadStream(IOStream):
    """A connection of which something may have been received already: that is read first."""

    def __init__(self, connection: socket.socket, unread: bytes | memoryview, **options: Any) -> None:
        self._before = memoryview(unread)
        super().__init__(connection, **options)

    def close(self, exc_info: Any = False) -> None:  # noqa: FBT002 - Tornado's signature
        """Close the connection, and keep no more of an error than what it says (see `tune_gc` on cycles)."""
        super().close(exc_info)
        if self.error is not None:
            self.error.__traceback__ = self.error.__context__ = None

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read into a buffer; return how many bytes, None if there are none yet, 0 at the end."""
        size = min(len(buf), len(self._before))
        if not size:
            return super().read_from_fd(buf)
        buf[:size] = self._before[:size]
        self._before = self._before[size:] or _NOTHING
        return size
