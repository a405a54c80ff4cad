"""Many connections at once that all do the same."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

_SMALL_BUFFER = 4096
_PIECE = 1 << 18
_HEAD = 4096
_LOOK_SECONDS = 0.01
# With a linger of no seconds, a socket is closed by a reset (socket(7)): nothing of it stays.
_NO_LINGER = struct.pack("ii", 1, 0)


def exchange(port: int, requests: Sequence[bytes], seconds: float) -> list[bytes]:
    """Send each request on a connection of its own, all at once, and read until the server closes it.

    Returns how each answer begins; it is empty if none came in time.
    """

    async def one(request: bytes, heard: bytearray) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            while piece := await reader.read(_PIECE):
                heard += piece[: _HEAD - len(heard)]
        finally:
            writer.transport.abort()

    answers = [bytearray() for _ in requests]
    _run([one(request, answer) for request, answer in zip(requests, answers, strict=True)], seconds)
    return [bytes(answer) for answer in answers]


def hang_up(port: int, requests: Sequence[bytes], seconds: float) -> None:
    """Send each request on a connection of its own, all at once, and close each as soon as its last byte is sent."""

    async def one(request: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            writer.close()  # once everything has been sent
            await writer.wait_closed()
        finally:
            writer.transport.abort()

    _run([one(request) for request in requests], seconds)


def storm(port: int, request: bytes, connections: int, seconds: float) -> int:
    """Connect, send the request, leave when the answer begins, and start over, on that many connections at a time.

    Returns how many answers there were.
    """
    count = 0

    async def one() -> None:
        nonlocal count
        while True:
            with suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(request)
                    if await reader.read(_PIECE):
                        count += 1
                finally:
                    writer.transport.abort()

    _run([one() for _ in range(connections)], seconds)
    return count


@contextmanager
def held(port: int, requests: Sequence[bytes], *, small: bool = False) -> Iterator[list[socket.socket]]:
    """Send each request on a connection of its own and hold all of them without reading; in the end, reset them.

    `small`: the client's kernel buffers little of what comes.
    """
    sockets = list[socket.socket]()
    try:
        for request in requests:
            one = socket.socket()
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            if small:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            one.connect(("127.0.0.1", port))
            one.settimeout(0)
            with suppress(BlockingIOError):
                one.send(request)
        yield sockets
    finally:
        for one in sockets:
            one.close()


def answered(sockets: Sequence[socket.socket], seconds: float) -> int:
    """Wait for all connections to have an answer, but no longer than that; return how many have one."""
    end, waiting = time.monotonic() + seconds, list(sockets)
    while (waiting := [one for one in waiting if not _has_come(one)]) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    return len(sockets) - len(waiting)


def flood(sockets: Sequence[socket.socket], data: bytes, seconds: float) -> None:
    """Send the same over and over on all connections, and read what comes, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        readable, writable, _ = select.select(sockets, sockets, [], _LOOK_SECONDS)
        for one in readable:
            one.recv(_PIECE)
        for one in writable:
            with suppress(BlockingIOError):
                one.send(data)


def _has_come(one: socket.socket) -> bool:
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def _run(tasks: Sequence[Coroutine[None, None, None]], seconds: float) -> None:
    async def all_of_them() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(all_of_them())
