"""The page under load and in the hands of a reader, in a real browser against a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.browser import MARKS, barriers, opened, record, rows, state, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.process import Process

pytestmark = MARKS

UNDER_THE_POINTER = """() => {
    const row = document.elementFromPoint(600, 400).closest(".row");
    return [row.querySelector(".text").textContent, row.getBoundingClientRect().top];
}"""
# What a reader can see is too pale to be read, as WCAG has it; marks and the like that carry no text left out.
TOO_PALE = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const background = (node) => {
        for (; node; node = node.parentElement) {
            const colour = rgb(getComputedStyle(node).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const luminance = (colour) => colour.slice(0, 3).reduce((sum, part, i) => {
        const s = part / 255;
        return sum + [0.2126, 0.7152, 0.0722][i] * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
    }, 0);
    const found = [];
    for (const node of document.querySelectorAll(".viewer *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        if (!own || !node.getClientRects().length) continue;
        const both = [luminance(rgb(getComputedStyle(node).color)), luminance(background(node))];
        const [low, high] = both.sort((a, b) => a - b);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) found.push([node.className, node.textContent, contrast]);
    }
    return found;
}"""


async def downloaded(page: Any, tmp_path: Path) -> list[dict[str, Any]]:
    await page.get_by_role("button", name="Options").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="NDJSON").last.click()
    path = tmp_path / "lines"
    await (await download.value).save_as(path)
    await page.get_by_role("button", name="Close").click()
    return [json.loads(line) for line in path.read_text().splitlines()]


async def layouts(devtools: Any) -> float:
    """Return how often the page has been laid out."""
    metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "LayoutCount")


async def test_it_shows_every_line_once_and_follows(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start()
    await write(process, [record(f"line {n}") for n in range(500)])
    async with opened(process, "tail=all") as page:
        await rows(page, 500)
        await state(page, "Live")
        assert "token=" not in page.url
        for first in range(500, 20_500, 2000):
            await write(process, [record(f"line {n}", pod=f"web-{n % 500}") for n in range(first, first + 2000)])
        await rows(page, 20_500)
        await page.get_by_text("line 20499", exact=True).wait_for()
        lines = await downloaded(page, tmp_path)
        assert [line["log"] for line in lines] == [f"line {n}" for n in range(20_500)]
        assert len({line["pod"] for line in lines}) == 500


async def test_a_paused_row_stays_under_the_pointer_while_all_around_it_leaves(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record(f"line {n}") for n in range(3000)])
    async with opened(process, "tail=all&keep=10000") as page:
        await rows(page, 3000)
        await page.mouse.move(600, 400)
        await page.mouse.wheel(0, -900)
        await state(page, "Paused")
        await page.wait_for_function("() => document.querySelector('.pill').textContent.startsWith('To the end')")
        seen = await page.evaluate(UNDER_THE_POINTER)
        for first in range(3000, 33_000, 3000):
            await write(process, [record(f"line {n}") for n in range(first, first + 3000)])
        await page.get_by_role("button", name="30,000 new lines").wait_for()
        assert await page.evaluate(UNDER_THE_POINTER) == seen

        await page.keyboard.press("End")
        await state(page, "Live")
        await page.get_by_text("line 32999", exact=True).wait_for()
        await page.keyboard.press("Home")
        await page.locator(".gone").first.wait_for()
        assert "older lines have left this page" in await page.locator(".gone").first.inner_text()


async def test_to_draw_other_rows_takes_a_few_layouts_and_not_one_a_row(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record(f"line {n}") for n in range(500)])
    async with opened(process, "tail=all") as page:
        await rows(page, 500)
        await state(page, "Live")
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        before = await layouts(devtools)
        await write(process, [record(f"line {n}") for n in range(500, 1000)])
        await page.get_by_text("line 999", exact=True).wait_for()
        assert await layouts(devtools) - before < 10


async def test_hostile_lines_are_text_and_nothing_else(start: Callable[..., Process]) -> None:
    process = start(MAX_LINE_KIB="256")
    lines = [
        '<img src=x onerror="alert(1)"><script>alert(2)</script>',
        "\x1b]8;;https://evil.example/\x1b\\harmless\x1b]8;;\x1b\\",
        "user\u202egpj.exe",
        "\x1b[31",
        "lone \ud800 surrogate",
        '{"<b>":"javascript:alert(1)","url":"https://example.com/a?b"}',
        "\x1b[38;2;1;1;1m\x1b[48;5;300mx" * 2000,
        "ab\n" * 80_000,
        "x" * 262_000,
    ]
    await write(process, [record(line, pod="<b>pod") for line in lines])
    async with opened(process, "tail=all") as page:
        await rows(page, len(lines))
        for _ in lines:  # from the first: open each, and go on
            await page.keyboard.press("j")
        for _ in lines:
            await page.keyboard.press("Enter")
            await page.locator(".row.current .detail").wait_for()
            await page.keyboard.press("Escape")
            await page.keyboard.press("k")
        assert await page.locator(".rows img, .rows script, .rows b b").count() == 0
        await page.keyboard.press("g")
        text = await page.locator(".rows").inner_text()
        for part in (
            '<img src=x onerror="alert(1)">',
            "harmless",
            "U+202E",
            "surrogate",
        ):
            assert part in text
        assert "evil.example" not in text
        await page.get_by_text("javascript:").first.click()
        await page.keyboard.press("Enter")
        links = page.locator(".detail a")
        assert [await link.get_attribute("href") for link in await links.all()] == ["https://example.com/a?b"]
        assert await links.first.get_attribute("rel") == "noopener noreferrer"


async def test_all_can_be_done_by_keyboard(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record(f'{{"level":"{"error" if n % 10 == 0 else "info"}","n":{n}}}') for n in range(400)])
    async with opened(process, "tail=all") as page:
        await rows(page, 400)
        assert await page.evaluate("document.activeElement === document.body")
        await page.keyboard.press("Tab")  # the toolbar comes first
        assert await page.evaluate("document.activeElement.closest('[role=toolbar]') !== null")
        await page.locator(".list").focus()
        await page.keyboard.press("/")
        await page.keyboard.type('"n":39')
        await page.locator(".found", has_text="11").wait_for()
        await page.keyboard.press("Enter")
        await page.locator(".row.current", has_text='"n":399').wait_for()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await page.get_by_role("dialog", name="Keys").wait_for()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Info").press("Space")
        await rows(page, 40)
        await page.keyboard.press("g")
        await page.locator(".list").focus()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.locator(".detail").wait_for()
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('.row.current') !== null")
        only = page.locator("[data-field='1'] [data-do=only]")
        await only.focus()
        await page.keyboard.press("Enter")
        await rows(page, 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_everything_has_a_name_and_can_be_read(start: Callable[..., Process], theme: str) -> None:
    process = start()
    levels = (
        "INFO",
        "WARN",
        "ERROR",
        "DEBUG",
        "\x1b[33mcolours\x1b[90m and \x1b[44mgrounds \x1b[38;5;16;48;5;17mx\x1b[7my",
    )
    await write(process, [record(f"{levels[n % 5]} {n}", pod=f"web-{n % 12}", stream="stderr") for n in range(40)])
    async with opened(process, "q=%2F1%2F", size=(320, 640), color_scheme=theme) as page:
        await rows(page, 40)
        await page.keyboard.press("n")
        await page.keyboard.press("Enter")
        assert await barriers(page) == []
        assert await page.evaluate(TOO_PALE) == []
        for name in ("Sources", "Options", "Keys"):
            await page.get_by_role("button", name=name).click()
            await page.get_by_role("dialog", name=name).wait_for()
            assert await barriers(page) == []
            await page.keyboard.press("Escape")
        assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_a_link_to_a_line_leads_to_it(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record(f"line {n}") for n in range(2000)])
    async with opened(process, "tail=all", permissions=["clipboard-read", "clipboard-write"]) as page:
        await rows(page, 2000)
        await page.keyboard.press("g")
        await page.get_by_text("line 20", exact=True).click()
        await page.keyboard.press("l")
        await page.locator(".said.seen").wait_for()
        link = await page.evaluate("navigator.clipboard.readText()")
        assert "token" not in link
        fragment = link.partition("#")[2]
    async with opened(process, fragment) as page:
        await page.locator(".row.current", has_text="line 20").wait_for()
        await state(page, "Paused")


async def test_a_selection_is_copied_with_the_rows_that_do_not_exist_any_more(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record(f"line {n}") for n in range(2000)])
    async with opened(process, "tail=all", permissions=["clipboard-read", "clipboard-write"]) as page:
        await rows(page, 2000)
        await page.keyboard.press("Home")
        first = page.get_by_text("line 10", exact=True)
        await first.click(position={"x": 3, "y": 8})
        await page.mouse.wheel(0, 1000)
        await page.get_by_text("line 60", exact=True).wait_for()
        await page.mouse.wheel(0, 1000)
        last = page.get_by_text("line 110", exact=True)
        await last.click(position={"x": 40, "y": 8}, modifiers=["Shift"])
        await page.keyboard.press("Control+c")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied.split("\n") == [f"line {n}" for n in range(10, 111)]


async def test_in_a_shadow_it_is_dressed_and_closes(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record("inside")])
    async with opened(process) as page:
        await rows(page, 1)
        token = await page.evaluate("sessionStorage.getItem(sessionStorage.key(0))")
        await page.evaluate(
            """async (token) => {
            document.body.replaceChildren();
            await import("/view/element.js");
            const element = document.createElement("logurt-tail");
            element.setAttribute("src", location.href);
            element.setAttribute("token", token);
            element.style.height = "300px";
            document.body.append(element);
        }""",
            token,
        )
        await page.get_by_text("inside").wait_for()
        assert (
            await page.evaluate("document.querySelector('logurt-tail').shadowRoot.querySelector('.list').clientHeight")
            > 200
        )
        await page.evaluate("document.querySelector('logurt-tail').remove()")


async def test_an_expired_link_says_so_and_takes_a_new_one(start: Callable[..., Process]) -> None:
    process = start()
    await write(process, [record("still here")])
    async with opened(process) as page:
        await rows(page, 1)
        good = await page.evaluate("sessionStorage.getItem(sessionStorage.key(0))")
        await page.evaluate("sessionStorage.clear()")
        await page.reload()
        await page.get_by_text("Ask for a new link").wait_for()
        await page.get_by_role("textbox", name="New link or token").fill(good)
        await page.keyboard.press("Enter")
        await page.get_by_text("still here").wait_for()
        await state(page, "Live")
