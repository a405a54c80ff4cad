"""What stands around a client in tests: who watches what it shows, a proxy that cuts, a server that says anything."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import trustme
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from cli.address import Address
from cli.credential import GivenToken
from cli.stream import Pauses, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence

    from cli.credential import Credential
    from cli.message import Message
    from tests.conftest import LiveServer

Answer: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]"

COMMAND = Path(__file__).parents[2] / "logurt.py"


class Watcher:
    """Notes what a client shows and tells, and waits for it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.told: list[str] = []
        self.changed = asyncio.Event()

    @property
    def lines(self) -> list[str]:
        return [message.log for message in self.messages if message.type == "line"]

    def show(self, _text: str, messages: Sequence[Message], /) -> None:
        self.messages += messages
        self.changed.set()

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)
        self.changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    async def until_live(self, times: int = 1) -> None:
        await self.until(lambda: [message.type for message in self.messages].count("live") >= times)


class NoPauses(Pauses):
    """Pauses that take no time; `taken` is called before each, with how many there were since the last reset."""

    def __init__(self, taken: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._taken = taken
        self._count = 0

    def reset(self) -> None:
        self._count = 0

    def take(self) -> float:
        self._count += 1
        self._taken(self._count)
        return 0


async def follow(
    url: str,
    credential: Credential | str,
    watcher: Watcher,
    pauses: Pauses | None = None,
    report_seconds: float = 60,
    **query: str,
) -> None:
    """Run a stream to its end."""
    following = Stream(
        Address.parse(url),
        GivenToken(credential) if isinstance(credential, str) else credential,
        {name: [value] for name, value in query.items()},
        tell=watcher.tell,
        pauses=pauses or NoPauses(),
        report_seconds=report_seconds,
    )
    await following.run(watcher.show)


@contextlib.asynccontextmanager
async def running(following: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(following)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Cutter:
    """A proxy that resets each connection after so many bytes to the client; 0 lets all through."""

    def __init__(self, port: int, budgets: Iterator[int]) -> None:
        self._port = port
        self._budgets = budgets
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        budget = next(self._budgets)
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        upward = asyncio.create_task(_pump(reader, upstream_writer, 0))
        try:
            await _pump(upstream_reader, writer, budget)
        finally:
            upward.cancel()
            for end in (writer, upstream_writer):
                end.transport.abort()
            await asyncio.gather(upward, return_exceptions=True)


class Gate:
    """A proxy that can be shut: then all connections are cut, and new ones come to nothing."""

    def __init__(self, port: int) -> None:
        self._relay = Cutter(port, itertools.repeat(0))
        self._is_open = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer)) if self._is_open else None
        if task is None:
            return
        self._tasks.add(task)
        await asyncio.gather(task, return_exceptions=True)
        self._tasks.discard(task)

    def shut(self) -> None:
        self._is_open = False
        for task in self._tasks:
            task.cancel()

    def open(self) -> None:
        self._is_open = True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(budget or 65536):
            writer.write(data)
            await writer.drain()
            if budget and (budget := budget - len(data)) <= 0:
                return


@contextlib.asynccontextmanager
async def serving(
    answer: Answer,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Listen on a free port, and give the URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    # A task of our own, for asyncio would log it if one of its own were cancelled.
    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.is_serving():
            tasks.add(asyncio.create_task(serve(reader, writer)))
        else:  # its TLS handshake has taken until now
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def untrusted() -> ssl.SSLContext:
    """Return TLS for a server whose certificate nobody trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def answering(status: str, body: bytes = b"", *fields: str) -> bytes:
    """Return an HTTP answer with a body of known length."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def saying(response: bytes, note: Callable[[bytes], None] = lambda _: None) -> Answer:
    """Return a server that answers each request with these bytes, and whose requests are noted."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        note(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response)
        await writer.drain()

    return answer


def routed(answers: Mapping[str, bytes], otherwise: bytes) -> Answer:
    """Return a server that answers each path with its bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        writer.write(answers.get(target.partition("?")[0], otherwise))
        await writer.drain()

    return answer


def changing(port: int, before: bytes, after: bytes) -> Answer:
    """Return a proxy that changes a part of each request on its way."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            upstream_writer.write(request.replace(before, after))
            await _pump(upstream_reader, writer, 0)
        finally:
            upstream_writer.transport.abort()

    return answer


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Answer nothing for as long as the client stays."""
    await reader.read()


class Visit(NamedTuple):
    """What a scripted server does with one connection: it sends texts, then closes with a code; 0 leaves it open."""

    texts: tuple[str, ...] = ()
    code: int = 0
    reason: str = ""


class Script:
    """A WebSocket server that follows a script; `asked` has the query of each connection."""

    def __init__(self, visits: Sequence[Visit]) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self._visits = iter(visits)

    def next(self, arguments: dict[str, list[bytes]]) -> Visit:
        self.asked.append({name: [value.decode() for value in values] for name, values in arguments.items()})
        return next(self._visits)


class _ScriptHandler(WebSocketHandler):
    def initialize(self, script: Script) -> None:
        self._script = script

    async def open(self) -> None:
        visit = self._script.next(self.request.query_arguments)
        for text in visit.texts:
            await self.write_message(text)
        if visit.code:
            self.close(visit.code, visit.reason)


@contextlib.asynccontextmanager
async def scripted(*visits: Visit) -> AsyncIterator[tuple[str, Script]]:
    """Serve a script on a free port, and give the URL and the script."""
    script = Script(visits)
    server = HTTPServer(Application([("/logs", _ScriptHandler, {"script": script})], log_function=lambda _: None))
    listening, port = bind_unused_port(address="127.0.0.1")
    server.add_sockets([listening])
    try:
        yield f"http://127.0.0.1:{port}", script
    finally:
        server.stop()
        await server.close_all_connections()


async def command(
    live: LiveServer | None,
    *arguments: str,
    cwd: Path,
    token: str = "",
    stdout: int = asyncio.subprocess.PIPE,
    **variables: str,
) -> asyncio.subprocess.Process:
    """Start the command as a process, knowing the server and a token."""
    known = {"PATH": os.environ["PATH"], "LOGURT_URL": live.url("") if live else "", "LOGURT_TOKEN": token, **variables}
    return await asyncio.create_subprocess_exec(
        sys.executable, COMMAND, *arguments, cwd=cwd, env=known, stdout=stdout, stderr=asyncio.subprocess.PIPE
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Wait for a process; return its exit code, and what it wrote to both outputs."""
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode, (out or b"").decode(), err.decode()
