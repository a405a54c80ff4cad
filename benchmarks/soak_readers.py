"""The readers of a soak: each checks that it gets every line sent while it was there, or a notice of the loss."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.connection import upgrade

if TYPE_CHECKING:
    from benchmarks.server import Server
    from benchmarks.soak_writers import Namespace

_NUMBERED = re.compile(rb"(web-\d+) n=(\d+)")
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_PATIENCE = 20.0
_SMALL_BUFFER = 4096
_SLOW_FRAMES, _SLOW_SECONDS = 100, 1.0


class Unaccounted(Exception):
    """A reader did not get what it should have. `what` is a sentence."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return self.what


class Received(NamedTuple):
    """What a reader got, all pods together."""

    lines: int
    lost: int


class Follower:
    """A WebSocket reader of all pods of a namespace, in JSON so that it gets notices of gaps."""

    def __init__(self, server: Server, namespace: Namespace, *, slow: bool = False) -> None:
        self._namespace = namespace
        self._server = server
        self._slow = slow
        self._last: dict[bytes, int] = {}  # by pod, the number of its last line
        self._lines = self._lost = 0
        self._sent_before = 0

    async def join(self) -> None:
        """Connect while nobody posts, so that the reader knows which lines to expect."""
        async with self._namespace.lock:
            path = self._server.path(self._namespace.name, tail="0", format="json")
            self._reader, self._writer = await connect(self._server, path, small=self._slow)
            self._sent_before = self._namespace.sent
            self._last = {pod.encode(): number for pod, number in self._namespace.numbers.items()}

    async def follow(self, seconds: float) -> None:
        """Read for that long; a slow reader reads a little and then nothing for a second, again and again."""
        end = asyncio.get_running_loop().time() + seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while True:
                    for _ in range(_SLOW_FRAMES):
                        await self._read()
                    if self._slow:
                        await asyncio.sleep(_SLOW_SECONDS)

    async def leave(self) -> Received:
        """Read what is still to come, and leave. Raises Unaccounted if it is not exactly what was sent."""
        async with self._namespace.lock:
            expected = self._namespace.sent - self._sent_before
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    while self._lines + self._lost < expected:
                        await self._read()
        self._writer.close()
        kind = "slow" if self._slow else "fast"
        if self._lines + self._lost != expected or (self._lost and not self._slow):
            raise Unaccounted(
                f"a {kind} reader of {self._namespace.name} got {self._lines} lines and notice of {self._lost} lost, "
                f"of {expected} sent"
            )
        return Received(self._lines, self._lost)

    async def _read(self) -> None:
        """Read a frame and act on it."""
        opcode, payload = await self._reader.frame()
        if opcode == _TEXT:
            self._note(payload)
        elif opcode == _PING:
            self._writer.write(bytes((0x80 | _PONG, 0x80, 0, 0, 0, 0)))
        elif opcode == _CLOSE:
            raise Unaccounted(f"a reader of {self._namespace.name} was closed: {payload!r}")

    def _note(self, payload: bytes) -> None:
        found = _NUMBERED.search(payload)
        if found is None:
            message = json.loads(payload)
            if message["type"] == "gap":
                self._lost += message["lost"]
            return
        pod, number = found[1], int(found[2])
        before = self._last.get(pod, 0)
        if number <= before or (number != before + 1 and not self._slow):
            raise Unaccounted(f"line {number} of {pod.decode()} came after line {before}")
        self._last[pod] = number
        self._lines += 1


class Stream:
    """Frames off a socket; an interrupted `frame` loses nothing."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._held = bytearray()
        self._at = 0  # where in what is held the next frame starts

    async def frame(self) -> tuple[int, bytes]:
        """Return the opcode and payload of the next frame, unmasked as servers send them (RFC 6455, section 5.2)."""
        while True:
            head = self._held[self._at : self._at + 10]
            begin, size = 2, head[1] if len(head) > 1 else 0
            if size > 125:
                begin = 4 if size == 126 else 10
                size = int.from_bytes(head[2:begin])
            end = self._at + begin + size
            if len(head) >= begin and len(self._held) >= end:
                payload = bytes(self._held[self._at + begin : end])
                self._at = end
                return head[0] & 0x0F, payload
            await self._fill()

    async def _fill(self) -> None:
        data = await self._reader.read(65536)
        if not data:
            raise Unaccounted("a connection ended that should not have")
        del self._held[: self._at]
        self._at = 0
        self._held += data


async def connect(server: Server, path: str, *, small: bool = False) -> tuple[Stream, asyncio.StreamWriter]:
    """Open a WebSocket; return once the server has answered, for then it knows the reader."""
    connected = socket.socket()
    if small:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    connected.settimeout(0)
    await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=connected, limit=_SMALL_BUFFER if small else 1 << 18)
    writer.write(upgrade(path))
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in answer[:20]:
        raise Unaccounted(f"a reader was answered {answer[:100]!r}")
    return Stream(reader), writer


async def pass_by(server: Server, namespace: str, seconds: float, kind: int) -> None:
    """Open a stream on any transport, take little or nothing of it, and vanish without a word."""
    connected = socket.socket()
    connected.settimeout(0)
    await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", server.port))
    path = server.path(namespace, tail="all", prefix="true")
    if kind % 3 == 0:
        request = upgrade(path)
    else:
        accept = "text/event-stream" if kind % 3 == 1 else "*/*"
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n".encode()
    await asyncio.get_running_loop().sock_sendall(connected, request)
    await asyncio.sleep(seconds)
    # Every other one ends with a reset, as if its host had forgotten the connection.
    if kind % 2:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()
