"""Records taken in per CPU second of the server, compared with bare Tornado handlers that get the same bytes.

The servers take turns, several times over, and the ratios are medians over the rounds.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import fluentbit
from benchmarks.connection import INGEST, Connection, post_all
from benchmarks.process import Child
from benchmarks.server import BARE, TUNED, Server
from benchmarks.table import Table, arguments, numbers, report

if TYPE_CHECKING:
    import argparse

_NAMESPACE = "ingest"
_BODIES = 8  # different ones, each of a pod of its own
_WARM_UP = 60  # requests that fill the ring
_FILLING = 2000  # records in each of them, at least


class _Load(NamedTuple):
    """What is sent: the bodies of a round, their header fields, and how many records that makes."""

    bodies: list[bytes]
    fields: list[str]
    records: int


class _Sink(NamedTuple):
    """Where it is sent."""

    server: Server
    path: str


def run(options: argparse.Namespace) -> list[Table]:
    """Measure each kind of request, with each number of readers."""
    table = Table(
        "ingest",
        "Ingest: records per CPU second of the server, compared with bare Tornado",
        [
            *("format", "coding", "batch", "readers", "bytes a record", "records/CPU s"),
            *("of receive", "of receive+decode", "of the same, tuned"),
        ],
        note="`of receive`: CPU of a bare handler that only receives, as a multiple of logurt's; "
        "`of receive+decode`: of one that also decodes text, time, stream and raw metadata; `tuned`: of that one, with "
        "the C library and the garbage collector set up as logurt does. Medians.",
    )
    with ExitStack() as stack:
        logurt = stack.enter_context(Server())
        bare = stack.enter_context(Server(BARE))
        receivers = stack.enter_context(Child("benchmarks.receivers"))
        tuned = stack.enter_context(Server(TUNED))
        others = _Sink(bare, "/receive"), _Sink(bare, "/decode"), _Sink(tuned, "/decode")
        sinks = *others, _Sink(logurt, INGEST)
        cases = {
            case: _load(*case, options.records) for case in product(options.formats, options.codings, options.batches)
        }
        # Every kind once on every server: memory allocators learn from what they have seen.
        for load, sink in product(cases.values(), sinks):
            _cost(sink, load)
        for readers in options.readers:
            paths = [logurt.path(_NAMESPACE, tail="0")] * readers
            receivers.ask("open", port=logurt.port, paths=paths)
            for (form, coding, batch), load in cases.items():
                post_all(logurt, [_filling(batch)] * options.warm_up)
                turns = [[_cost(sink, load) for sink in sinks] for _ in range(options.rounds)]
                ratios = [median(turn[number] / turn[-1] for turn in turns) for number in range(len(others))]
                rate = load.records / median(turn[-1] for turn in turns)
                size = sum(map(len, load.bodies)) // load.records
                table.add(form, coding, batch, readers, size, rate, *ratios)
            receivers.ask("close")
    return [table]


def _load(form: str, coding: str, batch: int, records: int) -> _Load:
    encode = fluentbit.as_json if form == "json" else fluentbit.as_messagepack
    bodies = [encode(fluentbit.records(_NAMESPACE, f"web-{number}", batch)) for number in range(_BODIES)]
    fields = [f"Content-Type: application/{'json' if form == 'json' else 'msgpack'}"]
    if form == "msgpack":
        fields.append(f"X-Entries: {batch}")
    if coding == "gzip":
        bodies = [fluentbit.compressed(body) for body in bodies]
        fields.append("Content-Encoding: gzip")
    requests = max(4, records // batch)
    return _Load([bodies[number % _BODIES] for number in range(requests)], fields, requests * batch)


@cache
def _filling(batch: int) -> bytes:
    """Return a body that fills the ring with chunks like the measured ones, so that each of those evicts its like."""
    rounds = range(max(1, _FILLING // batch))
    return fluentbit.as_json([one for at in rounds for one in fluentbit.records(_NAMESPACE, f"old-{at % 2}", batch)])


def _cost(sink: _Sink, load: _Load) -> float:
    with Connection(sink.server, sink.path) as connection:
        before = sink.server.cpu()
        for body in load.bodies:
            connection.post(body, *load.fields)
        return sink.server.cpu() - before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--records", type=int, default=6000, help="in a round")
    parser.add_argument("--warm-up", type=int, default=_WARM_UP, help="requests that fill the ring first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=numbers, default=[10, 200, 2000], help="records a request")
    parser.add_argument("--readers", type=numbers, default=[0, 1])
    parser.add_argument("--formats", type=lambda text: text.split(","), default=["json", "msgpack"])
    parser.add_argument("--codings", type=lambda text: text.split(","), default=["plain", "gzip"])


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
