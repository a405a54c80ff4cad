"""Attacks by readers that ask for what takes long to find: patterns, streams, times."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.attacks.attack import NAMESPACE, Attack
from benchmarks.attacks.crowd import answered, exchange, held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.attack import Course, Ground

_BATCH = 2000
_LIVE_READERS = 10
_LIVE_BATCH, _LIVE_PAUSE = 50, 0.05
_EMPTY_BATCH = 60_000
# The shortest time that still lets a body be decoded in one go. Chunks keep times as they come: more lines fit.
_SHORT_TIME = "T"
_EMPTY_BYTES = 3  # what such a line takes in a ring, or a little less

# Once an automaton outgrows the memory it may use, RE2 simulates these state by state for each byte of text.
_COUNTED_CLASS = "[ -~\n]{999}\x01"
_MANY_STATES = "(a|b)*a(a|b){90}c"
_FEWER_STATES = "(a|b)*a(a|b){20}c"


def _search(ground: Ground, pattern: str, *, letters: str = "") -> Course:
    """Search lines of an access log, or of these letters, for a pattern that none of them matches."""
    ground.fill(_lines(ground.sizes.searched_bytes, letters))
    yield
    exchange(ground.port, [ground.logs(tail="1", follow="false", include=pattern)], ground.sizes.seconds)


def _live_patterns(ground: Ground) -> Course:
    """Have readers with such patterns follow what comes in."""
    repeats = range(90, 90 - _LIVE_READERS, -1)
    requests = [ground.reader(tail="0", include=f"(a|b)*a(a|b){{{count}}}c") for count in repeats]
    body = next(_lines(_LIVE_BATCH * fluentbit.TEXT_BYTES, "ab"))
    with held(ground.port, requests) as readers:
        answered(readers, ground.sizes.seconds)
        yield
        end = time.monotonic() + ground.sizes.seconds
        while (left := end - time.monotonic()) > 0:
            exchange(ground.port, [ground.post(body, tag=f"attack.{left}")], left)
            time.sleep(_LIVE_PAUSE)


def _empty_lines(ground: Ground, query: dict[str, str]) -> Course:
    """Search a namespace full of empty lines, none of which is wanted."""
    record = f'{{"log":"","time":"{_SHORT_TIME}","kubernetes":{{"namespace_name":"{NAMESPACE}"}}}}'
    body = f"[{','.join([record] * _EMPTY_BATCH)}]".encode()
    lines = ground.sizes.empty_bytes // _EMPTY_BYTES
    ground.fill(body for _ in range(lines // _EMPTY_BATCH))
    yield
    exchange(ground.port, [ground.logs(tail="1", follow="false", **query)], ground.sizes.seconds)


def _since(ground: Ground) -> Course:
    """Ask for lines since a time that is later than those of all lines, each of which is a chunk."""
    ground.fill(single_line_chunks(ground.sizes.chunks))
    yield
    exchange(ground.port, [ground.logs(since="1h", follow="false")], ground.sizes.seconds)


def single_line_chunks(count: int) -> Iterator[bytes]:
    """Yield bodies that make that many chunks, because two pods take turns."""
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        batch = [fluentbit.record(NAMESPACE, f"web-{number % 2}", f"line {number}", number) for number in numbers]
        yield fluentbit.as_json(batch)


def _lines(size: int, letters: str) -> Iterator[bytes]:
    """Yield bodies with that many bytes of text in all."""
    chance, left = random.Random(1), max(1, size // fluentbit.TEXT_BYTES)
    while left > 0:
        batch = fluentbit.records(NAMESPACE, "web-0", min(left, _BATCH))
        for record in batch if letters else ():
            record["log"] = "".join(chance.choices(letters, k=fluentbit.TEXT_BYTES))
        yield fluentbit.as_json(batch)
        left -= _BATCH


ATTACKS = (
    Attack("search for [ -~\\n]{999}\\x01", partial(_search, pattern=_COUNTED_CLASS)),
    Attack("search for (a|b)*a(a|b){90}c", partial(_search, pattern=_MANY_STATES, letters="ab")),
    Attack("search for (a|b)*a(a|b){20}c", partial(_search, pattern=_FEWER_STATES, letters="ab")),
    Attack(f"{_LIVE_READERS} live readers with such patterns", _live_patterns),
    Attack("stream=stderr over empty lines", partial(_empty_lines, query={"stream": "stderr"})),
    Attack("include=\\Az over empty lines", partial(_empty_lines, query={"include": "\\Az"})),
    Attack("since= over chunks of one line", _since, {"BUFFER_NAMESPACE_MIB": "64"}),
)
