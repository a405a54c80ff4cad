"""Whether a server holds any lines of the pods that a reader asks for."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from cli.claims import claims, namespace_of
from cli.errors import Failure
from cli.request import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.address import Address

_SECONDS = 5
# The parameters of GET /logs that select sources; GET /api/sources takes them too.
_NARROWING = ("pod", "container", "label", "workload")


class _Sources(msgspec.Struct):
    """The part of an answer that matters here."""

    sources: list[msgspec.Raw]


async def has_sources(
    address: Address, token: str, query: Mapping[str, Sequence[str]], seconds: float = _SECONDS
) -> bool:
    """Tell whether the server holds lines of any source that a query selects; True if it does not say."""
    narrowing = {name: query[name] for name in _NARROWING if name in query}
    path = f"/api/sources?{urlencode({**narrowing, 'limit': '1'}, doseq=True)}"
    try:
        response = await fetch(address, path, f"Bearer {token}", seconds=seconds)
        if response.code != HTTPStatus.OK:
            return True
        return bool(msgspec.json.decode(response.body, type=_Sources).sources)
    except (Failure, msgspec.MsgspecError, UnicodeDecodeError):
        return True


def selection(token: str, query: Mapping[str, Sequence[str]]) -> str:
    """Return a phrase for what a token and a query select."""
    narrowing = [f"{name} {','.join(query[name])}" for name in _NARROWING if name in query]
    namespace = namespace_of(claims(token)) or "this namespace"
    return f"{namespace} ({'; '.join(narrowing)})" if narrowing else namespace
