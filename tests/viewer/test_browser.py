"""The client and the viewer in a real browser: restarts, bad proxies, expiry, and what leaves the browser."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import API_SECRET
from tests.handlers.peers import nobody_is_left, until
from tests.handlers.test_browser import CHROMIUM, browser
from tests.handlers.test_browser_restarts import GAP, check, under_load
from tests.handlers.test_ingest import batch
from tests.process import asked, posted, token
from tests.viewer.browser import record, write
from tests.viewer.relay import answer, relay
from tests.wire import request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import LiveServer
    from tests.process import Process

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]

# What a page does with the client; `seen` has the numbers of lines, GAP, and the states of the connection.
FOLLOW = """async ([token, options]) => {
    window.seen = [];
    window.states = [];
    window.last = 0;
    window.renewals = 0;
    const { logurt } = await import("/view/client.js");
    const renew = options.renewed && (async () => { renewals += 1; return options.renewed; });
    (async () => {
        try {
            for await (const event of logurt("/", { pauses: { longest: 500 }, ...options, token, renew })) {
                if (event.type === "line") { last = Number(event.log); seen.push(last); }
                if (event.type === "gap") seen.push(-1);
                if (event.type === "state") states.push(event);
            }
        } catch (error) {
            states.push({ state: "ended", why: error.message, code: error.code, status: error.status });
        }
    })();
}"""


@asynccontextmanager
async def page_of(url: str) -> AsyncIterator[Any]:
    """Open a page in a browser that fails the test when the page's policy is violated, or a dialog opens."""
    async with browser() as launched:
        page = await launched.new_page()
        wrong = list[str]()
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.add_init_script(
            "window.reports = []; addEventListener('securitypolicyviolation', (event) => "
            "reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"
        )
        await page.goto(url)
        yield page
        assert (wrong, await page.evaluate("window.reports")) == ([], [])


@asynccontextmanager
async def asleep(page: Any) -> AsyncIterator[None]:
    """Have the page run no code at all, as in a tab that the browser has put to sleep; nothing can be asked of it."""
    devtools = await page.context.browser.new_browser_cdp_session()
    processes = (await devtools.send("SystemInfo.getProcessInfo"))["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    for renderer in renderers:
        os.kill(renderer, signal.SIGSTOP)
    try:
        yield
    finally:
        for renderer in renderers:
            os.kill(renderer, signal.SIGCONT)


async def follow(page: Any, token: str, **options: Any) -> None:
    await page.evaluate(FOLLOW, [token, {"tail": "all", **options}])


async def got(page: Any, count: int) -> list[int]:
    """Wait until so many lines and gaps have come; return all of them."""
    await page.wait_for_function("(count) => window.seen.length >= count", arg=count)
    seen: list[int] = await page.evaluate("window.seen")
    return seen


async def state(page: Any, name: str) -> dict[str, Any]:
    """Wait until the connection is in a state, and return it."""
    await page.wait_for_function("(name) => window.states.at(-1)?.state === name", arg=name)
    last: dict[str, Any] = await page.evaluate("window.states.at(-1)")
    return last


async def states(page: Any) -> list[str]:
    names: list[str] = await page.evaluate("window.states.map(({state, transport}) => transport ?? state)")
    return names


async def short_token(process: Process, seconds: int) -> str:
    body = json.dumps({"namespace": "myapp", "expires_in": seconds}).encode()
    signed = await asked(process, request("/api/sign", f"Authorization: Token {API_SECRET}", body=body))
    text: str = signed.json["token"]
    return text


@pytest.mark.chaos
async def test_a_page_reads_through_a_restart_with_the_usual_drain(start: Callable[..., Process]) -> None:
    process = start(DRAIN_SECONDS="10")
    opening = await token(process, "myapp")
    url = f"http://127.0.0.1:{process.port}/"
    async with page_of(url) as first, page_of(url) as second, under_load(process) as load:
        pages = (first, second)
        for page in pages:
            await follow(page, opening)
            await page.wait_for_function("(number) => window.last > number", arg=load.last)
        process.signal()
        assert await asyncio.to_thread(process.ended, 30) == 0
        load.process = start(PORT=str(process.port), DRAIN_SECONDS="10")
        load.accepted.append([])
        for page in pages:
            await page.wait_for_function("(number) => window.last > number", arg=load.last, timeout=30_000)
            seen = await page.evaluate("window.seen")
            check(seen, load.accepted)
            assert seen.count(GAP) == 1
            passed = await states(page)
            assert "stopping" in passed
            assert passed[-1] == "websocket"
            assert {"ended", "stream"}.isdisjoint(passed)


@pytest.mark.chaos
async def test_a_page_goes_on_behind_a_proxy_that_cuts(start: Callable[..., Process]) -> None:
    process = start()
    async with relay(process.port) as proxy, page_of(proxy.url("/")) as page, under_load(process) as load:
        await follow(page, await token(process, "myapp"))
        for _ in range(5):
            await page.wait_for_function("(number) => window.last > number", arg=load.last)
            await page.wait_for_function("() => window.states.at(-1).transport === 'websocket'")
            proxy.cut()
        await page.wait_for_function("(number) => window.last > number", arg=load.last)
        seen = await page.evaluate("window.seen")
        assert seen == list(range(1, len(seen) + 1))
        assert (await states(page)).count("waiting") == 5


@pytest.mark.chaos
async def test_a_page_notices_a_proxy_that_stalls(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("1"))
    async with relay(process.port) as proxy, page_of(proxy.url("/")) as page:
        await follow(page, await token(process, "myapp"), patience={"silence": 500})
        await page.wait_for_function("() => window.states.at(-1)?.transport === 'websocket'")
        proxy.is_stalled = True
        await posted(process, batch("2"))
        await page.wait_for_function("() => window.states.some(({why}) => why === 'nothing came for too long')")
        proxy.is_stalled = False
        assert await got(page, 2) == [1, 2]


@pytest.mark.chaos
async def test_a_page_tells_why_a_proxy_answers_503_and_goes_on_after_it(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("1"))
    async with relay(process.port) as proxy, page_of(proxy.url("/")) as page:
        await follow(page, await token(process, "myapp"))
        await page.wait_for_function("() => window.states.at(-1)?.transport === 'websocket'")
        proxy.refusal = answer("503 Service Unavailable", "nobody is in")
        proxy.cut()
        await page.wait_for_function("() => window.states.some(({why}) => why === 'nobody is in')")
        await posted(process, batch("2"))
        proxy.refusal = b""
        assert await got(page, 2) == [1, 2]
        await page.wait_for_function("() => window.states.at(-1).transport === 'websocket'")


@pytest.mark.chaos
async def test_a_page_that_sleeps_while_its_token_expires_says_so_when_it_wakes(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("1"))
    async with page_of(f"http://127.0.0.1:{process.port}/") as page:
        await follow(page, await short_token(process, 2))
        await page.wait_for_function("() => window.states.at(-1)?.transport === 'websocket'")
        async with asleep(page):
            await asyncio.to_thread(process.logged, 'why="the token has expired"')
        ended = await state(page, "ended")
        assert ended["status"] == 401
        assert ended["why"] == "the token has expired"


@pytest.mark.chaos
async def test_a_page_that_sleeps_while_its_token_expires_goes_on_with_a_new_one(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("1"))
    async with page_of(f"http://127.0.0.1:{process.port}/") as page:
        await follow(page, await short_token(process, 6), renewed=await token(process, "myapp"))
        await page.wait_for_function("() => window.states.at(-1)?.transport === 'websocket'")
        async with asleep(page):
            await asyncio.to_thread(process.logged, 'why="the token has expired"')
            await posted(process, batch("2"))
        assert await got(page, 2) == [1, 2]
        # Which comes first when it wakes, the timer or the end of the stream, is up to the browser.
        assert await page.evaluate("window.renewals") in (1, 2)


async def test_what_the_server_had_dropped_before_the_viewer_came_back_has_a_row_in_its_place(
    start: Callable[..., Process],
) -> None:
    process = start(BUFFER_NAMESPACE_MIB="1")
    await write(process, [record("before", pod="quiet")])
    link = f"/view#token={await token(process, 'myapp')}"
    async with relay(process.port) as proxy, page_of(proxy.url(link)) as page:
        await page.locator('.state:text-is("Live")').wait_for()
        proxy.refusal = answer("503 Service Unavailable", "nobody is in")
        proxy.cut()
        await page.locator(".state[title='nobody is in']").wait_for()
        for first in range(0, 5000, 100):
            await write(process, [record(f"{n} {'x' * 500}") for n in range(first, first + 100)])
        proxy.refusal = b""
        await page.get_by_text("4999 xxx").wait_for()
        await page.keyboard.press("Home")
        await page.locator(".gap").wait_for()
        before, rule, gap, after, *_ = await page.locator(".row span:last-child").all_inner_texts()
        assert before == "before"
        assert re.fullmatch(r"[\d:.]*Connected again after \d+ s", rule)
        assert int(after.split()[0]) > 0
        assert gap.endswith("Some lines are missing here: they had left the server before this page came back")


async def test_what_the_viewer_was_too_slow_for_has_a_row_in_its_place_with_its_number(
    start: Callable[..., Process],
) -> None:
    process = start(BUFFER_NAMESPACE_MIB="1")
    await write(process, [record("-1")])
    chance = random.Random(1)  # what can be compressed, the page would keep up with
    async with page_of(f"http://127.0.0.1:{process.port}/view#token={await token(process, 'myapp')}") as page:
        await page.locator('.state:text-is("Live")').wait_for()
        async with asleep(page):
            for first in range(0, 40_000, 500):
                await write(process, [record(f"{n} {chance.randbytes(250).hex()}") for n in range(first, first + 500)])
        await page.get_by_text("39999 ").wait_for()
        await page.get_by_role("button", name="Options").click()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Text").last.click()
        texts = (await (await download.value).path()).read_text().splitlines()
        gaps = [index for index, text in enumerate(texts) if text.startswith("[logurt]")]
        numbers = [0 if index in gaps else int(text.split()[2]) for index, text in enumerate(texts)]
        lost = [numbers[index + 1] - numbers[index - 1] - 1 for index in gaps]
        assert sum(lost) == 40_001 - (len(texts) - len(gaps))
        assert [texts[index] for index in gaps] == [
            f"[logurt] {count:,} lines are missing here: this page could not keep up" for count in lost
        ]
        assert min(lost) > 0


async def test_the_viewer_says_why_a_proxy_answers_503_and_goes_on_after_it(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("one"))
    link = f"/view#token={await token(process, 'myapp')}"
    async with relay(process.port) as proxy, page_of(proxy.url(link)) as page:
        await page.locator('.state:text-is("Live")').wait_for()
        proxy.refusal = answer("503 Service Unavailable", "nobody is in")
        proxy.cut()
        shown = page.locator(".state[title='nobody is in']")
        await shown.wait_for()
        assert re.fullmatch(r"Reconnecting in \d s", await shown.inner_text())
        await posted(process, batch("two"))
        proxy.refusal = b""
        await page.get_by_text("two", exact=True).wait_for()
        await page.locator('.state:text-is("Live")').wait_for()
        assert await page.get_by_text("one", exact=True).count() == 1
        assert await page.locator(".gap").count() == 0


async def test_the_viewer_sends_its_token_in_two_headers_and_nowhere_else(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("a line"))
    opening = await token(process, "myapp")
    async with relay(process.port) as proxy, page_of(proxy.url(f"/view#token={opening}&pod=web-*")) as page:
        await page.get_by_text("a line").first.wait_for()
        await until(lambda: any("Upgrade: websocket" in head for head in proxy.heads))
        assert page.url == proxy.url("/view#pod=web-*")
        await page.reload()
        await page.get_by_text("a line").first.wait_for()
        carriers = set[str]()
        for head in proxy.heads:
            lines = head.split("\r\n")
            assert opening not in lines[0]
            carriers |= {line.partition(":")[0] for line in lines if opening in line}
            assert "referer" not in head.lower()
        assert carriers == {"Authorization", "Sec-WebSocket-Protocol"}
    assert opening not in "\n".join(process.log)


@pytest.mark.parametrize("link", ["view#token=", "logs?token="])
async def test_everything_is_found_behind_a_path_that_a_proxy_takes_off(
    start: Callable[..., Process], link: str
) -> None:
    process = start()
    await posted(process, batch("a line"))
    async with relay(process.port) as proxy:
        proxy.prefix = b"/some/where"
        async with page_of(proxy.url(f"/some/where/{link}{await token(process, 'myapp')}")) as page:
            await page.get_by_text("a line").first.wait_for()
            await until(lambda: any("Upgrade: websocket" in head for head in proxy.heads))
            assert page.url == proxy.url("/some/where/view")
            assert all(head.split()[1].startswith("/some/where/") for head in proxy.heads)


async def test_a_link_for_programs_leads_a_browser_to_the_viewer(start: Callable[..., Process]) -> None:
    process = start()
    await posted(process, batch("a line"))
    link = f"http://127.0.0.1:{process.port}/logs?token={await token(process, 'myapp')}&pod=web-*"
    async with page_of(link) as page:
        await page.get_by_text("a line").first.wait_for()
        assert page.url == f"http://127.0.0.1:{process.port}/view#pod=web-*"


async def test_a_bad_link_ends_with_a_sentence_and_is_not_tried_again(start: Callable[..., Process]) -> None:
    process = start()
    async with relay(process.port) as proxy, page_of(proxy.url("/view#token=a.b.c")) as page:
        await page.get_by_text("new link").first.wait_for()
        assert sum(" /logs" in head for head in proxy.heads) <= 1


async def test_a_page_of_another_origin_imports_the_client_and_reads(live: LiveServer) -> None:
    await live.write("a line")
    script = """async ([url, token]) => {
        const { logurt } = await import(`${url}view/client.js`);
        for await (const event of logurt(url, { token })) if (event.type === "live") return event;
    }"""
    async with page_of(f"http://localhost:{live.port}/healthz") as page:
        assert await page.evaluate(script, [live.url("/"), await live.sign()]) == {"type": "live"}
    await asyncio.wait_for(until(lambda: nobody_is_left(live)), 10)


async def test_the_example_has_the_viewer_and_the_client_in_one_page(live: LiveServer) -> None:
    await live.write("all is well", "ERROR nothing is")
    async with page_of(live.url(f"/view/embedding.html#token={await live.sign()}")) as page:
        await page.locator("logurt-tail").get_by_text("all is well").first.wait_for()
        assert await page.locator("#trouble li").all_inner_texts() == ["web-0: ERROR nothing is"]
    await asyncio.wait_for(until(lambda: nobody_is_left(live)), 10)
