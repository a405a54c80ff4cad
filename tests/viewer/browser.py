"""A real browser on the page of a real server, and what it should never do there."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.process import posted, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tests.process import Process

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="axe-playwright-python is not installed")
MARKS = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]
# Only the page itself hears of what its policy forbids.
_LISTEN = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    violations.push(`${violatedDirective} ${blockedURI}`);
});
"""


@asynccontextmanager
async def opened(
    process: Process, fragment: str = "", *, size: tuple[int, int] = (1280, 800), **context: Any
) -> AsyncIterator[Any]:
    """Open the viewer by a link; nothing on the page may fail, ask or break its policy by the end."""
    complaints = list[str]()
    url = f"http://127.0.0.1:{process.port}/view#token={await token(process, 'myapp')}&{fragment}"
    async with (
        playwright.async_playwright() as driver,
        await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        viewport = {"width": size[0], "height": size[1]}
        page = await (await browser.new_context(viewport=viewport, **context)).new_page()
        await page.add_init_script(_LISTEN)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        await page.goto(url)
        yield page
        assert await page.evaluate("violations") == []
    assert complaints == []


async def barriers(page: Any) -> list[Any]:
    """Return what axe-core finds on the page that keeps people from using it."""
    found: list[Any] = (await axe.Axe().run(page)).response["violations"]
    return found


def record(text: str, pod: str = "web-0", stream: str = "stdout", time: str | None = None) -> dict[str, Any]:
    kubernetes = {"namespace_name": "myapp", "pod_name": pod, "container_name": "app"}
    return {"log": text, "stream": stream, "kubernetes": kubernetes} | ({"time": time} if time else {})


async def write(process: Process, records: Iterable[dict[str, Any]]) -> None:
    answer = await posted(process, json.dumps(list(records)).encode())
    assert answer.status == 200, answer


async def rows(page: Any, count: int) -> None:
    """Wait until there are so many rows, seen or not."""
    await page.wait_for_selector(f'[role="table"][aria-rowcount="{count}"]')


async def state(page: Any, text: str) -> None:
    """Wait until the viewer says so of its state."""
    await page.wait_for_selector(f'.state:text-is("{text}")')
