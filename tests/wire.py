"""A bare HTTP connection: what is sent, byte by byte, is up to the test."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Answer(NamedTuple):
    """An answer as it came; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    size: int

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def head(target: str, *fields: str, method: str = "POST") -> bytes:
    """Return the head of a request."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: logurt", *fields, "", ""]).encode("latin-1")


def request(target: str, *fields: str, method: str = "POST", body: bytes = b"") -> bytes:
    """Return a request with a body of known length."""
    return head(target, *fields, f"Content-Length: {len(body)}", method=method) + body


class Wire:
    """A connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a turn of the event loop of its own."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    def send_at_once(self, data: bytes) -> None:
        """Send without giving the event loop a turn."""
        self._writer.write(data)

    async def answer(self, *, has_body: bool = True) -> Answer:
        """Wait for the next answer."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:-2])}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)) if has_body else 0)
        return Answer(int(lines[0].split()[1]), headers, body, len("\r\n".join(lines)) + len(body))

    async def is_silent(self, seconds: float = 0.05) -> bool:
        """Tell whether nothing comes for so long."""
        try:
            await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return True
        return False

    async def rest(self) -> bytes:
        """Return all that comes until the server closes the connection."""
        return await self._reader.read()

    def vanish(self) -> None:
        """Close the connection, whatever is under way."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """Connect to a port of 127.0.0.1, and close the connection in the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wire = Wire(reader, writer)
    try:
        yield wire
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
