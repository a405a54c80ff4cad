"""A process with many connections that each post a line every second, as thousands of quiet containers do.

Other modules run this one, and ask it things over a pipe.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any

from benchmarks import fluentbit
from benchmarks.connection import INGEST

_TOGETHER = 200  # connections opened before the server gets to accept them
_PATIENCE = 5.0


class Posters:
    """Connections, each of a container of its own."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: list[socket.socket] = []
        self._by_file: dict[int, int] = {}
        self._secret = ""
        self._lines = 0  # so that none is taken for a duplicate

    def do_open(self, port: int, secret: str, namespace: str, count: int) -> dict[str, Any]:
        """Connect."""
        self._namespace, self._secret = namespace, secret
        for number in range(count):
            connected = socket.create_connection(("127.0.0.1", port))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._epoll.register(connected, select.EPOLLIN)
            self._by_file[connected.fileno()] = number
            self._sockets.append(connected)
            if number % _TOGETHER == 0:
                time.sleep(0.01)
        return {}

    def do_post(self, seconds: int) -> dict[str, Any]:
        """Post a line on each connection every second, evenly spread; report the answers, and how long they took."""
        begin, total = time.monotonic(), seconds * len(self._sockets)
        posted, times, refused = list[float](), list[float](), 0
        while len(times) + refused < total and time.monotonic() < begin + seconds + _PATIENCE:
            due = min(total, int((time.monotonic() - begin) * len(self._sockets)) + 1)
            while len(posted) < due:
                posted.append(time.monotonic())
                self._post(len(posted) - 1)
            for file, _ in self._epoll.poll(0.001):
                place = self._by_file[file]
                is_stored = b'"accepted":1' in self._sockets[place].recv(4096)
                refused += not is_stored
                if is_stored:
                    last = (len(posted) - 1 - place) // len(self._sockets) * len(self._sockets) + place
                    times.append(1000 * (time.monotonic() - posted[last]))
        return {"posts": total, "answered": len(times), "refused": refused, "ms": times}

    def _post(self, number: int) -> None:
        place = number % len(self._sockets)
        self._lines += 1
        line = fluentbit.record(self._namespace, f"web-{place}", f"line {self._lines}", self._lines)
        body = fluentbit.as_json([line])
        self._sockets[place].sendall(
            f"POST {INGEST} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {self._secret}\r\n"
            f"Fluent-Tag: herd.{place}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )


if __name__ == "__main__":
    posters = Posters()
    for asked in sys.stdin:
        question = json.loads(asked)
        print(json.dumps(getattr(posters, f"do_{question.pop('op')}")(**question)), flush=True)
