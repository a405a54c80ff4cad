"""Clients that see every byte: raw sockets that read only when told to, and what takes their answers apart."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

# The sample key of RFC 6455, section 1.3, and what the server makes of it.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LONG_LINES = ["x" * 1000] * 100
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
TRANSPORTS = pytest.mark.parametrize(
    "headers", [UPGRADE, {}, {"Accept": "text/event-stream"}], ids=["websocket", "plain", "events"]
)


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2])


def with_settings(**options: Any) -> pytest.MarkDecorator:
    """Have `live` run with these settings."""
    return pytest.mark.parametrize("options", [options], ids=[",".join(options)])


def request(path: str, headers: dict[str, str] | None = None, *, version: str = "1.1", method: str = "GET") -> bytes:
    fields = {"Host": "127.0.0.1"} | (headers or {})
    head = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*head, "", ""]).encode()


def received(uri: str, *fields: tuple[str, str], version: str = "HTTP/1.1", host: str = "logurt") -> HTTPServerRequest:
    """A request as Tornado hands it to a handler."""
    headers = HTTPHeaders()
    for name, value in (("Host", host), *fields):
        headers.add(name, value)
    return HTTPServerRequest(start_line=RequestStartLine("GET", uri, version), headers=headers)


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, compressed: bool = False) -> bytes:
    """A masked frame (RFC 6455, section 5.2), with a mask that changes nothing."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = bytes([0x80 | 126]) + size.to_bytes(2) if size < 1 << 16 else bytes([0x80 | 127]) + size.to_bytes(8)
    return bytes([0x80 * fin | 0x40 * compressed | opcode]) + length + bytes(4) + payload


def with_send_buffer(size: int) -> pytest.MarkDecorator:
    """Have the kernel of `live` hold about so many bytes for a connection."""
    return pytest.mark.parametrize("send_buffer", [size], ids=["send_buffer"])


def quicken(live: LiveServer) -> None:
    """Have all heartbeats come due at once, and sweep."""
    for session in live.services.sessions:
        session.heartbeat_at = 0.0
    live.services.sessions.sweep()


def let_pass(live: LiveServer, seconds: float) -> None:
    """Let so much time pass for tokens and stalls, and sweep. Heartbeats stay as far off as they are."""
    live.clock.advance(seconds)
    for session in live.services.sessions:
        session.heartbeat_at += seconds
    live.services.sessions.sweep()


def let_timers_pass(seconds: float) -> None:
    """Let so much time pass for the timers of the event loop."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


async def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Let the event loop turn until something has come about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells the test, which looks after every turn of the loop
            await asyncio.sleep(0)


def nobody_is_left(live: LiveServer) -> bool:
    return len(live.services.sessions) == 0 and not any(live.services.hub.statistics())


class Peer:
    """A socket that takes what it is told to take, and nothing more."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._received = b""

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def take(self, at_most: int = 65536) -> bytes:
        """Take something off the socket; b"" when it has ended or was reset."""
        try:
            async with asyncio.timeout(10):
                data = await asyncio.get_running_loop().sock_recv(self.socket, at_most)
        except ConnectionError:
            return b""
        self._received += data
        return data

    async def read(self, size: int) -> bytes:
        while len(self._received) < size:
            if not await self.take():
                raise EOFError
        data, self._received = self._received[:size], self._received[size:]
        return data

    def take_now(self) -> None:
        """Take what the kernel has, without a turn of the event loop."""
        with suppress(BlockingIOError):
            while data := self.socket.recv(65536):
                self._received += data

    async def read_until(self, end: bytes) -> bytes:
        while (place := self._received.find(end)) < 0:
            if not await self.take():
                raise EOFError
        return await self.read(place + len(end))

    async def head(self) -> str:
        """The head of an answer, without the empty line."""
        return (await self.read_until(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n")

    async def rest(self) -> bytes:
        """All that comes before the connection ends."""
        while await self.take():
            pass
        return await self.read(len(self._received))

    async def frame(self) -> Frame:
        """The next frame; the server's are final, unmasked, and of the shortest length that there is."""
        first, length = await self.read(2)
        assert first & 0xF0 == 0x80
        if length == 126:
            length = int.from_bytes(await self.read(2))
            assert length > 125
        elif length == 127:
            length = int.from_bytes(await self.read(8))
            assert length > 0xFFFF
        return Frame(first & 0x0F, await self.read(length))

    async def chunk(self) -> bytes:
        """The next chunk of an HTTP/1.1 body (RFC 9112, section 7.1)."""
        size = int(await self.read_until(b"\r\n"), 16)
        data = await self.read(size)
        assert await self.read(2) == b"\r\n"
        return data

    async def upgrade(self, token: str, query: str = "", **headers: str) -> str:
        """Become a WebSocket reader, and return the head of the answer."""
        fields = UPGRADE | {name.replace("_", "-"): value for name, value in headers.items()}
        await self.send(request(f"/logs?token={token}&{query}".rstrip("&"), fields))
        return await self.head()

    async def get(self, token: str, query: str = "", *, version: str = "1.1", **headers: str) -> str:
        """Become a reader by HTTP, and return the head of the answer."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.send(request(f"/logs?token={token}&{query}".rstrip("&"), fields, version=version))
        return await self.head()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with a RST, as a host does that has forgotten the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def dial(live: LiveServer, receive_buffer: int | None = None) -> Peer:
    """Connect to the server, with a receive buffer of about so many bytes."""
    connected = socket.socket()
    if receive_buffer is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    # The kernel completes the connection before the server accepts it.
    connected.connect(("127.0.0.1", live.port))
    connected.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return Peer(connected)


async def join(live: LiveServer, peer: Peer, headers: dict[str, str] = UPGRADE, query: str = "") -> Any:
    """Become a reader for 100 seconds by WebSocket or HTTP; return the session."""
    await peer.send(request(f"/logs?token={await live.sign(expires_in=100)}{query}", headers))
    await peer.head()
    sessions = list(live.services.sessions)
    return sessions[-1] if sessions else None


def in_flight(peer: Peer) -> int:
    """How many bytes the kernel has from the server for this peer that the peer's kernel has not acknowledged."""
    ours, theirs = (f"{address[1]:04X}" for address in (peer.socket.getpeername(), peer.socket.getsockname()))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (local[-4:], remote[-4:]) == (ours, theirs):
            return int(queues.partition(":")[0], 16)
    return 0


async def stuff(live: LiveServer, peer: Peer, headers: dict[str, str] = UPGRADE) -> Any:
    """Join, and be sent more than the socket takes; return the session. It is quick with a small send buffer."""
    session = await join(live, peer, headers, "&tail=0")
    while not session.is_blocked:
        await live.write(*LONG_LINES)
    return session


async def backlog(live: LiveServer, query: str = "", token: str = "") -> list[str]:
    """What a WebSocket reader is sent who does not follow, up to the end with code 1000."""
    peer, messages = dial(live), []
    await peer.upgrade(token or await live.sign(), f"follow=false&{query}".removesuffix("&"))
    while (frame := await peer.frame()).opcode == TEXT:
        messages.append(frame.payload.decode())
    assert frame.close_code == 1000
    peer.close()
    return messages


def error(body: bytes) -> str:
    """The sentence of an answer that is an error, and nothing else."""
    members = json.loads(body)
    assert list(members) == ["error"]
    assert len(body) < 1024
    return str(members["error"])
