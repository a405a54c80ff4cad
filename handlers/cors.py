"""Pages of other origins: which of them may read our answers, and how their browsers are told (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.request import Request


class OriginRefused(Exception):
    """The request comes from a page whose origin is not among ALLOWED_ORIGINS."""

    def __str__(self) -> str:
        return "this origin is not allowed"


def cors_headers(request: Request, allowed: Sequence[str], public_url: str = "") -> dict[str, str]:
    """Return the headers that let the calling page read the answer; none if no page is calling. Raises OriginRefused.

    `allowed` has origins in lower case, or `*`. `public_url` is where our own pages are, if that is known.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    # An origin is a scheme and a host, and nothing else (RFC 6454, section 6.2). A proxy may have changed the Host.
    is_own = origin.lower().partition("://")[2] == request.host.lower() or origin.lower() == _origin_of(public_url)
    if "*" not in allowed and origin.lower() not in allowed and not is_own:
        raise OriginRefused
    return {"Access-Control-Allow-Origin": "*" if "*" in allowed else origin, "Vary": "Origin"}


def _origin_of(url: str) -> str | None:
    return "/".join(url.split("/")[:3]) or None


def preflight_headers(*headers: str) -> dict[str, str]:
    """Return the headers of the answer to a CORS preflight, so that the browser will send these headers."""
    return {
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": ", ".join(headers),
        "Access-Control-Max-Age": "3600",
    }
