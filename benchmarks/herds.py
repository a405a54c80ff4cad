"""Herds: thousands of containers that each post a line a second, and thousands of readers that come back at once.

A bystander posts a line every 20 ms into a namespace of its own and times its arrival: it should not notice.
"""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING, Any

from benchmarks import pulse
from benchmarks.posting import Posting
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, percentile, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "herd"
_MIB = 1 << 20
_PATIENCE = 2.0
_BYSTANDER = ("bystander p50 ms", "p99 ms", "longest ms", "longest, net")
_NET = "`net`: without the time in which server or prober were ready to run but had no core."


def run(options: argparse.Namespace) -> list[Table]:
    """Measure both."""
    return [_posting(options), _returning(options)]


def _posting(options: argparse.Namespace) -> Table:
    table = Table(
        "herd-posting",
        "Connections that each post one line a second",
        ["connections", "answered %", "answer p50 ms", "answer p99 ms", "server CPU %", "grown MiB", *_BYSTANDER],
        note=_NET,
    )
    for connections in options.connections:
        with Server() as server, Child("benchmarks.posters") as posters, Child("benchmarks.pulse") as prober:
            _watch(server, prober)
            before = server.rss()
            posters.ask("open", port=server.port, secret=server.secret, namespace=_NAMESPACE, count=connections)
            posters.ask("post", seconds=1)
            prober.ask("start")
            cpu, begin = server.cpu(), time.monotonic()
            came = posters.ask("post", seconds=options.seconds)
            share = (server.cpu() - cpu) / (time.monotonic() - begin)
            seen = prober.ask("stop", patience=_PATIENCE)
            grown = (server.rss() - before) / _MIB
            table.add(
                *(connections, 100 * came["answered"] / came["posts"], percentile(came["ms"], 50)),
                *(percentile(came["ms"], 99), 100 * share, grown, *_bystander(seen)),
            )
    return table


def _returning(options: argparse.Namespace) -> Table:
    table = Table(
        "herd-returning",
        f"Readers who come back at once after a restart, while {options.rate:,} lines a second come in",
        ["readers", "all served, s", "median, s", "server CPU s", "KiB a reader", *_BYSTANDER],
        note=f"Seconds from the first request to the first bytes of the last reader; each asks for 100 lines. {_NET}",
    )
    for readers in options.readers:
        with Server() as server, Child("benchmarks.receivers") as receivers, Child("benchmarks.pulse") as prober:
            _watch(server, prober)
            with Posting(server, _NAMESPACE, options.rate, 50) as posting:
                posting.run(1.0)
                before, cpu = server.rss(), server.cpu()
                pouring = Thread(target=posting.run, args=(options.returning_seconds,))
                prober.ask("start")
                pouring.start()
                begin = time.monotonic()
                paths = [server.path(_NAMESPACE, tail="100")] * readers
                receivers.ask("open", port=server.port, paths=paths, together=readers)
                first = receivers.ask("until", total=1 << 62, quiet=0.0)["first"]
                took = time.monotonic() - begin
                seen = prober.ask("stop", patience=_PATIENCE)
                spent, grown = server.cpu() - cpu, server.rss() - before
                pouring.join()
            receivers.ask("close")
            table.add(readers, took, percentile(first, 50), spent, grown / readers / 1024, *_bystander(seen))
    return table


def _watch(server: Server, prober: Child) -> None:
    path = server.path(pulse.NAMESPACE, tail="0")
    prober.ask("open", port=server.port, pid=server.pid, secret=server.secret, path=path)


def _bystander(seen: dict[str, Any]) -> list[float]:
    delays, net = seen["delays"], seen["net_delays"]
    return [percentile(delays, 50), percentile(delays, 99), max(delays), max(net)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--connections", type=numbers, default=[2000], help="that each post a line a second")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--readers", type=numbers, default=[5000], help="that come back at once")
    parser.add_argument("--rate", type=int, default=2000, help="lines a second that come in meanwhile")
    parser.add_argument("--returning-seconds", type=float, default=8.0)


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
