"""Sessions on WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from delivery.framing import text_frame_header
from handlers import tcp
from handlers.authorisation import Unauthorized
from handlers.session import Session
from handlers.transport import Transport
from handlers.websocket import WebSocket
from protocol import BAD_MESSAGE

if TYPE_CHECKING:
    from tornado.iostream import IOStream

    from delivery.reader import Start
    from delivery.view import View
    from handlers.deflate import Agreement
    from handlers.services import Services
    from handlers.session import Visit
    from handlers.visitor import Admission, Visitor
    from protocol import Disconnect

_HEARTBEAT = b'{"type":"heartbeat"}'
_BEAT = text_frame_header(len(_HEARTBEAT)) + _HEARTBEAT


class Renewal(msgspec.Struct, forbid_unknown_fields=True):
    """The one message that a client may send: a new token for the same scope."""

    token: str


class WebSocketSession(Session):
    """A reader on a WebSocket, which has just been opened. The session writes ready frames to its stream.

    `inflates` is whether the client may compress what it sends, `beats` whether it is told of each ping: a page never
    hears of these.
    """

    def __init__(
        self, services: Services, stream: IOStream, visit: Visit, *, inflates: bool = False, beats: bool = False
    ) -> None:
        super().__init__(services, stream, Transport.WEBSOCKET, visit)
        self._socket = WebSocket(stream, self, services.frames, inflates=inflates)
        self._beats = beats
        self._awaits_pong = False
        self._acknowledged = 0  # bytes that the client had acknowledged at the last heartbeat

    def begin(self, view: View, start: Start, *, follow: bool) -> None:
        """Join the hub. Raises what `Hub.join` raises."""
        super().begin(view, start, follow=follow)
        self._socket.begin()

    def heartbeat(self) -> bool:
        """Ping, unless the client has something else to read; False if it has not answered the last one."""
        stream = self._stream
        if stream.closed() or stream.writing():
            return True  # that is about to be told; whether it still takes something is for the stall timeout to say
        before, self._acknowledged = self._acknowledged, tcp.acknowledged(stream.socket)
        if tcp.send_queue(stream.socket) and self._acknowledged != before:
            # The kernel holds megabytes in front of a ping, which may well take a slow client minutes.
            self._awaits_pong = False
            return True
        if self._awaits_pong:
            return False
        self._awaits_pong = True
        self._socket.ping()
        self.answered()
        if self._beats:
            self.write(_BEAT)
        return True

    def received(self, message: str | bytes | bytearray) -> None:
        """Go on until another token expires; any other message ends the session."""
        try:
            grant = self._services.tokens.verify(msgspec.json.decode(message, type=Renewal).token)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, Unauthorized):
            self.end(BAD_MESSAGE)
            return
        if grant.selector == self._visit.grant.selector:
            self.expires_at = grant.expires_at
        else:
            self.end(BAD_MESSAGE)

    def answered(self) -> None:
        """Note that a frame has been written that is not one of lines, part of which may wait for the socket.

        Once that has happened it may happen at any time: further pongs wait for the first.
        """
        self._may_lag = self._may_lag or self._stream.writing()

    def ponged(self) -> None:
        """Note that the client has answered."""
        self._awaits_pong = False

    def gone(self) -> None:
        """Leave the hub, now that the client has gone."""
        self.leave("the client has gone")

    def _say_goodbye(self, disconnect: Disconnect) -> None:
        self._socket.close(disconnect.code, disconnect.reason)


def open_session(
    services: Services, stream: IOStream, visitor: Visitor, admission: Admission, agreement: Agreement | None
) -> None:
    """Begin the session of a visitor whose WebSocket has just been opened."""
    query = admission.query
    beats = query.heartbeat and query.format == "json"
    try:
        session = WebSocketSession(
            services, stream, visitor.visit(admission), inflates=agreement is not None, beats=beats
        )
        visitor.begin(session, admission)
    except BaseException:
        stream.close()  # nobody else would
        raise
