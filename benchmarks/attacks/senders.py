"""Attacks by what is posted: odd bodies, bombs, bodies that never come, and many lines that expire together."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import pulse
from benchmarks.attacks.attack import Attack
from benchmarks.attacks.bodies import BOMBS, ODD
from benchmarks.attacks.crowd import exchange, hang_up, held
from benchmarks.attacks.searches import single_line_chunks
from benchmarks.connection import INGEST
from benchmarks.server import INSPECTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.attacks.attack import Course, Ground

_HASTY = 4
_MIB = 1 << 20
# MAX_BODY_MIB is 64: one just fits, the other is twice too large.
_BOMBS_MIB = 60, 128
_UNFINISHED = 10_000
# A server looks for lines that are too old every ten seconds.
_EXPIRY_SECONDS = 12.0


def _odd_bodies(ground: Ground, build: Callable[[int], bytes]) -> Course:
    """Post a body and wait for its answer; then post four at once and hang up without waiting for answers."""
    body, half = build(ground.sizes.body_bytes), ground.sizes.seconds / 2
    requests = [ground.post(body, tag=f"attack.{number}") for number in range(1 + _HASTY)]
    yield
    exchange(ground.port, requests[:1], half)
    hang_up(ground.port, requests[1:], half)


def _bombs(ground: Ground, coding: str) -> Course:
    """Post bodies that inflate enormously."""
    fields = f"Content-Encoding: {coding}"
    requests = [ground.post(BOMBS[coding](mib * _MIB), fields) for mib in _BOMBS_MIB]
    yield
    for request in requests:
        exchange(ground.port, [request], ground.sizes.seconds / len(requests))


def _unfinished(ground: Ground, *fields: str) -> Course:
    """Begin a request with the prober's tag, and never send its body."""
    yield
    credential = [field.format(ground.server.secret) for field in fields]
    lines = [f"POST {INGEST} HTTP/1.1", "Host: 127.0.0.1", *credential, f"Fluent-Tag: {pulse.TAG}"]
    lines += [f"Content-Length: {_UNFINISHED}", "", ""]
    with held(ground.port, ["\r\n".join(lines).encode()]):
        time.sleep(ground.sizes.seconds)


def _expiry(ground: Ground) -> Course:
    """Have many chunks of one line expire together, by putting the server's clock forward."""
    ground.fill(single_line_chunks(ground.sizes.expiring))
    yield
    ground.server.signal(signal.SIGUSR2)
    time.sleep(_EXPIRY_SECONDS)


ATTACKS = (
    *(Attack(f"bodies: {name}", partial(_odd_bodies, build=build)) for name, build in ODD.items()),
    *(Attack(f"bomb: {coding}", partial(_bombs, coding=coding)) for coding in BOMBS),
    Attack("body that never comes, no credential", _unfinished),
    Attack("body that never comes", lambda ground: _unfinished(ground, "Authorization: Token {}")),
)
EXPIRY = Attack(
    "chunks of one line that expire",
    _expiry,
    {"BUFFER_MAX_AGE_MINUTES": "1", "BUFFER_NAMESPACE_MIB": "256"},
    INSPECTED,
)
