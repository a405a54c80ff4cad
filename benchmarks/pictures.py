"""Take the README's pictures of the viewer from the running demo, light and dark: `python -m benchmarks.pictures`.

Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.process import ROOT
from benchmarks.viewer import ARGUMENTS, CHROMIUM, chromium

_LINK = re.compile(r"http://\S+/view#token=\S+")
_SIZE = {"width": 1280, "height": 720}
_MIDDLE = 360  # of its height


def main() -> None:
    """Start the demo, open its link in both themes, and end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/pictures", help="where they go")
    parser.add_argument("--seconds", type=float, default=45, help="how long the demo has run by then")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "logurt.py"), "demo"]
    environment = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            take(_link(demo), options.folder, options.seconds)
        finally:
            demo.send_signal(signal.SIGINT)


def _link(demo: subprocess.Popen[str]) -> str:
    assert demo.stderr is not None
    for line in demo.stderr:
        if found := _LINK.search(line):
            return found[0]
    raise SystemExit("the demo printed no link to the viewer")


def take(link: str, folder: Path, seconds: float) -> None:
    """Take both pictures at the same time, so that they show the same lines."""
    with chromium() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        pages = {}
        for theme in ("light", "dark"):
            context = browser.new_context(viewport=_SIZE, color_scheme=theme, device_scale_factor=1.5)
            pages[theme] = context.new_page()
            pages[theme].goto(link)
        pages["light"].wait_for_timeout(seconds * 1000)
        for page in pages.values():
            page.mouse.move(640, 400)
            page.mouse.wheel(0, -600)
            page.get_by_role("searchbox").fill("order")
            rows = page.locator('.row:has-text("{") .open button').all()
            above_the_middle = [row for row in rows if (box := row.bounding_box()) and 100 < box["y"] < _MIDDLE]
            above_the_middle[-1].click()  # what it opens is in the picture
            page.mouse.move(640, 20)
            page.wait_for_timeout(500)
        for theme, page in pages.items():
            page.screenshot(path=folder / f"viewer-{theme}.png")
        browser.close()


if __name__ == "__main__":
    main()
