"""Who is asking: the secrets and tokens that requests carry."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from handlers.query import decode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.request import Request

_BEARER_SUBPROTOCOL = "bearer."


class Unauthorized(Exception):
    """A credential is missing or wrong. `reason` is a sentence for the client that never holds the credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Secrets:
    """The secrets of one kind, any of which opens the door. An empty one opens nothing."""

    __slots__ = ("_name", "_secrets")

    def __init__(self, name: str, *secrets: str) -> None:
        self._name = name
        self._secrets = tuple(secret.encode() for secret in secrets if secret)

    def check(self, authorization_headers: Sequence[str]) -> None:
        """Raise Unauthorized unless one of the Authorization header fields has one of the secrets."""
        if not self.accepts(authorization_headers):
            raise Unauthorized(f"the Authorization header must be: Token <{self._name}>")

    def accepts(self, authorization_headers: Sequence[str]) -> bool:
        """Return whether one of the Authorization header fields is `Token <secret>` with one of the secrets.

        All fields count: with HTTP_User, Fluent Bit sends two, Basic first. The time this takes gives away neither
        which secret matched nor how much of one.
        """
        accepted = False
        for header in authorization_headers:
            # The scheme is case-insensitive (RFC 9110, section 11.1).
            scheme, _, credential = header.strip(" \t").replace("\t", " ").partition(" ")
            if scheme.lower() != "token":
                continue
            given = credential.strip(" ").encode("utf-8", "surrogatepass")
            for secret in self._secrets:
                accepted |= hmac.compare_digest(given, secret)
        return accepted


def token_of(request: Request) -> str:
    """Return the token that a request carries: in its Authorization header, its query or its subprotocols.

    Raises Unauthorized if there is none.
    """
    token = _bearer(request) or _in_query(request) or _in_subprotocols(request)
    if not token:
        raise Unauthorized("a token is needed: Authorization: Bearer <token>, or ?token=<token>")
    return token


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _in_query(request: Request) -> str:
    return decode_value("token", request.query_arguments.get("token", [b""])[0])


def _in_subprotocols(request: Request) -> str:
    """Return the token in the subprotocols, the only header that a page can set when it opens a WebSocket."""
    offered = (one.strip() for one in request.headers.get("Sec-Websocket-Protocol", "").split(","))
    return next((one[len(_BEARER_SUBPROTOCOL) :] for one in offered if one.startswith(_BEARER_SUBPROTOCOL)), "")
