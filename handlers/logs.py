"""GET /logs: readers come, by WebSocket, as server-sent events, or with a plain HTTP response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tornado.websocket import WebSocketHandler

from handlers.authorisation import Unauthorized, token_of
from handlers.base import CrossOriginHandler
from handlers.query import PARAMETERS, decode_arguments, parse
from handlers.session import HttpSession, WebSocketSession
from handlers.transport import Transport
from handlers.upgrade import check_upgrade
from protocol import BAD_MESSAGE

if TYPE_CHECKING:
    from handlers.query import Query
    from handlers.services import Services

_NO_ARGUMENTS: dict[str, list[bytes]] = {}

_SUBPROTOCOL = "logurt"
# How soon a browser's EventSource comes back after a cut, in milliseconds.
_RETRY = b"retry: 2000\n\n"


class Renewal(msgspec.Struct, forbid_unknown_fields=True):
    """The one message that a WebSocket client may send: a new token for the same scope."""

    token: str


class LogsHandler(CrossOriginHandler, WebSocketHandler):
    """Authorises a reader, and starts a session for it. Refusals come before the upgrade."""

    scheme = "Bearer"

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        super().initialize(services)
        self._session: WebSocketSession | None = None  # set while a WebSocket is open

    async def get(self) -> None:
        """Answer with a stream of lines."""
        self.admit_origin()
        self._grant = self.services.tokens.verify(token_of(self.request))
        self._query = self._read_query()
        transport = self._transport()
        self._view = self._query.view(self._grant.selector, self.services.broker.epoch, transport)
        self.services.sessions.admit()
        self.services.hub.check(self._view)
        # Nothing is awaited from here to where the session joins the hub, so that what is admitted can join.
        if transport is Transport.WEBSOCKET:
            self.lasting_headers["Sec-WebSocket-Version"] = "13"
            check_upgrade(self.request)
            await super().get()
        else:
            self._stream_response(transport)

    # WebSocket

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - Tornado's signature
        """Allow it: `get` has checked the origin already, and has an answer for those it rejects."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose ours if it is offered; the one that carries the token is never echoed."""
        return _SUBPROTOCOL if _SUBPROTOCOL in subprotocols else None

    def open(self) -> None:
        """Start the session."""
        assert self.ws_connection is not None  # noqa: S101 - it is open
        stream = self.ws_connection.stream
        assert stream is not None  # noqa: S101 - likewise
        self._session = WebSocketSession(self.services, self, stream, self._grant.expires_at)
        self._session.begin(self._view, self._query.start(), follow=self._query.follow)
        self._forget_request()

    def on_message(self, message: str | bytes) -> None:
        """Extend the session with a renewed token; any other message ends it."""
        assert self._session is not None  # noqa: S101 - `open` has made it
        try:
            renewal = msgspec.json.decode(message, type=Renewal)
            grant = self.services.tokens.verify(renewal.token)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, Unauthorized):
            self._session.end(BAD_MESSAGE)
            return
        if grant.selector == self._grant.selector:
            self._session.expires_at = grant.expires_at
        else:
            self._session.end(BAD_MESSAGE)

    def on_ping(self, data: bytes) -> None:  # noqa: ARG002 - Tornado's signature
        """Note that Tornado has answered."""
        if self._session is not None:
            self._session.note_frame()

    def on_pong(self, data: bytes) -> None:  # noqa: ARG002 - Tornado's signature
        """Note that the client is alive."""
        if self._session is not None:
            self._session.pong()

    def on_close(self) -> None:
        """Leave, if the reader had come so far as to join."""
        if self._session is not None:
            self._session.leave("the client has gone")
            self._session = None  # it knows this handler: both would wait for the garbage collector

    def _forget_request(self) -> None:
        """Let go of what an open WebSocket needs no more of its request: a fifth of what an idle reader takes."""
        del self._query, self._view
        request = self.request
        request.uri, request.query = request.path, ""
        request.headers.clear()  # in place: Tornado's `get`, which runs as long as the WebSocket does, knows them too
        request.arguments = request.query_arguments = request.body_arguments = _NO_ARGUMENTS
        del request.connection, request.server_connection

    # HTTP

    def _stream_response(self, transport: Transport) -> None:
        """Send the head of the response, and hand the connection over to a session."""
        lines_type = "application/x-ndjson" if self._query.format == "json" else "text/plain"
        self.set_header("Content-Type", f"{'text/event-stream' if transport.is_events else lines_type}; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold lines back to fill its buffers
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Connection", "close")
        if transport.is_events:
            self.write(_RETRY)
        self.flush()
        stream = self.detach()
        session = HttpSession(self.services, stream, transport, self._grant.expires_at)
        session.begin(self._view, self._query.start(), follow=self._query.follow)
        del self.ui  # it knows this handler, which Tornado has it forget where a request is finished

    # The request

    def _transport(self) -> Transport:
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            return Transport.WEBSOCKET
        wants_events = "text/event-stream" in self.request.headers.get("Accept", "")
        if self.request.version == "HTTP/1.0":
            return Transport.EVENTS_1_0 if wants_events else Transport.HTTP_1_0
        return Transport.EVENTS if wants_events else Transport.HTTP

    def _read_query(self) -> Query:
        arguments = decode_arguments(self.request.query_arguments, PARAMETERS)
        # A browser comes back to the address it began with, cursor included: what it has seen since counts for more.
        if last := self.request.headers.get("Last-Event-ID"):
            arguments["cursor"] = [last]
        return parse(arguments, self.services.settings.default_tail, self.services.now())
