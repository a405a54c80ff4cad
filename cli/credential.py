"""Credentials: a token that was given, or one that is signed on the spot and renewed before it expires."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from cli.claims import claims, lifetime
from cli.errors import NotLogurt, Refused
from cli.request import error_of, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.address import Address

# A token is renewed after this share of its lifetime; after a failure, of what is left of it, and so on.
_RENEW_AFTER = 0.8
_SHORTEST_PAUSE = 1.0


class Credential(Protocol):
    """What opens a stream."""

    async def token(self) -> str:
        """Return a token. Raises Failure."""

    def forget(self) -> bool:
        """Drop a token that the server no longer takes; return whether there can be another one."""

    def renew_in(self) -> float | None:
        """Return in how many seconds to renew the token; None if it cannot be renewed."""

    async def renew(self) -> str:
        """Return a new token of the same scope. Raises Failure."""


class GivenToken:
    """A token that somebody else has signed."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        """Return the token."""
        return self._token

    def forget(self) -> bool:
        """Return False: there is no other."""
        return False

    def renew_in(self) -> float | None:
        """Return None: it cannot be renewed."""
        return None

    async def renew(self) -> str:
        """Return the token, as there is no other."""
        return self._token


class Signed(msgspec.Struct):
    """The server's answer: a token, and links that it opens, which may be paths of the server or empty.

    `url` is for programs, `view` for browsers.
    """

    token: str
    url: str = ""
    view: str = ""


class Signer:
    """Tokens for one scope, signed by the server for those who hold the API secret."""

    def __init__(
        self,
        address: Address,
        api_secret: str,
        scope: Mapping[str, Any],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._api_secret = api_secret
        self._scope = scope
        self._monotonic = monotonic
        self._token = ""  # empty: none is held
        self._ends_at = 0.0  # on the monotonic clock

    async def token(self) -> str:
        """Return the token that is held, or a new one. Raises Failure."""
        return self._token or await self.renew()

    def forget(self) -> bool:
        """Drop the token; another one can be signed."""
        self._token = ""
        return True

    def renew_in(self) -> float | None:
        """Return in how many seconds to sign another token: at least one, even if the last one has expired."""
        return max(_SHORTEST_PAUSE, (self._ends_at - self._monotonic()) * _RENEW_AFTER)

    async def renew(self) -> str:
        """Sign a new token and return it. Raises Failure."""
        started = self._monotonic()
        token = (await self.sign()).token
        # The difference between the token's own times, because this machine's clock may be wrong.
        self._token, self._ends_at = token, started + (lifetime(claims(token)) or 0)
        return token

    async def sign(self) -> Signed:
        """Ask for a token. Raises Failure."""
        authorization = f"Token {self._api_secret}"
        response = await fetch(self._address, "/api/sign", authorization, body=json.dumps(self._scope))
        if response.code != HTTPStatus.OK:
            is_wrong_secret = response.code == HTTPStatus.UNAUTHORIZED and error_of(response)
            reason = "API_SECRET is not the server's" if is_wrong_secret else error_of(response)
            raise Refused("to sign a token", response.code, reason)
        try:
            return msgspec.json.decode(response.body, type=Signed)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise NotLogurt(self._address.url) from None
