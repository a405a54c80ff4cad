"""Ingest with each broker beside ingest in memory alone, and how long a backlog on disk takes to come back.

The servers take turns, several times over, and the ratios are medians over the rounds. Every request goes to a full
ring, so that each chunk that is written has one deleted.
"""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.connection import post_side_by_side
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, report
from buffer.chunk import Chunk, pack
from buffer.disk import DiskBroker
from buffer.source import Source
from buffer.store import Limits, Store
from delivery.hub import Hub

if TYPE_CHECKING:
    import argparse

_BODIES = 8  # different ones, each of a pod of its own
_MIB = 1 << 20


def run(options: argparse.Namespace) -> list[Table]:
    """Measure ingest in turns, then the reload."""
    return [_ingest(options), _reload(options)]


def _ingest(options: argparse.Namespace) -> Table:
    table = Table(
        "brokers",
        "Ingest by broker: records of 1 KB per CPU second of the server",
        ["batch", "connections", "memory", "disk", "disk of memory", "ms a request in memory", "on disk"],
        note="CPU of the whole process, the thread that writes to the disk included; medians.",
    )
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(dir=options.folder))
        servers = [stack.enter_context(Server(settings=given)) for given in ({}, {"DATA_DIR": folder})]
        for batch in options.batches:
            bodies = [fluentbit.as_json(fluentbit.records("n", f"web-{at}", batch)) for at in range(_BODIES)]
            for connections in options.connections:
                requests = max(4 * connections, options.records // batch)
                for server in servers:
                    post_side_by_side(server, bodies, options.filling // batch, connections)
                turns = [
                    [post_side_by_side(server, bodies, requests, connections) for server in servers]
                    for _ in range(options.rounds)
                ]
                memory, disk = (median(turn[at][0] for turn in turns) / requests / batch for at in range(2))
                ratio = median(turn[0][0] / turn[1][0] for turn in turns)
                waits = [1000 * median(turn[at][1] for turn in turns) for at in range(2)]
                table.add(batch, connections, 1 / memory, 1 / disk, ratio, *waits)
    return table


def _reload(options: argparse.Namespace) -> Table:
    table = Table(
        "reload",
        f"Reload of a backlog of {options.mib} MiB at the start",
        ["lines a chunk", "chunks", "MiB on disk", "seconds", "CPU seconds"],
        note="From opening the file until the hub has all chunks; the file is in the page cache.",
    )
    for lines in options.lines:
        with TemporaryDirectory(dir=options.folder) as folder:
            chunks = asyncio.run(_fill(folder, lines, options.mib))
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
            took = [asyncio.run(_start(folder, chunks)) for _ in range(options.rounds)]
            table.add(lines, chunks, size / _MIB, *(median(one[at] for one in took) for at in range(2)))
    return table


def _broker(folder: str) -> tuple[DiskBroker, Hub]:
    loop = asyncio.get_running_loop()
    broker = DiskBroker(folder, key_seconds=120, now=time.time, report=print)
    store = Store(Limits(1 << 40, 1 << 40, 1e9), broker.let_go)
    return broker, Hub(store, 0.02, broker.epoch, monotonic=loop.time, call_later=loop.call_later)


async def _fill(folder: str, lines: int, mib: int) -> int:
    """Store chunks of so many lines until they take so much memory; return how many there are."""
    broker, hub = _broker(folder)
    await broker.start(hub)
    records = fluentbit.records("n", "web", lines)
    texts, times = [one["log"] for one in records], [one["time"] for one in records]
    number = 0
    while hub.store.bytes < mib * _MIB:
        source = Source("n", f"web-{number % 50}", "app")
        texts = [*texts[1:], f"{number} {texts[0]}"[: len(texts[0])]]
        streams = ["stdout"] * lines
        packs = [pack(source, texts, times, streams, arrived=time.time(), max_line_bytes=_MIB) for _ in range(20)]
        await broker.publish(list[Chunk](chain(*packs)))
        number += 1
    await broker.close()
    return hub.store.statistics().chunks


async def _start(folder: str, chunks: int) -> tuple[float, float]:
    broker, hub = _broker(folder)
    began, cpu = time.perf_counter(), _cpu()
    await broker.start(hub)
    took = time.perf_counter() - began, _cpu() - cpu
    assert hub.store.statistics().chunks == chunks
    await broker.close()
    return took


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--records", type=int, default=40_000, help="in a round")
    parser.add_argument("--filling", type=int, default=150_000, help="records that fill the ring first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=numbers, default=[10, 200, 2000], help="records a request")
    parser.add_argument("--connections", type=numbers, default=[1, 8], help="that post at the same time")
    parser.add_argument("--lines", type=numbers, default=[10, 200], help="in a chunk that is reloaded")
    parser.add_argument("--mib", type=int, default=256, help="memory of the backlog that is reloaded")
    parser.add_argument("--folder", type=Path, help="where to put the data; by default, where temporary files go")


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
