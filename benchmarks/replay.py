"""Backlog: one reader, then many at once, read a full ring; and a quiet pod's short history beside that ring."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import fluentbit
from benchmarks.connection import post_all
from benchmarks.fluentbit import FRAME_BYTES
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "replay"
_PODS = 20
_BATCH = 200
_QUIET_LINES = 150
_PIECE = 192 * 1024  # about the size of logurt's writes
_MIB = 1 << 20


def run(options: argparse.Namespace) -> list[Table]:
    """Fill a ring and read it."""
    with (
        Child("benchmarks.receivers") as receivers,
        Child("benchmarks.sender") as sender,
        Server(settings={"BUFFER_NAMESPACE_MIB": str(options.mib)}) as server,
    ):
        # A quiet pod writes first; then others fill the ring several times over.
        post_all(server, [fluentbit.as_json(fluentbit.records(_NAMESPACE, "quiet", _QUIET_LINES))])
        alone = _quiet(server, receivers, options)
        bodies = [fluentbit.as_json(fluentbit.records(_NAMESPACE, f"web-{pod}", _BATCH)) for pod in range(_PODS)]
        requests = 2 * options.mib * _MIB // (_BATCH * fluentbit.TEXT_BYTES)
        post_all(server, (bodies[number % _PODS] for number in range(requests)))
        return [_whole(server, receivers, sender, options), _quiet_table(alone, _quiet(server, receivers, options))]


def _whole(server: Server, receivers: Child, sender: Child, options: argparse.Namespace) -> Table:
    table = Table(
        "replay",
        f"Replay of a full ring of {options.mib} MiB to readers that all come at once",
        [
            *("readers", "lines each", "first line, median s", "first line, last reader s"),
            *("last line, median s", "last line, last reader s", "server CPU s", "of bare send"),
        ],
        note="Seconds from each reader's request, on this machine; `of bare send`: CPU of a program that only calls "
        "send() with as many bytes, as a multiple of logurt's.",
    )
    path = server.path(_NAMESPACE, tail="all")
    # Only the server knows how much there is: a first reader counts until nothing more comes.
    receivers.ask("reset")
    receivers.ask("open", port=server.port, paths=[path])
    size = receivers.ask("until", total=1 << 40, quiet=1.0)["bytes"]
    receivers.ask("close")
    for readers in options.readers:
        before = server.cpu()
        came = _read(receivers, server.port, [path] * readers, size)
        cpu = server.cpu() - before
        bare = _bare(receivers, sender, readers, size)
        first, last = came["first"], came["last"]
        table.add(readers, size // FRAME_BYTES, median(first), max(first), median(last), max(last), cpu, bare / cpu)
    return table


def _bare(receivers: Child, sender: Child, readers: int, size: int) -> float:
    """Return the CPU seconds that a program takes which only sends."""
    port, pieces = sender.ask("port")["port"], max(1, round(size / _PIECE))
    sender.tell("accept", count=readers)
    receivers.ask("open", port=port, paths=["/"] * readers)
    sender.answer()
    sender.tell("send", size=size // pieces, times=pieces, interval=0)
    cpu: float = sender.answer()["cpu"]
    receivers.ask("close")
    sender.ask("close")
    return cpu


def _quiet(server: Server, receivers: Child, options: argparse.Namespace) -> tuple[float, float, float]:
    """Read the quiet pod's last 100 lines repeatedly; return seconds to the first and last line, and CPU seconds."""
    path = server.path(_NAMESPACE, pod="quiet", tail="100")
    found, before = list[dict[str, Any]](), server.cpu()
    for _ in range(options.repeat):
        found.append(_read(receivers, server.port, [path], 100 * FRAME_BYTES))
        time.sleep(0.01)
    cpu = (server.cpu() - before) / options.repeat
    first, last = (median(one[which][0] for one in found) for which in ("first", "last"))
    return first, last, cpu


def _quiet_table(alone: tuple[float, float, float], beside: tuple[float, float, float]) -> Table:
    table = Table(
        "quiet",
        "The last 100 lines of a quiet pod (`tail=100`)",
        ["where", "first line, ms", "last line, ms", "server CPU ms a reader"],
        note="Milliseconds from the request, medians. The CPU is that of the whole visit.",
    )
    table.add("alone in its namespace", *(1000 * value for value in alone))
    table.add("beside a ring full of others", *(1000 * value for value in beside))
    return table


def _read(receivers: Child, port: int, paths: list[str], size: int) -> dict[str, Any]:
    """Have readers come at once, and wait until each has `size` bytes. Raises IncompleteReplay."""
    receivers.ask("reset")
    receivers.ask("open", port=port, paths=paths)
    came = receivers.ask("until", total=size * len(paths))
    receivers.ask("close")
    if came["bytes"] != size * len(paths):
        raise IncompleteReplay(came["bytes"], size * len(paths))
    return came


class IncompleteReplay(Exception):
    """The readers got `received` bytes in place of `expected`."""

    def __init__(self, received: int, expected: int) -> None:
        super().__init__(received, expected)
        self.received = received
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.received} bytes came instead of {self.expected}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--mib", type=int, default=16, help="size of the ring")
    parser.add_argument("--readers", type=numbers, default=[1, 100], help="that come at once; at most 200")
    parser.add_argument("--repeat", type=int, default=50, help="visits to the quiet pod")


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
