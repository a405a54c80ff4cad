"""A real browser reads: what a page needs is what browsers can send, and what they make of the answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.peers import nobody_is_left, until

if TYPE_CHECKING:
    from tests.conftest import LiveServer

pytestmark = pytest.mark.timeout(60)
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
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


async def seen(page: Any, count: int) -> list[str]:
    """Wait until the page has seen so many messages, and return them all."""
    await page.wait_for_function("(count) => window.seen.length >= count", arg=count)
    messages: list[str] = await page.evaluate("window.seen")
    return messages


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
async def test_a_page_reads_by_websocket_and_by_event_source_and_comes_back_where_it_was(live: LiveServer) -> None:
    await live.write("first", "two\nlines é")
    token, epoch = await live.sign(), live.services.broker.epoch
    async with (
        playwright.async_playwright() as driver,
        await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        socket, source = await browser.new_page(), await browser.new_page()
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
