"""Upgrades: connections that begin with a request for a WebSocket, without the cost of a general HTTP server.

A handler of Tornado's takes 0.4 ms of CPU for a reader that comes and goes, and all else that a reader takes about as
much. A request that has come whole, asks for a WebSocket and is not refused is answered right here. Every other goes
over to Tornado with what has been received, which answers it in full: nothing is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from handlers import eager, tcp
from handlers.cors import cors_headers
from handlers.deflate import agree
from handlers.inflight import Inflight
from handlers.request_head import parse_upgrade
from handlers.transport import Transport
from handlers.upgrade import accepted, check_upgrade
from handlers.visitor import Visitor
from handlers.websocket_session import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tornado.iostream import IOStream

    from handlers.deflate import Agreement
    from handlers.lane import HandOver
    from handlers.request import Upgrade
    from handlers.services import Services
    from handlers.visitor import Admission

_PATH = "/logs"
_BEGINNING = f"GET {_PATH}?".encode()


class _Admitted(NamedTuple):
    """What a visitor is admitted to, how messages are compressed, and what else the answer says."""

    admission: Admission
    agreement: Agreement | None
    fields: Mapping[str, str]


class Upgrades:
    """Opens WebSockets to readers. Heads have at most `max_head` bytes."""

    def __init__(self, services: Services, hand_over: HandOver, *, max_head: int) -> None:
        self._services = services
        self._hand_over = hand_over
        self._max_head = max_head
        self._waiting: dict[IOStream, None] = {}  # those that are not open yet
        self._opening = Inflight()  # the same

    def __len__(self) -> int:
        """Return how many connections there are whose readers have to wait."""
        return len(self._opening)

    def may_be_ours(self, data: bytes) -> bool:
        """Tell whether a connection that begins with this may be a reader's."""
        return data.startswith(_BEGINNING)

    def accept(self, stream: IOStream, address: Any) -> None:
        """Serve a new connection, of which nothing has been read although something has come."""
        try:
            received = stream.socket.recv(self._max_head)
        except OSError:
            received = b""
        request = parse_upgrade(received, _PATH, tcp.host_of(address))
        if request is None:
            self._hand_over(stream.socket, address, received)
            return
        self._waiting[stream] = None
        self._opening.add(stream)
        eager.begin(self._open(stream, address, request, received))

    async def close(self, seconds: float) -> None:
        """Wait until nobody has to wait any more, but only for so many seconds; then close their connections."""
        await self._opening.over(seconds)
        for stream in list(self._waiting):
            stream.close()

    async def _open(self, stream: IOStream, address: Any, request: Upgrade, received: bytes) -> None:
        visitor = Visitor(self._services, request)
        try:
            admitted = await self._admitted(visitor, request)
            if stream.closed() or tcp.peer_has_closed(stream.socket):
                stream.close()
            elif admitted is None:
                self._hand_over(stream.socket, address, received)
            else:
                admission, agreement, fields = admitted
                stream.write(accepted(request, agreement, fields))
                open_session(self._services, stream, visitor, admission, agreement)
        finally:
            visitor.let_go()
            del self._waiting[stream]
            self._opening.remove(stream)

    async def _admitted(self, visitor: Visitor, request: Upgrade) -> _Admitted | None:
        """Return what a visitor is admitted to; None if it is refused."""
        services, settings = self._services, self._services.settings
        await services.gate.enter(light=True)
        try:
            check_upgrade(request)
            fields = cors_headers(request, settings.allowed_origins, settings.public_url)
            agreement = agree([request.headers.get("Sec-Websocket-Extensions", "")])
            compression = None if agreement is None else agreement.deflate
            return _Admitted(await visitor.admit(Transport.WEBSOCKET, compression), agreement, fields)
        except Exception:  # noqa: BLE001 - Tornado has the words for it, whatever it is
            return None
