from __future__ import annotations

import argparse
import asyncio
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient

from cli import demo
from cli.address import Address
from cli.demo import ServerEnded
from cli.errors import Unreachable
from tests.cli.bystanders import command, outcome, saying, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINK = re.compile(r"curl -N '(http://127\.0\.0\.1:\d+/logs\S+)'")


def _is_listening(port: int | None) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port or 0)) == 0


async def _started(cwd: Path) -> tuple[asyncio.subprocess.Process, str]:
    """Start a demo, and return it with the link that it tells, once it has shown a line."""
    process = await command(None, "demo", cwd=cwd)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(20):
        said = [(await process.stderr.readline()).decode() for _ in range(3)]
        assert await process.stdout.readline()
    match = _LINK.search(said[1])
    assert match is not None
    return process, match[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -15), (signal.SIGHUP, -1)])
async def test_a_signal_ends_the_demo_and_leaves_no_server(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process, link = await _started(tmp_path)
    process.send_signal(number)
    returned, _, err = await outcome(process)
    assert (returned, err) == (code, "")
    assert not _is_listening(urlsplit(link).port)


async def test_the_link_of_the_demo_can_be_read_meanwhile(tmp_path: Path) -> None:
    process, link = await _started(tmp_path)
    client = AsyncHTTPClient(force_instance=True)
    response = await client.fetch(f"{link}&follow=false")
    client.close()
    process.send_signal(signal.SIGINT)
    await outcome(process)
    assert re.match(rb"[a-z0-9-]+/[a-z]+ .", response.body)


async def test_a_demo_ends_after_its_seconds(tmp_path: Path) -> None:
    returned, _, err = await outcome(await command(None, "demo", "--seconds", "0.1", cwd=tmp_path))
    assert (returned, err.count("\n")) == (0, 3)


async def test_a_port_that_is_taken_ends_the_demo(tmp_path: Path) -> None:
    async with serving(saying(b"")) as url:
        port = str(urlsplit(url).port)
        returned, out, err = await outcome(await command(None, "demo", cwd=tmp_path, PORT=port))
    assert (returned, out) == (1, "")
    assert err.startswith(f"logurt: the demo's server has ended: logurt: cannot listen on port {port}")


async def test_a_server_that_dies_ends_the_demo() -> None:
    async with demo._server({"API_SECRET": "s", "JWT_SIGNING_KEY": "k" * 32}) as (process, _):
        process.kill()
        with pytest.raises(ServerEnded, match="the demo's server has ended"):
            await demo._watch(process)


async def test_what_the_server_complains_of_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys; sys.stderr.write('1 INFO all is well\\n2 ERROR it is not\\n')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE)
    with pytest.raises(ServerEnded, match="2 ERROR it is not"):
        await demo._watch(process)
    assert capsys.readouterr().err == "2 ERROR it is not\n"


async def test_a_server_that_does_not_stop_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_STOP_SECONDS", 0)
    pipe = asyncio.subprocess.PIPE
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=pipe)
    assert process.stdout is not None
    await process.stdout.readline()
    await demo._stop(process)
    assert process.returncode == -signal.SIGKILL


async def test_feeding_nobody_is_a_failure() -> None:
    async with serving(saying(b"")) as url:
        with pytest.raises(Unreachable):
            await demo._feed(Address.parse(url), "secret")


@pytest.fixture
def _signal_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def _run_and_signal(monkeypatch: pytest.MonkeyPatch, *numbers: signal.Signals) -> tuple[int, list[int]]:
    """Run a demo in this process that gets signals and takes a moment to clean up."""
    died: list[int] = []

    async def interrupted(_options: argparse.Namespace) -> None:
        for number in numbers:
            signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)

    monkeypatch.setattr(demo, "die_of", died.append)
    monkeypatch.setattr(demo, "_demo", interrupted)
    return demo.run(argparse.Namespace()), died


@pytest.mark.usefixtures("_signal_handlers")
def test_an_interruption_is_how_a_demo_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run_and_signal(monkeypatch, signal.SIGINT, signal.SIGTERM) == (0, [])


@pytest.mark.usefixtures("_signal_handlers")
def test_a_demo_that_is_told_to_end_dies_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run_and_signal(monkeypatch, signal.SIGTERM) == (0, [signal.SIGTERM])


@pytest.mark.usefixtures("_signal_handlers")
def test_a_demo_in_this_process_shows_lines(capfd: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(seconds=0.5, output="text", timestamps=False, prefix=True, color="never")
    assert demo.run(options) == 0
    shown = capfd.readouterr()
    assert "/" in shown.out
    assert "as `python logurt.py tail demo` would show them" in shown.err


async def test_the_first_part_that_fails_ends_the_others() -> None:
    async def fail() -> None:
        raise ServerEnded("")

    with pytest.raises(ServerEnded, match="it did not say why"):
        await demo._first_of(None, asyncio.Event().wait(), fail())


async def test_a_server_that_never_listens_ends_the_demo() -> None:
    pipe = asyncio.subprocess.PIPE
    script = "import sys; sys.stderr.write('no\\nway\\n')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=pipe)
    with pytest.raises(ServerEnded, match="no\nway"):
        await demo._address_of(process)
