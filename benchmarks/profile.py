"""Where the server's time goes under each kind of load, in percent of the samples that py-spy takes.

A sample belongs to the innermost of its frames that one of the stages below knows. py-spy must be installed, and
allowed to look into other processes, as root is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks import fluentbit
from benchmarks.connection import Connection, post_all
from benchmarks.fanout import paths
from benchmarks.posting import Posting
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

_NAMESPACE = "fanout"
_READERS = 1000
_RATE = 10_000
_PODS = 50
_RING_BODIES = 600  # requests of 200 lines, which fill a ring
_ALL, _QUIET_SECONDS = 1 << 40, 0.1  # a visit is over when nothing more comes
_START_SECONDS = 1  # until py-spy has started
_SAMPLES = 100  # a second; each stops the server for a moment

_STAGES = {
    "send": r"(?:__)?send(?:to)? \(libc",
    "receive": r"(?:__)?recv(?:from)? \(libc",
    "poll": r"epoll_\w+ \(libc",
    "decode": r".* \((?:msgspec/|ingest/)",
    "pack": r".* \(buffer/chunk\.py",
    "render": r".* \(delivery/(?:view|format|framing|filter|render_cache)\.py",
    "ring": r".* \((?:buffer|delivery)/",
    "handlers": r".* \(handlers/",
    "Tornado": r".* \(tornado/",
    "asyncio": r".* \((?:asyncio/|_asyncio|selectors\.py)",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in _STAGES.items()}


class ProfilerFailed(Exception):
    """py-spy could not take its samples; `said` is its explanation."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return f"py-spy failed: {self.said.strip()}"


# Keeps a server under load for that many seconds.
Load: TypeAlias = "Callable[[float], object]"


class Case(NamedTuple):
    """A kind of load, and what prepares it."""

    name: str
    ready: Callable[[Server, Child], AbstractContextManager[Load]]


def run(options: argparse.Namespace) -> list[Table]:
    """Sample the server under each kind of load."""
    table = Table(
        "profile",
        "Where the CPU of the server goes, percent",
        ["load", *_STAGES, "other", "samples"],
        note="`send`, `receive` and `poll` are system calls; `decode` and `render` include the libraries they call.",
    )
    with Child("benchmarks.receivers") as receivers:
        for case in _CASES:
            with Server() as server, case.ready(server, receivers) as load:
                counts = _sampled(server, options.seconds, load)
            total = sum(counts.values())
            shares = [100 * counts[stage] / max(total, 1) for stage in (*_STAGES, "other")]
            table.add(case.name, *shares, total)
    return [table]


def _sampled(server: Server, seconds: float, load: Load) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = ["py-spy", "record", "--native", "--format", "raw", "--output", str(file)]
        command += ["--rate", str(_SAMPLES), "--duration", str(round(seconds)), "--pid", str(server.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as spy:
            load(seconds + _START_SECONDS)
            _, said = spy.communicate()
        if spy.returncode:
            raise ProfilerFailed(said)
        return tally(file.read_text().splitlines())


def tally(stacks: Iterable[str]) -> Counter[str]:
    """Count samples by stage. A stack is `outer;...;inner COUNT`, a frame `name (file:line)`."""
    counts = Counter[str]()
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        counts[_stage(frames.split(";"))] += int(count)
    return counts


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, pattern in _PATTERNS.items():
            if pattern.match(frame):
                return stage
    return "other"


def _ingest(form: str, batch: int) -> Callable[[Server, Child], AbstractContextManager[Load]]:
    encode = fluentbit.as_json if form == "json" else fluentbit.as_messagepack
    body = encode(fluentbit.records(_NAMESPACE, "web-0", batch))

    @contextmanager
    def ready(server: Server, _: Child) -> Iterator[Load]:
        with Connection(server) as connection:
            yield lambda seconds: _again(seconds, lambda: connection.post(body))

    return ready


def _fan_out(views: int) -> Callable[[Server, Child], AbstractContextManager[Load]]:
    @contextmanager
    def ready(server: Server, receivers: Child) -> Iterator[Load]:
        with Posting(server, _NAMESPACE, _RATE, _PODS) as posting:
            posting.run(1.0)
            receivers.ask("open", port=server.port, paths=paths(server, _READERS, views))
            yield posting.run
            receivers.ask("close")

    return ready


def _visits(readers: int, tail: str, pod: str = "") -> Callable[[Server, Child], AbstractContextManager[Load]]:
    @contextmanager
    def ready(server: Server, receivers: Child) -> Iterator[Load]:
        bodies = [fluentbit.as_json(fluentbit.records(_NAMESPACE, f"web-{pod}", 200)) for pod in range(_PODS)]
        post_all(server, (bodies[number % _PODS] for number in range(_RING_BODIES)))
        every = [server.path(_NAMESPACE, pod=pod, tail=tail)] * readers

        def visit() -> None:
            receivers.ask("reset")
            receivers.ask("open", port=server.port, paths=every)
            receivers.ask("until", total=_ALL, quiet=_QUIET_SECONDS)
            receivers.ask("close")

        yield lambda seconds: _again(seconds, visit)

    return ready


def _again(seconds: float, act: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        act()


_CASES = (
    Case("ingest, JSON, 10 records a request", _ingest("json", 10)),
    Case("ingest, JSON, 200", _ingest("json", 200)),
    Case("ingest, JSON, 2,000", _ingest("json", 2000)),
    Case("ingest, MessagePack, 200", _ingest("msgpack", 200)),
    Case("fan-out, 1,000 readers, one view", _fan_out(1)),
    Case("fan-out, 1,000 readers, a view each", _fan_out(_READERS)),
    Case("replay of a full ring, 20 readers", _visits(20, tail="all")),
    Case("100 readers that come for 100 lines", _visits(100, tail="100", pod="web-0")),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--seconds", type=float, default=5.0, help="for each load")


if __name__ == "__main__":
    if shutil.which("py-spy") is None:
        sys.exit("py-spy is not installed: pip install py-spy")
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
