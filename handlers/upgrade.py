"""The opening of a WebSocket (RFC 6455, section 4.2): what a request for one must say, and the answer to it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.deflate import Agreement
    from handlers.request import Request

VERSION = "13"
_SUBPROTOCOL = "logurt"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadUpgrade(Exception):
    """A request for a WebSocket that RFC 6455, section 4.2.1 does not allow. `problem` is a sentence."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


def check_upgrade(request: Request) -> None:
    """Raise BadUpgrade if a request for a WebSocket is none."""
    headers = request.headers
    if request.version == "HTTP/1.0":
        raise BadUpgrade("a WebSocket request must be of HTTP/1.1")
    connection = {option.strip().lower() for option in headers.get("Connection", "").split(",")}
    if "upgrade" not in connection:
        raise BadUpgrade("a WebSocket request must have the header Connection: Upgrade")
    if headers.get("Sec-Websocket-Version", "") != VERSION:
        raise BadUpgrade(f"only version {VERSION} of the WebSocket protocol is spoken here")
    if not headers.get("Sec-Websocket-Key", ""):
        raise BadUpgrade("a WebSocket request must have the header Sec-WebSocket-Key")


def accepted(request: Request, agreement: Agreement | None, more: Mapping[str, str]) -> bytes:
    """Return the head of the response that opens a WebSocket, with more fields.

    Of the subprotocols that a client offers, the one that carries its token is never echoed.
    """
    headers = request.headers
    fields = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {_accept_value(headers.get('Sec-Websocket-Key', ''))}",
    ]
    if _SUBPROTOCOL in (one.strip() for one in headers.get("Sec-Websocket-Protocol", "").split(",")):
        fields.append(f"Sec-WebSocket-Protocol: {_SUBPROTOCOL}")
    if agreement is not None:
        fields.append(f"Sec-WebSocket-Extensions: {agreement.header}")
    fields += [f"{name}: {value}" for name, value in more.items()]
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


def _accept_value(key: str) -> str:
    return b64encode(sha1(f"{key}{_GUID}".encode("latin-1"), usedforsecurity=False).digest()).decode()
