"""How the text of a variable is read: the types of the settings that are no numbers, and what is refused."""

from __future__ import annotations

import ipaddress
import re
from functools import partial
from typing import Annotated, TypeAlias

import jwt
from msgspec import Meta

# A key of HS256 is at least as long as its hash (RFC 7518, section 3.2).
_JWT_KEY_BYTES = 32

# RFC 1123, section 2.1; underscores too, since service names of container networks have them.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# RFC 6454, section 6.2: scheme, host and port, and nothing else.
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
# What is before the host may be a user and a password.
_NATS_URL = re.compile(r"(?:nats|tls)://(?:[^@/\s]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_URL = re.compile(r"(https?://[^/?#\s]+)(|/[A-Za-z0-9._~%/-]*)", re.IGNORECASE)
_STREAM_NAME = re.compile("[A-Za-z0-9_-]{1,32}")
_DEFAULT_PORTS = {"http": 80, "https": 443}

# int() alone takes "+5", "1_000" and the digits of other scripts, and has words of its own for 5000 of them.
_DIGITS = re.compile("[0-9]{1,20}")

_LOG_LEVELS = ("debug", "info", "warning", "error")


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """A value that cannot be used; the text goes after the name of the variable and never holds the value."""


def whole_number(low: int, high: int, text: str) -> int:
    """Return the number from `low` to `high` that a text is. Raises Refused."""
    digits = text.strip()
    if _DIGITS.fullmatch(digits) and low <= int(digits) <= high:
        return int(digits)
    raise Refused(f"must be a whole number from {low} to {high}")


def _secret(text: str) -> str:
    # It travels in a header field, whose ends are stripped and whose other bytes are read in many ways.
    if all("!" <= character <= "~" for character in text):
        return text
    raise Refused("must be visible ASCII characters without spaces or line ends")


def _jwt_key(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refused("must be UTF-8 text") from None
    if size < _JWT_KEY_BYTES:
        raise Refused(f"must be at least {_JWT_KEY_BYTES} bytes long")
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(text)
    except jwt.InvalidKeyError:
        # Better no start than a server that fails to sign every single token.
        raise Refused("must be a plain secret, not a PEM, SSH or JSON key") from None
    return text


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    last = text.rstrip(".").rpartition(".")[2]
    # A name that ends with a number is a mistyped IPv4 address.
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not last.isdigit()


def _address(text: str) -> str:
    address = text.strip()
    if _is_ip_address(address) or _is_host_name(address.lower()):
        return address
    raise Refused("must be an IP address or a host name")


def _origin(text: str) -> str:
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise Refused("must be * or origins like https://example.com, separated by commas")
    scheme, host, port = match.groups()
    if not (_is_ip_address(host.strip("[]")) or _is_host_name(host)):
        raise Refused("must name a host in every origin")
    if port is not None and not 1 <= int(port) <= 65535:
        raise Refused("must have ports from 1 to 65535 in its origins")
    # Browsers leave a scheme's own port out of the Origin header field (RFC 6454, section 6.2).
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(dict.fromkeys(_origin(part.strip()) for part in text.split(",") if part.strip()))
    if not origins:
        raise Refused("must name an origin, or * for all")
    return origins


def _url(text: str) -> str:
    match = _URL.fullmatch(text.strip())
    if match is None:
        raise Refused("must be like https://example.com or https://example.com/logs")
    return f"{_origin(match[1])}{match[2]}".rstrip("/")


def _ancestors(text: str) -> str:
    # Shells take the quotes off the keywords of a policy (CSP Level 3, section 2.3.1).
    parts = [part.strip(" '") for part in text.split(",")]
    return " ".join(f"'{part}'" if part in {"self", "none"} else _origin(part) for part in parts)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise Refused("must be networks like 10.0.0.0/8, separated by commas") from None


def _nats_urls(text: str) -> tuple[str, ...]:
    urls = tuple(part.strip() for part in text.split(",") if part.strip())
    for url in urls:
        match = _NATS_URL.fullmatch(url)
        if match is None:
            raise Refused("must be URLs like nats://example.com:4222 or tls://example.com, separated by commas")
        host, port = match.groups()
        if not (_is_ip_address(host.strip("[]")) or _is_host_name(host.lower())):
            raise Refused("must name a host in every URL")
        if port is not None and not 1 <= int(port) <= 65535:
            raise Refused("must have ports from 1 to 65535")
    return urls


def _path(text: str) -> str:
    if not text.isprintable():
        raise Refused("must be a path without control characters")
    return text


def _stream_name(text: str) -> str:
    if _STREAM_NAME.fullmatch(text):
        return text
    raise Refused("must be up to 32 letters, digits, hyphens and underscores")


def _choice(choices: tuple[str, ...], text: str) -> str:
    choice = text.strip().lower()
    if choice in choices:
        return choice
    raise Refused(f"must be one of {', '.join(choices)}")


# How text is read that is no number. Secrets are not shown.
Secret: TypeAlias = Annotated[str, Meta(extra={"read": _secret, "is_secret": True})]
SigningKey: TypeAlias = Annotated[str, Meta(extra={"read": _jwt_key, "is_secret": True})]
Address: TypeAlias = Annotated[str, Meta(extra={"read": _address})]
PublicUrl: TypeAlias = Annotated[str, Meta(extra={"read": _url})]
Ancestors: TypeAlias = Annotated[str, Meta(extra={"read": _ancestors})]
Origins: TypeAlias = Annotated[tuple[str, ...], Meta(extra={"read": _origins})]
Networks: TypeAlias = Annotated[tuple[Network, ...], Meta(extra={"read": _networks})]
NatsUrls: TypeAlias = Annotated[tuple[str, ...], Meta(extra={"read": _nats_urls, "is_secret": True})]
Path: TypeAlias = Annotated[str, Meta(extra={"read": _path})]
StreamName: TypeAlias = Annotated[str, Meta(extra={"read": _stream_name})]
LogFormat: TypeAlias = Annotated[str, Meta(extra={"read": partial(_choice, ("text", "json"))})]
LogLevel: TypeAlias = Annotated[str, Meta(extra={"read": partial(_choice, _LOG_LEVELS)})]
