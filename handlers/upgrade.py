"""The WebSocket handshake, as far as we refuse it in our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest


class BadUpgrade(Exception):
    """A request for a WebSocket that RFC 6455, section 4.2.1 does not allow. `problem` is a sentence."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


def check_upgrade(request: HTTPServerRequest) -> None:
    """Raise BadUpgrade if a handshake is none; Tornado would refuse it in plain text."""
    headers = request.headers
    if request.version == "HTTP/1.0":
        raise BadUpgrade("a WebSocket request must be of HTTP/1.1")
    connection = {option.strip().lower() for option in headers.get("Connection", "").split(",")}
    if "upgrade" not in connection:
        raise BadUpgrade("a WebSocket request must have the header Connection: Upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise BadUpgrade("only version 13 of the WebSocket protocol is spoken here")
    if not headers.get("Sec-WebSocket-Key"):
        raise BadUpgrade("a WebSocket request must have the header Sec-WebSocket-Key")
