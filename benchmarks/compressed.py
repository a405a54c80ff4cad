"""Lines delivered per CPU second of the server with compressed messages, and without, in turns.

For comparison: a program that only calls `send` with the bytes of the messages that are not compressed.
"""

from __future__ import annotations

from itertools import product
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.fanout import bare_send
from benchmarks.fluentbit import FRAME_BYTES
from benchmarks.posting import Posting
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, percentile, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "compressed"
_SAMPLED = 4  # readers that inflate what they get, and count the lines
_QUIET_SECONDS = 0.5


class Run(NamedTuple):
    """The outcome of one run: lines of all readers, bytes on the wire, and seconds."""

    lines: float
    expected: int
    wire: int
    server: float
    delays: list[float]


def run(options: argparse.Namespace) -> list[Table]:
    """Measure readers of one view, and readers that each follow a pod of their own."""
    table = Table(
        "compressed",
        "Compressed messages: lines delivered per CPU second of the server, and milliseconds from post to receipt",
        [
            *("readers", "views", "lines/s", "messages", "compressed"),
            *("delivered/CPU s", "of bare send", "wire bytes %", "delivered %", "p50 ms", "p99 ms"),
        ],
        note="`of bare send`: CPU of a program that only calls send() with messages that are not compressed, as a "
        f"multiple of logurt's. Lines are counted at {_SAMPLED} readers. Medians.",
    )
    cases = [
        (views, batch, deflate)
        for views, batch, deflate in product([1, options.readers], (False, True), (False, True))
        if views == 1 or not batch
    ]
    runs: dict[tuple[int, bool, bool], list[Run]] = {case: [] for case in cases}
    bare = list[float]()
    with Child("benchmarks.receivers") as receivers, Child("benchmarks.sender") as sender:
        for _ in range(options.rounds):
            bare.append(bare_send(receivers, sender, options, options.readers, options.rate).rate)
            for case in cases:
                runs[case].append(_logurt(receivers, options, *case))
    for (views, batch, deflate), found in runs.items():
        delays = [delay * 1000 for one in found for delay in one.delays]
        table.add(
            *(options.readers, views, options.rate, "batches" if batch else "a line each", "yes" if deflate else "no"),
            median(one.lines / one.server for one in found),
            None if views > 1 else median(one.lines / one.server / rate for one, rate in zip(found, bare, strict=True)),
            100 * median(one.wire / (one.lines * FRAME_BYTES) for one in found),
            100 * median(one.lines / one.expected for one in found),
            *(percentile(delays, percent) for percent in (50, 99)),
        )
    return [table]


def _logurt(receivers: Child, options: argparse.Namespace, views: int, batch: bool, deflate: bool) -> Run:  # noqa: FBT001 - a case
    pods = [f"web-{number}" for number in range(views)] if views > 1 else [""]
    with Server() as server, Posting(server, _NAMESPACE, options.rate, views if views > 1 else options.pods) as posting:
        posting.run(1.0)  # now all sources are known and the processor is awake
        paths = [server.path(_NAMESPACE, pod=pod, tail="0", batch=str(batch).lower()) for pod in pods]
        paths = [paths[number % views] for number in range(options.readers)]
        sampled = min(options.readers, _SAMPLED)
        receivers.ask("open", port=server.port, paths=paths, sampled=sampled, deflate=deflate)
        receivers.ask("reset")
        before = server.cpu()
        lines = posting.run(max(1.0, round(options.seconds)))
        came = receivers.ask("until", total=1 << 62, quiet=_QUIET_SECONDS)
        cpu = server.cpu() - before
        receivers.ask("close")
    expected = lines * options.readers // views
    delays = [delay / 1e9 for delay in came["delays"]]
    return Run(came["sampled lines"] * options.readers / sampled, expected, came["bytes"], cpu, delays)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=10_000, help="lines a second")
    parser.add_argument("--pods", type=int, default=50, help="that write them, each with one post a second")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=1)


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
