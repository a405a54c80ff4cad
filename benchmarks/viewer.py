"""What the viewer costs in a real browser: how soon it shows something, and whether it holds still under load.

Needs playwright and Chromium. The browser, the server and whoever posts share the machine, so a task that takes long
may have waited for a processor; the processor time of the page tells how much of it is its own.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks.connection import Connection
from benchmarks.server import Server
from benchmarks.table import Table, arguments, percentile, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
]
_NAMESPACE = "viewer"
_SETTINGS = {"BUFFER_NAMESPACE_MIB": "128"}
_BATCH = 500
_POSTS_A_SECOND = 20
_SIZE = {"width": 1440, "height": 900}

# Long tasks and the times between frames, from the first one on.
_OBSERVE = """
window.tasks = [];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask", buffered: true });
window.frames = [];
let last = 0;
const frame = (now) => {
    if (last) frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
# The page, in a place where it can be asked; with the sum of the numbers that the lines have.
_MOUNT = """async ([token, query]) => {
    const html = await (await fetch("view")).text();
    const folder = /"(view\\/[0-9a-f]+)\\/view\\.css"/.exec(html)[1];
    document.head.querySelector("[rel=stylesheet]").href = `${folder}/view.css`;
    document.body.replaceChildren();
    const { mount } = await import(`/${folder}/page.js`);
    const { Columns } = await import(`/${folder}/columns.js`);
    const add = Columns.prototype.add;
    window.sum = window.lines = 0;
    Columns.prototype.add = function (line) {
        lines++;
        sum += Number(line.log.slice(4, 14));
        return add.call(this, line);
    };
    window.viewer = mount(document.body, { url: ".", token, query: new URLSearchParams(query) });
}"""
_FILL = """async (count) => {
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    viewer.stream.abort.abort();
    viewer.clear();
    const text = (n) => `seq=${n} GET /products/teapot 200 in ${n % 977} ms by agent ${n * 7919 % 99991} of nobody`;
    const rest = { timestamp: "2026-11-22T19:50:01.5Z", container: "app", stream: "stdout" };
    for (let n = 0; n < count; n++) {
        const cursor = `d78b802c63c2-${n >> 9}-${n & 511}`;
        viewer.columns.add({ ...rest, cursor, pod: `web-${n % 500}`, log: text(n) });
        if (n % 5000 === 0) await pause();
    }
    viewer.schedule();
    await pause();
}"""
_SEARCH = """async (words) => {
    const started = performance.now();
    viewer.search(words);
    let first;
    while (viewer.rows.pending || viewer.working) {
        if (viewer.rows.hits) first ??= performance.now() - started;
        await new Promise((resolve) => setTimeout(resolve));
    }
    return [first ?? performance.now() - started, performance.now() - started, viewer.rows.hits];
}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=10_000, help="lines a second")
    parser.add_argument("--pods", type=int, default=500)
    parser.add_argument("--backlog", type=int, default=120_000, help="lines")
    parser.add_argument("--kept", type=int, default=1_000_000, help="lines in the page that is searched")


def body(first: int, count: int, pods: int) -> bytes:
    """Return a request with lines numbered from `first` on."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps(
        [
            {
                "log": f'seq={number:010} level=info msg="GET /products/teapot" status=200 ms={number % 977}',
                "time": now,
                "stream": "stdout",
                "kubernetes": {"namespace_name": _NAMESPACE, "pod_name": f"web-{number // 10 % pods}"},
            }
            for number in range(first, first + count)
        ]
    ).encode()


class Poster(threading.Thread):
    """Posts lines at a steady rate until it is stopped; `posted` is how many."""

    def __init__(self, server: Server, first: int, rate: int, pods: int) -> None:
        super().__init__(daemon=True)
        self._connection = Connection(server)
        self._first, self._rate, self._pods = first, rate, pods
        self._stopping = threading.Event()
        self.posted = 0

    def run(self) -> None:
        """Post until stopped."""
        begin = time.monotonic()
        for number in range(1_000_000_000):
            count = self._rate // _POSTS_A_SECOND
            if self._stopping.wait(max(0.0, begin + number / _POSTS_A_SECOND - time.monotonic())):
                return
            self._connection.post(body(self._first + self.posted, count, self._pods))
            self.posted += count

    def stop(self) -> None:
        """Stop, and wait until the last lines are stored."""
        self._stopping.set()
        self.join()


def chromium() -> AbstractContextManager[Any]:
    """Return playwright, which not every machine has."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    return sync_playwright()


def run(options: argparse.Namespace) -> list[Table]:
    """Measure all of it in one browser."""
    with chromium() as driver, Server(settings=_SETTINGS) as server:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            return list(_tables(browser, server, options))
        finally:
            browser.close()


def _tables(browser: Any, server: Server, options: argparse.Namespace) -> Iterator[Table]:
    connection = Connection(server)
    connection.post(body(0, 1000, options.pods))
    start = Table("viewer-start", "How soon it is there", ["what", "ms"])
    start.add("first line, from navigation", _first_line(browser, server))
    for first in range(1000, options.backlog, _BATCH):
        connection.post(body(first, _BATCH, options.pods))
    start.add(f"{options.backlog:,} lines of backlog, from navigation", _backlog(browser, server, options.backlog))
    yield start
    yield _load(browser, server, options)
    yield _kept(browser, server, options)


def _token(server: Server) -> str:
    return server.path(_NAMESPACE).partition("token=")[2]


def _first_line(browser: Any, server: Server) -> float:
    page = browser.new_context(viewport=_SIZE).new_page()
    page.goto(f"http://127.0.0.1:{server.port}/view#token={_token(server)}")
    when = page.evaluate(
        "async () => { while (!document.querySelector('.row')) await new Promise(requestAnimationFrame);"
        " return performance.now(); }"
    )
    page.context.close()
    return float(when)


def _backlog(browser: Any, server: Server, lines: int) -> float:
    page = browser.new_context(viewport=_SIZE).new_page()
    page.goto(f"http://127.0.0.1:{server.port}/view#token={_token(server)}&tail=all")
    when = page.evaluate(
        "async (lines) => { const table = () => document.querySelector('[role=table]');"
        " while (!(table()?.ariaRowCount >= lines)) await new Promise(requestAnimationFrame);"
        " return performance.now(); }",
        lines,
    )
    page.context.close()
    return float(when)


def _mounted(browser: Any, server: Server, query: str) -> Any:
    page = browser.new_context(viewport=_SIZE).new_page()
    page.add_init_script(_OBSERVE)
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.evaluate(_MOUNT, [_token(server), query])
    return page


def _load(browser: Any, server: Server, options: argparse.Namespace) -> Table:
    page = _mounted(browser, server, "tail=0")
    page.wait_for_selector('.state:text-is("Live")')
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate("tasks.length = frames.length = 0")
    before = _busy(devtools)
    poster = Poster(server, 0, options.rate, options.pods)
    began = time.monotonic()
    poster.start()
    page.wait_for_timeout(options.seconds * 700)
    typed = _typed(page)
    page.wait_for_timeout(max(0.0, options.seconds * 1000 - (time.monotonic() - began) * 1000))
    poster.stop()
    seconds = time.monotonic() - began
    expected = poster.posted * (poster.posted - 1) // 2
    page.wait_for_function("(posted) => lines >= posted", arg=poster.posted)
    tasks, frames = page.evaluate("[tasks, frames]")
    table = Table("viewer-load", f"{options.rate:,} lines a second of {options.pods} pods", ["what", "figure"])
    table.add("lines posted", poster.posted)
    table.add("lines shown, or told to be lost", page.evaluate("lines"))
    table.add("their numbers are missing by", abs(expected - page.evaluate("sum")))
    table.add("lines a second", poster.posted / seconds)
    table.add("frames: p50, ms", percentile(frames, 50))
    table.add("frames: p99, ms", percentile(frames, 99))
    table.add("longest task, ms", max(tasks, default=0))
    table.add("tasks above 100 ms", sum(task > 100 for task in tasks))
    table.add("typing a letter into the search: longest, ms", max(typed))
    table.add("processor time of the page, %", (_busy(devtools) - before) / seconds * 100)
    table.add("heap, MiB", page.evaluate("performance.memory.usedJSHeapSize / 2 ** 20"))
    page.context.close()
    return table


def _busy(devtools: Any) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def _typed(page: Any) -> list[float]:
    """Type into the search; return how long each letter took until it was answered in a frame."""
    return [
        float(
            page.evaluate(
                "async (words) => { const box = document.querySelector('input[type=search]');"
                " const began = performance.now(); box.value = words; box.dispatchEvent(new Event('input'));"
                " await new Promise(requestAnimationFrame); return performance.now() - began; }",
                "status=200"[: length + 1],
            )
        )
        for length in range(10)
    ]


def _kept(browser: Any, server: Server, options: argparse.Namespace) -> Table:
    page = _mounted(browser, server, f"tail=0&keep={options.kept + 10_000}")
    page.wait_for_selector('.state:text-is("Live")')
    page.evaluate(_FILL, options.kept)
    table = Table("viewer-kept", f"{options.kept:,} lines in the page", ["what", "figure"])
    page.evaluate("window.gc?.()")
    table.add("heap, MiB", page.evaluate("performance.memory.usedJSHeapSize / 2 ** 20"))
    for words in ("teapot", "agent 4711", "/in 9\\d\\d ms/", "not there"):
        page.evaluate("tasks.length = 0")
        first, every, hits = page.evaluate(_SEARCH, words)
        table.add(f"{words}: first of {hits:,} matches, ms", first)
        table.add(f"{words}: all, ms", every)
        table.add(f"{words}: longest task, ms", max(page.evaluate("tasks"), default=0))
    page.context.close()
    return table


def main() -> None:
    """Run it by itself."""
    parser = arguments(__doc__)
    add_arguments(parser)
    report(parser.parse_args(), run)


if __name__ == "__main__":
    main()
