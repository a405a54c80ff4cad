"""Lines delivered per CPU second of the server, and how long they take from post to receipt.

For comparison: a program that only calls `send` with the same bytes at the same intervals, and a Tornado server that
calls `write_message` for each line and reader, the way a first attempt would.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.connection import Connection
from benchmarks.fluentbit import FRAME_BYTES, LABELS, Stamped
from benchmarks.posting import Posting
from benchmarks.process import Child, cpu_seconds
from benchmarks.server import BARE, Server
from benchmarks.table import Cell, Table, arguments, numbers, percentile, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "fanout"
_FLUSH_SECONDS = 0.02
_SAMPLED = 20  # readers whose lines are searched for the time when they were due
_QUIET_SECONDS = 1.0
_TELLING = 1.25


class Run(NamedTuple):
    """The outcome of one run, in seconds; `delivered` and `expected` count lines."""

    delivered: float
    expected: int
    server: float
    receivers: float
    poster: float
    wall: float
    delays: list[float]

    @property
    def rate(self) -> float:
        """Lines delivered per CPU second of the server."""
        return self.delivered / self.server


def run(options: argparse.Namespace) -> list[Table]:
    """Measure lines under load, then single lines after a quiet second."""
    tables = [_load(options)]
    if options.scoped:
        tables.append(_pod_scoped(options))
    if options.singles:
        tables.append(_single_lines(options))
    return tables


def _load(options: argparse.Namespace) -> Table:
    table = Table(
        "fan-out",
        "Fan-out: lines delivered per CPU second of the server, ingest included, and milliseconds from post to receipt",
        [
            *("readers", "views", "lines/s", "delivered/CPU s", "of bare send", "of send, less ingest"),
            *("delivered %", "p50 ms", "p99 ms", "p99.9 ms", "server CPU %", "receivers' CPU %", "poster's CPU %"),
        ],
        note="`of bare send`: CPU of a program that only calls send() with the same bytes, as a multiple of logurt's; "
        "`less ingest`: the same, after taking off what those posts cost logurt without readers. "
        "The last three are shares of one core over the whole run.",
    )
    with Child("benchmarks.receivers") as receivers, Child("benchmarks.sender") as sender:
        for rate in options.rates:
            alone = min(_logurt(receivers, options, 0, 1, rate).server for _ in range(options.rounds))
            for readers in options.readers:
                cases = sorted({min(views or readers, readers) for views in options.views})
                runs: dict[int, list[Run]] = {views: [] for views in cases}
                bare = list[Run]()
                for _ in range(options.rounds):
                    bare.append(bare_send(receivers, sender, options, readers, rate))
                    for views in cases:
                        runs[views].append(_logurt(receivers, options, readers, views, rate))
                for views in cases:
                    table.add(*_row([readers, str(views), rate], runs[views], bare, alone))
        for readers in options.readers if options.first_attempt else []:
            rate = max(1, min(*options.rates, options.first_attempt // readers))
            first = [_first_attempt(receivers, options, readers, rate) for _ in range(options.rounds)]
            bare = [bare_send(receivers, sender, options, readers, rate) for _ in range(options.rounds)]
            table.add(*_row([readers, "write_message", rate], first, bare, None))
    return table


def _row(case: list[Cell], runs: list[Run], bare: list[Run], alone: float | None) -> list[Cell]:
    delays = [delay * 1000 for one in runs for delay in one.delays]
    pairs = list(zip(runs, bare, strict=True))
    less: Cell = None
    # Where nearly all of it is ingest, the difference means nothing.
    if alone is not None and all(one.server > _TELLING * alone for one in runs):
        less = median(one.delivered / (one.server - alone) / send.rate for one, send in pairs)
    return [
        *case,
        median(one.rate for one in runs),
        median(one.rate / send.rate for one, send in pairs),
        less,
        100 * median(one.delivered / one.expected for one in runs),
        *(percentile(delays, percent) for percent in (50, 99, 99.9)),
        *(100 * median(getattr(one, who) / one.wall for one in runs) for who in ("server", "receivers", "poster")),
    ]


def paths(server: Server, readers: int, views: int) -> list[str]:
    """Return a path for each reader. The views select by different labels, and all of them see the same pods."""
    names = list(LABELS)
    if views > 1 << len(names):
        raise ValueError(views)
    all_labels = [{name: LABELS[name] for at, name in enumerate(names) if view >> at & 1} for view in range(views)]
    by_view = [server.path(_NAMESPACE, labels=labels, tail="0") for labels in all_labels]
    return [by_view[number % views] for number in range(readers)]


def _logurt(receivers: Child, options: argparse.Namespace, readers: int, views: int, rate: int) -> Run:
    with Server() as server:
        return _posted(server, receivers, options, paths(server, readers, views), rate)


def _first_attempt(receivers: Child, options: argparse.Namespace, readers: int, rate: int) -> Run:
    with Server(BARE) as server:
        return _posted(server, receivers, options, ["/logs"] * readers, rate)


def _pod_scoped(options: argparse.Namespace) -> Table:
    table = Table(
        "pod-scoped",
        "A view of its own pod for each reader, against one view of one pod for all: as many lines delivered",
        ["readers", "views", "lines/s", "delivered/CPU s", "times the CPU", "delivered %", "p99 ms", "server CPU %"],
        note="There are as many pods as readers and all of them write; both cases deliver the same number of lines.",
    )
    number, rate = options.scoped, max(options.rates)
    with Child("benchmarks.receivers") as receivers:
        pairs = [
            [
                _scoped(receivers, options, pods, number, rate)
                for pods in (["web-0"], [f"web-{at}" for at in range(number)])
            ]
            for _ in range(options.rounds)
        ]
    for views, runs in zip((1, number), zip(*pairs, strict=True), strict=True):
        times = median(one.server / shared.server for one, (shared, _) in zip(runs, pairs, strict=True))
        delays = [delay * 1000 for one in runs for delay in one.delays]
        table.add(
            *(number, views, rate, median(one.rate for one in runs), times),
            100 * median(one.delivered / one.expected for one in runs),
            percentile(delays, 99),
            100 * median(one.server / one.wall for one in runs),
        )
    return table


def _scoped(receivers: Child, options: argparse.Namespace, pods: list[str], number: int, rate: int) -> Run:
    with Server() as server:
        by_pod = [server.path(_NAMESPACE, pod=pod, tail="0") for pod in pods]
        paths = [by_pod[at % len(pods)] for at in range(number)]
        return _posted(server, receivers, options, paths, rate, scopes=number)


def _posted(
    server: Server, receivers: Child, options: argparse.Namespace, paths: list[str], rate: int, *, scopes: int = 1
) -> Run:
    """Open readers on a server, post lines, and wait until all of them have come or no more do.

    With more than one of `scopes`, that many pods write, equally often, and each reader gets the lines of one pod.
    """
    seconds = options.seconds if scopes == 1 else max(1.0, round(options.seconds))
    with Posting(server, _NAMESPACE, rate, scopes if scopes > 1 else options.pods) as posting:
        posting.run(min(1.0, options.seconds))  # now all sources are known and the processor is awake
        receivers.ask("open", port=server.port, paths=paths, sampled=min(len(paths), _SAMPLED))
        receivers.ask("reset")
        begin, server_begin, own_begin = time.monotonic(), server.cpu(), time.process_time()
        lines = posting.run(seconds)
        expected = lines * len(paths) // scopes
        came = receivers.ask("until", total=expected * FRAME_BYTES)
        cpu, own = server.cpu() - server_begin, time.process_time() - own_begin
        wall = time.monotonic() - begin
    receivers.ask("close")
    delays = [delay / 1e9 for delay in came["delays"]]
    return Run(came["bytes"] / FRAME_BYTES, expected, cpu, came["cpu"], own, wall, delays)


def bare_send(receivers: Child, sender: Child, options: argparse.Namespace, readers: int, rate: int) -> Run:
    """Have a bare sender send the same bytes at the same intervals."""
    port = sender.ask("port")["port"]
    sender.tell("accept", count=readers)
    receivers.ask("open", port=port, paths=["/"] * readers)
    sender.answer()
    receivers.ask("reset")
    # Pods post one after the other, so there are no more flushes than lines or pods.
    flushes = round(options.seconds * min(1 / _FLUSH_SECONDS, options.pods, rate))
    size = round(rate * options.seconds / flushes)
    begin = time.monotonic()
    sent = sender.ask("send", size=size * FRAME_BYTES, times=flushes, interval=options.seconds / flushes)
    expected = size * flushes * readers
    came = receivers.ask("until", total=expected * FRAME_BYTES)
    wall = time.monotonic() - begin
    receivers.ask("close")
    sender.ask("close")
    return Run(came["bytes"] / FRAME_BYTES, expected, sent["cpu"], came["cpu"], 0.0, wall, [])


def _single_lines(options: argparse.Namespace) -> Table:
    table = Table(
        "single-line",
        "A single line after a quiet second: milliseconds from post to receipt",
        ["readers", "median ms", "largest ms", "server CPU ms a line"],
        note=f"One shared view; times of up to {_SAMPLED} readers, spread over the order in which they joined.",
    )
    with Child("benchmarks.receivers") as receivers:
        for readers in options.readers:
            with Server() as server, Connection(server) as connection:
                receivers.ask("open", port=server.port, paths=paths(server, readers, 1), sampled=min(readers, _SAMPLED))
                receivers.ask("reset")
                batch, cpu = Stamped(_NAMESPACE, "web-0", 1), 0.0
                for number in range(options.singles + 1):
                    time.sleep(_QUIET_SECONDS)
                    before = cpu_seconds(server.pid)
                    connection.post(batch.body(time.monotonic_ns()))
                    came = receivers.ask("until", total=(number + 1) * readers * FRAME_BYTES)
                    cpu += server.cpu() - before if number else 0.0
                delays = [delay / 1e6 for delay in came["delays"]][min(readers, _SAMPLED) :]
                table.add(readers, median(delays), max(delays), 1000 * cpu / options.singles)
                receivers.ask("close")
    return table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--readers", type=numbers, default=[1, 200, 1000])
    parser.add_argument("--views", type=numbers, default=[1, 50, 0], help="different ones; 0: one for each reader")
    parser.add_argument("--rates", type=numbers, default=[1000, 10000], help="lines a second")
    parser.add_argument("--pods", type=int, default=50, help="that write them, each with one post a second")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of logurt and bare send")
    parser.add_argument(
        "--first-attempt", type=int, default=20_000, help="lines a second, times readers, for write_message"
    )
    parser.add_argument("--scoped", type=int, default=1000, help="readers that each follow a pod of their own; 0: none")
    parser.add_argument("--singles", type=int, default=3, help="single lines after a quiet second")


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
