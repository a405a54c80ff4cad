"""Attacks by selectors that take long to evaluate, over many sources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.attacks.attack import NAMESPACE, Attack
from benchmarks.attacks.crowd import answered, exchange, held, storm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.attack import Course, Ground

_BATCH = 1000
_CALLERS = 10
_REQUIREMENTS = 100  # as many as a selector may have
_PATIENCE = 5.0
_TIME = "2025-11-22T08:15:01.123457790Z"
_CURSOR = re.compile(rb'"cursor":"([^"]+)"')


def _joins(ground: Ground) -> Course:
    """Have readers join, each with other requirements, all of which have to be evaluated for every source."""
    ground.fill(_sources(ground.sizes.sources))
    requests = [ground.reader(tail="0", label=_requirements(number)) for number in range(_CALLERS)]
    yield
    with held(ground.port, requests) as readers:
        answered(readers, ground.sizes.seconds)


def _new_sources(ground: Ground) -> Course:
    """Have new pods write while there are readers with such requirements."""
    requests = [ground.reader(tail="0", label=_requirements(number)) for number in range(ground.sizes.selecting)]
    (body,) = _sources(_BATCH)
    with held(ground.port, requests) as readers:
        answered(readers, ground.sizes.seconds)
        yield
        exchange(ground.port, [ground.post(body)], ground.sizes.seconds)


def _old_cursors(ground: Ground) -> Course:
    """Come back, with such requirements, to a namespace whose pods have all gone since."""
    ground.fill(_sources(1))
    last_line = ground.logs(tail="1", follow="false", format="json")
    (cursor,) = _CURSOR.findall(exchange(ground.port, [last_line], _PATIENCE)[0])
    ground.fill(_sources(ground.sizes.sources))
    labels = [_requirements(number) for number in range(_CALLERS)]
    requests = [ground.logs(label=label, cursor=cursor.decode(), follow="false") for label in labels]
    yield
    exchange(ground.port, requests, ground.sizes.seconds)


def _source_lists(ground: Ground) -> Course:
    """Ask for lists of many sources."""
    ground.fill(_sources(ground.sizes.sources))
    request = ground.get("/api/sources?limit=1000", f"Authorization: Token {ground.server.secret}")
    yield
    storm(ground.port, request, _CALLERS, ground.sizes.seconds)


def _sources(count: int) -> Iterator[bytes]:
    """Yield bodies with a line from each of that many pods."""
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        pods = [{"namespace_name": NAMESPACE, "pod_name": f"web-{number}"} for number in numbers]
        yield fluentbit.as_json([{"log": "x", "time": _TIME, "kubernetes": pod} for pod in pods])


def _requirements(number: int) -> str:
    """Return requirements that every pod meets, so that all of them are evaluated; each number gives other ones."""
    return ",".join([f"!absent-{number}", *(f"!absent.{at}" for at in range(1, _REQUIREMENTS))])


ATTACKS = (
    Attack("joins with 100 requirements", _joins, {"BUFFER_NAMESPACE_MIB": "128"}),
    Attack("new pods, readers with 100 requirements", _new_sources),
    Attack("cursors of pods that are gone", _old_cursors, {"BUFFER_NAMESPACE_MIB": "1"}),
    Attack("GET /api/sources storm", _source_lists, {"BUFFER_NAMESPACE_MIB": "128"}),
)
