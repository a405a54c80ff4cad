"""The heads of the requests that Fluent Bit sends."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

if TYPE_CHECKING:
    from collections.abc import Mapping

# A Content-Length of more digits is for Tornado to refuse.
_MAX_DIGITS = 18

# What stands before the length of the body, and how large a head may be for its bytes to be kept.
_LENGTH = b"\r\nContent-Length: "
_MOST_REPEATED = 1024

# Headers that ask for more than to take a body of known length and answer.
_UNUSUAL = ("Transfer-Encoding", "Expect", "Upgrade")


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
        name, value = _spelled(raw_name), raw_value.decode("latin-1").rstrip(" \t")
        if name == "Authorization":
            self.credentials.append(value)
        if name in self.fields:
            value = f"{self.fields[name]},{value}"
        self.fields[name] = value


class Heads:
    """Parses the heads of one connection. Fluent Bit repeats itself there, but for the length of the body."""

    __slots__ = ("_after", "_before", "_head")

    def __init__(self) -> None:
        self._before = self._after = b""  # of the last head, what stands around that length
        self._head: RequestHead | None = None

    def parse(self, data: bytes) -> RequestHead | None:
        """Do what `parse_head` does. The head is that of the last call, which must not be in use any more."""
        before, _, rest = data.partition(_LENGTH)
        digits, _, after = rest.partition(b"\r\n")
        head = self._head
        if head is not None and before == self._before and after == self._after and _is_length(digits):
            head.fields["Content-Length"] = digits.decode()
            head.length = int(digits)
            return head
        head = parse_head(data)
        is_usual = head is not None and head.length is not None and _is_length(digits) and len(data) <= _MOST_REPEATED
        self._head, self._before, self._after = (head, before, after) if is_usual else (None, b"", b"")
        return head


def _is_length(digits: bytes) -> bool:
    return digits.isdigit() and len(digits) <= _MAX_DIGITS


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
    if "," not in fields.get("Host", ",") and not any(name in fields for name in _UNUSUAL):
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
