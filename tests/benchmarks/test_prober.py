from __future__ import annotations

import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from benchmarks import prober
from benchmarks.attacks.attack import Attack, Ground, Sizes
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.attack import Course

SMALL = Sizes(
    seconds=0.2,
    body_bytes=300_000,
    searched_bytes=30_000,
    empty_bytes=200_000,
    chunks=2000,
    expiring=100,
    heads=4,
    header_lines=12_000,
    stalled=10,
    joining=10,
    leaving=50,
    flooding=5,
    idle=20,
    sources=1000,
    selecting=5,
    replaying=2,
)
# One of each kind; how long they hold lines up is measured by the benchmark, on a machine that does nothing else.
WORST = (
    "search for [ -~\\n]{999}\\x01",
    "joins with 100 requirements",
    "bodies: MessagePack, 180,000 values in each",
    "bomb: gzip, gzip",
    "heads of short lines, no credential",
    "readers that never read long lines",
    "readers that leave all at once",
)


@pytest.fixture
def pulse() -> Iterator[Child]:
    with Child("benchmarks.pulse") as child:
        yield child


def measured(attack: Attack, pulse: Child, sizes: Sizes = SMALL) -> prober.Found:
    return prober.measure(attack, sizes, pulse, quiet_seconds=0.1, patience=5.0)


def stop_for(seconds: float) -> Attack:
    def begin(ground: Ground) -> Course:
        yield
        ground.server.signal(signal.SIGSTOP)
        time.sleep(seconds)
        ground.server.signal(signal.SIGCONT)

    return Attack("stop", begin)


def kill(ground: Ground) -> Course:
    yield
    ground.server.signal(signal.SIGKILL)


def test_every_line_arrives_where_nobody_attacks(pulse: Child) -> None:
    found = measured(prober.NOTHING, pulse)
    assert len(found.attacked["delays"]) >= SMALL.seconds / 0.02
    assert (found.lost, found.refused) == (0, 0)


def test_a_server_that_stands_still_makes_a_line_late(pulse: Child) -> None:
    found = measured(stop_for(0.6), pulse)
    assert found.longest > 200  # some of it may be the prober's own lateness
    assert found.attacked["gap"] > 500
    assert found.verdict is prober.Verdict.MISSED


def test_a_server_that_crashes_loses_the_readers_stream(pulse: Child) -> None:
    found = measured(Attack("kill", kill), pulse)
    assert found.lost
    assert found.verdict is prober.Verdict.MISSED


def test_a_post_that_is_refused_is_counted_and_not_waited_for(pulse: Child) -> None:
    with Server() as server:
        path = server.path("pulse", tail="0")
        pulse.ask("open", port=server.port, pid=server.pid, secret="wrong", path=path)
        pulse.ask("start")
        stopped = pulse.ask("stop", patience=5.0)
        pulse.ask("close")
    assert stopped["answers"].keys() == {"401"}
    assert stopped["missing"] == 0


def test_bytes_that_nobody_takes_are_found_in_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listening.accept()[0] as accepted:
            accepted.settimeout(0)
            with suppress(BlockingIOError):
                while True:
                    accepted.send(bytes(1 << 20))
            assert prober.unsent_bytes(port) > 0


def test_an_attack_has_a_row_with_a_figure_for_each_column() -> None:
    parser = arguments(prober.__doc__)
    prober.add_arguments(parser)
    options = parser.parse_args(["--only", "nothing", "--seconds", "0.1", "--quiet-seconds", "0.1"])
    (table,) = prober.run(options)
    assert [len(row) for row in table.rows] == [len(table.columns)]


@pytest.mark.parametrize("name", WORST)
def test_an_attack_loses_no_line_and_has_none_refused(name: str, pulse: Child) -> None:
    (attack,) = (one for one in prober.ATTACKS if one.name == name)
    found = measured(attack, pulse)
    assert (found.lost, found.refused) == (0, 0)


def test_readers_that_never_read_take_little_of_the_kernels_memory(pulse: Child) -> None:
    (attack,) = (one for one in prober.ATTACKS if one.name == "readers that never read long lines")
    found = measured(attack, pulse)
    assert 0 < found.unsent < SMALL.stalled * (1 << 20)
