"""The modules of the viewer, under the test runner of Node and against a server process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import API_SECRET, INGEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.process import Process

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests/viewer").glob("**/*.test.js"))
NODE = shutil.which("node")
# The first with fetch, a test runner that does not print everything twice, and a WebSocket if it is asked for.
OLDEST_NODE = 20


def major_version() -> int:
    if NODE is None:
        return 0
    said = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.match(r"v(\d+)", said)
    return int(match[1]) if match else 0


@pytest.mark.timeout(120)
@pytest.mark.skipif(major_version() < OLDEST_NODE, reason=f"no Node {OLDEST_NODE} or newer, so no JavaScript is tested")
def test_the_modules_of_the_viewer_pass_their_tests(start: Callable[..., Process]) -> None:
    assert NODE is not None
    process = start()
    environment = {
        "PATH": os.environ["PATH"],
        "LOGURT_URL": f"http://127.0.0.1:{process.port}",
        "API_SECRET": API_SECRET,
        "INGEST_SECRET": INGEST_SECRET,
    }
    arguments = [NODE, "--experimental-websocket", "--test", "--test-reporter=tap", *map(str, TESTS)]
    done = subprocess.run(
        arguments, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, "\n".join(failures(done.stdout)) or done.stdout + done.stderr
    assert "# skipped 0" in done.stdout


def failures(report: str) -> list[str]:
    """Return what a report in the form of TAP says of the tests that failed."""
    return re.findall(r"^not ok .*?^\s+\.\.\.$", report, re.MULTILINE | re.DOTALL)
