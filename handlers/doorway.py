"""The doorway: connections that have not said anything yet."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from handlers.inflight import Inflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.iostream import IOStream

    # Serves a connection, given the address of its peer.
    Serve = Callable[[IOStream, Any], None]

# Enough to tell whom a connection is for. It is only peeked at, and stays in the kernel.
_GLANCE = 64
# Connections that are served by the slower one in a pass of the event loop: it takes a tenth of a millisecond for each
# to read its first request. A thousand readers that come back at once must not hold everybody else up.
AT_ONCE = 16


class Doorway:
    """Waits so many seconds for the first bytes of each connection, and decides by these who serves it.

    `quick(said)` returns what serves a connection at little cost, if there is such a thing; others are left to what
    `slow(said)` returns, a few at a time.
    """

    def __init__(self, seconds: float, quick: Callable[[bytes], Serve | None], slow: Callable[[bytes], Serve]) -> None:
        self._seconds = seconds
        self._quick = quick
        self._slow = slow
        self._loop = asyncio.get_running_loop()
        self._silent: dict[IOStream, asyncio.TimerHandle] = {}  # each with its end
        self._queue: deque[tuple[Serve, IOStream, Any]] = deque()  # those that have spoken, with their addresses
        self._open = Inflight()  # all of these
        self._is_serving = False  # in this pass of the event loop

    def __len__(self) -> int:
        """Return how many connections are waited for, or wait."""
        return len(self._open)

    def wait(self, stream: IOStream, address: Any) -> None:
        """Have a connection served once it has said something, which it often has by now."""
        if not self._is_served(stream, address):
            self._silent[stream] = self._loop.call_later(self._seconds, self._close, stream)
            self._open.add(stream)
            self._loop.add_reader(stream.socket, self._look, stream, address)

    def close(self) -> None:
        """Close all connections that have said nothing."""
        for stream in list(self._silent):
            self._close(stream)

    async def over(self, seconds: float) -> None:
        """Wait until all connections have been served, but only for so many seconds."""
        await self._open.over(seconds)

    def _look(self, stream: IOStream, address: Any) -> None:
        self._forget(stream)
        self.wait(stream, address)

    def _is_served(self, stream: IOStream, address: Any) -> bool:
        """Have a connection served, or close it if it is at its end; False if it has said nothing yet."""
        try:
            said = stream.socket.recv(_GLANCE, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        if not said:
            stream.close()
        elif serve := self._quick(said):
            serve(stream, address)
        else:
            self._queue.append((self._slow(said), stream, address))
            self._open.add(stream)
            if not self._is_serving:
                self._serve_some()
        return True

    def _serve_some(self) -> None:
        """Serve some of those that have spoken; go on in the next pass of the event loop."""
        self._is_serving = bool(self._queue)
        if self._is_serving:
            self._loop.call_soon(self._serve_some)
        for _ in range(min(len(self._queue), AT_ONCE)):
            serve, stream, address = self._queue.popleft()
            self._open.remove(stream)
            serve(stream, address)

    def _close(self, stream: IOStream) -> None:
        self._forget(stream)
        stream.close()

    def _forget(self, stream: IOStream) -> None:
        """Wait for a silent connection no longer."""
        self._loop.remove_reader(stream.socket)
        self._silent.pop(stream).cancel()
        self._open.remove(stream)
