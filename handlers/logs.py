"""GET /logs: readers come by WebSocket, as server-sent events, or with a plain HTTP response."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from tornado.web import Finish
from tornado.websocket import WebSocketHandler

from delivery.encoded import Encoded, content
from handlers.authorisation import Unauthorized, token_of
from handlers.base import CrossOriginHandler
from handlers.coding import chosen
from handlers.deflate import OFFER, agree
from handlers.errors import status_of
from handlers.http_session import EncodedSession, HttpSession
from handlers.query import PARAMETERS, decode_arguments, parse
from handlers.session import Visit, WebSocketSession, retry_some_time
from handlers.transport import Transport
from handlers.upgrade import check_upgrade
from handlers.view import view_of
from protocol import BAD_MESSAGE, refusal

if TYPE_CHECKING:
    from asyncio import Future

    from delivery.deflate import Deflate
    from delivery.encoded import Coding
    from delivery.view import View
    from handlers.deflate import Agreement
    from handlers.query import Query
    from handlers.services import Services
    from handlers.tokens import Grant
    from protocol import Disconnect

_NO_ARGUMENTS: dict[str, list[bytes]] = {}

EVENTS_TYPE = "text/event-stream"
_SUBPROTOCOL = "logurt"
# Characters of a query that the log repeats.
_MAX_ASKED = 1000
# The content codings of responses, the preferred one first: some clients read a single frame of zstd, and no more.
CODINGS: tuple[Coding, ...] = ("gzip", "zstd")


class Renewal(msgspec.Struct, forbid_unknown_fields=True):
    """The one message that a WebSocket client may send: a new token for the same scope."""

    token: str


class _Admission(NamedTuple):
    """A reader that may join: what its token grants, what it asks for, and what it will see."""

    grant: Grant
    query: Query
    view: View
    is_doubtful: bool  # whether lines after its cursor may have gone without a trace


class LogsHandler(CrossOriginHandler, WebSocketHandler):
    """Authorises a reader, and starts a session for it.

    Refusals come before the upgrade, with their HTTP status. Browsers hide it from a page that opens a WebSocket; to a
    page, the refusal is a close code right after the upgrade.
    """

    scheme = "Bearer"

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        super().initialize(services)
        # What a WebSocket is opened for, one or the other, and its reader while it is open.
        self._admission: _Admission | None = None
        self._refusal: Disconnect | None = None
        self._session: WebSocketSession | None = None
        self._followed = ""  # the namespace, from when it is followed until a session takes it over
        self._has_left = False  # the client, as far as has been noticed
        self._deflate: Agreement | None = None

    async def get(self) -> None:
        """Answer with a stream of lines. A browser that opens a link as a page is led to the viewer."""
        if view := view_of(self.request):
            self.set_status(HTTPStatus.SEE_OTHER)
            self.set_header("Location", view)
            self.set_header("Referrer-Policy", "no-referrer")
            self.clear_header("Content-Type")
            self.finish()
            return
        transport = self._transport()
        await self.services.gate.enter(light=True)
        try:
            if transport is Transport.WEBSOCKET:
                await self._open_websocket()
            else:
                await self._answer_http(transport)
        finally:
            self._unfollow()

    async def _admit(self, transport: Transport) -> _Admission:
        """Return what a reader may join with; it must do so before anything is awaited. Raises what refuses it."""
        self.admit_origin()
        grant = self.services.tokens.verify(token_of(self.request))
        query = self._read_query()
        view = query.view(grant.selector, transport, self._compression(transport))
        self._check_room(view)
        is_doubtful = await self._follow(view.selector.namespace, query)
        self._check_room(view)  # others may have taken it meanwhile
        return _Admission(grant, query, view, is_doubtful)

    def _compression(self, transport: Transport) -> Deflate | Coding | None:
        if transport is Transport.WEBSOCKET:
            return None if self._deflate is None else self._deflate.deflate
        return chosen(self.request.headers.get("Accept-Encoding", ""), CODINGS)

    def _check_room(self, view: View) -> None:
        self.services.sessions.admit()
        self.services.hub.check(view)

    async def _follow(self, namespace: str, query: Query) -> bool:
        """Have the broker deliver a namespace, and wait for what the reader has seen already, here or elsewhere.

        Return whether lines after that may have gone without a trace.
        """
        cursor, seen, epoch = query.cursor, 0, ""
        whole = not query.start().is_everything
        if cursor is not None:
            seen, epoch = cursor.seq if cursor.line else cursor.seq - 1, cursor.epoch
        self._followed = namespace
        is_doubtful = await self.services.broker.follow(namespace, seen, epoch, whole=whole)
        if self._has_left:
            raise Finish
        return is_doubtful

    def on_connection_close(self) -> None:
        """Note that the client has gone, and tell the WebSocket."""
        self._has_left = True
        super().on_connection_close()

    def _unfollow(self) -> None:
        """Release the namespace, unless there is a session to do so."""
        if self._followed:
            self.services.broker.release(self._followed)
            self._followed = ""

    # WebSocket

    async def _open_websocket(self) -> None:
        self._agree_on_deflate()
        try:
            self._admission = await self._admit(Transport.WEBSOCKET)
        except Exception as error:
            status = status_of(error)
            is_page = "Origin" in self.request.headers
            self._refusal = refusal(status, str(error)) if is_page and status is not None else None
            if self._refusal is None:
                raise
        self.lasting_headers["Sec-WebSocket-Version"] = "13"
        check_upgrade(self.request)
        # What Tornado's own `get` does once it has made the checks that have just been made.
        self.open_args, self.open_kwargs = (), {}
        connection = self.ws_connection = self.get_websocket_protocol()
        assert connection is not None  # noqa: S101 - the version is one that Tornado speaks
        try:
            await connection.accept_connection(self)
        except zlib.error:  # of a message that cannot be inflated
            if connection.stream is not None:
                connection.stream.close()

    def _agree_on_deflate(self) -> None:
        """Settle how messages are compressed, and have Tornado know as much of it as it has to."""
        headers = self.request.headers
        self._deflate = agree(headers.get_list("Sec-WebSocket-Extensions"))
        if self._deflate is None:
            headers.pop("Sec-WebSocket-Extensions", None)
        else:
            headers["Sec-WebSocket-Extensions"] = OFFER

    def get_compression_options(self) -> dict[str, Any] | None:
        """Tell Tornado whether messages may come compressed."""
        return None if self._deflate is None else {}

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """Answer an upgrade with what has been agreed on, not with what Tornado was told."""
        if self._deflate is not None and self.get_status() == HTTPStatus.SWITCHING_PROTOCOLS:
            self.set_header("Sec-WebSocket-Extensions", self._deflate.header)
        return super().finish(chunk)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose ours if it is offered; the one that carries the token is never echoed."""
        return _SUBPROTOCOL if _SUBPROTOCOL in subprotocols else None

    def open(self) -> None:
        """Start the session, or tell a page why there is none."""
        if self._refusal is not None:
            self.close(self._refusal.code, self._refusal.reason)
        elif self._admission is not None and self.ws_connection is not None and self.ws_connection.stream is not None:
            grant, query, view, is_doubtful = self._admission
            stream, beats = self.ws_connection.stream, query.heartbeat and query.format == "json"
            self._session = WebSocketSession(self.services, self, stream, self._visit(grant), beats=beats)
            self._session.begin(view, query.start(is_doubtful=is_doubtful), follow=query.follow)
            self._followed = ""
        self._forget_request()

    def on_message(self, message: str | bytes) -> None:
        """Extend the session with a renewed token; any other message ends it."""
        if self._session is None:
            return  # it was refused, and its client has not heard of it yet
        try:
            grant = self.services.tokens.verify(msgspec.json.decode(message, type=Renewal).token)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, Unauthorized):
            self._session.end(BAD_MESSAGE)
            return
        if not self._session.renew(grant):
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
        """Leave the hub, if the reader got as far as joining it."""
        if self._session is not None:
            self._session.leave("the client has gone")
            self._session = None  # it knows this handler (see `tune_gc` on cycles)

    def _forget_request(self) -> None:
        """Let go of what an open WebSocket no longer needs of its request: a fifth of the memory of an idle reader."""
        self._admission = self._deflate = None
        request = self.request
        request.uri, request.query = request.path, ""
        request.headers.clear()
        request.arguments = request.query_arguments = request.body_arguments = _NO_ARGUMENTS
        del request.connection, request.server_connection

    # HTTP

    async def _answer_http(self, transport: Transport) -> None:
        try:
            admission = await self._admit(transport)
        except Exception as error:
            if not transport.is_events or status_of(error) is not HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            self._put_off(str(error))
        else:
            self._stream_response(admission, transport)

    def _put_off(self, why: str) -> None:
        """Have an EventSource come back later: after any status but 200 it would give up for good."""
        self.set_header("Content-Type", f"{EVENTS_TYPE}; charset=utf-8")
        self.finish(b": %s\n" % why.encode() + retry_some_time())

    def _stream_response(self, admission: _Admission, transport: Transport) -> None:
        """Send the head of the response, and hand the connection over to a session."""
        grant, query, view, is_doubtful = admission
        lines_type = "application/x-ndjson" if query.format == "json" else "text/plain"
        self.set_header("Content-Type", f"{EVENTS_TYPE if transport.is_events else lines_type}; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold lines back to fill its buffers
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Connection", "close")
        self.add_header("Vary", "Accept-Encoding")
        coding = view.framing.coding if isinstance(view.framing, Encoded) else None
        if coding is not None:
            self.set_header("Content-Encoding", coding)
        self.flush()
        known = self.services, self.detach(), transport, self._visit(grant)
        session = HttpSession(*known) if coding is None else EncodedSession(*known, content(coding))
        session.begin(view, query.start(is_doubtful=is_doubtful), follow=query.follow)
        self._followed = ""
        del self.ui  # it knows this handler; Tornado has it forget it only where a request is finished (`tune_gc`)

    # The request

    def _visit(self, grant: Grant) -> Visit:
        arguments = [(name, value) for name, values in self.request.query_arguments.items() for value in values]
        asked = "&".join(f"{name}={value.decode()}" for name, value in arguments if name != "token")
        return Visit(grant, self.client, asked[:_MAX_ASKED])

    def _transport(self) -> Transport:
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            return Transport.WEBSOCKET
        wants_events = EVENTS_TYPE in self.request.headers.get("Accept", "")
        if self.request.version == "HTTP/1.0":
            return Transport.EVENTS_1_0 if wants_events else Transport.HTTP_1_0
        return Transport.EVENTS if wants_events else Transport.HTTP

    def _read_query(self) -> Query:
        arguments = decode_arguments(self.request.query_arguments, PARAMETERS)
        # A browser comes back to the address it began with, cursor included: what it has seen since counts for more.
        if last := self.request.headers.get("Last-Event-ID"):
            arguments["cursor"] = [last]
        return parse(arguments, self.services.settings.default_tail, self.services.now())
