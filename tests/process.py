"""The service as it really runs: a process of its own on a free port."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import API_SECRET, INGEST_SECRET, JWT_SIGNING_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

LOGURT = Path(__file__).parents[1] / "logurt.py"
SETTINGS = {
    "API_SECRET": API_SECRET,
    "INGEST_SECRET": INGEST_SECRET,
    "JWT_SIGNING_KEY": JWT_SIGNING_KEY,
    "ADDRESS": "127.0.0.1",
    "PORT": "0",
    "DRAIN_SECONDS": "0",
}


def command(settings: dict[str, str], folder: Path) -> tuple[list[str], dict[str, str], Path]:
    """Return what starts the service with these settings and no others: arguments, environment, working folder."""
    return [sys.executable, str(LOGURT)], settings | {"PATH": os.environ["PATH"]}, folder


class Process:
    """A running service, its log, and what it takes of the machine."""

    def __init__(self, folder: Path, before: Callable[[], None] | None = None, **settings: str) -> None:
        arguments, environment, cwd = command(SETTINGS | settings, folder)
        self._popen = subprocess.Popen(
            arguments,
            env=environment,
            cwd=cwd,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - no other thread is running in the child
        )
        self.log: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        self.port = int(self.logged("listening on").rsplit(":", 1)[1])

    def _read_log(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.log.append(line.rstrip("\n"))
            self._lines.put(line)

    def logged(self, words: str) -> str:
        """Wait for a line of the log with these words, and return it."""
        while words not in (line := self._lines.get(timeout=10)):
            pass
        return line

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def ended(self, seconds: float = 10) -> int:
        """Wait for the end of the process; return its exit code."""
        code = self._popen.wait(seconds)
        self._drain.join()
        return code

    def is_running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._popen.poll() is None

    def mebibytes(self, field: str = "VmRSS") -> float:
        """Return the memory that is resident; with VmHWM the most that ever was."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """Return the processor time taken so far."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process if it has not ended yet."""
        self._popen.kill()
        self._popen.wait()
        self._drain.join()
        assert self._popen.stderr is not None
        self._popen.stderr.close()
