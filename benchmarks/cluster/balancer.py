"""A balancer: passes each connection on to one of several ports that are ready, in turns."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOK_SECONDS = 0.2
_ANSWER_SECONDS = 1.0
_PIECE = 64 * 1024


class Balancer:
    """Listens on 127.0.0.1, and passes connections on to those of `ports` whose /readyz says yes.

    `port` is where it listens; 0 takes a free one, which is known once it has started.
    """

    def __init__(self, ports: Sequence[int], port: int = 0) -> None:
        self.port = port
        self._ports = ports
        self._ready: list[int] = []
        self._turn = count()
        self._looking: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Find out which ports are ready, and listen."""
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and cut all connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        answers = await asyncio.gather(*map(_is_ready, self._ports))
        self._ready = [port for port, ready in zip(self._ports, answers, strict=True) if ready]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            for port in self._candidates():
                with suppress(OSError):
                    there, back = await asyncio.open_connection("127.0.0.1", port)
                    await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
                    return
        finally:
            self._open.discard(writer)
            writer.close()

    def _candidates(self) -> list[int]:
        """Return the ports that are ready, another one first each time."""
        ready, turn = self._ready, next(self._turn)
        return [ready[(turn + step) % len(ready)] for step in range(len(ready))]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side sends until it closes; then close the other."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _is_ready(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line = await reader.readline()
            writer.close()
            return b" 200 " in line
    return False
