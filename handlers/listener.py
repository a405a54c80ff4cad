"""The HTTP server that listens: Tornado's, with quicker ways for uploads and upgrades, as far as files are left."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import TYPE_CHECKING, Any, cast

from tornado.httpserver import HTTPServer

from handlers.base import log
from handlers.doorway import Doorway
from handlers.inflight import Inflight
from handlers.lane import Lane
from handlers.raw_stream import UnreadStream
from handlers.upgrades import Upgrades

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
    from tornado.httputil import HTTPConnection, HTTPMessageDelegate
    from tornado.iostream import IOStream
    from tornado.web import Application

    from handlers.doorway import Serve
    from handlers.ingest import Ingest
    from handlers.services import Services

# File descriptors that connections leave free.
_SPARE_FILES = 16
_WARNING_SECONDS = 60

# How long Tornado may take to notice that a connection has been closed.
_CLOSE_SECONDS = 0.1


class Listener(HTTPServer):
    """An HTTP server that closes new connections while file descriptors run out, and idle ones once it drains.

    Without the former, `accept` would fail and be called again as fast as the processor goes. Connections that
    begin with an upload are served by the lane, most that begin with an upgrade as `Upgrades` says, others by Tornado.
    """

    def initialize(  # type: ignore[override]
        self, application: Application, services: Services, ingests: Mapping[str, Ingest], **options: Any
    ) -> None:
        """Take what takes uploads, by path, and what `HTTPServer` takes, all of it by name."""
        super().initialize(application, **options)
        self._lane = Lane(
            services,
            ingests,
            self._hand_over,
            max_head=options["max_header_size"],
            idle_seconds=options["idle_connection_timeout"],
            body_seconds=options["body_timeout"],
        )
        self._upgrades = Upgrades(services, self._hand_over, max_head=options["max_header_size"])
        self._doorway = Doorway(options["idle_connection_timeout"], self._lane_for, self._server_for)
        self._quiet_until = 0.0
        self._requests: dict[HTTP1ServerConnection, HTTP1Connection] = {}  # what each reads or answers
        self._open = Inflight()  # the same connections

    @property
    def connections(self) -> int:
        """How many connections there are, but for those whose readers have taken them over."""
        return len(self._doorway) + len(self._lane) + len(self._upgrades) + len(self._open)

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """Serve a connection, or close it."""
        # A new descriptor gets the lowest free number, so a high one means that all below it are in use.
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or stream.socket.fileno() < soft - _SPARE_FILES:
            self._doorway.wait(self._stream(stream.socket, b""), address)
            return
        stream.close()
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _WARNING_SECONDS
            log.warning("too many open files: new connections are closed, the limit is %d", soft)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return what takes the next request of a connection; while draining, a connection has but one."""
        connection, request = cast("HTTP1ServerConnection", server_conn), cast("HTTP1Connection", request_conn)
        if self.conn_params.no_keep_alive and connection in self._requests:
            request.close()
        self._requests[connection] = request
        self._open.add(connection)
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        self._requests.pop(cast("HTTP1ServerConnection", server_conn), None)
        self._open.remove(server_conn)
        super().on_close(server_conn)

    def _lane_for(self, said: bytes) -> Serve | None:
        """Return what serves a connection that begins with these bytes, if that is the lane."""
        return self._lane.accept if self._lane.may_be_upload(said) else None

    def _server_for(self, said: bytes) -> Serve:
        """Return what else serves a connection that begins with these bytes."""
        return self._upgrades.accept if self._upgrades.may_be_ours(said) else super().handle_stream

    def _hand_over(self, connection: socket.socket, address: Any, unread: bytes) -> None:
        """Have Tornado serve a connection of which something has been received already."""
        super().handle_stream(self._stream(connection, unread), address)

    def _stream(self, connection: socket.socket, unread: bytes) -> UnreadStream:
        """Return a stream. Tornado's own would leave work to the garbage collector once it has failed."""
        sizes = {"max_buffer_size": self.max_buffer_size, "read_chunk_size": self.read_chunk_size}
        return UnreadStream(connection, unread, **sizes)

    def drain(self, inflight: Inflight) -> None:
        """Close all connections without a request in flight, and from now on each of the others after its answer.

        Clients that keep connections alive would otherwise stay with a server that is about to go.
        """
        self.conn_params.no_keep_alive = True
        self._doorway.close()
        self._lane.drain()
        for request in list(self._requests.values()):
            stream: IOStream | None = request.stream  # None once a reader has it
            if request not in inflight and stream is not None and not stream.writing():
                request.close()

    async def close(self, seconds: float) -> None:
        """Stop listening, and close all connections: those that drain have so many seconds to send their answers."""
        self.stop()
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        await self._doorway.over(seconds)
        self._doorway.close()
        await self._upgrades.close(end - clock())
        await self._lane.close(end - clock())  # then, since connections may come over from there
        await self._open.over(end - clock())
        for connection in list(self._requests):
            connection.stream.close()
        await self._open.over(_CLOSE_SECONDS)
