"""What a token says of itself: the claims in it (RFC 7519, section 4), which only the server can verify."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from cli.ansi import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping

# The claims that make up a token's scope, in the order in which they are shown.
_SCOPE = ("namespace", "pod", "container", "labels", "workload")
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def claims(token: str) -> dict[str, Any]:
    """Return a token's claims, unverified; empty if it has none."""
    payload = token.partition(".")[2].partition(".")[0]
    try:
        held = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def namespace_of(held: Mapping[str, Any]) -> str:
    """Return the namespace that claims open; empty if they name none."""
    namespace = held.get("namespace")
    return harmless(namespace) if isinstance(namespace, str) else ""


def lifetime(held: Mapping[str, Any]) -> int | None:
    """Return for how many seconds a token was signed; None if it does not say."""
    issued_at, expires_at = held.get("iat"), held.get("exp")
    if isinstance(issued_at, int) and isinstance(expires_at, int):
        return expires_at - issued_at
    return None


def described(held: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what claims open and until when, as pairs of a name and a text."""
    rows = [(name, _text(held[name])) for name in _SCOPE if name in held]
    if isinstance(held.get("exp"), int):
        rows.append(("until", _end(held["exp"], lifetime(held))))
    return rows


def duration(seconds: int) -> str:
    """Return a duration as the options take it, such as 1h30m."""
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = ",".join(f"{key}={one}" for key, one in value.items())
    return harmless(str(value))


def _end(expires_at: int, seconds: int | None) -> str:
    try:
        end = dt.datetime.fromtimestamp(expires_at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        end = str(expires_at)
    return end if seconds is None or seconds < 0 else f"{end} ({duration(seconds)})"
