"""The lane: connections on which Fluent Bit posts logs, without the cost of a general HTTP server.

Most requests hold a few records, and cost Tornado several times what storing these does. A connection that begins with
an upload comes here. Requests whose first line is that of an upload, and whose head asks for no more than to take a
body of known length, are answered right where they arrive; a task is made only for one that has to wait to be stored,
for the broker, say. At the first request for anything else, the connection goes over to Tornado for good, with what
has been received and not been used: nothing is guessed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from handlers.inflight import Inflight
from handlers.lane_connection import LaneConnection
from handlers.pass_budget import PassBudget
from handlers.raw_stream import RECEIVE_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from tornado.iostream import IOStream

    from handlers.ingest import Ingest
    from handlers.services import Services

    # Takes over a socket with the address of its peer and what has been received from it.
    HandOver = Callable[[socket.socket, Any, bytes], None]

# Bytes that are handled without a look at the clock, and what a request counts for beside its own.
_AT_ONCE, _REQUEST = 64 * 1024, 2048
# How long requests that are cancelled may take to end.
_CANCEL_SECONDS = 1


class Lane:
    """Serves connections as long as they bring uploads to `ingests`, which are known by their paths.

    A connection may be idle for `idle_seconds`, and a body may take `body_seconds` to come. A head of more than
    `max_head` bytes is for Tornado to refuse.
    """

    def __init__(
        self,
        services: Services,
        ingests: Mapping[str, Ingest],
        hand_over: HandOver,
        *,
        max_head: int,
        idle_seconds: float,
        body_seconds: float,
    ) -> None:
        self.services = services
        self.loop = asyncio.get_running_loop()
        self.hand_over = hand_over
        self.max_head = max_head
        self.idle_seconds = idle_seconds
        self.body_seconds = body_seconds
        self._ingests = {f"POST {path} HTTP/1.1\r\n".encode(): ingest for path, ingest in ingests.items()}
        self._connections: dict[LaneConnection, None] = {}  # a dict, because it keeps an order
        self._open = Inflight()  # the same connections
        self.budget = PassBudget(free=_AT_ONCE, each=_REQUEST)

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    def accept(self, stream: IOStream, address: Any) -> None:
        """Serve a new connection, of which nothing has been read although something has come."""
        stream.set_nodelay(True)  # or an answer to pipelined uploads would wait for the client's kernel
        unread = b""
        with suppress(OSError):
            # At once: its head must not be overtaken by one that comes later, on a connection that is watched already.
            unread = stream.socket.recv(RECEIVE_BYTES)
        served = LaneConnection(self, stream.socket, address)
        self._connections[served] = None
        self._open.add(served)
        served.begin(unread)

    def ingest_for(self, data: bytes) -> Ingest | None:
        """Return what takes the request that begins with this; None if it is not an upload."""
        return self._ingests.get(data[: data.find(b"\r\n") + 2])

    def may_be_upload(self, data: bytes) -> bool:
        """Tell whether data may still become the first line of an upload."""
        return any(line.startswith(data[: len(line)]) for line in self._ingests)

    def drain(self) -> None:
        """Close all connections without a request. The others close once they have answered it."""
        for connection in list(self._connections):
            if connection.is_idle:
                connection.close()

    async def close(self, seconds: float) -> None:
        """Close all connections: those that have a request have so many seconds for it."""
        self.drain()
        await self._open.over(seconds)
        for connection in list(self._connections):
            connection.close()
        await self._open.over(_CANCEL_SECONDS)

    def forget(self, connection: LaneConnection) -> None:
        """Forget a connection that is closed or has been handed over."""
        del self._connections[connection]
        self._open.remove(connection)
