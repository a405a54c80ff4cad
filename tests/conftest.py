"""What all tests share: an event loop that shows leaks, a real server on a free port, and a watch over the log."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.platform.asyncio import AsyncIOLoop
from tornado.testing import bind_unused_port
from tornado.websocket import WebSocketClientConnection, websocket_connect

from fair_selector import new_event_loop
from server import BODY_SECONDS, Server
from settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

pytest_plugins = ["tests.process", "tests.buffer.jetstream.nats_server"]

API_SECRET = "an-api-secret-for-tests"
INGEST_SECRET = "an-ingest-secret-for-tests"
JWT_SIGNING_KEY = "a-signing-key-for-tests-of-32-bytes-or-more"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give `io_loop` to each async test that does not ask for it: it would run on a loop that nobody closes."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
        names = item.fixturenames  # shared by the cases of a parametrized test
        names.extend({"io_loop"}.difference(names))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a gzip body by its length: all processes must find the same names, and each writes its own time into it."""
    return f"gzip of {len(val)} bytes" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.fixture
def io_loop() -> Iterator[AsyncIOLoop]:
    """A new event loop, which must have no task left in the end."""
    asyncio_loop = new_event_loop()
    loop = AsyncIOLoop(asyncio_loop=asyncio_loop, make_current=False)
    yield loop

    async def leave() -> list[str]:
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        names = [repr(task) for task in left]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        return names

    left = loop.run_sync(leave)
    loop.close(all_fds=True)
    assert not left, f"tasks left running: {left}"


class Clock:
    """The time of a server under test: the real one, until a test moves it on. Timers of the event loop do not move."""

    def __init__(self) -> None:
        self.ahead = 0.0  # seconds

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time() + self.ahead

    def monotonic(self) -> float:
        """Return seconds."""
        return time.monotonic() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.ahead += seconds


class LiveServer:
    """A server that listens on a free port of 127.0.0.1, and a client that knows its secrets."""

    def __init__(self, server: Server, clock: Clock, port: int) -> None:
        self.server = server
        self.clock = clock
        self.services = server.services
        self.port = port
        self.http = AsyncHTTPClient(force_instance=True)

    def url(self, path: str, scheme: str = "http") -> str:
        """Return the address of a path."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        """Make a request, and return the answer whatever its status."""
        options.setdefault("request_timeout", 20)
        return await self.http.fetch(self.url(path), raise_error=False, **options)

    async def sign(self, namespace: str = "myapp", **members: Any) -> str:
        """Return a token."""
        response = await self.fetch(
            "/api/sign",
            method="POST",
            headers={"Authorization": f"Token {API_SECRET}"},
            body=json.dumps({"namespace": namespace, **members}),
        )
        assert response.code == 200, response.body
        token: str = json.loads(response.body)["token"]
        return token

    async def ingest(self, body: bytes, **headers: str) -> dict[str, int]:
        """Post a body as Fluent Bit does; return the counts of the answer. Header names take _ for -."""
        response = await self.fetch(
            "/_ingest/fluentbit",
            method="POST",
            headers={"Authorization": f"Token {INGEST_SECRET}"}
            | {name.replace("_", "-"): value for name, value in headers.items()},
            body=body,
        )
        assert response.code == 200, response.body
        counts: dict[str, int] = json.loads(response.body)
        return counts

    async def write(self, *lines: str, namespace: str = "myapp", pod: str = "web-0", **kubernetes: Any) -> None:
        """Have a pod write lines."""
        metadata = {"namespace_name": namespace, "pod_name": pod, "container_name": "app", **kubernetes}
        time = "2025-11-22T08:15:01.123457790Z"
        records = [{"time": time, "stream": "stdout", "log": line, "kubernetes": metadata} for line in lines]
        counts = await self.ingest(json.dumps(records).encode())
        assert counts == {"accepted": len(lines), "skipped": 0}

    async def read(self, token: str, query: str = "", **options: Any) -> WebSocketClientConnection:
        """Open a WebSocket; it must be closed before the test ends."""
        return await websocket_connect(self.url(f"/logs?token={token}&{query}".rstrip("&"), "ws"), **options)

    def close(self) -> None:
        """Close the client."""
        self.http.close()


@pytest.fixture
def options() -> dict[str, Any]:
    """Settings of `live` that one test has otherwise: it is parametrized with its own."""
    return {}


@pytest.fixture
def bodies_bytes() -> int | None:
    """Memory for the request bodies that arrive at `live` at the same time; None: as the server has it by itself."""
    return None


@pytest.fixture
def body_seconds() -> float:
    """How long a request body may take to arrive at `live`."""
    return BODY_SECONDS


@pytest.fixture
def send_buffer() -> int | None:
    """About how many bytes the kernel of `live` holds for a connection; None: as many as it likes."""
    return None


@pytest.fixture
def settings(options: dict[str, Any]) -> Settings:
    """The settings of `live`; override this fixture for others. Tests post the same body more than once."""
    given: dict[str, Any] = {"port": 0, "drain_seconds": 0, "duplicate_window_seconds": 0} | options
    return Settings(api_secret=API_SECRET, ingest_secret=INGEST_SECRET, jwt_signing_key=JWT_SIGNING_KEY, **given)


@pytest.fixture
def live(
    io_loop: IOLoop, settings: Settings, bodies_bytes: int | None, body_seconds: float, send_buffer: int | None
) -> Iterator[LiveServer]:
    """A running server."""

    async def start() -> LiveServer:
        listening, port = bind_unused_port(address="127.0.0.1")
        if send_buffer is not None:  # connections inherit it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        clock = Clock()
        server = Server(
            settings,
            now=clock.now,
            monotonic=clock.monotonic,
            bodies_bytes=bodies_bytes,
            body_seconds=body_seconds,
        )
        await server.start([listening])
        return LiveServer(server, clock, port)

    started = io_loop.run_sync(start)
    yield started
    started.close()
    io_loop.run_sync(started.server.stop)


@pytest.fixture(autouse=True)
def quiet_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which something is logged as a warning or worse, unless it is marked `logs`.

    That a body was refused, the answer has told the test already.
    """
    yield
    if request.node.get_closest_marker("logs") is None:
        unexpected = [
            record.getMessage()
            for when in ("setup", "call")
            for record in caplog.get_records(when)
            if record.levelno >= logging.WARNING and not record.getMessage().startswith("ingest refused")
        ]
        assert not unexpected, f"unexpected log lines: {unexpected}"
