from __future__ import annotations

from unittest.mock import patch

import pytest

from delivery.hub import LOOP_SECONDS
from tests.buffer.factories import source
from tests.delivery.doubles import FLUSH_INTERVAL, Client, Rig, view


def interrupted(views: int = 10) -> tuple[Rig, list[Client]]:
    """A rig, and live clients of a view each, some of which a flush of the line "1" has reached in its slice."""
    rig = Rig()
    clients = [rig.join(view(pod=f"web-0,{number}")) for number in range(views)]
    rig.settle()
    rig.publish("1")
    rig.clock.tick = LOOP_SECONDS / 5
    rig.clock.run_one()
    rig.clock.tick = 0
    assert 0 < len(written(clients)) < views
    return rig, clients


def written(clients: list[Client]) -> list[Client]:
    return [client for client in clients if client.socket.writes]


def test_a_line_is_flushed_at_once_after_a_quiet_time_and_an_interval_later_under_load() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("1")
    rig.clock.run_due()
    assert client.texts() == ["1"]
    rig.publish("2")
    rig.publish("3")
    rig.clock.advance(FLUSH_INTERVAL * 0.9)
    assert client.texts() == ["1"]
    rig.clock.advance(FLUSH_INTERVAL * 0.2)
    assert client.texts() == ["1", "2", "3"]


def test_views_that_a_flush_does_not_reach_stay_live_and_are_flushed_in_the_next_turn() -> None:
    rig, clients = interrupted()
    assert all(client.reader.is_live for client in clients)
    rig.clock.run_due()
    assert all(client.texts() == ["1"] for client in clients)
    assert all(client.reader.is_live for client in clients)


def test_lines_that_come_in_the_middle_of_a_flush_come_once_and_in_order() -> None:
    rig, clients = interrupted()
    rig.publish("2")
    rig.settle()
    rig.publish("3")
    rig.settle()
    assert all(client.texts() == ["1", "2", "3"] for client in clients)


def test_a_view_that_goes_in_the_middle_of_a_flush_is_forgotten() -> None:
    rig, clients = interrupted()
    for client in clients:
        client.leave()
    rig.settle()
    assert not rig.hub.feeds
    assert len(written(clients)) < len(clients)


def test_a_reader_that_joins_in_the_middle_of_a_flush_gets_each_line_once() -> None:
    rig, clients = interrupted()
    late = next(client for client in clients if not client.socket.writes)
    newcomer = rig.join(late.view)
    rig.publish("2")
    rig.settle()
    assert newcomer.texts() == late.texts() == ["1", "2"]


def test_lines_that_are_evicted_in_the_middle_of_a_flush_are_flushed_first() -> None:
    rig, clients = interrupted()
    rig.clock.run_one()  # the slice is over, and there is a new one
    rig.hub.expire(float("inf"))
    assert all(client.texts() == ["1"] for client in clients)


def test_lines_that_are_evicted_in_the_middle_of_a_flush_are_lost_if_there_is_no_time_for_them() -> None:
    rig, clients = interrupted()
    reached = written(clients)
    rig.hub.expire(float("inf"))
    rig.settle()
    assert [client.texts() == ["1"] for client in clients] == [client in reached for client in clients]
    gaps = [client.texts() for client in clients if client not in reached]
    assert gaps == [["[logurt] 1 line lost: this reader was too slow"]] * len(gaps)


@pytest.mark.parametrize("flushes", [1, 3])
def test_the_time_until_the_last_write_is_noted_of_each_flush(flushes: int) -> None:
    rig = Rig()
    rig.join()
    rig.settle()
    for _ in range(flushes):
        rig.publish("x")
        rig.clock.now += 0.004  # until the event loop gets to it
        rig.settle()
    assert sum(rig.hub.delays.counts) == flushes
    assert rig.hub.delays.sum == pytest.approx(flushes * 0.004)


def test_the_time_of_lines_that_come_in_the_middle_of_a_flush_begins_with_them() -> None:
    rig, _ = interrupted()
    before = rig.hub.delays.sum
    rig.clock.now += 0.5
    rig.publish("2", writer=source(pod="web-0"))
    rig.clock.run_due()
    first = rig.hub.delays.sum - before
    rig.settle()
    assert sum(rig.hub.delays.counts) == 2
    assert first >= 0.5
    assert rig.hub.delays.sum - before - first < 0.1


@pytest.mark.parametrize(
    ("late", "joins", "tick", "is_slower"),
    [
        (0.0, 0, 0.0015, False),
        (0.0, 0, 0.003, True),  # it takes longer than the interval
        (0.01, 0, 0.0, False),
        (0.01, 0, 0.002, True),
        (0.0, 4, 0.0, False),
        (0.0, 3, 0.0015, False),
        (0.0, 4, 0.0015, True),
    ],
)
def test_feeds_are_flushed_less_often_while_flushes_are_late_or_long_or_a_crowd_joins(
    late: float, joins: int, tick: float, *, is_slower: bool
) -> None:
    rig = Rig()
    client, *_ = (rig.join(view(pod=pod)) for pod in (f"web-0,{number}" for number in range(8)))
    rig.settle()
    for _ in range(2):  # the second flush comes after the reader
        rig.publish("0")
        rig.settle()
    rig.clock.advance(FLUSH_INTERVAL)
    for _ in range(joins):
        rig.join(view("another"))
        rig.clock.run_due()
    rig.publish("1")
    rig.clock.now += late  # the loop was busy
    rig.clock.tick = tick  # with each look
    rig.clock.run_one()
    rig.clock.tick = 0
    feed = rig.hub.feeds[client.view.selector.namespace]
    assert feed.rest <= 0.1
    interval = max(FLUSH_INTERVAL, feed.rest)
    assert (interval > FLUSH_INTERVAL) is is_slower
    rig.publish("2")
    rig.clock.advance(max(0.0, feed.flushed_at + interval * 0.99 - rig.clock.now))
    assert client.texts() == ["0", "0", "1"]
    rig.clock.advance(interval * 0.02)
    assert client.texts() == ["0", "0", "1", "2"]


@pytest.mark.parametrize("crowds", [1, 3, 6])
@pytest.mark.parametrize("readers", [20, 100])
def test_the_only_reader_of_a_namespace_is_not_held_up_by_crowds_in_others(crowds: int, readers: int) -> None:
    rig = Rig()
    namespaces = [f"crowd-{number}" for number in range(crowds)]
    for namespace in namespaces:
        for _ in range(readers):
            rig.join(view(namespace))
    client = rig.join(view("quiet"))
    rig.settle()
    rig.clock.tick = LOOP_SECONDS / 25
    began = 0.0
    with patch("delivery.round.BATCH", 1):
        for step in range(4000):
            if step == 30:
                began = rig.clock.now
                rig.publish("x", writer=source("quiet"))
            if step % 2 == 0:  # there is always something new for the crowds
                for namespace in namespaces:
                    rig.publish("x", writer=source(namespace))
            if not rig.clock.run_one():
                rig.clock.advance(0.001)
            if client.socket.writes:
                break
    assert client.texts() == ["x"]
    assert rig.clock.now - began < 0.3
