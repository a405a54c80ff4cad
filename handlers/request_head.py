"""Heads of requests that are read without Tornado: uploads of Fluent Bit, and upgrades of readers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from tornado.escape import parse_qs_bytes

from handlers.request import Upgrade

if TYPE_CHECKING:
    from collections.abc import Mapping

# A Content-Length of more digits is for Tornado to refuse.
_MAX_DIGITS = 18

# Headers that ask for more than to take a body of known length and answer.
_UNUSUAL = frozenset(("Transfer-Encoding", "Expect", "Upgrade"))

# Headers of requests with a body, or with more to say about one.
_OF_BODIES = frozenset(("Transfer-Encoding", "Expect", "Content-Length", "Content-Type"))
# A name or an address, and a port. What else a host may be is for Tornado to say.
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_MOST_ARGUMENTS = 100


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


def parse_upgrade(data: bytes, path: str, sender: str) -> Upgrade | None:
    """Parse the head of a request for a WebSocket at a path; None if it is not all that has come, or anything else.

    `sender` is the address of the peer.
    """
    line, version, _ = data.partition(b" HTTP/1.1\r\n")
    named, _, query = line.decode("latin-1").partition("?")
    if not version or named != f"GET {path}" or query.count("&") > _MOST_ARGUMENTS:
        return None
    head, is_all = RequestHead(), False
    try:
        HttpRequestParser(head).feed_data(data)
    except HttpParserUpgrade as upgrade:
        is_all = upgrade.args[0] == len(data)
    except HttpParserError:
        return None
    fields = head.fields
    if not is_all or fields["Upgrade"].lower() != "websocket" or not _OF_BODIES.isdisjoint(fields):
        return None
    host = fields.get("Host", "")
    if not _HOST.fullmatch(host):
        return None
    return Upgrade(fields, query, parse_qs_bytes(query, keep_blank_values=True), host, sender)


def content_length(fields: Mapping[str, str]) -> int | None:
    """Return the length of a body by the fields of its head; None if they do not tell."""
    length = fields.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) <= _MAX_DIGITS else None


@lru_cache(256)
def _spelled(name: bytes) -> str:
    return name.decode("latin-1").title()
