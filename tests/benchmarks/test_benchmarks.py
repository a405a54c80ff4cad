from __future__ import annotations

import argparse
import random
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import (
    brokers,
    compressed,
    fanout,
    fluentbit,
    growth,
    ingest,
    memory,
    profile,
    replay,
    replicas,
    shapes,
    soak,
)
from benchmarks.plot import plot
from benchmarks.process import Child
from benchmarks.report import growth_plot
from benchmarks.table import Table, arguments, median_of, read, report
from ingest.fluentbit.decode import decode

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

SMALL = {
    ingest: "--records 40 --rounds 1 --batches 20 --warm-up 2 --formats msgpack --codings gzip",
    shapes: "--batch 4 --decodes 1 --rounds 1",
    brokers: "--records 80 --rounds 1 --batches 20 --connections 1,2 --filling 100 --lines 50 --mib 1",
    fanout: "--readers 3 --views 1,0 --rates 100 --pods 5 --seconds 0.2 --singles 0 --first-attempt 300 --scoped 4",
    compressed: "--readers 3 --rate 100 --pods 5 --seconds 1",
    memory: "--readers 5 --idle-seconds 0.1 --lines 200 --batches 50 --bodies 2 --body-mib 1 --bursts 1",
    replay: "--mib 1 --readers 1,3 --repeat 2",
    replicas: "--nodes 1 --records 40 --rounds 1 --batches 20 --connections 1 --mib 1 --posts 2 --namespaces 2"
    " --idle-seconds 0.1 --readers 4 --replicas 1,2 --rate 20 --seconds 1",
    growth: "--numbers 1,3 --readers 1,3 --requests 2 --rounds 1 --visits 1",
}


def options(module: ModuleType, sizes: str) -> argparse.Namespace:
    parser = arguments(module.__doc__)
    module.add_arguments(parser)
    return parser.parse_args(sizes.split())


@pytest.mark.parametrize("module", [brokers, ingest, shapes, replay], ids=lambda module: module.__name__)
def test_a_benchmark_runs_with_small_sizes_and_finds_figures(module: Any) -> None:
    tables = module.run(options(module, SMALL[module]))
    assert all(table.rows for table in tables)
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)


@pytest.mark.chaos  # it starts a dozen servers
def test_replicas_deliver_every_line_that_is_fanned_out() -> None:
    tables = {table.name: table for table in replicas.run(options(replicas, SMALL[replicas]))}
    assert all(table.rows for table in tables.values())
    assert [row[1] for row in tables["replicas-fan-out"].rows] == [100, 100, 100]


@pytest.mark.parametrize("module", [fanout, compressed], ids=lambda module: module.__name__)
def test_all_lines_that_are_posted_are_received(module: Any) -> None:
    for table in module.run(options(module, SMALL[module])):
        assert [row[table.columns.index("delivered %")] for row in table.rows] == [100] * len(table.rows)


def test_a_sample_belongs_to_the_innermost_stage_that_knows_one_of_its_frames() -> None:
    outer = "main (logurt.py:1);Handle.run (asyncio/events.py:80);IOStream.write (tornado/iostream.py:5)"
    stacks = [
        "main (logurt.py:1);0x7f (libc.so.6) 1",
        f"{outer} 2",
        f"{outer};Group.flush (delivery/group.py:9);Session.write (handlers/session.py:7);send (libc.so.6) 4",
        f"{outer};_store (handlers/ingest.py:3);skip (msgspec/_core.so);memcmp (libc) 8",
    ]
    assert profile.tally(stacks) == {"other": 1, "Tornado": 2, "send": 4, "decode": 8}


def test_a_line_has_a_cost_whatever_there_is_beside_it() -> None:
    with Child("benchmarks.receivers") as receivers:
        for kind in (growth.KINDS[1], growth.KINDS[-1]):
            assert growth.cost(kind, 3, receivers, options(growth, SMALL[growth])) > 0


def test_bodies_at_once_take_memory() -> None:
    table = memory.burst(options(memory, SMALL[memory]))
    before, peak = table.rows[0][1:3]
    assert isinstance(before, float)
    assert isinstance(peak, float)
    assert 0 < before < peak


def test_a_soak_accounts_for_every_line_and_finds_nothing_left() -> None:
    found = soak.run(options(soak, "--minutes 0.03 --stay 1 --namespaces 1 --readers 2 --slow 1 --no-aged"))[0]
    happened = {str(name): number for name, number in found.rows}
    assert happened["problems"] == 0
    assert happened["visits"]
    assert happened["delivered"]


def test_what_a_server_still_holds_is_called_a_leak() -> None:
    before: dict[str, Any] = {"readers": 0, "files": 7, "tasks": 1, "bytes": 0, "bytes_counted": 0, "chunks": 0}
    held = before | {"readers": 2, "files": 9, "objects": {"WebSocketSession": 2}}
    assert soak.leaks(before | {"objects": {}}, held, aged=False) == [
        "readers: 2, and 0 before",
        "files: 9, and 7 before",
        "2 objects of WebSocketSession",
    ]


@pytest.mark.parametrize("encode", [fluentbit.as_json, fluentbit.as_messagepack])
def test_bodies_are_what_fluent_bit_sends(encode: Any) -> None:
    ((run,), skipped, _), *rest = decode(encode(fluentbit.records("shop", "web-0", 3)), {})
    assert (run.source.namespace, run.source.pod, len(run.texts), skipped, rest) == ("shop", "web-0", 3, 0, [])
    assert {len(text.encode()) for text in run.texts} == {fluentbit.TEXT_BYTES}


def test_a_stamped_body_tells_the_time_in_its_last_line() -> None:
    ((run,), *_), *_ = decode(fluentbit.Stamped("shop", "web-0", 3).body(123), {})
    assert ["t=00000000000000000123;" in text for text in run.texts] == [False, False, True]


def test_figures_that_were_written_are_read_again(tmp_path: Path) -> None:
    table = Table("one", "One", ["what", "number"])
    table.add("readers", 1.5)
    report(argparse.Namespace(json=tmp_path / "figures"), lambda _: [table])
    assert read(tmp_path / "figures")[1] == [table]


def test_a_table_is_aligned_and_as_markdown_has_its_numbers_to_the_right() -> None:
    table = Table("one", "One", ["what", "n"])
    table.add("readers", 12345)
    table.add("x", None)
    assert table.shown().splitlines()[-3:] == ["what          n", "readers  12,345", "x             -"]
    assert table.markdown().splitlines()[1:] == ["| --- | ---: |", "| readers | 12,345 |", "| x | - |"]


def test_a_plot_is_an_svg_document_with_a_line_for_each_series() -> None:
    chance = random.Random(1)
    series = {name: [(10.0**power, chance.uniform(1, 50)) for power in range(4)] for name in ("a<b", "c")}
    root = ET.fromstring(plot("Growth", "number", "cost", series))
    assert [element.tag.rpartition("}")[2] for element in root].count("polyline") == 2


def test_a_growth_table_is_plotted_without_what_was_not_measured() -> None:
    table = Table("growth", "Growth", ["number of", "1", "1,000", "5,000", "last/first"])
    table.add("pods", 20.0, 21.0, None, 1.05)
    assert growth_plot(table).count("<circle") == 2


def test_of_several_runs_each_figure_is_the_median_of_those_that_have_it() -> None:
    runs = [
        Table("a", "A", ["what", "n", "ms", "odd"], [["x", 5, 1.0, None], ["y", 6, 4.0, None]]),
        Table("a", "A", ["what", "n", "ms", "odd"], [["x", 5, 9.0, 3.0], ["y", 6, None, None]]),
        Table("a", "A", ["what", "n", "ms", "odd"], [["x", 5, 2.0, 1.0], ["y", 6, 6.0, None]]),
    ]
    assert median_of(runs).rows == [["x", 5, 2.0, 2.0], ["y", 6, 5.0, None]]
    assert median_of(runs[:1]) == runs[0]
