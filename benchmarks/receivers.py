"""A process that receives for many readers and does as little as possible: it counts bytes.

For most connections the kernel throws the bytes away and only says how many there were; on a few, the bytes are
searched for the times that lines carry. Other modules run this one, and ask it things over a pipe.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from typing import Any

from benchmarks.connection import upgrade
from benchmarks.inflating import Inflating

_LINE = re.compile(rb"[nt]=\d{20};")
_TIME = re.compile(rb"t=(\d{20});")
_BUFFER = bytearray(1 << 20)
_TOGETHER = 200  # connections opened at a time; the server's backlog is larger
_PATIENCE = 30.0
_HEAD_BYTES = 65536


class Reader:
    """One connection. Times are nanoseconds of the monotonic clock, 0 if there is none yet."""

    __slots__ = ("asked", "bytes", "first", "head", "inflating", "is_open", "last", "sampled", "socket")

    def __init__(self, connected: socket.socket, *, sampled: bool, deflate: bool = False) -> None:
        self.socket = connected
        self.sampled = sampled
        self.inflating = Inflating() if sampled and deflate else None
        self.head = b""
        self.is_open = False  # once the head of the answer has come
        self.bytes = 0
        self.asked = self.first = self.last = 0


class Receivers:
    """All connections, and what has come on them since the last reset."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self._pending = 0  # readers whose answer's head has not come yet
        self._stalled = False
        self._bytes = 0
        self._progress = 0
        self._delays: list[int] = []
        self._lines = 0
        self._cpu = 0.0
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)

    def serve(self) -> None:
        """Answer questions and receive in between, until the pipe is closed."""
        while True:
            if self._receive(-1):
                line = sys.stdin.buffer.readline()
                if not line:
                    return
                question = json.loads(line)
                answer = getattr(self, f"do_{question.pop('op')}")(**question)
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()

    def do_open(
        self,
        port: int,
        paths: list[str],
        sampled: int = 0,
        together: int = _TOGETHER,
        *,
        stalled: bool = False,
        deflate: bool = False,
    ) -> dict[str, Any]:
        """Open a reader for each path, so many together.

        `sampled` of them search what they get for times; stalled ones never read.
        With `deflate` they offer to inflate messages; those that are sampled do so.
        """
        self._stalled = stalled
        step = max(1, len(paths) // sampled) if sampled else len(paths) + 1
        for start in range(0, len(paths), together):
            group = []
            for number, path in enumerate(paths[start : start + together], start):
                connected = socket.socket()
                if stalled:
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connected.connect(("127.0.0.1", port))
                reader = Reader(connected, sampled=number % step == 0 and bool(sampled), deflate=deflate)
                group.append((reader, upgrade(path, deflate=deflate)))
            self._begin(group)
        return {"open": sum(reader.is_open for reader in self._readers.values())}

    def do_reset(self) -> dict[str, Any]:
        """Start counting anew."""
        self._bytes, self._lines, self._delays, self._cpu = 0, 0, [], time.process_time()
        for reader in self._readers.values():
            reader.bytes = reader.first = reader.last = 0
        return {}

    def do_until(self, total: int, quiet: float = 2.0) -> dict[str, Any]:
        """Report what has come, once it is that many bytes or nothing has come for `quiet` seconds."""
        self._progress = time.monotonic_ns()
        while self._bytes < total and time.monotonic_ns() - self._progress < quiet * 1e9:
            self._receive(0.05)
        return self.do_report()

    def do_report(self) -> dict[str, Any]:
        """Report what has come."""
        readers = self._readers.values()
        return {
            "bytes": self._bytes,
            "sampled lines": self._lines,
            "cpu": time.process_time() - self._cpu,
            "delays": self._delays,
            "each": [reader.bytes for reader in readers],
            "first": [(reader.first - reader.asked) / 1e9 for reader in readers if reader.first],
            "last": [(reader.last - reader.asked) / 1e9 for reader in readers if reader.last],
        }

    def do_close(self) -> dict[str, Any]:
        """Close all connections."""
        for reader in self._readers.values():
            reader.socket.close()
        self._readers, self._pending = {}, 0
        return {}

    def _begin(self, group: list[tuple[Reader, bytes]]) -> None:
        for reader, request in group:
            self._readers[reader.socket.fileno()] = reader
            self._pending += 1
            reader.socket.sendall(request)
            reader.asked = time.monotonic_ns()
            reader.socket.settimeout(0)
            self._epoll.register(reader.socket.fileno(), select.EPOLLIN)
        deadline = time.monotonic() + _PATIENCE
        while self._pending:
            self._receive(0.1)
            if time.monotonic() > deadline:
                raise TimeoutError

    def _receive(self, seconds: float) -> bool:
        """Receive what has come; return whether there is a question too."""
        asked = False
        for number, _ in self._epoll.poll(seconds):
            reader = self._readers.get(number)
            if reader is None:
                asked = asked or number == sys.stdin.fileno()
            elif reader.is_open:
                self._take(reader)
            else:
                self._take_head(reader)
        return asked

    def _take(self, reader: Reader) -> None:
        try:
            # On a TCP socket, MSG_TRUNC discards what has come instead of copying it: tcp(7).
            size = reader.socket.recv_into(_BUFFER, 0, 0 if reader.sampled else socket.MSG_TRUNC)
        except BlockingIOError:
            return
        except ConnectionError:
            size = 0
        if not size:
            self._epoll.unregister(reader.socket.fileno())
            return
        self._count(reader, size)
        if reader.sampled:
            self._look(reader, memoryview(_BUFFER)[:size])

    def _look(self, reader: Reader, data: bytes | memoryview) -> None:
        said = data if reader.inflating is None else reader.inflating.feed(data)
        self._lines += len(_LINE.findall(said))
        self._delays += [reader.last - int(stamp) for stamp in _TIME.findall(said)]

    def _count(self, reader: Reader, size: int) -> None:
        reader.bytes += size
        reader.last = self._progress = time.monotonic_ns()
        reader.first = reader.first or reader.last
        self._bytes += size

    def _take_head(self, reader: Reader) -> None:
        reader.head += reader.socket.recv(_HEAD_BYTES)
        head, end, data = reader.head.partition(b"\r\n\r\n")
        if not end:
            return
        if b" 101 " not in head[:20]:
            raise ConnectionError(head)
        reader.is_open = True
        self._pending -= 1
        if data:
            self._count(reader, len(data))
            if reader.inflating is not None:
                self._look(reader, data)
        if self._stalled:
            self._epoll.unregister(reader.socket.fileno())


if __name__ == "__main__":
    Receivers().serve()
