"""Credentials: a token that was given, or one that is signed here and now and renewed before it ends."""

from __future__ import annotations

import base64
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from cli.errors import NotLogurt, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tornado.httpclient import HTTPResponse

    from cli.address import Address

# A token is renewed when this part of its time is over, and if that fails, of what is left then, and so on.
_RENEW_AFTER = 0.8
_SHORTEST_PAUSE = 1.0
_REQUEST_SECONDS = 20


class Credential(Protocol):
    """What opens a stream."""

    async def token(self) -> str:
        """Return a token. Raises Failure."""

    def forget(self) -> bool:
        """Let go of a token that the server does not take any more; return whether another one can be had."""

    def renew_in(self) -> float | None:
        """Return after how many seconds to renew the token; None if it cannot be."""

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
    """The server's answer: a token, and when it expires as an RFC 3339 time."""

    token: str
    expires_at: str


class Signer:
    """Tokens for one scope, signed by the server for who holds the API secret."""

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
        """Let go of the token; another one can be signed."""
        self._token = ""
        return True

    def renew_in(self) -> float | None:
        """Return after how many seconds to sign another token; never at once, even if the last one has expired."""
        return max(_SHORTEST_PAUSE, (self._ends_at - self._monotonic()) * _RENEW_AFTER)

    async def renew(self) -> str:
        """Sign a new token and return it. Raises Failure."""
        started = self._monotonic()
        token = (await self.sign()).token
        # The difference of the token's own times, for this machine's clock may be wrong.
        held = claims(token)
        lifetime = held.get("exp", 0) - held.get("iat", 0)
        self._token, self._ends_at = token, started + lifetime
        return token

    async def sign(self) -> Signed:
        """Ask for a token. Raises Failure."""
        response = await self._post(json.dumps(self._scope))
        if response.code != HTTPStatus.OK:
            is_wrong_secret = response.code == HTTPStatus.UNAUTHORIZED and error_of(response)
            told = "API_SECRET is not the server's" if is_wrong_secret else error_of(response)
            raise Refused("to sign a token", response.code, told)
        try:
            return msgspec.json.decode(response.body, type=Signed)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise NotLogurt(self._address.url) from None

    async def _post(self, body: str) -> HTTPResponse:
        request = HTTPRequest(
            self._address.sign(),
            method="POST",
            headers={"Authorization": f"Token {self._api_secret}", "Content-Type": "application/json"},
            body=body,
            follow_redirects=False,
            connect_timeout=_REQUEST_SECONDS,
            request_timeout=_REQUEST_SECONDS,
        )
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise unreachable(self._address, error) from None
        finally:
            client.close()


def unreachable(address: Address, error: Exception) -> Unreachable:
    """Return the failure for an error of a connection."""
    problem = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return Unreachable(address.url, problem or "the connection was closed", is_local=address.is_local)


def error_of(response: HTTPResponse | None) -> str:
    """Return the sentence with which a server explains its refusal, or nothing if it gives none."""
    try:
        answer = json.loads(response.body) if response is not None else None
    except ValueError:
        return ""
    sentence = answer.get("error") if isinstance(answer, dict) else None
    return sentence if isinstance(sentence, str) else ""


def claims(token: str) -> dict[str, Any]:
    """Return what a token says of itself (RFC 7519, section 3), unverified; empty if it says nothing."""
    payload = token.partition(".")[2].partition(".")[0]
    try:
        held = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
