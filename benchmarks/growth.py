"""What a line costs the server as one thing after another grows: namespaces, pods, readers, views.

Most of these have nothing to do with the line, and its cost must not grow with them.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import fluentbit
from benchmarks.connection import Connection, post_all
from benchmarks.fluentbit import FRAME_BYTES
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_NAMESPACE = "growth"
_BATCH = 20
_PACE_SECONDS = 0.005  # between requests, where readers have to keep up
_SMALLEST_BUFFER = {"BUFFER_NAMESPACE_MIB": "4", "BUFFER_TOTAL_MIB": "4"}
_FILLING_REQUESTS, _FILLING_BATCH, _FILLING_BYTES = 40, 200, 1000  # twice what fits into the smallest buffer
_RECORDS_A_REQUEST = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that grows.

    `writers` and `paths` return, for its number, who writes (namespace and pod) and what is read. `full`: the buffer is
    so small that each line evicts others. `stalled`: the readers take nothing. `per_reader`: the cost is that of a line
    delivered to one reader, since each reader has to be sent every line.
    """

    name: str
    writers: Callable[[int], list[tuple[str, str]]] = lambda _: [(_NAMESPACE, "web-0")]
    paths: Callable[[Server, int], list[str]] | None = None
    full: bool = False
    stalled: bool = False
    per_reader: bool = False


def _labels(view: int) -> dict[str, str]:
    names = list(fluentbit.LABELS)
    return {name: fluentbit.LABELS[name] for at, name in enumerate(names) if view >> at & 1}


def _namespaces(number: int) -> list[tuple[str, str]]:
    return [(f"{_NAMESPACE}-{at}", "web-0") for at in range(number)]


def _pods(number: int) -> list[tuple[str, str]]:
    return [(_NAMESPACE, f"web-{at}") for at in range(number)]


def _same(server: Server, number: int) -> list[str]:
    return [server.path(_NAMESPACE, tail="0")] * number


KINDS = (
    Kind("namespaces", _namespaces),
    Kind("namespaces, buffer full", _namespaces, full=True),
    Kind("pods", _pods),
    Kind("pods, buffer full", _pods, full=True),
    Kind("readers of other namespaces", paths=lambda server, number: [server.path("other", tail="0")] * number),
    Kind(
        "views of other pods",
        paths=lambda server, number: [server.path(_NAMESPACE, pod=f"other-{at}", tail="0") for at in range(number)],
    ),
    Kind("readers that take nothing, buffer full", paths=_same, full=True, stalled=True),
    Kind("readers of one view, a line delivered", paths=_same, per_reader=True),
    Kind(
        "views of one reader, a line delivered",
        paths=lambda server, number: [server.path(_NAMESPACE, labels=_labels(at), tail="0") for at in range(number)],
        per_reader=True,
    ),
)


def run(options: argparse.Namespace) -> list[Table]:
    """Measure each kind at each number."""
    sizes = sorted({*options.numbers, *options.readers})
    table = Table(
        "growth",
        "Growth: CPU microseconds of the server for a line, as something grows",
        ["number of", *(f"{size:,}" for size in sizes), "last/first"],
        note=f"Requests of {_BATCH} lines. `a line delivered`: the cost of a line divided by the readers that get it.",
    )
    with Child("benchmarks.receivers") as receivers:
        for kind in KINDS:
            asked = options.readers if kind.paths else options.numbers
            costs = {size: 1e6 * cost(kind, size, receivers, options) for size in asked}
            growth = costs[max(costs)] / costs[min(costs)]
            table.add(kind.name, *(costs.get(size) for size in sizes), growth)
    return [table, _joins(options)]


def cost(kind: Kind, size: int, receivers: Child, options: argparse.Namespace) -> float:
    """Return CPU seconds for a line: the least of a few rounds, after one that does not count."""
    with ExitStack() as stack:
        server = stack.enter_context(Server(settings=_SMALLEST_BUFFER if kind.full else None))
        writers = kind.writers(size)
        post_all(server, _each_once(writers))
        if kind.full:
            post_all(server, _filling(writers))
        readers = 0
        if kind.paths is not None:
            paths = kind.paths(server, size)
            readers = len(paths)
            receivers.ask("open", port=server.port, paths=paths, stalled=kind.stalled)
            stack.callback(receivers.ask, "close")
        if kind.stalled:
            post_all(server, _filling(writers))
        step = max(1, len(writers) // options.requests)
        bodies = [
            fluentbit.as_json(fluentbit.records(*writer, _BATCH)) for writer in writers[::step][: options.requests]
        ]
        connection = stack.enter_context(Connection(server))
        costs = list[float]()
        for _ in range(options.rounds + 1):
            receivers.ask("reset")
            before = server.cpu()
            for number in range(options.requests):
                connection.post(bodies[number % len(bodies)])
                if readers:
                    time.sleep(_PACE_SECONDS)
            lines = options.requests * _BATCH
            if kind.per_reader:
                receivers.ask("until", total=lines * readers * FRAME_BYTES)
                lines *= readers
            costs.append((server.cpu() - before) / lines)
        return min(costs[1:])


def _each_once(writers: list[tuple[str, str]]) -> list[bytes]:
    """Return requests with one line of each writer."""
    records = [fluentbit.record(*writer, fluentbit.line()) for writer in writers]
    groups = [records[at : at + _RECORDS_A_REQUEST] for at in range(0, len(records), _RECORDS_A_REQUEST)]
    return [fluentbit.as_json(group) for group in groups]


def _filling(writers: list[tuple[str, str]]) -> list[bytes]:
    """Return requests that fill the smallest buffer and evict what was in it."""
    lines = [fluentbit.line(number, _FILLING_BYTES) for number in range(_FILLING_BATCH)]
    bodies = list[bytes]()
    for request in range(_FILLING_REQUESTS):
        places = [(request * _FILLING_BATCH + number) % len(writers) for number in range(_FILLING_BATCH)]
        batch = [fluentbit.record(*writers[place], text) for place, text in zip(sorted(places), lines, strict=True)]
        bodies.append(fluentbit.as_json(batch))
    return bodies


def _joins(options: argparse.Namespace) -> Table:
    """Measure what it costs when a reader comes and goes."""
    table = Table(
        "joins",
        "Growth: CPU milliseconds of the server for a reader that comes, gets 100 lines, and goes",
        ["number of", *(f"{size:,}" for size in options.numbers), "last/first"],
        note="The reader reads one pod, among that many others in its namespace or in other namespaces.",
    )
    kinds: dict[str, Callable[[int], list[tuple[str, str]]]] = {"pods": _pods, "namespaces": _namespaces}
    with Child("benchmarks.receivers") as receivers:
        for name, others in kinds.items():
            costs = list[float]()
            for size in options.numbers:
                with Server() as server:
                    post_all(server, _each_once(others(size)))
                    post_all(server, [fluentbit.as_json(fluentbit.records(_NAMESPACE, "quiet", 100))])
                    path = server.path(_NAMESPACE, pod="quiet", tail="100")
                    costs.append(1000 * _visit_cost(server, receivers, path, options.visits))
            table.add(name, *costs, costs[-1] / costs[0])
    return table


def _visit_cost(server: Server, receivers: Child, path: str, visits: int) -> float:
    question: dict[str, Any] = {"port": server.port, "paths": [path]}
    before = 0.0
    for number in range(visits + 1):
        if number == 1:
            before = server.cpu()
        receivers.ask("reset")
        receivers.ask("open", **question)
        receivers.ask("until", total=100 * FRAME_BYTES)
        receivers.ask("close")
    return (server.cpu() - before) / visits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--numbers", type=numbers, default=[1, 10, 100, 1000, 5000], help="of namespaces and pods")
    parser.add_argument("--readers", type=numbers, default=[1, 10, 100, 1000], help="and of views, at most 1024")
    parser.add_argument("--requests", type=int, default=50, help="in each round")
    parser.add_argument("--rounds", type=int, default=2, help="that count")
    parser.add_argument("--visits", type=int, default=30)


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
