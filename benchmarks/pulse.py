"""A process that posts a line every 20 ms and times its arrival at a reader of its own: what a bystander notices.

It has a namespace of its own on the server under attack. Other modules run this one, and ask it things over a pipe.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any, NamedTuple

from benchmarks import fluentbit
from benchmarks.connection import INGEST, upgrade

NAMESPACE = "pulse"
TAG = "kube.pulse"
INTERVAL = 0.02
_CONNECTIONS = 16
_PATIENCE = 10.0
_PRIORITY = -10
_BEAT = "beat=%012d;"
_NUMBER = re.compile(rb"beat=(\d{12});")
_PING, _PONG = 0x89, b"\x8a\x80\0\0\0\0"
_GAP = b"[logurt] "
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n(\{[^}]*\})", re.DOTALL)


class _Beat(NamedTuple):
    """When a line was posted, and how long server and prober had waited for a core by then, each in seconds."""

    posted: float
    waited: list[float]

    def delays(self, now: float, waited: list[float]) -> tuple[float, float]:
        """Return how long it has been, and how long without the wait for a core.

        Both may have waited at the same time, so that only the longer wait is taken off.
        """
        delay = now - self.posted
        return delay, delay - max(after - before for after, before in zip(waited, self.waited, strict=True))


class Waiting:
    """The time for which some processes were ready to run but had no core: the machine's noise, not their own doing.

    It is that of their main threads: the second number in Linux's /proc/PID/schedstat, in nanoseconds.
    """

    def __init__(self, *pids: int) -> None:
        self._files = [os.open(f"/proc/{pid}/schedstat", os.O_RDONLY) for pid in pids]
        self._seconds = [0.0] * len(pids)

    def seconds(self) -> list[float]:
        """Return how long each process has waited since it started; where one has ended, what was known last."""
        for place, file in enumerate(self._files):
            with suppress(ProcessLookupError):
                self._seconds[place] = int(os.pread(file, 100, 0).split()[1]) / 1e9
        return self._seconds.copy()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            os.close(file)


class Sender:
    """Connections that post a line at a time; while all of them await an answer, lines wait here."""

    def __init__(self, epoll: select.epoll, port: int, secret: str) -> None:
        self.answers: Counter[str] = Counter()  # by status
        fields = "Host: 127.0.0.1", f"Authorization: Token {secret}", f"Fluent-Tag: {TAG}", ""
        self._head = "\r\n".join([f"POST {INGEST} HTTP/1.1", *fields]).encode()
        self._waiting: deque[int] = deque()
        self._sockets = {one.fileno(): one for one in [_connected(port) for _ in range(_CONNECTIONS)]}
        self._free = list(self._sockets.values())
        self._posted: dict[int, int] = {}  # by connection: the line that has no answer yet
        self.accepted: set[int] = set()  # lines
        for file in self._sockets:
            epoll.register(file, select.EPOLLIN)

    def __contains__(self, file: int) -> bool:
        return file in self._sockets

    @property
    def unanswered(self) -> int:
        """How many lines have no answer yet."""
        return len(self._posted) + len(self._waiting)

    def post(self, number: int) -> None:
        """Post a line, at once or as soon as there is a connection for it."""
        self._waiting.append(number)
        self._post_waiting()

    def receive(self, file: int) -> None:
        """Take an answer; a connection that breaks counts as one."""
        connected = self._sockets[file]
        try:
            data = connected.recv(65536)
        except OSError:
            data = b""
        answer = _ANSWER.match(data)
        number = self._posted.pop(file, None)
        self.answers[answer[1].decode() if answer else "none"] += number is not None
        if answer and b'"accepted":1' in answer[2] and number is not None:
            self.accepted.add(number)
        if answer:
            self._free.append(connected)
            self._post_waiting()
        else:
            del self._sockets[file]
            connected.close()

    def close(self) -> None:
        """Close all connections."""
        for one in self._sockets.values():
            one.close()

    def _post_waiting(self) -> None:
        while self._free and self._waiting:
            connected, number = self._free.pop(), self._waiting.popleft()
            body = fluentbit.as_json([fluentbit.record(NAMESPACE, "prober", _BEAT % number, number)])
            with suppress(OSError):  # `receive` finds out too
                connected.send(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._posted[connected.fileno()] = number


class Pulse:
    """The sender and the reader, and what has become of the lines since `start`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._is_beating = False
        self._next_due = 0.0
        self._number = 0
        self._reset()

    def _reset(self) -> None:
        self._beats: dict[int, _Beat] = {}  # by number, of lines that have not arrived
        self._delays: list[tuple[float, float]] = []  # and without the wait for a core
        self._gap = self._late = 0.0
        self._arrived_at = time.monotonic()  # the last line, or the start
        self._gap_notices = 0
        self._ended = False

    def serve(self) -> None:
        """Answer questions and beat in between, until the pipe is closed."""
        while True:
            if self._turn():
                line = sys.stdin.buffer.readline()
                if not line:
                    return
                question = json.loads(line)
                answer = getattr(self, f"do_{question.pop('op')}")(**question)
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()

    def do_open(self, port: int, pid: int, secret: str, path: str) -> dict[str, Any]:
        """Connect to a server."""
        self._reset()
        self._waiting = Waiting(pid, os.getpid())
        self._sender = Sender(self._epoll, port, secret)
        self._reader = _connected(port)
        self._reader.sendall(upgrade(path))
        self._reader.settimeout(_PATIENCE)
        self._held = b""
        while b"\r\n\r\n" not in self._held:
            self._held += self._reader.recv(65536)
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        if b" 101 " not in head[:20]:
            raise ConnectionError(head)
        self._reader.settimeout(0)
        self._epoll.register(self._reader.fileno(), select.EPOLLIN)
        return {}

    def do_close(self) -> dict[str, Any]:
        """Close all connections."""
        self._reader.close()
        self._sender.close()
        self._waiting.close()
        return {}

    def do_start(self) -> dict[str, Any]:
        """Post a line every INTERVAL from now on."""
        self._reset()
        self._sender.answers.clear()
        self._is_beating = True
        self._next_due = time.monotonic()
        return {}

    def do_stop(self, patience: float) -> dict[str, Any]:
        """Stop posting, wait for lines under way, but no longer than `patience` seconds, and report in milliseconds."""
        self._is_beating = False
        end = time.monotonic() + patience
        while (self._beats or self._sender.unanswered) and not self._ended and time.monotonic() < end:
            self._turn(0.05)
            self._forget_refused()
        self._forget_refused()
        now, waited = time.monotonic(), self._waiting.seconds()
        # A line that has not arrived has waited until now, at least.
        delays = self._delays + [beat.delays(now, waited) for beat in self._beats.values()]
        return {
            "delays": [1000 * delay for delay, _ in delays],
            "net_delays": [1000 * net for _, net in delays],
            "gap": 1000 * max(self._gap, now - self._arrived_at if self._beats else 0.0),
            "late": 1000 * self._late,
            "missing": len(self._beats),
            "gap_notices": self._gap_notices,
            "ended": self._ended,
            "answers": dict(self._sender.answers),
        }

    def _forget_refused(self) -> None:
        """Once every post is answered, expect only the lines that were accepted."""
        if not self._sender.unanswered:
            self._beats = {number: beat for number, beat in self._beats.items() if number in self._sender.accepted}

    def _turn(self, seconds: float = -1) -> bool:
        """Post what is due and receive what has come; return whether there is a question."""
        if self._is_beating:
            self._beat()
            seconds = max(0.0, self._next_due - time.monotonic())
        asked = False
        for file, _ in self._epoll.poll(seconds):
            if file == sys.stdin.fileno():
                asked = True
            elif file in self._sender:
                self._sender.receive(file)
            else:
                self._read()
        return asked

    def _beat(self) -> None:
        now = time.monotonic()
        while self._next_due <= now:
            self._late = max(self._late, now - self._next_due)
            self._next_due += INTERVAL
            self._number += 1
            # The time is not when the line was due: that the prober is late does not count against the server.
            self._beats[self._number] = _Beat(now, self._waiting.seconds())
            self._sender.post(self._number)

    def _read(self) -> None:
        try:
            data = self._reader.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._ended = True
            self._epoll.unregister(self._reader.fileno())
            return
        now, held = time.monotonic(), self._held + data
        # No frame to this reader has more than 125 bytes, so that each has a header of two (RFC 6455, section 5.2).
        while len(held) >= 2 and len(held) >= (end := 2 + held[1]):
            self._take(held[0], held[2:end], now)
            held = held[end:]
        self._held = held

    def _take(self, kind: int, payload: bytes, now: float) -> None:
        if kind == _PING:
            self._reader.send(_PONG)
        self._gap_notices += payload.startswith(_GAP)
        found = _NUMBER.match(payload)
        beat = self._beats.pop(int(found[1]), None) if found else None
        if beat is None:
            return
        self._delays.append(beat.delays(now, self._waiting.seconds()))
        self._gap = max(self._gap, now - self._arrived_at)
        self._arrived_at = now


def _connected(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


if __name__ == "__main__":
    with suppress(PermissionError):  # without, the prober itself is late more often
        os.nice(_PRIORITY)
    Pulse().serve()
