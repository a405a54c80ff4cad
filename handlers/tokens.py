"""Tokens: their scope, and the request that asks for one.

A token is a JWT (RFC 7519) signed with HS256. It names its scope in the claims `namespace`, `pod`, `container`,
`labels` and `workload`, and its end in `exp`. Anyone with the key may mint tokens, so every claim that matters is
checked here. A valid signature says nothing about types.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from handlers.authorisation import Unauthorized
from handlers.scope import (
    SCOPE_MEMBERS,
    InvalidMember,
    InvalidRequest,
    check_scope,
    read_scope,
    scope_members,
    text_member,
)
from handlers.selection import MAX_NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.selector import Selector

MAX_TOKEN_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
# Tokens whose signature is not checked again. With the longest ones they take a few MiB.
MAX_REMEMBERED = 256
# The last second of the year 9999, and the last that RFC 3339 can write.
_LAST_SECOND = 253_402_300_799

# RFC 7515, sections 2 and 7.1: base64url without padding. The 32 bytes of HS256 are 43 characters, of which the last
# carries four bits. PyJWT is lax about padding and spare bits; here a signature has one spelling.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_NOT_OURS = "the token is not a JWT signed with HS256"


class _HS256(HMACAlgorithm):
    """HS256 with keys that are examined once: PyJWT tries each time whether one is a certificate or the like."""

    def __init__(self) -> None:
        super().__init__(HMACAlgorithm.SHA256)
        self.prepare_key = lru_cache(2)(self.prepare_key)  # type: ignore[method-assign]


def _jws() -> jwt.PyJWS:
    jws = jwt.PyJWS(algorithms=[])
    jws.register_algorithm("HS256", _HS256())
    return jws


_JWS = _jws()

_SIGN_MEMBERS = frozenset({*SCOPE_MEMBERS, "expires_in", "sub"})
_MISSING = object()


class InvalidBody(InvalidRequest):
    """A request body that is wrong as a whole."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the request body {self.problem}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token admits, and when it expires, in Unix seconds.

    `jti` names the token, `sub` the one it was given to; both are for the log alone, and may be empty.
    """

    selector: Selector
    expires_at: int
    jti: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What a client wants signed. `expires_in` is in seconds; None stands for the longest lifetime. `sub` may be ""."""

    selector: Selector
    expires_in: int | None = None
    sub: str = ""


class Signed(NamedTuple):
    """A token, and what it grants."""

    token: str
    grant: Grant


class Tokens:
    """Signs and verifies tokens. `lifetime` is in seconds; `now` gives Unix seconds.

    Keys have at least 32 bytes. A token signed with the previous key is still good; "" stands for none.
    """

    __slots__ = ("_keys", "_lifetime", "_now", "_verified")

    def __init__(self, key: str, previous_key: str, lifetime: int, now: Callable[[], float]) -> None:
        self._keys = (key, previous_key) if previous_key else (key,)
        self._lifetime = lifetime
        self._now = now
        # A link is often opened by many people, and again each time they come back.
        self._verified = lru_cache(MAX_REMEMBERED)(partial(_verified, self._keys))

    def sign(self, request: SignRequest) -> Signed:
        """Return a token for what a request, which has been checked, asks for.

        Raises InvalidBody if the token would be too long.
        """
        issued_at, jti = int(self._now()), secrets.token_urlsafe(9)
        expires_at = issued_at + (self._lifetime if request.expires_in is None else request.expires_in)
        claims: dict[str, object] = {"exp": expires_at, "iat": issued_at, "jti": jti, **scope_members(request.selector)}
        if request.sub:
            claims["sub"] = request.sub
        token = _JWS.encode(msgspec.json.encode(claims), self._keys[0], algorithm="HS256")
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidBody(f"asks for a token of more than {MAX_TOKEN_BYTES} bytes")
        return Signed(token, Grant(request.selector, expires_at, jti, request.sub))

    def verify(self, token: str) -> Grant:
        """Return what a token grants at this moment.

        Demands HS256 with one of the keys, an `exp` to come, and a scope of the right types; other claims are
        ignored. Raises Unauthorized.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("the token is too long")
        grant, not_before = self._verified(token)
        now = self._now()
        if grant.expires_at <= now:
            raise Unauthorized("the token has expired")
        if not_before > now:
            raise Unauthorized("the token is not valid yet")
        return grant


def _verified(keys: Sequence[str], token: str) -> tuple[Grant, int]:
    """Return what a token grants, and from when on, in Unix seconds, whatever time it is now. Raises Unauthorized."""
    if _COMPACT.fullmatch(token) is None:
        raise Unauthorized(_NOT_OURS)
    claims = _claims(_signed_payload(keys, token))
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise Unauthorized("the token has no exp claim")
    # `iat` is not compared with the clock: if ours were behind, fresh tokens of other minters would fail.
    _time(claims, "iat")
    not_before = _time(claims, "nbf") or 0
    try:
        return Grant(read_scope(claims), expires_at, _short(claims, "jti"), _short(claims, "sub")), not_before
    except InvalidMember as invalid:
        raise Unauthorized(f"the token's claim {invalid}") from None


def _signed_payload(keys: Sequence[str], token: str) -> bytes:
    for key in keys:
        try:
            # It refuses unknown `crit` headers and detached payloads too (RFC 7515, section 4.1.11).
            payload: bytes = _JWS.decode(token, key, algorithms=["HS256"])
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthorized(_NOT_OURS) from None
        return payload
    raise Unauthorized("the token's signature is wrong")


def parse_sign_request(body: bytes, max_expires_in: int) -> SignRequest:
    """Read the body of a request for a token: a JSON object of at most 64 KiB.

    If a member is repeated, the last one counts. `max_expires_in` is in seconds.

    Raises InvalidBody, or InvalidMember for the first member that is wrong.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidBody(f"is larger than {MAX_BODY_BYTES} bytes")
    members = _json_object(body)
    if members is None:
        raise InvalidBody("must be a JSON object")
    for member in members:
        if member not in _SIGN_MEMBERS:
            raise InvalidMember(member, "is not a member of this request")
    selector = read_scope(members)
    check_scope(selector)
    sub = text_member(members["sub"], "sub") if "sub" in members else ""
    if len(sub) > MAX_NAME_LENGTH:
        raise InvalidMember("sub", f"must be a string of 1 to {MAX_NAME_LENGTH} characters")
    expires_in = members.get("expires_in", _MISSING)
    if expires_in is _MISSING:
        return SignRequest(selector, sub=sub)
    if not _is_whole_number(expires_in, 1, max_expires_in):
        raise InvalidMember("expires_in", f"must be a whole number of seconds from 1 to {max_expires_in}")
    return SignRequest(selector, expires_in, sub)


def _json_object(text: bytes) -> dict[str, object] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _claims(payload: bytes) -> dict[str, object]:
    claims = _json_object(payload)
    if claims is None:
        raise Unauthorized("the token's claims are not a JSON object")
    return claims


def _is_whole_number(value: object, low: int, high: int) -> TypeGuard[int]:
    # Not isinstance: in Python, True is an int.
    return type(value) is int and low <= value <= high


def _time(claims: Mapping[str, object], name: str) -> int | None:
    """Return a time of RFC 7519, section 4.1 in Unix seconds; None if it is not claimed. Refuses fractions."""
    value = claims.get(name, _MISSING)
    if value is _MISSING:
        return None
    if not _is_whole_number(value, 0, _LAST_SECOND):
        raise Unauthorized(f"the token's claim {name} must be a whole number of Unix seconds")
    return value


def _short(claims: Mapping[str, object], name: str) -> str:
    """Return a claim that is only logged, as far as it is text."""
    value = claims.get(name)
    return value[:MAX_NAME_LENGTH] if isinstance(value, str) else ""
