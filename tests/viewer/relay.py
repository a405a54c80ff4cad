"""A proxy between a browser and the service that misbehaves when it is told to, and keeps what came through."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HEAD = re.compile(rb"^(?:GET|POST|OPTIONS) [^\r\n]* HTTP/1\.1\r\n.*?\r\n\r\n", re.DOTALL | re.MULTILINE)
_SIZE = 65_536


def answer(status: str, sentence: str) -> bytes:
    """Return an answer in JSON, as it goes over the wire."""
    body = f'{{"error":"{sentence}"}}'.encode()
    fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + body


class Relay:
    """Passes on what comes to `port`; the service behind it is at `behind`, which may change."""

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.port = 0
        self.heads: list[str] = []  # of all requests
        self.refusal = b""  # what it answers to requests for lines; empty: it passes them on
        self.is_stalled = False
        self.prefix = b""  # the path in front of all paths, such as b"/logs", which it takes off
        self._writers = set[asyncio.StreamWriter]()

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on until either end closes it."""
        self._writers.add(writer)
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.behind)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(upstream[1])
        await asyncio.gather(self._pass(reader, upstream[1], writer), self._pass(upstream[0], writer))
        self._writers -= {writer, upstream[1]}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter | None = None
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_SIZE):
                heads = [head.decode("latin-1") for head in _HEAD.findall(data)] if back is not None else []
                self.heads += heads
                if back is not None and self.refusal and any(" /logs" in head for head in heads):
                    back.write(self.refusal)
                    back.close()
                    break
                if self.prefix and heads:
                    data = data.replace(b" " + self.prefix, b" ", 1)
                if not self.is_stalled:
                    writer.write(data)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def relay(behind: int) -> AsyncIterator[Relay]:
    """Run a relay for the service at a port."""
    one = Relay(behind)
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await one.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.cut()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
