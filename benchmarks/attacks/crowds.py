"""Attacks by many connections: long heads, idle ones, and readers that do not read, do not stay, or read it all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.attacks.attack import NAMESPACE, Attack
from benchmarks.attacks.crowd import answered, exchange, flood, held, storm
from benchmarks.attacks.searches import single_line_chunks

if TYPE_CHECKING:
    from benchmarks.attacks.attack import Course, Ground

_BATCH = 1000
_LONG_LINE, _LONG_LINES, _LONG_BATCH = 250_000, 120, 8
_STALLING_LINES = 16
_PODS, _RING_BATCHES = 8, 120
_PATIENCE = 30.0
# An empty ping, with a mask that changes nothing (RFC 6455, section 5.2).
_PING, _PINGS = b"\x89\x80\0\0\0\0", 3000


def _long_heads(ground: Ground) -> Course:
    """Send heads of many short lines, without a credential."""
    request = b"GET /logs HTTP/1.1\r\n%b\r\n" % (b"a:\r\n" * ground.sizes.header_lines)
    yield
    with held(ground.port, [request] * ground.sizes.heads) as connections:
        answered(connections, ground.sizes.seconds)


def _stalled_readers(ground: Ground) -> Course:
    """Have readers take nothing while long lines come in."""
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


def _chunks_past_stalled_readers(ground: Ground) -> Course:
    """Have chunks of one line evict each other, each a loss to count for every reader that never reads."""
    chunks = list(single_line_chunks(ground.sizes.chunks // 4))
    long_line = fluentbit.record(NAMESPACE, "web-0", "x" * _LONG_LINE)
    with held(ground.port, [ground.reader(tail="0")] * ground.sizes.stalled, small=True) as readers:
        answered(readers, ground.sizes.seconds)
        ground.fill(fluentbit.as_json([long_line]) for _ in range(_STALLING_LINES))
        ground.fill(chunks)
        yield
        requests = [ground.post(body, tag=f"attack.{number}") for number, body in enumerate(chunks)]
        end = time.monotonic() + ground.sizes.seconds
        for request in requests:
            exchange(ground.port, [request], max(0.0, end - time.monotonic()))
        yield


def _joining_and_leaving(ground: Ground) -> Course:
    """Have readers join for a backlog and leave at once, over and over."""
    ground.fill([fluentbit.as_json(fluentbit.records(NAMESPACE, "web-0", _BATCH))])
    request = ground.reader(tail="100")
    yield
    storm(ground.port, request, ground.sizes.joining, ground.sizes.seconds)


def _all_leaving(ground: Ground) -> Course:
    """Have thousands of readers leave at the same moment, as they do when a proxy dies."""
    with held(ground.port, [ground.reader(tail="0")] * ground.sizes.leaving) as readers:
        answered(readers, _PATIENCE)
        yield
    time.sleep(ground.sizes.seconds)


def _flooding_with_pings(ground: Ground) -> Course:
    """Have readers send nothing but pings, as many as they can."""
    with held(ground.port, [ground.reader(tail="0")] * ground.sizes.flooding) as readers:
        answered(readers, ground.sizes.seconds)
        yield
        flood(readers, _PING * _PINGS, ground.sizes.seconds)


def _idle_connections(ground: Ground) -> Course:
    """Open connections that send nothing."""
    yield
    with held(ground.port, [b""] * ground.sizes.idle):
        time.sleep(ground.sizes.seconds / 2)
        yield


def _replaying_readers(ground: Ground) -> Course:
    """Have readers come for everything that a full namespace holds."""
    bodies = [fluentbit.as_json(fluentbit.records(NAMESPACE, f"web-{number}", _BATCH)) for number in range(_PODS)]
    ground.fill(bodies * (_RING_BATCHES // _PODS))
    requests = [ground.logs(tail="all", follow="false") for _ in range(ground.sizes.replaying)]
    yield
    exchange(ground.port, requests, ground.sizes.seconds)


ATTACKS = (
    Attack("heads of short lines, no credential", _long_heads),
    Attack("readers that never read long lines", _stalled_readers),
    Attack("chunks of one line past such readers", _chunks_past_stalled_readers, {"BUFFER_NAMESPACE_MIB": "4"}),
    Attack("readers that join and leave", _joining_and_leaving),
    Attack("readers that leave all at once", _all_leaving),
    Attack("readers that flood with pings", _flooding_with_pings),
    Attack("idle connections", _idle_connections),
    Attack("readers of a full namespace", _replaying_readers),
)
