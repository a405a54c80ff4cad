from __future__ import annotations

from unittest.mock import patch

import pytest

from delivery.filter import TextFilter
from delivery.hub import LOOP_SECONDS
from delivery.reader import Start
from delivery.turns import QUICK_SECONDS, READER_SECONDS, SLOW_SECONDS
from tests.delivery.doubles import Client, Rig, view

PLAIN = view()
UNLIKE = [view(text=TextFilter((f"nothing {number}",))) for number in range(30)]


def served(clients: list[Client]) -> int:
    return sum(bool(client.socket.writes) for client in clients)


def test_a_turn_serves_readers_for_some_time_and_leaves_the_rest_to_the_next() -> None:
    rig = Rig()
    rig.publish("1")
    clients = [rig.join(PLAIN) for _ in range(100)]
    rig.clock.tick = READER_SECONDS / 20
    assert rig.clock.run_one()
    assert 1 < served(clients) < QUICK_SECONDS / rig.clock.tick
    assert [bool(client.socket.writes) for client in clients].index(False) == served(clients), "not in order"
    rig.settle()
    assert all(client.texts() == ["1"] for client in clients)


def test_every_reader_gets_one_range_before_any_gets_another() -> None:
    rig = Rig()
    for _ in range(20):
        rig.publish("x" * 60_000)
    clients = [rig.join(PLAIN) for _ in range(3)]
    rig.clock.run_one()
    assert [len(client.socket.writes) for client in clients] == [1, 1, 1]


@pytest.mark.parametrize("slow", [1, 30])
def test_readers_that_take_long_do_not_hold_up_the_others(slow: int) -> None:
    rig = Rig()
    for _ in range(5000):
        rig.publish("b")
    searching = [rig.join(seen) for seen in UNLIKE[:slow]]
    rig.clock.tick = READER_SECONDS / 20
    for _ in range(slow):
        rig.clock.run_one()  # each has been served once
    for _ in range(10):
        quick = rig.join(PLAIN, Start(tail=1))
        rig.clock.run_one()
        rig.clock.run_one()
        assert quick.texts() == ["b"]
        quick.leave()
    assert not any(client.reader.is_live for client in searching)
    rig.clock.run_due()
    assert all(client.reader.is_live for client in searching)


def test_readers_that_take_long_are_served_one_after_the_other() -> None:
    rig = Rig()
    for _ in range(100):
        rig.publish("b")
    clients = [rig.join(seen) for seen in UNLIKE[:3]]
    rig.clock.tick = SLOW_SECONDS / 5
    for _ in range(3):
        rig.clock.run_one()
    for _ in range(6):
        before = [client.reader.position for client in clients]
        rig.clock.run_one()
        moved = [client.reader.position != position for client, position in zip(clients, before, strict=True)]
        assert sum(moved) == 1


def test_slow_readers_that_have_become_quick_are_served_together() -> None:
    rig = Rig()
    for _ in range(8):
        rig.publish("b")
    clients = [rig.join(seen) for seen in UNLIKE[:20]]
    rig.clock.tick = READER_SECONDS
    for _ in range(8):
        rig.clock.run_one()
    rig.clock.tick = 0
    for _ in range(3):
        rig.clock.run_one()
    assert all(client.reader.is_live for client in clients)


def test_a_reader_waits_once_however_often_it_is_added() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join()
    for _ in range(3):
        rig.hub.drained(client.reader)
    assert rig.hub.statistics().queued == 1
    rig.settle()
    assert client.texts() == ["1"]


def test_a_reader_that_leaves_while_it_waits_is_passed_over() -> None:
    rig = Rig()
    rig.publish("1")
    client, other = rig.join(), rig.join()
    client.leave()
    rig.settle()
    assert (client.texts(), other.texts()) == ([], ["1"])
    assert rig.hub.statistics().queued == 0


def test_nothing_is_scheduled_while_nobody_waits() -> None:
    rig = Rig()
    rig.join()
    rig.settle()
    assert not rig.clock.run_one()


def test_readers_that_a_flush_did_not_reach_are_served_before_others_but_leave_time_for_flushes() -> None:
    rig = Rig()
    rig.publish("0")
    live = [rig.join(PLAIN, Start(tail=0)) for _ in range(40)]
    rig.settle()
    rig.clock.tick = LOOP_SECONDS / 10
    with patch("delivery.round.BATCH", 1), patch("delivery.ranges.WRITE_BYTES", 1):
        rig.publish("1")  # so much that it is flushed at once
    flushed = served(live)
    assert 0 < flushed < 15
    others = [rig.join(PLAIN) for _ in range(10)]
    while served(live) == flushed:
        rig.clock.run_one()
    assert flushed + 1 < served(live) < flushed + 8
    assert served(others) <= 2
    rig.settle()
    assert {tuple(client.texts()) for client in live} == {("1",)}
