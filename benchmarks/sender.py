"""A process that only calls `send` with ready bytes on every connection: no server in Python can be faster.

Other modules run this one, and ask it things over a pipe.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class Sender:
    """Connections that all get the same bytes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._sockets: list[socket.socket] = []

    def do_port(self) -> dict[str, Any]:
        """Return the port that takes connections."""
        return {"port": self._listening.getsockname()[1]}

    def do_accept(self, count: int) -> dict[str, Any]:
        """Accept that many connections and answer the request on each."""
        for _ in range(count):
            connected, _ = self._listening.accept()
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connected.recv(65536)
            connected.sendall(_ANSWER)
            self._sockets.append(connected)
        return {}

    def do_send(self, size: int, times: int, interval: float) -> dict[str, Any]:
        """Send `size` bytes on each connection, `times` times, `interval` seconds apart; return the CPU seconds."""
        data, start, begin = bytes(size), time.process_time(), time.monotonic()
        for number in range(times):
            time.sleep(max(0.0, begin + number * interval - time.monotonic()))
            for connected in self._sockets:
                connected.sendall(data)
        return {"cpu": time.process_time() - start}

    def do_close(self) -> dict[str, Any]:
        """Close all connections."""
        for connected in self._sockets:
            connected.close()
        self._sockets = []
        return {}


if __name__ == "__main__":
    sender = Sender()
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(getattr(sender, f"do_{question.pop('op')}")(**question)), flush=True)
