"""The negotiation of permessage-deflate (RFC 7692, section 7.1).

What a client compresses is inflated in `handlers/websocket.py`, and what it is sent is compressed in `delivery`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from delivery.deflate import Deflate

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "permessage-deflate"
_MOST_OFFERS = 16
# Raw deflate with a window of 256 bytes, which RFC 7692 knows too, no library writes.
_LEAST_BITS, _MOST_BITS = 9, 15
_WINDOWS = frozenset(map(str, range(8, _MOST_BITS + 1)))
_NO_TAKEOVER, _WINDOW = "server_no_context_takeover", "server_max_window_bits"
_QUOTED = re.compile(r'^"(.*)"$')


class Agreement(NamedTuple):
    """What has been agreed on, and the value of the header that says so."""

    deflate: Deflate
    header: str


def agree(headers: Iterable[str]) -> Agreement | None:
    """Return what to answer to the Sec-WebSocket-Extensions fields of a client: its first offer that can be taken."""
    offers = ",".join(headers).split(",", _MOST_OFFERS)[:_MOST_OFFERS]
    return next((agreed for offer in offers if (agreed := _taken(offer))), None)


def _taken(offer: str) -> Agreement | None:
    name, *parameters = [part.strip() for part in offer.split(";")]
    given = dict(map(_parameter, parameters))
    if name.lower() != NAME or len(given) != len(parameters) or not all(_is_known(*one) for one in given.items()):
        return None
    deflate = Deflate(int(given.get(_WINDOW) or _MOST_BITS), _NO_TAKEOVER not in given)
    if deflate.window_bits < _LEAST_BITS:
        return None
    answer = [NAME, "client_no_context_takeover"]
    if not deflate.keeps_window:
        answer.append(_NO_TAKEOVER)
    if _WINDOW in given:
        answer.append(f"{_WINDOW}={deflate.window_bits}")
    return Agreement(deflate, "; ".join(answer))


def _parameter(text: str) -> tuple[str, str | None]:
    """Return the name of a parameter, and its value, which may be quoted; None without one."""
    name, separator, value = [part.strip() for part in text.partition("=")]
    return name.lower(), _QUOTED.sub(r"\1", value) if separator else None


def _is_known(name: str, value: str | None) -> bool:
    """Tell whether a parameter is one of the four, with a value that it may have."""
    if value is None:
        return name in {_NO_TAKEOVER, "client_no_context_takeover", "client_max_window_bits"}
    return name in {_WINDOW, "client_max_window_bits"} and value in _WINDOWS
