"""The whole service in a process of its own: what it logs, and what hostile clients cost it."""

from __future__ import annotations

import asyncio
import json
import random
import resource
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

import logurt
from tests.handlers.test_ingest import BOMBS, CAPTURES, batch, captured, record
from tests.process import INGEST, INGEST_TOKEN, lines_of, posted
from tests.wire import Wire, connected, head, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.process import Process

pytestmark = pytest.mark.usefixtures("many_files")


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


# Hostile input

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
        head(INGEST, "Authorization: Token hush", "Content-Length: 9", "Transfer-Encoding: hush") + b"x",
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
                await wire.send(b"POST " + INGEST.encode() + b" HTTP/1.1\r\nHost: logurt\r\nX: " + b"x" * 1000)
            assert (await posted(process, batch("hello"))).status == 200
            for _ in range(20):
                assert (await posted(process, batch("hello"))).status == 200


async def test_hundreds_of_slow_bodies_cost_what_they_have_sent(start: Callable[..., Process]) -> None:
    process = start()
    with memory_bounded(process, 80):
        async with AsyncExitStack() as stack:
            for number in range(200):
                wire = await stack.enter_async_context(connected(process.port))
                field = INGEST_TOKEN if number % 2 else "Authorization: Token wrong"
                await wire.send(head(INGEST, field, f"Content-Length: {1 << 30}"), b"[" * 100_000)
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
        await wire.send(request(INGEST, INGEST_TOKEN, *fields, body=mutated(body, chance)))
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
                await wire.send(request(INGEST, INGEST_TOKEN, body=json.dumps(records).encode()))
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
                await wire.send(request(INGEST, INGEST_TOKEN, body=body))
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
