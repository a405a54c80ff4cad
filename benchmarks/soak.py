"""Minutes of churn: readers, pods and namespaces come and go, some readers are slow, some lines come in bursts.

It fails unless every line is accounted for, memory stays flat, and the server holds nothing once all have gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from benchmarks.process import memory
from benchmarks.server import INSPECTED, Server
from benchmarks.soak_readers import Follower, Unaccounted, pass_by
from benchmarks.soak_writers import Namespace
from benchmarks.table import Table, arguments, report

_SETTINGS = {
    "BUFFER_NAMESPACE_MIB": "2",
    "BUFFER_TOTAL_MIB": "8",
    "BUFFER_MAX_AGE_MINUTES": "1",
    "STALL_TIMEOUT_SECONDS": "5",
}
_SAMPLE_SECONDS = 1.0
_MIB = 1 << 20
# What only ever grows, and what goes once lines are too old.
_GROWING = ("lines_evicted", "lines_expired")
_AGING = ("namespaces", "sources", "chunks", "lines", "bytes", "bytes_counted")
# Classes of ours without an object once all have gone; others stay for good, or in a bounded cache.
_TRANSIENT = (
    *("Reader", "Group", "Feed", "Scope", "RenderCache"),
    *(
        "WebSocketSession",
        "HttpSession",
        "LogsHandler",
        "Visitor",
        "WebSocket",
        "LaneConnection",
        "Upload",
        "Body",
        "Turn",
    ),
)
_LEAVE_SECONDS = 10.0
_AGE_SECONDS = 80.0  # the shortest maximum age that can be set, and the time until it is next enforced


@dataclass
class Counts:
    """What happened."""

    namespaces: int = 0
    visits: int = 0
    slow_visits: int = 0
    passers_by: int = 0
    sent: int = 0
    delivered: int = 0
    lost_and_reported: int = 0
    problems: list[str] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)


def run(options: argparse.Namespace) -> list[Table]:
    """Soak a server and look what is left."""
    with Server(INSPECTED, _SETTINGS) as server:
        before, counts = _held(server), Counts()
        asyncio.run(_churn(server, options, counts))
        after = _left(server, before, counts, aged=options.aged)
    resident = _memory(counts)
    return [_counted(counts), resident, _rest(before, after)]


async def _churn(server: Server, options: argparse.Namespace, counts: Counts) -> None:
    """Keep everything coming and going until the time is over."""
    end = time.monotonic() + options.minutes * 60
    tasks = [asyncio.create_task(_namespaces(server, options, counts, end)) for _ in range(options.namespaces)]
    while time.monotonic() < end and not any(task.done() for task in tasks):
        counts.resident.append(memory(server.pid))
        await asyncio.sleep(_SAMPLE_SECONDS)
    await asyncio.gather(*tasks)


async def _namespaces(server: Server, options: argparse.Namespace, counts: Counts, end: float) -> None:
    """Run one namespace after the other, each with its writers and readers."""
    chance = random.Random(options.seed + counts.namespaces)
    while (left := end - time.monotonic()) > 0:
        namespace, stop = Namespace(), asyncio.Event()
        counts.namespaces += 1
        until = time.monotonic() + min(left, options.stay * (0.5 + chance.random()))
        readers = [_visits(server, namespace, chance, counts, until, slow=False) for _ in range(options.readers)]
        readers += [_visits(server, namespace, chance, counts, until, slow=True) for _ in range(options.slow)]
        readers += [_passers_by(server, namespace, chance, counts, until)]
        writing = asyncio.create_task(namespace.write(server, chance, stop))
        await asyncio.gather(*readers)
        stop.set()
        await writing
        counts.sent += namespace.sent


async def _visits(
    server: Server, namespace: Namespace, chance: random.Random, counts: Counts, end: float, *, slow: bool
) -> None:
    """Join, read for a while, and leave, again and again."""
    while (left := end - time.monotonic()) > 0:
        follower = Follower(server, namespace, slow=slow)
        try:
            await follower.join()
            await follower.follow(min(left, chance.uniform(2, 10) if slow else chance.uniform(0.2, 5)))
            received = await follower.leave()
        except (Unaccounted, OSError, asyncio.IncompleteReadError) as problem:
            counts.problems.append(str(problem) or repr(problem))
            await asyncio.sleep(_SAMPLE_SECONDS)
            continue
        counts.delivered += received.lines
        counts.lost_and_reported += received.lost
        counts.visits += 1
        counts.slow_visits += slow


async def _passers_by(server: Server, namespace: Namespace, chance: random.Random, counts: Counts, end: float) -> None:
    """Open streams and vanish; a few take nothing for so long that the server closes them."""
    while (left := end - time.monotonic()) > 0:
        stay = 8.0 if chance.random() < 0.05 else chance.uniform(0, 0.5)
        await pass_by(server, namespace.name, min(left, stay), chance.randrange(6))
        counts.passers_by += 1


def _held(server: Server) -> dict[str, Any]:
    """Return what the server says it holds."""
    asked = server.log.read_text().count("\nheld ")
    server.signal(signal.SIGUSR1)
    deadline = time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < deadline:
        said = server.log.read_text().split("\nheld ")
        if len(said) > asked + 1 and said[-1].endswith("\n"):
            held: dict[str, Any] = json.loads(said[-1].splitlines()[0])
            return held
        time.sleep(0.02)
    raise TimeoutError


def _left(server: Server, before: dict[str, Any], counts: Counts, *, aged: bool) -> dict[str, Any]:
    """Wait until the server holds nothing that it should have let go of; if it still does, note that as a problem."""
    deadline = time.monotonic() + (_AGE_SECONDS if aged else _LEAVE_SECONDS)
    while True:
        held = _held(server)
        problems = leaks(before, held, aged=aged)
        if not problems or time.monotonic() > deadline:
            counts.problems += problems
            return held
        time.sleep(_SAMPLE_SECONDS)


def leaks(before: dict[str, Any], held: dict[str, Any], *, aged: bool) -> list[str]:
    """Return a sentence for everything of which there is more than before the first reader came."""
    exempt = {"objects", *_GROWING, *(() if aged else _AGING)}
    problems = [
        f"{name}: {held[name]}, and {number} before"
        for name, number in before.items()
        if name not in exempt and held[name] > number
    ]
    problems += [f"{held['objects'][name]} objects of {name}" for name in _TRANSIENT if held["objects"].get(name)]
    if held["bytes"] != held["bytes_counted"]:
        problems.append(f"the store counts {held['bytes']} bytes, its rings {held['bytes_counted']}")
    if held["objects"].get("Chunk", 0) != held["chunks"]:
        problems.append(f"{held['objects'].get('Chunk', 0)} chunks in memory, {held['chunks']} in rings")
    return problems


def _counted(counts: Counts) -> Table:
    table = Table("soak", "Soak: what happened", ["what", "number"])
    for name in ("namespaces", "visits", "slow_visits", "passers_by", "sent", "delivered", "lost_and_reported"):
        table.add(name.replace("_", " "), int(getattr(counts, name)))
    table.add("problems", len(counts.problems))
    for problem in counts.problems[:20]:
        print(f"problem: {problem}", file=sys.stderr)
    return table


def _memory(counts: Counts) -> Table:
    """Compare memory in the last third of the time with the third before, whose spread counts as noise."""
    third = max(2, len(counts.resident) // 3)
    middle, last = counts.resident[-2 * third : -third] or counts.resident, counts.resident[-third:]
    spread = quantiles(middle, n=10) if len(middle) > 1 else [0, 0]
    noise = spread[-1] - spread[0] + _MIB
    growth = median(last) - median(middle)
    if growth > noise:
        counts.problems.append(f"memory grew by {growth / _MIB:.1f} MiB, which is more than noise")
    table = Table(
        "soak-memory",
        "Soak: resident memory of the server, MiB",
        ["first", "middle third", "last third", "growth", "noise"],
        note="Medians of one sample a second; noise is the span from the 10th to the 90th percentile, plus 1 MiB.",
    )
    table.add(*(value / _MIB for value in (counts.resident[0], median(middle), median(last), growth, noise)))
    return table


def _rest(before: dict[str, Any], after: dict[str, Any]) -> Table:
    table = Table("soak-rest", "Soak: what the server holds", ["what", "before", "after all have gone"])
    for name, number in before.items():
        if name != "objects":
            table.add(name.replace("_", " "), number, after[name])
    for name in sorted({*before["objects"], *after["objects"]}):
        table.add(f"objects of {name}", before["objects"].get(name, 0), after["objects"].get(name, 0))
    return table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--namespaces", type=int, default=4, help="at a time")
    parser.add_argument("--stay", type=float, default=30.0, help="seconds that a namespace stays, on average")
    parser.add_argument("--readers", type=int, default=3, help="of a namespace, at a time, that keep up")
    parser.add_argument("--slow", type=int, default=2, help="of a namespace, at a time, that read slowly")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--aged", action=argparse.BooleanOptionalAction, default=True, help="wait until lines expire")


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    found = report(given.parse_args(), run)
    sys.exit(found[0].rows[-1] != ["problems", 0])
