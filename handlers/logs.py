"""GET /logs: readers come by WebSocket, as server-sent events, or with a plain HTTP response."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tornado.web import Finish

from delivery.encoded import Encoded, content
from handlers.base import CrossOriginHandler
from handlers.coding import chosen
from handlers.deflate import agree
from handlers.errors import status_of
from handlers.http_session import EncodedSession, HttpSession
from handlers.session import retry_some_time
from handlers.transport import Transport
from handlers.upgrade import VERSION, accepted, check_upgrade
from handlers.view import view_of
from handlers.visitor import Visitor
from handlers.websocket import WebSocket
from handlers.websocket_session import open_session
from protocol import refusal

if TYPE_CHECKING:
    from tornado.iostream import IOStream

    from delivery.encoded import Coding
    from handlers.services import Services
    from handlers.visitor import Admission

EVENTS_TYPE = "text/event-stream"
# The content codings of responses, the preferred one first: some clients read a single frame of zstd, and no more.
CODINGS: tuple[Coding, ...] = ("gzip", "zstd")


class LogsHandler(CrossOriginHandler):
    """Authorises a reader, and starts a session for it.

    Refusals come before the upgrade, with their HTTP status. Browsers hide it from a page that opens a WebSocket; to a
    page, the refusal is a close code right after the upgrade. Most WebSockets are opened without this handler (see
    `handlers/upgrades.py`).
    """

    scheme = "Bearer"

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        super().initialize(services)
        self._has_left = False  # the client, as far as has been noticed

    async def get(self) -> None:
        """Answer with a stream of lines. A browser that opens a link as a page is led to the viewer."""
        if view := view_of(self.request):
            self.set_status(HTTPStatus.SEE_OTHER)
            self.set_header("Location", view)
            self.set_header("Referrer-Policy", "no-referrer")
            self.clear_header("Content-Type")
            self.finish()
            return
        transport, visitor = self._transport(), Visitor(self.services, self.request)
        await self.services.gate.enter(light=True)
        try:
            if transport is Transport.WEBSOCKET:
                await self._open_websocket(visitor)
            else:
                await self._answer_http(visitor, transport)
        finally:
            visitor.let_go()

    def on_connection_close(self) -> None:
        """Note that the client has gone."""
        self._has_left = True
        super().on_connection_close()

    # WebSocket

    async def _open_websocket(self, visitor: Visitor) -> None:
        agreement = agree(self.request.headers.get_list("Sec-WebSocket-Extensions"))
        admission, refused = None, None
        try:
            self.admit_origin()
            deflate = None if agreement is None else agreement.deflate
            admission = await visitor.admit(Transport.WEBSOCKET, deflate)
        except Exception as error:
            status = status_of(error)
            is_page = "Origin" in self.request.headers
            refused = refusal(status, str(error)) if is_page and status is not None else None
            if refused is None:
                raise
        self._check_presence()
        fields = self.lasting_headers
        self.lasting_headers = {**fields, "Sec-WebSocket-Version": VERSION}  # where it is refused
        check_upgrade(self.request)
        stream = self._detached()
        stream.write(accepted(self.request, agreement, fields))
        if admission is not None:
            open_session(self.services, stream, visitor, admission, agreement)
        elif refused is not None:
            websocket = WebSocket(stream, None, self.services.frames, inflates=agreement is not None)
            websocket.close(refused.code, refused.reason)
            websocket.begin()

    # HTTP

    async def _answer_http(self, visitor: Visitor, transport: Transport) -> None:
        try:
            self.admit_origin()
            coding = chosen(self.request.headers.get("Accept-Encoding", ""), CODINGS)
            admission = await visitor.admit(transport, coding)
        except Exception as error:
            if not transport.is_events or status_of(error) is not HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            self._put_off(str(error))
        else:
            self._check_presence()
            self._stream_response(visitor, admission, transport)

    def _put_off(self, why: str) -> None:
        """Have an EventSource come back later: after any status but 200 it would give up for good."""
        self.set_header("Content-Type", f"{EVENTS_TYPE}; charset=utf-8")
        self.finish(b": %s\n" % why.encode() + retry_some_time())

    def _stream_response(self, visitor: Visitor, admission: Admission, transport: Transport) -> None:
        """Send the head of the response, and hand the connection over to a session."""
        lines_type = "application/x-ndjson" if admission.query.format == "json" else "text/plain"
        self.set_header("Content-Type", f"{EVENTS_TYPE if transport.is_events else lines_type}; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold lines back to fill its buffers
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Connection", "close")
        self.add_header("Vary", "Accept-Encoding")
        framing = admission.view.framing
        coding = framing.coding if isinstance(framing, Encoded) else None
        if coding is not None:
            self.set_header("Content-Encoding", coding)
        self.flush()
        known = self.services, self._detached(), transport, visitor.visit(admission)
        session = HttpSession(*known) if coding is None else EncodedSession(*known, content(coding))
        visitor.begin(session, admission)

    # The request

    def _transport(self) -> Transport:
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            return Transport.WEBSOCKET
        wants_events = EVENTS_TYPE in self.request.headers.get("Accept", "")
        if self.request.version == "HTTP/1.0":
            return Transport.EVENTS_1_0 if wants_events else Transport.HTTP_1_0
        return Transport.EVENTS if wants_events else Transport.HTTP

    def _check_presence(self) -> None:
        """Go no further if the client has gone while something was waited for."""
        if self._has_left:
            raise Finish

    def _detached(self) -> IOStream:
        """Take the connection from Tornado."""
        stream = self.detach()
        del self.ui  # it knows this handler; Tornado has it forget it only where a request is finished (`tune_gc`)
        return stream
