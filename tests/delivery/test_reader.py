from __future__ import annotations

from delivery.filter import TextFilter
from delivery.gap import Gap
from tests.delivery.doubles import JSON, Rig, gap_of, view


def test_a_reader_is_live_once_it_has_been_written_its_backlog() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join()
    assert not client.reader.is_live
    rig.settle()
    assert client.reader.is_live


def test_a_reader_whose_socket_is_full_is_not_live_until_it_has_drained() -> None:
    rig = Rig()
    client = rig.join(room=0)
    rig.settle()
    rig.publish("1")
    rig.settle()
    assert not client.reader.is_live
    client.drain()
    rig.settle()
    assert client.reader.is_live


def test_a_reader_that_has_left_is_not_live() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    client.leave()
    assert not client.reader.is_live


def test_the_lines_of_a_reader_are_counted_whether_it_is_behind_or_live_or_has_left() -> None:
    rig, seen = Rig(), view(text=TextFilter(("line",)))
    rig.publish("line", "other")
    client = rig.join(seen)
    assert client.reader.lines == 0
    rig.settle()
    assert client.reader.lines == 1
    rig.publish("line", "line", "other")
    assert client.reader.lines == 1
    rig.settle()
    assert client.reader.lines == 3
    client.leave()
    assert client.reader.lines == 3


def test_lines_that_others_were_written_before_or_after_a_reader_are_not_its_own() -> None:
    rig = Rig()
    early = rig.join()
    rig.settle()
    rig.publish("1", "2")
    late = rig.join(room=0)
    rig.settle()
    for _ in range(2):
        rig.publish("3")
        rig.settle()
    assert (early.reader.lines, late.reader.lines) == (4, 2)


def test_notices_are_no_lines() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(view(format=JSON), room=0)
    rig.settle()
    rig.publish("2")
    rig.hub.expire(float("inf"))
    client.drain()
    rig.settle()
    assert [event.kind for event in client.events()] == ["line", "gap", "live"]
    assert client.reader.lines == 1


def test_gap_notices_are_taken_once_and_those_from_before_the_reader_came_are_first() -> None:
    client = Rig().join(view(format=JSON))
    reader = client.reader
    reader.gap, reader.lost = Gap(None, "evicted"), 3
    client.socket.write(b"".join([reader.group.view.render_gap(gap) for gap in reader.take_gaps()]))
    assert [gap_of(event) for event in client.events()] == [(None, "evicted"), (3, "slow")]
    assert reader.take_gaps() == []
