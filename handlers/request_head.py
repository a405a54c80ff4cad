"""The heads of the requests that Fluent Bit sends."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

if TYPE_CHECKING:
    from collections.abc import Mapping

# A Content-Length of more digits is for Tornado to refuse.
_MAX_DIGITS = 18

# Headers that ask for more than to take a body of known length and answer.
_UNUSUAL = frozenset(("Transfer-Encoding", "Expect", "Upgrade"))


class RequestHead:
    """What the fields of a head say, by names spelled like `Content-Type`; fields of one name are joined by commas.

    `credentials` are the Authorization fields one by one. `length` is that of the body; None where the head asks for
    anything but to take a body of known length. `keep_alive` is whether another request may follow.
    """

    __slots__ = ("credentials", "fields", "keep_alive", "length")

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.credentials: list[str] = []
        self.keep_alive = False
        self.length: int | None = None

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        """Take a field from the parser."""
        name, value, fields = _spelled(raw_name), raw_value.decode("latin-1").rstrip(" \t"), self.fields
        if name == "Authorization":
            self.credentials.append(value)
        if name in fields:
            value = f"{fields[name]},{value}"
        fields[name] = value


def parse_head(data: bytes) -> RequestHead | None:
    """Parse a head, from its first line to its empty one; return None if it is not one of HTTP/1.1."""
    head = RequestHead()
    parser = HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except (HttpParserError, HttpParserUpgrade):
        return None
    fields = head.fields
    # Of more hosts than one it is for Tornado to complain.
    if "," not in fields.get("Host", ",") and _UNUSUAL.isdisjoint(fields):
        head.length = content_length(fields)
        # Not what the parser says: it has forgotten by the end of a request without a body.
        options = fields.get("Connection", "")
        head.keep_alive = not options or "close" not in [option.strip().lower() for option in options.split(",")]
    return head


def content_length(fields: Mapping[str, str]) -> int | None:
    """Return the length of a body by the fields of its head; None if they do not tell."""
    length = fields.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) <= _MAX_DIGITS else None


@lru_cache(256)
def _spelled(name: bytes) -> str:
    return name.decode("latin-1").title()
