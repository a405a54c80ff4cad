"""Connections to a server: requests are posted, and nothing costs more than it must."""

from __future__ import annotations

import re
import socket
from itertools import count
from typing import TYPE_CHECKING, Self

from benchmarks.fluentbit import NO_STAMP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.server import Server

INGEST = "/_ingest/fluentbit"
_GZIP_MAGIC = b"\x1f\x8b"
_numbers = count(1)
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class BadAnswer(Exception):
    """A server has not answered as it should. `answer` is the beginning of what it said."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer

    def __str__(self) -> str:
        return f"a request was answered with {self.answer[:200]!r}"


class Connection:
    """A kept-alive connection that posts bodies. Answers are read before the next request, or when asked for.

    Each body is made a little different from all before, as no two chunks of Fluent Bit are the same: a server drops
    what comes again.
    """

    def __init__(self, server: Server, path: str = INGEST) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {server.secret}\r\n".encode()
        self._awaits_answer = False

    def post(self, body: bytes, *fields: str) -> None:
        """Send a request and wait for its answer. Raises BadAnswer."""
        self.send(body, *fields)
        self.finish()

    def send(self, body: bytes, *fields: str) -> None:
        """Send a request, once the one before has been answered."""
        self.finish()
        body = distinct(body, next(_numbers))
        head = [self._head, b"".join(f"{field}\r\n".encode() for field in fields), b"Content-Length: %d\r\n\r\n"]
        self._socket.sendall(b"".join(head) % len(body) + body)
        self._awaits_answer = True

    def finish(self) -> None:
        """Wait for the answer, if there is one to come. Raises BadAnswer."""
        if not self._awaits_answer:
            return
        answer = b""
        while not _is_complete(answer):
            piece = self._socket.recv(65536)
            if not piece:
                raise BadAnswer(answer)
            answer += piece
        if b" 200 " not in answer[:20]:
            raise BadAnswer(answer)
        self._awaits_answer = False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def post_all(server: Server, bodies: Iterable[bytes], *fields: str, path: str = INGEST) -> None:
    """Post bodies one after the other on one connection."""
    with Connection(server, path) as connection:
        for body in bodies:
            connection.post(body, *fields)


def distinct(body: bytes, number: int) -> bytes:
    """Return a body of the same length that differs by its number: in a line, or in the time of its gzip header."""
    if body.startswith(_GZIP_MAGIC):
        return body[:4] + number.to_bytes(4, "little") + body[8:]
    return body.replace(NO_STAMP, b"n=%020d;" % number, 1)


def upgrade(path: str) -> bytes:
    """Return a request for a WebSocket, with the sample key of RFC 6455, section 1.3."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def _is_complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head + b"\r\n")
    return len(body) >= int(length[1] if length else 0)
