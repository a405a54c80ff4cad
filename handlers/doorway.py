"""The doorway: connections that have not said anything yet."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from handlers.inflight import Inflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.iostream import IOStream

    # Serves a connection, given the address of its peer.
    Serve = Callable[[IOStream, Any], None]

# So much tells whom a connection is for. It is looked at and left in the kernel, for whoever serves the connection.
_GLANCE = 64


class Doorway:
    """Waits for the first bytes of connections, for so many seconds, and tells by these who is to serve them."""

    def __init__(self, seconds: float, server_for: Callable[[bytes], Serve]) -> None:
        self._seconds = seconds
        self._server_for = server_for
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[IOStream, asyncio.TimerHandle] = {}
        self._silent = Inflight()  # the same connections

    def __len__(self) -> int:
        """Return how many connections are waited for."""
        return len(self._waiting)

    def wait(self, stream: IOStream, address: Any) -> None:
        """Have a connection served once it has said something, which it often has by now."""
        if self._is_served(stream, address):
            return
        self._waiting[stream] = self._loop.call_later(self._seconds, self._close, stream)
        self._silent.add(stream)
        self._loop.add_reader(stream.socket, self._look, stream, address)

    def close(self) -> None:
        """Close all connections that have said nothing."""
        for stream in list(self._waiting):
            self._close(stream)

    async def over(self, seconds: float) -> None:
        """Wait until all connections have said something, but only for so many seconds."""
        await self._silent.over(seconds)

    def _look(self, stream: IOStream, address: Any) -> None:
        self._loop.remove_reader(stream.socket)
        if self._is_served(stream, address):
            self._forget(stream)
        else:
            self._loop.add_reader(stream.socket, self._look, stream, address)

    def _is_served(self, stream: IOStream, address: Any) -> bool:
        """Have a connection served, or close it if it is at its end; return False if it has said nothing yet."""
        try:
            said = stream.socket.recv(_GLANCE, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        if said:
            self._server_for(said)(stream, address)
        else:
            stream.close()
        return True

    def _close(self, stream: IOStream) -> None:
        self._loop.remove_reader(stream.socket)
        self._forget(stream)
        stream.close()

    def _forget(self, stream: IOStream) -> None:
        self._waiting.pop(stream).cancel()
        self._silent.remove(stream)
