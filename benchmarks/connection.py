"""Connections that post requests to a server as cheaply as possible."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.server import Server

INGEST = "/_ingest/fluentbit"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
# The benchmarks post the same bodies over and over. With a tag of its own, each counts as a new one.
_TAGS = count()


class BadAnswer(Exception):
    """A server gave the wrong answer. `answer` is how it began."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer

    def __str__(self) -> str:
        return f"a request got the answer {self.answer[:200]!r}"


class Connection:
    """A kept-alive connection that posts bodies. An answer is read before the next request, or by `finish`."""

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
        """Send a request, once the previous one has its answer. Raises BadAnswer."""
        self.finish()
        lines = [*fields, f"Fluent-Tag: bench.{next(_TAGS)}", f"Content-Length: {len(body)}"]
        self._socket.sendall(self._head + "\r\n".join([*lines, "", ""]).encode() + body)
        self._awaits_answer = True

    def finish(self) -> None:
        """Wait for the outstanding answer, if there is one. Raises BadAnswer."""
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
    """Post bodies one after the other on a single connection. Raises BadAnswer."""
    with Connection(server, path) as connection:
        for body in bodies:
            connection.post(body, *fields)


def post_side_by_side(server: Server, bodies: Sequence[bytes], requests: int, connections: int) -> tuple[float, float]:
    """Post so many requests over so many connections; return the CPU seconds, and the seconds a request took."""

    def post(connection: Connection) -> None:
        for at in range(requests // connections):
            connection.post(bodies[at % len(bodies)], "Content-Type: application/json")

    with ExitStack() as stack:
        opened = [stack.enter_context(Connection(server)) for _ in range(connections)]
        threads = [Thread(target=post, args=(connection,)) for connection in opened]
        before, began = server.cpu(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        return server.cpu() - before, took * connections / requests


def upgrade(path: str, *, deflate: bool = False) -> bytes:
    """Return a WebSocket handshake with the sample key of RFC 6455, section 1.3, maybe with an offer to compress."""
    extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if deflate else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extensions}"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def _is_complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head + b"\r\n")
    return len(body) >= int(length[1] if length else 0)
