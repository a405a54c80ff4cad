"""A real browser reads through restart after restart: every line comes once, or a gap accounts for it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.test_browser import CHROMIUM, browser
from tests.process import posted, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.process import Process

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]

RESTARTS = 10
HASTY = {3, 7}  # services that end before both pages have come back
LINES, PAUSE_SECONDS = 20, 0.01  # of each post, and after it
GAP = -1

# Both pages note the numbers of the lines that they get, and GAP for each notice of lost lines.
BY_EVENT_SOURCE = """(url) => {
    window.seen = [];
    window.last = 0;
    const source = new EventSource(url);
    source.onmessage = (event) => { last = Number(event.data); seen.push(last); };
    source.addEventListener("gap", () => seen.push(-1));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) seen.push("it has given up"); };
}"""
BY_WEBSOCKET = """(url) => {
    window.seen = [];
    window.last = 0;
    let cursor = "";
    const join = () => {
        const socket = new WebSocket(url + cursor);
        socket.onmessage = (event) => {
            const message = JSON.parse(event.data);
            if (message.type === "gap") seen.push(-1);
            if (message.type !== "line") return;
            cursor = `&cursor=${message.cursor}`;
            last = Number(message.log);
            seen.push(last);
        };
        socket.onclose = () => setTimeout(join, 50);
    };
    join();
}"""


class Load:
    """Numbered lines for one service after the other; what is not acknowledged is sent again, as Fluent Bit does."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.accepted: list[list[int]] = [[]]  # the numbers that each service has acknowledged
        self.last = 0

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            numbers = range(self.last + 1, self.last + LINES + 1)
            if await self._is_accepted(numbers):
                self.accepted[-1] += numbers
                self.last = numbers[-1]
            await asyncio.sleep(PAUSE_SECONDS)

    async def _is_accepted(self, numbers: range) -> bool:
        metadata = {"namespace_name": "myapp", "pod_name": "web-0", "container_name": "app"}
        body = json.dumps([{"log": f"{number}", "kubernetes": metadata} for number in numbers]).encode()
        with suppress(OSError, asyncio.IncompleteReadError):  # it is between two services
            answer = await posted(self.process, body)
            assert answer.status in (200, 503)
            return answer.status == 200
        return False


@asynccontextmanager
async def under_load(process: Process) -> AsyncIterator[Load]:
    load = Load(process)
    task = asyncio.ensure_future(load.run())
    try:
        yield load
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def caught_up(page: Any, load: Load) -> None:
    """Wait until a page has got a line that is sent from now on."""
    await page.wait_for_function("(number) => window.last > number", arg=load.last, timeout=30_000)


def visits(seen: list[int]) -> list[list[int]]:
    """Return the lines between gaps: those of one visit to a service each."""
    return [list(numbers) for is_gap, numbers in groupby(seen, lambda one: one == GAP) if not is_gap]


def check(seen: list[int], accepted: list[list[int]]) -> None:
    """Hold what a page has got against what each service has acknowledged."""
    assert all(isinstance(one, int) for one in seen), seen[-5:]
    assert seen[0] != GAP
    by_first = {numbers[0]: (service, numbers) for service, numbers in enumerate(accepted) if numbers}
    visited = []
    for got in visits(seen):
        service, numbers = by_first[got[0]]
        visited.append(service)
        is_whole = service not in HASTY and service != len(accepted) - 1
        assert got == (numbers if is_whole else numbers[: len(got)])
    assert visited == sorted(set(visited))
    assert set(range(len(accepted))) - HASTY <= set(visited)


async def test_pages_get_every_line_once_or_a_gap_through_ten_restarts(start: Callable[..., Process]) -> None:
    process = start()
    query = f"token={await token(process, 'myapp')}&tail=all"
    async with browser() as pages, under_load(process) as load:
        source, socket = await pages.new_page(), await pages.new_page()
        await source.evaluate(BY_EVENT_SOURCE, f"http://127.0.0.1:{process.port}/logs?{query}")
        await socket.evaluate(BY_WEBSOCKET, f"ws://127.0.0.1:{process.port}/logs?{query}&format=json")
        for restart in range(RESTARTS):
            if restart not in HASTY:
                await asyncio.gather(caught_up(source, load), caught_up(socket, load))
            load.process.signal()
            assert await asyncio.to_thread(load.process.ended) == 0
            load.process = start(PORT=str(process.port))  # nothing is posted meanwhile: it blocks the event loop
            load.accepted.append([])
        await asyncio.gather(caught_up(source, load), caught_up(socket, load))
        seen = [await page.evaluate("window.seen") for page in (source, socket)]
    for one in seen:
        check(one, load.accepted)
