from __future__ import annotations

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


def test_gap_notices_are_taken_once_and_those_from_before_the_reader_came_are_first() -> None:
    client = Rig().join(view(format=JSON))
    reader = client.reader
    reader.gap, reader.lost = Gap(None, "evicted"), 3
    client.socket.write(b"".join([reader.group.view.render_gap(gap) for gap in reader.take_gaps()]))
    assert [gap_of(event) for event in client.events()] == [(None, "evicted"), (3, "slow")]
    assert reader.take_gaps() == []
