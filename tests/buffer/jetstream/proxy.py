"""A proxy in front of a nats-server, which can hold everything up, and drop or reorder what is heard live."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# What a server sends: messages with headers, messages without, and single lines.
_MESSAGE = re.compile(rb"(H?)MSG (\S+) [^\r]*?(\d+)\r\n")


class Proxy:
    """Passes connections on to a port. `passes(subject)` says whether a message of it goes through to a client.

    Between servers it is `raw`, and only passes on or holds up.
    """

    def __init__(self, port: int, *, raw: bool = False) -> None:
        self._raw = raw
        self.url = ""
        self.passes: Callable[[str], bool] = lambda _: True
        self.swapping = ""  # messages whose subject begins with this change places in pairs
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: bytes | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def hold(self) -> None:
        """Pass on nothing until it is let go."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.let_go()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        except OSError:
            writer.close()
            return
        both = {writer, there_writer}
        self._writers |= both
        tasks = {
            asyncio.create_task(self._pass_up(reader, there_writer)),
            asyncio.create_task((self._pass_up if self._raw else self._pass_down)(there_reader, writer)),
        }
        self._tasks |= tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.transport.abort()
        await asyncio.wait(tasks)
        self._writers -= both
        self._tasks -= tasks

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await self._frame(reader):
                await self._open.wait()
                for part in self._parts(frame):
                    writer.write(part)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        line = await reader.readline()
        match = _MESSAGE.fullmatch(line)
        return line if match is None else line + await reader.readexactly(int(match[3]) + 2)

    def _parts(self, frame: bytes) -> list[bytes]:
        match = _MESSAGE.match(frame)
        subject = "" if match is None else match[2].decode()
        if subject and not self.passes(subject):
            return []
        if not subject or not self.swapping or not subject.startswith(self.swapping):
            return [frame]
        if self._kept is None:
            self._kept = frame
            return []
        kept, self._kept = self._kept, None
        return [frame, kept]
