"""Memory of the server: for idle readers, for lines that are kept, and for large bodies that come all at once."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.connection import Connection, post_all
from benchmarks.fanout import paths
from benchmarks.process import Child, memory
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "memory"
_TIME_BYTES = len("2025-11-22T08:15:01.123457790Z")
_SETTLE_SECONDS = 0.5
_MIB = 1 << 20


def run(options: argparse.Namespace) -> list[Table]:
    """Measure all three."""
    return [_idle_readers(options), _kept_lines(options), burst(options)]


def _idle_readers(options: argparse.Namespace) -> Table:
    table = Table(
        "idle-readers",
        "Memory for an idle reader",
        [
            "readers",
            "views",
            "compression",
            "bytes each",
            "when they have gone",
            "once they are back",
            "gone again",
            "CPU ms a second",
        ],
        note="Resident bytes for each reader, beyond a server without readers. The kernel's memory is not in it.",
    )
    with Child("benchmarks.receivers") as receivers:
        for views, deflate in ((1, False), (1, True), (options.readers, False)):
            with Server() as server:
                # What only the first readers need, such as modules and caches, does not count.
                receivers.ask("open", port=server.port, paths=paths(server, 50, 1), deflate=deflate)
                receivers.ask("close")
                empty, found = _settled(server), list[int]()
                for _ in range(2):
                    receivers.ask(
                        "open", port=server.port, paths=paths(server, options.readers, views), deflate=deflate
                    )
                    found.append(_settled(server))
                    cpu = server.cpu()
                    time.sleep(options.idle_seconds)
                    cpu = server.cpu() - cpu
                    receivers.ask("close")
                    found.append(_settled(server))
            each = [(now - empty) / options.readers for now in found]
            offered = "offered" if deflate else "none"
            table.add(options.readers, str(views), offered, *each, 1000 * cpu / options.idle_seconds)
    return table


def _kept_lines(options: argparse.Namespace) -> Table:
    table = Table(
        "kept-lines",
        "Memory for a line that is kept, beyond its text and time",
        ["lines a request", "lines", "text and time, bytes", "beyond, bytes"],
        note="Resident memory of the server, from half of the lines to all of them. Nothing is evicted.",
    )
    for batch in options.batches:
        with Server(settings={"BUFFER_NAMESPACE_MIB": "4096", "BUFFER_TOTAL_MIB": "4096"}) as server:
            bodies = [fluentbit.as_json(fluentbit.records(_NAMESPACE, f"web-{number}", batch)) for number in range(8)]
            requests = max(1, min(options.lines // batch, options.requests) // 2)
            post_all(server, (bodies[number % 8] for number in range(requests)))
            half = _settled(server)
            post_all(server, (bodies[number % 8] for number in range(requests)))
            each = (_settled(server) - half) / (requests * batch)
        held = fluentbit.TEXT_BYTES + _TIME_BYTES
        table.add(batch, 2 * requests * batch, held, each - held)
    return table


def burst(options: argparse.Namespace) -> Table:
    """Measure what bodies that arrive at the same time take, at the worst moment and once they are over."""
    table = Table(
        "burst",
        f"Memory in a burst of {options.bodies} bodies of {options.body_mib} MiB each, at once",
        ["coding", "before, MiB", "peak", "after", f"peak of {options.bursts} bursts", "after them"],
        note="The server's buffer has its default bounds, 16 MiB for the namespace.",
    )
    size = len(fluentbit.as_json(fluentbit.records(_NAMESPACE, "web-0", 1000)))
    plain = fluentbit.as_json(fluentbit.records(_NAMESPACE, "web-0", options.body_mib * _MIB * 1000 // size))
    for coding, body in (("plain", plain), ("gzip", fluentbit.compressed(plain))):
        fields = ["Content-Encoding: gzip"] if coding == "gzip" else []
        with Server() as server:
            post_all(server, [fluentbit.as_json(fluentbit.records(_NAMESPACE, "web-0", 100))])
            before = _settled(server)
            found = list[int]()
            for _ in range(options.bursts):
                _post_at_once(server, [body] * options.bodies, fields)
                found += [memory(server.pid, "VmHWM"), _settled(server)]
        table.add(coding, *(value / _MIB for value in (before, *found[:2], *found[-2:])))
    return table


def _post_at_once(server: Server, bodies: list[bytes], fields: list[str]) -> None:
    connections = [Connection(server) for _ in bodies]
    threads = [
        Thread(target=connection.post, args=(body, *fields))
        for connection, body in zip(connections, bodies, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()


def _settled(server: Server) -> int:
    time.sleep(_SETTLE_SECONDS)
    return server.rss()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=float, default=2.0)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--requests", type=int, default=6000, help="at most, where requests have few lines")
    parser.add_argument("--batches", type=numbers, default=[1, 10, 50, 1000], help="lines a request")
    parser.add_argument("--bodies", type=int, default=10)
    parser.add_argument("--bursts", type=int, default=3)
    parser.add_argument("--body-mib", type=int, default=10)


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
