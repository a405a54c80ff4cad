from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from delivery.hub import LOOP_SECONDS
from tests.buffer.factories import source
from tests.delivery.doubles import Client, Rig, view

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _one_by_one() -> Iterator[None]:
    with patch("delivery.round.BATCH", 1):
        yield


def interrupted(rig: Rig, readers: int = 20) -> tuple[list[Client], list[Client]]:
    """Return the live clients of one view that a flush of the line "1" has reached in its slice, and the others."""
    clients = [rig.join() for _ in range(readers)]
    rig.settle()
    rig.publish("1")
    rig.clock.tick = LOOP_SECONDS / 5
    rig.clock.run_one()
    rig.clock.tick = 0
    reached = [client for client in clients if client.socket.writes]
    assert 0 < len(reached) < readers
    return reached, [client for client in clients if not client.socket.writes]


def test_readers_that_a_flush_does_not_reach_in_time_stay_live_and_are_written_the_same_in_later_turns() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    rig.clock.tick = LOOP_SECONDS / 5
    assert rig.clock.run_due() > 3
    assert all(client.reader.is_live for client in reached + others)
    assert {tuple(client.texts()) for client in reached + others} == {("1",)}
    assert len({id(data) for client in reached + others for data in client.socket.writes}) == 1


def test_lines_that_come_meanwhile_come_once_and_in_order() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    rig.publish("2")
    rig.settle()
    rig.publish("3")
    rig.settle()
    assert {tuple(client.texts()) for client in reached + others} == {("1", "2", "3")}


def test_so_many_lines_that_they_are_flushed_at_once_come_in_order_too() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    with patch("delivery.ranges.WRITE_BYTES", 1):
        rig.publish("2")
    assert [client.reader.is_live for client in others] == [False] * len(others)
    rig.settle()
    assert {tuple(client.texts()) for client in reached + others} == {("1", "2")}
    assert {client.reader.lines for client in reached + others} == {2}


def test_the_lines_of_readers_that_leave_meanwhile_are_those_that_they_were_written() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    for client in (reached[0], others[0]):
        client.leave()
    assert (reached[0].reader.lines, others[0].reader.lines) == (1, 0)
    rig.settle()
    assert (reached[0].texts(), others[0].texts()) == (["1"], [])
    assert {client.reader.lines for client in reached[1:] + others[1:]} == {1}


def test_the_lines_of_a_live_reader_are_those_that_it_was_written() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    assert {client.reader.lines for client in reached} == {1}
    assert {client.reader.lines for client in others} == {0}
    rig.settle()
    assert {client.reader.lines for client in reached + others} == {1}


def test_if_all_leave_who_have_not_been_reached_the_flush_is_over() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    for client in others:
        client.leave()
    rig.publish("2")
    rig.settle()
    assert {tuple(client.texts()) for client in reached} == {("1", "2")}


def test_a_reader_that_joins_meanwhile_gets_each_line_once() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    newcomer = rig.join()
    rig.publish("2")
    rig.settle()
    assert {tuple(client.texts()) for client in (newcomer, *reached, *others)} == {("1", "2")}


def test_a_reader_whose_socket_is_full_when_it_is_reached_falls_behind() -> None:
    rig = Rig()
    _, others = interrupted(rig)
    others[-1].socket.room = 0
    rig.settle()
    assert [client.reader.is_live for client in others[-2:]] == [True, False]
    rig.publish("2")
    rig.settle()
    others[-1].drain()
    rig.settle()
    assert {tuple(client.texts()) for client in others} == {("1", "2")}


def test_lines_that_are_evicted_meanwhile_are_lost_to_those_who_have_not_been_reached() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    rig.hub.expire(float("inf"))
    rig.settle()
    assert {tuple(client.texts()) for client in reached} == {("1",)}
    assert {tuple(client.texts()) for client in others} == {("[logurt] 1 line lost: this reader was too slow",)}


def test_lines_that_will_never_come_are_told_to_all() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    rig.seq += 1
    rig.hub.lose(source(pod="elsewhere"), rig.seq, 7)
    rig.publish("3")
    rig.settle()
    gap = "[logurt] 7 lines lost: they left the buffer before they could be sent"
    assert {tuple(client.texts()) for client in reached} == {("1", gap, "3")}
    assert {frozenset(client.texts()) for client in others} == {frozenset(("1", gap, "3"))}
    assert {client.texts()[-1] for client in others} == {"3"}


def test_a_restart_in_the_middle_of_a_flush_is_told_to_all() -> None:
    rig = Rig()
    reached, others = interrupted(rig)
    rig.hub.restart("another")
    rig.seq = 0
    rig.publish("new")
    rig.settle()
    assert all(client.texts()[-1] == "new" and len(client.texts()) <= 3 for client in reached + others)


def test_a_flush_that_goes_on_leaves_time_for_others() -> None:
    rig = Rig()
    crowd = [rig.join() for _ in range(60)]
    other = rig.join(view("other"))
    rig.settle()
    rig.publish("1")
    rig.clock.tick = LOOP_SECONDS / 10
    rig.clock.run_one()
    rig.publish("x", writer=source("other"))
    while not other.socket.writes:
        assert rig.clock.run_one()
    assert sum(1 for client in crowd if client.socket.writes) < 40
    rig.settle()
    assert {tuple(client.texts()) for client in crowd} == {("1",)}
