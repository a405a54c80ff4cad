"""The service as it really runs: a process of its own on a free port, and what is asked of it."""

from __future__ import annotations

import json
import os
import pty
import queue
import resource
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.conftest import API_SECRET, INGEST_SECRET, JWT_SIGNING_KEY
from tests.wire import Answer, connected, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INGEST = "/_ingest/fluentbit"
INGEST_TOKEN = f"Authorization: Token {INGEST_SECRET}"
READYZ = request("/readyz", method="GET")

LOGURT = Path(__file__).parents[1] / "logurt.py"
SETTINGS = {
    "API_SECRET": API_SECRET,
    "INGEST_SECRET": INGEST_SECRET,
    "JWT_SIGNING_KEY": JWT_SIGNING_KEY,
    "ADDRESS": "127.0.0.1",
    "PORT": "0",
    "DRAIN_SECONDS": "0",
}


def command(settings: dict[str, str], folder: Path) -> tuple[list[str], dict[str, str], Path]:
    """Return what starts the service with these settings and no others: arguments, environment, working folder."""
    return [sys.executable, str(LOGURT)], settings | {"PATH": os.environ["PATH"]}, folder


class Process:
    """A running service, its log, and what it takes of the machine.

    `before` is called in the child before the service starts; `terminal` makes its standard error one.
    """

    def __init__(
        self, folder: Path, before: Callable[[], None] | None = None, *, terminal: bool = False, **settings: str
    ) -> None:
        arguments, environment, cwd = command(SETTINGS | settings, folder)
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self._popen = subprocess.Popen(
            arguments,
            env=environment,
            cwd=cwd,
            stderr=theirs,
            preexec_fn=before,  # noqa: PLW1509 - no other thread is running in the child
        )
        os.close(theirs)
        self._stderr = os.fdopen(ours)
        self.log: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        self.port = int(self.logged("listening on").rsplit(":", 1)[1])

    def _read_log(self) -> None:
        with suppress(OSError):  # how a terminal ends
            for line in self._stderr:
                self.log.append(line.rstrip("\n"))
                self._lines.put(line)

    def logged(self, words: str) -> str:
        """Wait for a line of the log with these words, and return it."""
        while words not in (line := self._lines.get(timeout=10)):
            pass
        return line

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def ended(self, seconds: float = 10) -> int:
        """Wait for the end of the process; return its exit code."""
        code = self._popen.wait(seconds)
        self._drain.join()
        return code

    def is_running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._popen.poll() is None

    def mebibytes(self, field: str = "VmRSS") -> float:
        """Return the memory that is resident; with VmHWM the most that ever was."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """Return the processor time taken so far."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process if it has not ended yet."""
        self._popen.kill()
        self._popen.wait()
        self._drain.join()
        self._stderr.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start the service with further settings; all processes end with the test."""
    processes = list[Process]()

    def start(before: Callable[[], None] | None = None, *, terminal: bool = False, **settings: str) -> Process:
        processes.append(Process(tmp_path, before, terminal=terminal, **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test, and the service that it starts, open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def asked(process: Process, sent: bytes) -> Answer:
    async with connected(process.port) as wire:
        await wire.send(sent)
        return await wire.answer()


async def posted(process: Process, body: bytes, *fields: str) -> Answer:
    return await asked(process, request(INGEST, INGEST_TOKEN, *fields, body=body))


async def token(process: Process, namespace: str) -> str:
    body = json.dumps({"namespace": namespace}).encode()
    answer = await asked(process, request("/api/sign", f"Authorization: Token {API_SECRET}", body=body))
    signed: str = answer.json["token"]
    return signed


async def reader_of(process: Process, namespace: str = "myapp") -> WebSocketClientConnection:
    return await websocket_connect(
        f"ws://127.0.0.1:{process.port}/logs?tail=all&token={await token(process, namespace)}"
    )


async def gone(reader: WebSocketClientConnection) -> int | None:
    """Wait for the server to end the stream, before any line; return the close code."""
    assert await reader.read_message() is None
    reader.close()
    return reader.close_code


async def lines_of(process: Process, namespace: str) -> list[str]:
    query = f"token={await token(process, namespace)}&tail=all&follow=false"
    async with connected(process.port) as wire:
        await wire.send(f"GET /logs?{query} HTTP/1.0\r\n\r\n".encode())
        _, _, lines = (await wire.rest()).decode().partition("\r\n\r\n")
        return lines.split("\n")[:-1]
