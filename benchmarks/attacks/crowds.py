"""Attacks by many connections: heads, readers that read nothing or do not stay, and callers that ask for lists."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.attacks.attack import NAMESPACE, Attack
from benchmarks.attacks.crowd import answered, exchange, held, storm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.attack import Ground

_BATCH = 1000
_LONG_LINE, _LONG_LINES, _LONG_BATCH = 250_000, 120, 8
_CALLERS = 10


def _long_heads(ground: Ground) -> Iterator[None]:
    """Send heads of many short lines, without any credential."""
    request = b"GET /logs HTTP/1.1\r\n%b\r\n" % (b"a:\r\n" * ground.sizes.header_lines)
    yield
    with held(ground.port, [request] * ground.sizes.heads) as connections:
        answered(connections, ground.sizes.seconds)


def _stalled_readers(ground: Ground) -> Iterator[None]:
    """Have readers take nothing of long lines."""
    lines = [fluentbit.record(NAMESPACE, "web-0", "x" * _LONG_LINE, number) for number in range(_LONG_LINES)]
    batches = [lines[at : at + _LONG_BATCH] for at in range(0, _LONG_LINES, _LONG_BATCH)]
    bodies = [fluentbit.as_json(batch) for batch in batches]
    requests = [ground.reader(tail="0") for _ in range(ground.sizes.stalled)]
    yield
    end = time.monotonic() + ground.sizes.seconds
    with held(ground.port, requests, small=True) as readers:
        answered(readers, ground.sizes.seconds)
        for number, body in enumerate(bodies):
            exchange(ground.port, [ground.post(body, tag=f"attack.{number}")], max(0.1, end - time.monotonic()))
        yield


def _joining_and_leaving(ground: Ground) -> Iterator[None]:
    """Have readers join for a backlog and leave at once, over and over."""
    ground.fill([fluentbit.as_json(fluentbit.records(NAMESPACE, "web-0", _BATCH))])
    request = ground.reader(tail="100")
    yield
    storm(ground.port, request, ground.sizes.joining, ground.sizes.seconds)


def _idle_connections(ground: Ground) -> Iterator[None]:
    """Open connections that send nothing."""
    yield
    with held(ground.port, [b""] * ground.sizes.idle):
        time.sleep(ground.sizes.seconds / 2)
        yield


def _source_lists(ground: Ground) -> Iterator[None]:
    """Ask for lists of many sources."""
    names = range(ground.sizes.sources)
    records = [fluentbit.record(NAMESPACE, f"web-{number}", "x") for number in names]
    ground.fill(fluentbit.as_json(records[at : at + _BATCH]) for at in range(0, len(records), _BATCH))
    request = ground.get("/api/sources?limit=1000", f"Authorization: Token {ground.server.secret}")
    yield
    storm(ground.port, request, _CALLERS, ground.sizes.seconds)


ATTACKS = (
    Attack("heads of short lines, no credential", _long_heads),
    Attack("readers that never read long lines", _stalled_readers),
    Attack("readers that join and leave", _joining_and_leaving),
    Attack("idle connections", _idle_connections),
    Attack("GET /api/sources storm", _source_lists, {"BUFFER_NAMESPACE_MIB": "128"}),
)
