"""Who may do what: secrets, signed tokens, and the request that asks for one.

A token is a JWT (RFC 7519) signed with HS256. It names its scope in the claims `namespace`, `pod`,
`container` and `labels`, and its end in `exp`. Whoever has the key may mint tokens, so every claim that
matters is checked here: a signature that holds says nothing about types.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import jwt
import msgspec

from buffer.source import Selector, sorted_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_TOKEN_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
# Kubernetes: names have at most 253 characters; the key of a label may have a prefix of 253 and a name of 63.
MAX_NAME_LENGTH = 253
MAX_LABEL_KEY_LENGTH = 253 + 1 + 63

# The last second of the year 9999: later ones cannot be written as RFC 3339.
_LAST_SECOND = 253_402_300_799

# RFC 7515, 2 and 7.1: base64url without padding. 32 bytes of HS256 are 43 characters, the last of which has
# four bits to carry. PyJWT is laxer with padding and with spare bits; here a signature has one spelling.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_NOT_OURS = "the token is not a JWT signed with HS256"
_JWS = jwt.PyJWS(algorithms=["HS256"])

_NAMES = ("namespace", "pod", "container")
_SIGN_MEMBERS = frozenset({*_NAMES, "labels", "expires_in"})
_MISSING = object()


class Unauthorized(Exception):
    """A credential that opens nothing. `reason` is a clause for the client and never holds the credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class InvalidRequest(Exception):
    """A request body that cannot be used. Its text is for the client."""


class InvalidBody(InvalidRequest):
    """A request body that is wrong as a whole."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the request body {self.problem}"


class InvalidMember(InvalidRequest):
    """One member of a JSON object that is wrong. `member` is cut to 64 characters, all of them printable."""

    def __init__(self, member: str, problem: str) -> None:
        shown = "".join(character if character.isprintable() else "?" for character in member[:64])
        super().__init__(shown, problem)
        self.member = shown
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.member} {self.problem}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token gives, and until when in Unix seconds."""

    selector: Selector
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What a client asks to be signed. `expires_in` is in seconds; None means as long as may be."""

    selector: Selector
    expires_in: int | None = None


class Secrets:
    """The secrets of one kind, any of which opens the door. None and empty ones open nothing."""

    __slots__ = ("_secrets",)

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets if secret)

    def accepts(self, authorization_headers: Sequence[str]) -> bool:
        """Tell whether one of the Authorization header fields is `Token <secret>` with one of the secrets.

        All fields are looked at: Fluent Bit with HTTP_User sends two, Basic first. The time taken does not
        tell which secret matched, nor how much of one.
        """
        accepted = False
        for header in authorization_headers:
            # The name of a scheme has no case (RFC 9110, 11.1).
            scheme, _, credential = header.strip(" \t").replace("\t", " ").partition(" ")
            if scheme.lower() != "token":
                continue
            given = credential.strip(" ").encode("utf-8", "surrogatepass")
            for secret in self._secrets:
                accepted |= hmac.compare_digest(given, secret)
        return accepted


class Tokens:
    """Signs and verifies tokens. `lifetime` is in seconds; `now` gives Unix seconds.

    Keys are at least 32 bytes; a token signed with the previous key is still good.
    """

    __slots__ = ("_keys", "_lifetime", "_now")

    def __init__(self, key: str, previous_key: str | None, lifetime: int, now: Callable[[], float]) -> None:
        self._keys = (key,) if previous_key is None else (key, previous_key)
        self._lifetime = lifetime
        self._now = now

    def sign(self, selector: Selector, expires_in: int | None = None) -> tuple[str, int]:
        """Return a token for what the selector admits, and when it expires in Unix seconds.

        `expires_in` is in seconds and has been checked. Raises InvalidBody if the token would be too long.
        """
        issued_at = int(self._now())
        expires_at = issued_at + (self._lifetime if expires_in is None else expires_in)
        claims: dict[str, object] = {"exp": expires_at, "iat": issued_at, "namespace": selector.namespace}
        if selector.pod is not None:
            claims["pod"] = selector.pod
        if selector.container is not None:
            claims["container"] = selector.container
        if selector.labels:
            claims["labels"] = dict(selector.labels)
        token = _JWS.encode(msgspec.json.encode(claims), self._keys[0], algorithm="HS256")
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidBody(f"asks for a token of more than {MAX_TOKEN_BYTES} bytes")
        return token, expires_at

    def verify(self, token: str) -> Grant:
        """Return what a token grants now.

        Demands HS256 with one of the keys, an `exp` to come, and a scope of the right types; other claims are
        ignored. Raises Unauthorized.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("the token is too long")
        if _COMPACT.fullmatch(token) is None:
            raise Unauthorized(_NOT_OURS)
        claims = _claims(self._signed_payload(token))
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise Unauthorized("the token has no exp claim")
        now = self._now()
        if expires_at <= now:
            raise Unauthorized("the token has expired")
        # `iat` is not compared with the clock: were ours behind, a fresh token of another minter would fail.
        _time(claims, "iat")
        if (_time(claims, "nbf") or 0) > now:
            raise Unauthorized("the token is not valid yet")
        try:
            return Grant(_selector(claims), expires_at)
        except InvalidMember as invalid:
            raise Unauthorized(f"the token's claim {invalid}") from None

    def _signed_payload(self, token: str) -> bytes:
        for key in self._keys:
            try:
                # Unknown `crit` headers and detached payloads are refused in there too (RFC 7515, 4.1.11).
                payload: bytes = _JWS.decode(token, key, algorithms=["HS256"])
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                raise Unauthorized(_NOT_OURS) from None
            return payload
        raise Unauthorized("the token's signature is wrong")


def parse_sign_request(body: bytes, max_expires_in: int) -> SignRequest:
    """Read the body of a request for a token: a JSON object of at most 64 KiB.

    Of members with one name the last counts. `max_expires_in` is in seconds.

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
    selector = _selector(members)
    expires_in = members.get("expires_in", _MISSING)
    if expires_in is _MISSING:
        return SignRequest(selector)
    if not _is_whole_number(expires_in, 1, max_expires_in):
        raise InvalidMember("expires_in", f"must be a whole number of seconds from 1 to {max_expires_in}")
    return SignRequest(selector, expires_in)


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
    # Not isinstance: to Python, true is a number.
    return type(value) is int and low <= value <= high


def _time(claims: Mapping[str, object], name: str) -> int | None:
    """Return a claim of RFC 7519, 4.1 in Unix seconds, or None where there is none. Refuses fractions."""
    value = claims.get(name, _MISSING)
    if value is _MISSING:
        return None
    if not _is_whole_number(value, 0, _LAST_SECOND):
        raise Unauthorized(f"the token's claim {name} must be a whole number of Unix seconds")
    return value


def _selector(members: Mapping[str, object]) -> Selector:
    """Read a scope out of a JSON object. Null and "" are refused: neither may be mistaken for any."""
    if "namespace" not in members:
        raise InvalidMember("namespace", "is missing")
    names = {member: _name(members[member], member) for member in _NAMES if member in members}
    labels = members.get("labels", {})
    if not isinstance(labels, dict):
        raise InvalidMember("labels", "must be an object of strings")
    for key, value in labels.items():
        if not 1 <= len(key) <= MAX_LABEL_KEY_LENGTH:
            raise InvalidMember("labels", f"must have keys of 1 to {MAX_LABEL_KEY_LENGTH} characters")
        # Unlike a name, the value of a label may be empty.
        if not isinstance(value, str) or len(value) > MAX_NAME_LENGTH:
            raise InvalidMember(f"labels.{key}", f"must be a string of at most {MAX_NAME_LENGTH} characters")
    return Selector(
        namespace=names["namespace"],
        pod=names.get("pod"),
        container=names.get("container"),
        labels=sorted_labels(labels),
    )


def _name(value: object, member: str) -> str:
    if isinstance(value, str) and 1 <= len(value) <= MAX_NAME_LENGTH:
        return value
    raise InvalidMember(member, f"must be a string of 1 to {MAX_NAME_LENGTH} characters")
