"""A real browser reads: what a page needs is what browsers can send, and what they make of the answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.peers import nobody_is_left, until
from tests.handlers.test_ingest import batch
from tests.process import posted, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import LiveServer
    from tests.process import Process

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")

# The page's own origin is not the server's: it is about:blank, whose origin is null.
BY_WEBSOCKET = """([url, token]) => {
    window.seen = [];
    const socket = new WebSocket(url, ["logurt", `bearer.${token}`]);
    socket.onopen = () => seen.push(`open ${socket.protocol}`);
    socket.onmessage = (event) => seen.push(event.data);
    socket.onclose = (event) => seen.push(`close ${event.code} ${event.reason}`);
}"""
BY_EVENT_SOURCE = """(url) => {
    window.seen = [];
    const source = new EventSource(url);
    source.onmessage = (event) => seen.push(`${event.data} ${event.lastEventId}`);
    source.addEventListener("gap", (event) => seen.push(event.data));
}"""


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    async with (
        playwright.async_playwright() as driver,
        await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as launched,
    ):
        yield launched


async def seen(page: Any, count: int) -> list[str]:
    """Wait until the page has seen so many messages, and return them all."""
    await page.wait_for_function("(count) => window.seen.length >= count", arg=count)
    messages: list[str] = await page.evaluate("window.seen")
    return messages


async def test_a_page_reads_by_websocket_and_by_event_source_and_comes_back_where_it_was(live: LiveServer) -> None:
    await live.write("first", "two\nlines é")
    token, epoch = await live.sign(), live.services.broker.epoch
    async with browser() as pages:
        socket, source = await pages.new_page(), await pages.new_page()
        await socket.evaluate(BY_WEBSOCKET, [live.url("/logs", "ws"), token])
        await source.evaluate(BY_EVENT_SOURCE, live.url(f"/logs?token={token}"))
        assert await seen(socket, 3) == ["open logurt", "first", "two\nlines é"]
        assert await seen(source, 2) == [f"first {epoch}-1-1", f"two\nlines é {epoch}-2-0"]

        await live.services.sessions.drain(0)
        live.services.sessions.stopping = False
        await live.write("while it was away")
        assert (await seen(socket, 4))[3:] == ["close 1001 the server is stopping"]
        assert (await seen(source, 3))[2:] == [f"while it was away {epoch}-3-0"]
    await asyncio.wait_for(until(lambda: nobody_is_left(live)), 10)


async def test_a_page_is_told_why_its_websocket_is_refused(live: LiveServer) -> None:
    async with browser() as pages:
        page = await pages.new_page()
        await page.evaluate(BY_WEBSOCKET, [live.url("/logs", "ws"), "nonsense"])
        assert await seen(page, 2) == ["open logurt", "close 4401 the token is not a JWT signed with HS256"]


async def test_an_event_source_outlives_the_service(start: Callable[..., Process]) -> None:
    first = start(DRAIN_SECONDS="1")
    assert (await posted(first, batch("before"))).status == 200
    url = f"http://127.0.0.1:{first.port}/logs?token={await token(first, 'myapp')}"
    async with browser() as pages:
        early, late = await pages.new_page(), await pages.new_page()
        await early.evaluate(BY_EVENT_SOURCE, url)
        assert (await seen(early, 1))[0].startswith("before ")
        first.signal()
        await asyncio.to_thread(first.logged, "stopping; readers: 1")
        await late.evaluate(BY_EVENT_SOURCE, url)  # it is put off
        assert await asyncio.to_thread(first.ended) == 0
        second = start(PORT=str(first.port))
        assert (await posted(second, batch("after"))).status == 200
        gap, after = (await seen(early, 3))[1:]
        assert (gap.rpartition(": ")[2], after.split()[0]) == (
            "the server has started anew since this reader left",
            "after",
        )
        assert (await seen(late, 1))[0].startswith("after ")
