"""Stack traces whose lines come one by one, as rows of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.viewer.browser import MARKS, opened, record, rows, state, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.process import Process

pytestmark = MARKS

NOW = "2026-11-22T19:50:01Z"
# Where each row is, and how tall.
PLACES = """[...document.querySelectorAll(".row")].map((row) => {
    const { top, height } = row.getBoundingClientRect();
    return [row.dataset.id, top, height];
})"""
TRACE = ("ERROR no answer", "java.io.IOException: boom", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)")


def lines(*texts: str, pod: str = "web-0") -> list[dict[str, Any]]:
    return [record(text, pod, time=NOW) for text in texts]


async def test_its_lines_are_one_row_which_opens_and_is_copied_whole(start: Callable[..., Process]) -> None:
    process = start()
    for text in TRACE:
        await write(process, lines(text) + lines(f"{text} of another", pod="web-1"))
    async with opened(process, "tail=all", permissions=["clipboard-read", "clipboard-write"]) as page:
        await rows(page, 2)
        assert await page.locator(".row .text").all_inner_texts() == [
            "ERROR no answer+3 lines",
            "ERROR no answer of another+3 lines",
        ]
        await page.get_by_role("button", name="+3 lines").first.click()
        assert await page.locator(".detail pre").inner_text() == "\n".join(TRACE)
        await page.keyboard.press("c")
        await page.locator(".said.seen").wait_for()
        assert await page.evaluate("navigator.clipboard.readText()") == "\n".join(TRACE)


@pytest.mark.parametrize(("width", "is_wrapped"), [(1280, False), (1280, True), (640, False)])
async def test_lines_that_come_later_move_nothing_under_the_reader(
    start: Callable[..., Process], width: int, *, is_wrapped: bool
) -> None:
    process = start()
    for n in range(200):  # of all lengths: where lines wrap, some have no place left for a word more
        await write(process, lines(f"ERROR {'x' * (60 + n * 7 % 120)}", pod=f"web-{n}"))
    async with opened(process, "tail=all", size=(width, 800)) as page:
        await rows(page, 200)
        await page.locator(".list").focus()
        if is_wrapped:
            await page.keyboard.press("w")
        await page.mouse.move(320, 400)
        await page.mouse.wheel(0, -600)
        await state(page, "Paused")
        await page.wait_for_function("() => document.querySelector('.pill').textContent.startsWith('To the end')")
        before = await page.evaluate(PLACES)
        for n in range(200):
            await write(process, lines(*TRACE[1:], pod=f"web-{n}"))
        await page.get_by_role("button", name="600 new lines").wait_for()
        assert await page.evaluate(PLACES) == before
        await page.locator(".row", has_text="+3 lines").first.wait_for()
        if width == 1280 and not is_wrapped:
            assert await ungrown(page) == 0
        await page.keyboard.press("End")
        await state(page, "Live")
        assert await ungrown(page) == 0


async def ungrown(page: Any) -> int:
    """Return how many rows do not say that there is more of them."""
    count: int = await page.locator(".row", has_not_text="+3 lines").count()
    return count
