from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import random
import re
import signal
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient

from cli import demo
from cli.address import Address
from cli.credential import Signed
from cli.demo import introduction
from cli.demo_server import ServerEnded
from cli.errors import Unreachable
from tests.cli.bystanders import command, outcome, saying, serving
from tests.conftest import INGEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import LiveServer

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
        said = [(await process.stderr.readline()).decode() for _ in range(5)]
        assert await process.stdout.readline()
    match = _LINK.search(said[3])
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


def test_a_demo_can_be_read_in_a_browser_in_a_page_and_in_a_terminal() -> None:
    said = introduction(Address("http://x"), Signed("a.b.c", view="/view#token=a.b.c")).splitlines()
    assert [line.partition(": ")[2] for line in said[1:4]] == [
        "http://x/view#token=a.b.c",
        "http://x/view/embedding.html#token=a.b.c",
        "curl -N 'http://x/logs?token=a.b.c&prefix=true'",
    ]


async def test_a_demo_ends_after_its_seconds(tmp_path: Path) -> None:
    returned, _, err = await outcome(await command(None, "demo", "--seconds", "0.1", cwd=tmp_path))
    assert (returned, err.count("\n")) == (0, 5)


async def test_a_port_that_is_taken_ends_the_demo(tmp_path: Path) -> None:
    async with serving(saying(b"")) as url:
        port = str(urlsplit(url).port)
        returned, out, err = await outcome(await command(None, "demo", cwd=tmp_path, PORT=port))
    assert (returned, out) == (1, "")
    assert err.startswith(f"logurt: the demo's server has ended: logurt: cannot listen on port {port}")


async def test_a_shop_whose_lines_nobody_takes_is_a_failure() -> None:
    async with serving(saying(b"")) as url:
        shop = demo.Shop(Address.parse(url), "secret")
        with pytest.raises(Unreachable):
            await shop.run()
        shop.close()


async def test_a_shop_recalls_its_past_in_order_up_to_now(live: LiveServer) -> None:
    shop = demo.Shop(Address.parse(live.url("")), INGEST_SECRET, random.Random(1))
    began = dt.datetime.now(dt.UTC)
    await shop.recall(60)
    shop.close()
    lines = await live.fetch(f"/logs?token={await live.sign('demo')}&follow=false&tail=all&format=json")
    times = [dt.datetime.fromisoformat(json.loads(line)["timestamp"]) for line in lines.body.splitlines()]
    whole_seconds = [time.replace(microsecond=0) for time in times]
    assert whole_seconds == sorted(whole_seconds)
    assert (began - times[0]).seconds in range(58, 61)
    assert abs((times[-1] - began).total_seconds()) < 3


@pytest.fixture
def _signal_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signal_handlers")
def test_a_demo_in_this_process_shows_lines(capfd: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(seconds=0.5, output="text", timestamps=False, prefix=True, color="never")
    assert demo.run(options, {}) == 0
    shown = capfd.readouterr()
    assert "/" in shown.out
    assert "as `python logurt.py tail demo` would show them" in shown.err


async def test_the_first_part_that_fails_ends_the_others() -> None:
    async def fail() -> None:
        raise ServerEnded("")

    with pytest.raises(ServerEnded, match="it did not say why"):
        await demo.first_of(None, asyncio.Event().wait(), fail())
