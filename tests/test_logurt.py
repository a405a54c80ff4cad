"""The whole service in a process of its own: how it starts and stops, and what hostile clients cost it."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import socket
import subprocess
from contextlib import AsyncExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

import logurt
from tests.conftest import API_SECRET, INGEST_SECRET
from tests.handlers.test_ingest import BOMBS, CAPTURES, batch, captured, record
from tests.process import SETTINGS, Process, command
from tests.wire import Answer, Wire, connected, head, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATH = "/_ingest/fluentbit"
TOKEN = f"Authorization: Token {INGEST_SECRET}"
READYZ = request("/readyz", method="GET")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start the service with further settings; all processes end with the test."""
    processes = list[Process]()

    def start(before: Callable[[], None] | None = None, **settings: str) -> Process:
        processes.append(Process(tmp_path, before, **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def asked(process: Process, sent: bytes) -> Answer:
    async with connected(process.port) as wire:
        await wire.send(sent)
        return await wire.answer()


async def posted(process: Process, body: bytes, *fields: str) -> Answer:
    return await asked(process, request(PATH, TOKEN, *fields, body=body))


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


# The command line


@pytest.mark.parametrize("command", ["serve", "tail", "sign", "demo"])
def test_an_unknown_option_comes_with_the_usage_of_its_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        logurt.main([command, "--bogus"])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"usage: logurt.py {command} [-h]")
    assert shown.endswith(f"logurt.py {command}: error: unrecognized arguments: --bogus\n")


def test_an_unknown_command_comes_with_the_usage_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        logurt.main(["tial"])
    assert capsys.readouterr().err.startswith("usage: logurt.py [-h] [--version] COMMAND ...\n")


@pytest.mark.parametrize("given", [(), ("serve",), ("tail",), ("sign",), ("demo",)])
def test_every_help_has_examples_and_lines_that_fit(given: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        logurt.main([*given, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "\nexamples:\n  python logurt.py" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        logurt.main(["--version"])
    assert capsys.readouterr().out == f"logurt {logurt.__version__}\n"


@pytest.mark.parametrize("command", ["serve", "tail", "sign", "demo"])
def test_a_bad_file_of_settings_ends_every_command_with_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_bytes(b"API_SECRET=hush\xff")
    monkeypatch.chdir(tmp_path)
    assert logurt.main([command]) == 2
    assert capsys.readouterr() == ("", "logurt: .env must be UTF-8 text\n")


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
    assert first.ended() == 0
    await gone(reader)
    second = start(PORT=str(first.port))
    assert (await asked(second, READYZ)).status == 200


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


async def test_a_request_under_way_is_answered_before_the_end(start: Callable[..., Process]) -> None:
    process = start()
    body = batch("hello")
    async with connected(process.port) as wire, connected(process.port) as idle:
        await idle.send(READYZ)
        await idle.answer()
        await wire.send(head(PATH, TOKEN, "Expect: 100-continue", f"Content-Length: {len(body)}"), body[:20])
        assert (await wire.answer()).status == 100
        process.signal()
        await asyncio.to_thread(process.logged, "stopping;")
        await wire.send(body[20:])
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await idle.rest() == b""
    assert await asyncio.to_thread(process.ended) == 0
    assert process.log[-1].endswith("stopped")


async def test_a_second_signal_ends_it_at_once(start: Callable[..., Process]) -> None:
    process = start(DRAIN_SECONDS="600")
    readers = [await reader_of(process) for _ in range(2)]
    process.signal()
    await asyncio.to_thread(process.logged, "stopping;")
    process.signal()
    assert await asyncio.to_thread(process.ended, 2) == 128 + signal.SIGTERM
    # The first one was sent away, the other one just lost its connection.
    assert {await gone(reader) for reader in readers} == {1001, None}


# The log


async def test_a_malformed_request_leaves_no_credential_in_the_log(start: Callable[..., Process]) -> None:
    process = start(LOG_LEVEL="debug")
    hostile = [
        head("/logs?token=hush", "Authorization: Bearer hush\x01"),
        head("/logs?token=hush", "hush: x", "bad header"),
        head("/logs?token=hush", "h ush: hush"),
        head("/logs?token=hush", "Content-Length: hush"),
        head("/logs?" + "token=hush&" * 2000),
        b"GET /logs?token=hush HTTP/9.9\r\n\r\n",
        head(PATH, "Authorization: Token hush", "Content-Length: 9", "Transfer-Encoding: hush") + b"x",
    ]
    for sent in hostile:
        async with connected(process.port) as wire:
            await wire.send(sent)
            assert await wire.rest() in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"")
    process.signal()
    assert await asyncio.to_thread(process.ended) == 0
    assert "hush" not in "\n".join(process.log)


# Hostile clients


@contextmanager
def memory_bounded(process: Process, mebibytes: float) -> Iterator[None]:
    """Fail if more memory than that is taken beyond what is taken now, at any time."""
    before = process.mebibytes()
    yield
    most = process.mebibytes("VmHWM")
    print(f"before {before:.0f} MiB, at most {most:.0f} MiB, now {process.mebibytes():.0f} MiB")  # noqa: T201 - see -rP
    assert most - before < mebibytes
    assert process.is_running()


async def test_thousands_of_half_heads_cost_little(start: Callable[..., Process]) -> None:
    process = start()
    with memory_bounded(process, 60):
        async with AsyncExitStack() as stack:
            for _ in range(2000):
                wire = await stack.enter_async_context(connected(process.port))
                await wire.send(b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: logurt\r\nX: " + b"x" * 1000)
            assert (await posted(process, batch("hello"))).status == 200
            for _ in range(20):
                assert (await posted(process, batch("hello"))).status == 200


async def test_hundreds_of_slow_bodies_cost_what_they_have_sent(start: Callable[..., Process]) -> None:
    process = start()
    with memory_bounded(process, 80):
        async with AsyncExitStack() as stack:
            for number in range(200):
                wire = await stack.enter_async_context(connected(process.port))
                field = TOKEN if number % 2 else "Authorization: Token wrong"
                await wire.send(head(PATH, field, f"Content-Length: {1 << 30}"), b"[" * 100_000)
            assert (await posted(process, batch("hello"))).status == 200


async def test_bombs_cost_no_more_than_a_body_may(start: Callable[..., Process]) -> None:
    process = start(MAX_BODY_MIB="1")
    await posted(process, batch("hello"))
    with memory_bounded(process, 8):
        for encoding, bomb in BOMBS.items():
            for _ in range(5):
                assert (await posted(process, bomb, f"Content-Encoding: {encoding}")).status == 413
    assert (await posted(process, batch("hello"))).status == 200


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Return the body with some bytes changed, cut out, doubled, or put in from elsewhere."""
    damaged = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        place, length = chance.randrange(len(damaged) + 1), chance.randint(0, 40)
        piece = bytes(damaged[place : place + length])
        damaged[place : place + length] = chance.choice(
            [b"", piece * 2, chance.randbytes(length), b"[" * length, b'"', b"\\", b"{", b"}", b"\xff", piece[::-1]]
        )
    return bytes(damaged[: chance.choice([None, None, None, len(damaged) // 2])])


def small_captures() -> list[tuple[bytes, list[str]]]:
    """Return the captures, of the JSON ones some records each."""
    every = [captured(path.stem) for path in sorted(CAPTURES.glob("*.body"))]
    arrays = [json.loads(body) for body, fields in every if body.startswith(b"[{") and "gzip" not in str(fields)]
    slices = [
        (json.dumps(array[start : start + 3]).encode(), [f"Fluent-Tag: {start}"])
        for array in arrays
        for start in (0, 20)
    ]
    return slices * 4 + [one for one in every if len(one[0]) < 30_000]


async def send_mutated(wire: Wire, count: int, seed: int) -> set[int]:
    """Send so many mutated bodies on one connection; return the statuses of the answers."""
    chance, captures, statuses = random.Random(seed), small_captures(), set[int]()
    for _ in range(count):
        body, fields = chance.choice(captures)
        await wire.send(request(PATH, TOKEN, *fields, body=mutated(body, chance)))
        statuses.add((await wire.answer()).status)
    return statuses


async def test_mutated_bodies_are_answered_and_a_good_one_among_them_is_stored(start: Callable[..., Process]) -> None:
    process = start(MAX_BODY_MIB="4", BUFFER_TOTAL_MIB="8", BUFFER_NAMESPACE_MIB="4")
    with memory_bounded(process, 60):
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(process.port)) for _ in range(4)]
            sending = asyncio.gather(*[send_mutated(wire, 500, seed) for seed, wire in enumerate(wires)])
            good = json.dumps([record("hello", "good")]).encode()
            assert (await posted(process, good)).json == {"accepted": 1, "skipped": 0}
            statuses = set[int]().union(*await sending)
    assert statuses == {200, 400}
    assert await lines_of(process, "good") == ["hello"]
    assert len(process.log) < 20


async def test_any_number_of_namespaces_stays_near_the_bound(start: Callable[..., Process]) -> None:
    process = start(BUFFER_TOTAL_MIB="4", BUFFER_NAMESPACE_MIB="1")
    await posted(process, batch("hello"))
    with memory_bounded(process, 20):
        async with connected(process.port) as wire:
            for start_at in range(0, 20_000, 1000):
                records = [
                    record(f"line {number:05}", f"ns-{number:05}") for number in range(start_at, start_at + 1000)
                ]
                await wire.send(request(PATH, TOKEN, body=json.dumps(records).encode()))
                assert (await wire.answer()).json == {"accepted": 1000, "skipped": 0}
    for number in (19_500, 19_999):
        assert await lines_of(process, f"ns-{number:05}") == [f"line {number:05}"]


async def test_huge_labels_stay_near_the_bound(start: Callable[..., Process]) -> None:
    process = start(BUFFER_TOTAL_MIB="4", BUFFER_NAMESPACE_MIB="4")
    await posted(process, batch("hello"))
    with memory_bounded(process, 24):
        async with connected(process.port) as wire:
            for number in range(300):
                labels = {f"key-{number:03}-{one}": "v" * 1000 for one in range(100)}
                body = json.dumps([record(f"line {number:03}", pod=f"pod-{number:03}", labels=labels)]).encode()
                await wire.send(request(PATH, TOKEN, body=body))
                assert (await wire.answer()).json == {"accepted": 1, "skipped": 0}
    assert (await lines_of(process, "myapp"))[-1] == "line 299"


async def test_running_out_of_file_descriptors_neither_spins_nor_floods_the_log(
    start: Callable[..., Process],
) -> None:
    process = start(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    before = process.cpu_seconds()
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(process.port)) for _ in range(100)]
        await asyncio.to_thread(process.logged, "too many open files")
        # The last ones are closed at once, not left to wait.
        assert await wires[-1].rest() == b""
        assert len(process.log) == 2
        assert process.cpu_seconds() - before < 0.5
    assert (await posted(process, batch("hello"))).status == 200
