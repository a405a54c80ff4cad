"""A server in a process of its own that starts and ends with a benchmark."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import jwt

from benchmarks.process import ROOT, cpu_seconds, memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOGURT = (str(ROOT / "logurt.py"),)
INSPECTED = ("-m", "benchmarks.inspected")
BARE = ("-m", "benchmarks.bare")
TUNED = (*BARE, "tuned")

_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
_START_SECONDS = 20
_STOP_SECONDS = 20
_TOKEN_SECONDS = 3600
# Another process's CPU clock stands still until that process next leaves the processor.
_REST_SECONDS = 0.01


class ServerFailed(Exception):
    """A server did not start, or did not end well; `said` is what it logged last."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return f"the server failed: {self.said or 'it did not say why'}"


class Server:
    """A server on a free port of 127.0.0.1, with random secrets. `settings` are environment variables."""

    def __init__(self, command: Sequence[str] = LOGURT, settings: Mapping[str, str] | None = None) -> None:
        self.secret, self._key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._folder = tempfile.TemporaryDirectory()
        self.log = Path(self._folder.name) / "log"
        given = {
            "PORT": "0",
            "ADDRESS": "127.0.0.1",
            "API_SECRET": self.secret,
            "JWT_SIGNING_KEY": self._key,
            "LOG_LEVEL": "info",
            "DRAIN_SECONDS": "0",
        }
        # It runs in an empty folder, so that it reads no .env file, and finds our modules by PYTHONPATH.
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)} | given | dict(settings or {})
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command], env=environment, cwd=self._folder.name, stderr=log, stdout=log
            )
        self.pid = self._process.pid
        self.port = self._wait_for_port()

    def cpu(self) -> float:
        """Return the CPU seconds used so far, after giving the process a moment to finish what it is doing."""
        time.sleep(_REST_SECONDS)
        return cpu_seconds(self.pid)

    def rss(self) -> int:
        """Return the bytes that are resident in memory now."""
        return memory(self.pid)

    def path(self, namespace: str, *, labels: Mapping[str, str] | None = None, pod: str = "", **query: str) -> str:
        """Return the path of a stream of lines, with a token for just that scope."""
        claims: dict[str, Any] = {"exp": int(time.time()) + _TOKEN_SECONDS, "namespace": namespace}
        if labels:
            claims["labels"] = dict(labels)
        if pod:
            claims["pod"] = pod
        return f"/logs?{urlencode({'token': jwt.encode(claims, self._key, algorithm='HS256'), **query})}"

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the process. Raises ServerFailed if it does not end well."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        said = self._last_words()
        self._folder.cleanup()
        if code not in (0, -signal.SIGTERM):
            raise ServerFailed(said)

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if match := _LISTENING.search(self.log.read_text()):
                return int(match[1])
            time.sleep(0.02)
        said = self._last_words()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()
        raise ServerFailed(said)

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-5:])
