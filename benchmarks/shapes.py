"""Records decoded per CPU second in each shape that set-ups of Fluent Bit give them: `decode` alone, without a server.

The shapes take turns, several times over, and the figures are medians over the rounds.
"""

from __future__ import annotations

import json
import time
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from benchmarks import fluentbit
from benchmarks.table import Table, arguments, report
from ingest.fluentbit.decode import decode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Record: TypeAlias = dict[str, Any]
    Change: TypeAlias = Callable[[Record], Record]

_NAMESPACE, _POD = "shapes", "web-7d4b9c6f5-x2x7k"
_HEADERS = {"Fluent-Tag": f"kube.var.log.containers.{_POD}_{_NAMESPACE}_app-{'0' * 64}.log"}
# What an application writes that logs JSON, about as long as the text of the others.
_OBJECT = {"level": "info", "msg": "GET /products/4711?page=7", "status": 200, "seconds": 0.013, "user": {"id": 42}}
# Seconds and nanoseconds of an entry, before its record.
_EVENT_TIME = msgspec.msgpack.Ext(0, (1_763_799_301).to_bytes(4) + (123_457_790).to_bytes(4))


def _with(*absent: str, **more: Any) -> Change:
    """Return a change of a record: some members are left out, and others put in, before its metadata."""

    def change(one: Record) -> Record:
        kept = {key: value for key, value in one.items() if key not in (*absent, *more, "kubernetes")}
        return kept | more | ({} if "kubernetes" in absent else {"kubernetes": one["kubernetes"]})

    return change


def _dated(date: Callable[[float], Any], key: str = "date") -> Change:
    """Return a change of a record: its only time is a date of that format under that key."""
    return lambda one: {key: date(one["date"])} | _with("date", "time")(one)


def _of_parser_cri(one: Record, *, has_text: bool) -> Record:
    return _with("_p", "log", logtag="F", **({"message": one["log"]} if has_text else {}))(one)


def _utc(form: str) -> Callable[[float], str]:
    return lambda date: time.strftime(form, time.gmtime(date)).replace("#", f"{date % 1:.6f}"[2:])


def _every_other(change: Change) -> Change:
    """Return a change of every other record, as of an application that does not always log JSON."""
    return lambda one: change(one) if round(one["date"] * 1000) % 2 else one


SHAPES: dict[str, Change] = {
    "`log`, `time` and a date": lambda one: one,
    "no date": _with("date"),
    "docker parser": lambda one: one | {"log": one["log"] + "\n"},
    "`Parser cri`": lambda one: _of_parser_cri(one, has_text=True),
    "`Parser cri`, one empty line in eight": lambda one: _of_parser_cri(
        one, has_text=round(one["date"] * 1000) % 8 != 0
    ),
    "no metadata, but a tag": _with("kubernetes"),
    "a date alone, double": _dated(float),
    "a date alone, iso8601": _dated(_utc("%Y-%m-%dT%H:%M:%S.#Z")),
    "a date alone, java_sql_timestamp": _dated(_utc("%Y-%m-%d %H:%M:%S.#")),
    "a date alone, epoch": _dated(int),
    "a date alone, epoch_ms": _dated(lambda date: round(date * 1000)),
    "a date alone, double, under another key": _dated(float, "my_date"),
    "neither `time` nor date": _with("date", "time"),
    "Merge_Log, `log` kept": _with(**_OBJECT),
    "Merge_Log_Key, `log` kept": _with(log_processed=_OBJECT),
    "a map under `log`": _with(log=_OBJECT),
    "a map under `log` of every other": _every_other(_with(log=_OBJECT)),
    "Merge_Log_Key, Keep_Log Off": _with("log", log_processed=_OBJECT),
    "Merge_Log_Key, Keep_Log Off, every other": _every_other(_with("log", log_processed=_OBJECT)),
    "Merge_Log, Keep_Log Off": _with("log", **_OBJECT),
    "Merge_Log, Keep_Log Off, every other": _every_other(_with("log", **_OBJECT)),
}

_FIRST = next(iter(SHAPES))


def _as_messagepack(batch: list[Record], *head: Any) -> bytes:
    """Return entries with this before the record of each."""
    return b"".join([msgspec.msgpack.encode([*head, one]) for one in batch])


def _each(batch: list[Record]) -> list[bytes]:
    return [json.dumps(one, separators=(",", ":")).encode() for one in batch]


FORMATS: dict[str, Callable[[list[Record]], bytes]] = {
    "json": lambda batch: b"[%b]" % b",".join(_each(batch)),
    "msgpack": lambda batch: _as_messagepack(batch, [_EVENT_TIME, {}]),
    "json_lines": lambda batch: b"\n".join(_each(batch)),
    "json_stream": lambda batch: b"".join(_each(batch)),
    "msgpack of 1.9": lambda batch: _as_messagepack(batch, _EVENT_TIME),
}
# Lines and streams are JSON as well, and their records are read alike.
_IN_ALL_SHAPES = ("json", "msgpack")


def run(options: argparse.Namespace) -> list[Table]:
    """Measure the first shape in all formats, and each of the others in two."""
    table = Table(
        "shapes",
        f"Shapes: records decoded per CPU second, {options.batch} in a body",
        ["format", "shape", "bytes a record", "records/CPU s", "of the first"],
        note="`of the first`: as a share of what the same format's first shape reaches, in json for lines and streams. "
        "In MessagePack the date stands beside the record, in one format. Medians.",
    )
    records = fluentbit.records(_NAMESPACE, _POD, options.batch)
    bodies = dict[tuple[str, str], bytes]()
    for form, (shape, change) in product(FORMATS, SHAPES.items()):
        body = FORMATS[form]([_sent(form, change(one)) for one in records])
        if (form in _IN_ALL_SHAPES or shape == _FIRST) and body not in bodies.values():
            bodies[form, shape] = body
    rounds = [{case: _cost(body, options.decodes) for case, body in bodies.items()} for _ in range(options.rounds)]
    rates = {case: options.batch / median(one[case] for one in rounds) for case in bodies}
    for (form, shape), rate in rates.items():
        first = rates["msgpack" if form.startswith("msgpack") else "json", _FIRST]
        table.add(form, shape, len(bodies[form, shape]) // options.batch, rate, rate / first)
    return [table]


def _sent(form: str, one: Record) -> Record:
    """Return a record as that format has it: in MessagePack, the output writes no date."""
    return {key: value for key, value in one.items() if "date" not in key} if form.startswith("msgpack") else one


def _cost(body: bytes, decodes: int) -> float:
    before = time.process_time()
    for _ in range(decodes):
        for _ in decode(body, _HEADERS):
            pass
    return (time.process_time() - before) / decodes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--batch", type=int, default=200, help="records in a body")
    parser.add_argument("--decodes", type=int, default=40, help="of a body, in a round")
    parser.add_argument("--rounds", type=int, default=7)


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
