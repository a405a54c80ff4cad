"""The server in a process of its own: how it starts, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server import AT_A_TERMINAL, StopBounds
from tests.handlers.test_ingest import batch
from tests.process import (
    INGEST,
    INGEST_TOKEN,
    READYZ,
    SETTINGS,
    asked,
    command,
    gone,
    lines_of,
    posted,
    reader_of,
    token,
)
from tests.wire import connected, head, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.websocket import WebSocketClientConnection

    from tests.process import Process


# Start


async def test_the_service_starts_and_serves(start: Callable[..., Process]) -> None:
    process = start()
    assert (await asked(process, READYZ)).json == {"status": "ready"}
    assert (await posted(process, batch("hello"))).json == {"accepted": 1, "skipped": 0}
    assert await lines_of(process, "myapp") == ["hello"]


def run(settings: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    arguments, environment, cwd = command(settings, folder)
    return subprocess.run(arguments, env=environment, cwd=cwd, capture_output=True, text=True, timeout=10, check=False)


def test_bad_settings_end_the_start_with_one_line_that_names_them_all(tmp_path: Path) -> None:
    bad = {"JWT_SIGNING_KEY": "hush", "PORT": "hush-1", "LOG_LEVEL": "hush-2", "ALLOWED_ORIGINS": "hush-3"}
    ended = run(bad, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("logurt: bad settings: API_SECRET is missing; ")
    assert all(name in ended.stderr for name in bad)
    assert "hush" not in ended.stderr


def test_a_port_in_use_ends_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(SETTINGS | {"PORT": str(port)}, tmp_path)
    expected = f"logurt: cannot listen on port {port}: Address already in use\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", expected)


async def test_a_stopped_service_starts_again_on_its_port(start: Callable[..., Process]) -> None:
    first = start()
    reader = await reader_of(first)
    first.signal()
    await gone(reader)
    assert await asyncio.to_thread(first.ended) == 0
    second = start(PORT=str(first.port))
    assert (await asked(second, READYZ)).status == 200


# A signal amid the start


def caught_signals(pid: int) -> int:
    """Return the signals that a process handles, as a mask."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("SigCgt:")[1].split()[0], 16)


@pytest.mark.parametrize("wrapper", [[], ["unshare", "--fork", "--pid", "--kill-child"]], ids=["", "process 1"])
def test_sigterm_amid_the_imports_ends_the_process_at_once(tmp_path: Path, wrapper: list[str]) -> None:
    if wrapper and subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
        pytest.skip("not allowed to make a process 1")
    arguments, environment, cwd = command(SETTINGS, tmp_path)
    with subprocess.Popen([*wrapper, *arguments], env=environment, cwd=cwd, stderr=subprocess.PIPE) as started:
        pid = started.pid
        try:
            while wrapper and pid == started.pid:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                pid = int(children[0]) if children else pid
            while not caught_signals(pid) & 1 << signal.SIGTERM - 1:
                pass
            assert "msgspec" not in Path(f"/proc/{pid}/maps").read_text(), "the imports are over"
            os.kill(pid, signal.SIGTERM)
            _, said = started.communicate(timeout=2)
        finally:
            started.kill()
    assert (started.returncode, said) == (128 + signal.SIGTERM, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_that_listens_stops_in_order_at_once(
    start: Callable[..., Process], number: signal.Signals
) -> None:
    for _ in range(3):
        process = start()
        process.signal(number)
        assert await asyncio.to_thread(process.ended, 5) == 0
        assert process.log[-1].endswith("stopped")


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_readers_are_sent_away_one_by_one(start: Callable[..., Process], number: signal.Signals) -> None:
    process = start(DRAIN_SECONDS="1")
    clock = asyncio.get_running_loop().time
    readers = [await reader_of(process) for _ in range(5)]

    async def end(reader: WebSocketClientConnection) -> tuple[int | None, float]:
        return await gone(reader), clock()

    started = clock()
    process.signal(number)
    ends = await asyncio.gather(*map(end, readers))
    code = await asyncio.to_thread(process.ended)
    assert (code, [code for code, _ in ends]) == (0, [1001] * 5)
    times = sorted(time - started for _, time in ends)
    # Each a fifth of a second after the one before it.
    assert all(later - earlier > 0.1 for earlier, later in pairwise(times))
    assert clock() - started < 3


async def test_readiness_fails_before_the_last_reader_is_sent_away(start: Callable[..., Process]) -> None:
    process = start(DRAIN_SECONDS="1")
    readers = [await reader_of(process) for _ in range(3)]
    process.signal()
    await asyncio.to_thread(process.logged, "stopping; readers: 3")
    assert (await asked(process, READYZ)).status == 503
    assert (await asked(process, request("/healthz", method="GET"))).status == 200
    assert readers[-1].close_code is None
    assert [await gone(reader) for reader in readers] == [1001] * 3
    assert await asyncio.to_thread(process.ended) == 0


async def test_ingest_is_refused_from_the_signal_on_and_idle_connections_are_closed(
    start: Callable[..., Process],
) -> None:
    process = start(DRAIN_SECONDS="1")
    readers = [await reader_of(process) for _ in range(2)]
    async with connected(process.port) as amid, connected(process.port) as idle:
        await idle.send(request(INGEST, INGEST_TOKEN, body=b"[]"))
        assert (await idle.answer()).status == 200
        body = batch("amid")
        await amid.send(head(INGEST, INGEST_TOKEN, "Expect: 100-continue", f"Content-Length: {len(body)}"), body[:20])
        assert (await amid.answer()).status == 100
        process.signal()
        await asyncio.to_thread(process.logged, "stopping; readers: 2")
        assert await idle.rest() == b""
        refused = await posted(process, batch("new"))
        assert (refused.status, refused.json) == (503, {"error": "the server is stopping"})
        await amid.send(body[20:])
        answer = await amid.answer()
        assert (answer.status, answer.headers["connection"], await amid.rest()) == (503, "close", b"")
    # None of the lines has been given to a reader.
    assert [await gone(reader) for reader in readers] == [1001] * 2
    assert await asyncio.to_thread(process.ended) == 0
    assert process.log[-1].endswith("stopped")


async def test_what_was_acknowledged_before_the_signal_gets_to_the_readers(start: Callable[..., Process]) -> None:
    process = start(FLUSH_INTERVAL_MS="1000")
    reader = await reader_of(process)
    for text in ("first", "second"):  # the second one would wait for a second
        assert (await posted(process, batch(text))).status == 200
    process.signal()
    assert [await reader.read_message() for _ in range(2)] == ["first", "second"]
    assert await gone(reader) == 1001
    assert await asyncio.to_thread(process.ended) == 0


async def test_the_log_says_how_long_a_stop_may_take(start: Callable[..., Process]) -> None:
    process = start(DRAIN_SECONDS="3")
    process.signal()
    assert "SIGTERM: stopping within 17 seconds" in await asyncio.to_thread(process.logged, "SIGTERM")
    assert 16 < StopBounds(flush=0.02, drain=3).total < 17
    assert await asyncio.to_thread(process.ended, 2) == 0


async def test_ctrl_c_at_a_terminal_takes_less_than_a_second_whatever_is_connected(
    start: Callable[..., Process],
) -> None:
    process = start(terminal=True, DRAIN_SECONDS="600")
    reader = await reader_of(process)
    async with connected(process.port) as silent, connected(process.port) as amid:
        await silent.send(request(f"/logs?token={await token(process, 'myapp')}", method="GET"))
        await amid.send(head(INGEST, INGEST_TOKEN, "Content-Length: 100"), b"[")
        started = asyncio.get_running_loop().time()
        process.signal(signal.SIGINT)
        assert await asyncio.to_thread(process.ended, 5) == 0
        assert asyncio.get_running_loop().time() - started < 1.5
    assert await gone(reader) == 1001
    assert AT_A_TERMINAL.total < 1


async def test_sigterm_drains_at_a_terminal_too(start: Callable[..., Process]) -> None:
    process = start(terminal=True, DRAIN_SECONDS="1")
    readers = [await reader_of(process) for _ in range(2)]
    started = asyncio.get_running_loop().time()
    process.signal()
    assert [await gone(reader) for reader in readers] == [1001] * 2
    assert asyncio.get_running_loop().time() - started > 0.4
    assert await asyncio.to_thread(process.ended) == 0


async def test_a_second_signal_ends_it_at_once(start: Callable[..., Process]) -> None:
    process = start(DRAIN_SECONDS="600")
    first, second = [await reader_of(process) for _ in range(2)]
    process.signal()
    assert await gone(first) == 1001
    process.signal()
    assert await asyncio.to_thread(process.ended, 2) == 128 + signal.SIGTERM
    assert await gone(second) is None
