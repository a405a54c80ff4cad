"""Loads, and what a hub makes of them: readers of everything join before it is there."""

from __future__ import annotations

import pytest

from delivery.cursor import Cursor
from delivery.loads import Loads
from delivery.reader import Start
from tests.buffer.factories import EPOCH, source
from tests.delivery.doubles import JSON, Client, Rig, gap_of, view

WEB, JOB = source(pod="web"), source(pod="job")


def loading() -> Rig:
    rig = Rig()
    rig.hub.begin_load("n")
    return rig


def kinds(client: Client) -> list[str]:
    return [event.kind for event in client.events()]


def gaps(client: Client) -> list[tuple[int | None, str]]:
    return [gap_of(event) for event in client.events() if event.kind == "gap"]


def lose(rig: Rig, lines: int | None) -> None:
    rig.seq += 1
    rig.hub.lose(WEB, rig.seq, lines)


def test_a_namespace_is_loaded_until_that_is_over() -> None:
    loads = Loads()
    loads.begin("n")
    assert (len(loads), "n" in loads, "other" in loads) == (1, True, False)
    assert loads.end("n")
    assert not loads.end("n")
    assert not loads


def test_lines_are_missed_only_of_a_source_that_something_has_come_of() -> None:
    loads = Loads()
    loads.receive(WEB)
    assert loads.leaves_a_hole(WEB)
    loads.begin("n")
    assert not loads.leaves_a_hole(WEB)
    loads.receive(WEB)
    assert loads.leaves_a_hole(WEB)
    assert not loads.leaves_a_hole(JOB)
    loads.begin("n")
    assert not loads.leaves_a_hole(WEB)


def test_a_reader_gets_what_has_come_before_all_has() -> None:
    rig = loading()
    rig.publish("a")
    client = rig.join(view(format=JSON))
    rig.settle()
    rig.publish("b")
    rig.settle()
    assert kinds(client) == ["line", "line"]


def test_a_reader_is_told_that_it_is_live_once_all_has_come() -> None:
    rig = loading()
    client = rig.join(view(format=JSON))
    rig.publish("a")
    rig.settle()
    rig.publish("b")
    rig.hub.end_load("n")
    rig.settle()
    rig.publish("c")
    rig.settle()
    assert kinds(client) == ["line", "line", "live", "line"]
    assert client.reader.is_live


@pytest.mark.parametrize("before", [0, 1])
def test_a_reader_that_does_not_follow_ends_once_all_has_come(before: int) -> None:
    rig = loading()
    for _ in range(before):
        rig.publish("a")
    client = rig.join(follow=False)
    rig.publish("b")
    rig.settle()
    assert client.ends == 0
    rig.hub.end_load("n")
    rig.publish("live")
    rig.settle()
    assert client.texts() == ["a"] * before + ["b"]
    assert client.ends == 1


def test_a_reader_of_an_empty_namespace_ends_once_that_is_known() -> None:
    rig = loading()
    client = rig.join(follow=False)
    rig.settle()
    assert client.ends == 0
    rig.hub.end_load("n")
    rig.settle()
    assert client.ends == 1


def test_a_reader_whose_socket_is_full_when_all_has_come_ends_behind_it() -> None:
    rig = loading()
    client = rig.join(follow=False, room=0)
    rig.publish("a")
    rig.settle()
    rig.publish("b")
    rig.hub.end_load("n")
    rig.publish("live")
    client.drain()
    rig.settle()
    assert client.texts() == ["a", "b"]
    assert client.ends == 1


def test_a_reader_that_looks_for_some_lines_ends_with_what_there_is() -> None:
    rig = loading()
    rig.publish("a")
    client = rig.join(start=Start(tail=5), follow=False)
    rig.publish("b")
    rig.settle()
    assert client.texts() == ["a"]
    assert client.ends == 1


def test_what_was_gone_before_anything_of_its_source_had_come_is_no_loss() -> None:
    rig = loading()
    client = rig.join()
    lose(rig, None)
    rig.publish("a", writer=WEB)
    rig.settle()
    assert client.texts() == ["a"]
    later = rig.join(start=Start(cursor=Cursor(EPOCH, 1, 0)))
    rig.settle()
    assert gaps(later) == [(None, "evicted")]


@pytest.mark.parametrize("is_late", [False, True])
def test_what_is_missing_between_two_chunks_of_a_source_is_told(*, is_late: bool) -> None:
    rig = loading()
    client = None if is_late else rig.join()
    rig.publish("a", writer=WEB)
    client = client or rig.join()
    rig.settle()
    lose(rig, 3)
    rig.publish("b", writer=WEB)
    rig.settle()
    assert client.texts() == ["a", "[logurt] 3 lines lost: they left the buffer before they could be sent", "b"]


def test_a_hole_that_is_found_only_after_others_have_come_is_told_too() -> None:
    rig = loading()
    rig.publish("a", writer=WEB)
    rig.seq += 1
    lost_at = rig.seq
    rig.publish("other", writer=JOB)
    client = rig.join()
    rig.settle()
    rig.hub.lose(WEB, lost_at, 2)
    rig.publish("b", writer=WEB)
    rig.settle()
    assert gaps(client) == [(2, "evicted")]


def test_what_was_gone_before_the_load_and_is_told_after_it_is_no_loss() -> None:
    rig = loading()
    client = rig.join()
    rig.seq += 1
    lost_at = rig.seq
    rig.publish("other", writer=JOB)
    rig.hub.end_load("n")
    rig.hub.lose(WEB, lost_at, None)
    rig.settle()
    assert not gaps(client)
    lose(rig, 2)
    rig.settle()
    assert gaps(client) == [(2, "evicted")]


def test_what_makes_room_while_the_namespace_is_loaded_is_counted() -> None:
    rig = Rig(namespace_bytes=3 * 1500)
    rig.hub.begin_load("n")
    client = rig.join(room=0)
    for _ in range(20):
        rig.publish("x" * 1000)
        rig.clock.run_due()
    rig.hub.end_load("n")
    client.drain()
    rig.settle()
    assert kinds(client).count("line") + sum(lost or 0 for lost, _ in gaps(client)) == 20
    assert {reason for _, reason in gaps(client)} == {"slow"}


def test_a_new_numbering_in_between_is_told_once_and_all_of_it_follows() -> None:
    rig = loading()
    clients = [rig.join(view(format=JSON)), rig.join(view(format=JSON), follow=False)]
    rig.publish("a")
    rig.settle()
    rig.hub.restart("e2")
    rig.hub.begin_load("n")
    rig.publish("b")
    rig.settle()
    assert [client.ends for client in clients] == [0, 0]
    rig.hub.end_load("n")
    rig.settle()
    assert [kinds(client) for client in clients] == [["line", "gap", "line", "live"], ["line", "gap", "line"]]
    assert [client.ends for client in clients] == [0, 1]


def test_readers_that_are_live_when_the_numbering_starts_anew_are_not_told_again_that_they_are() -> None:
    rig = Rig()
    client = rig.join(view(format=JSON))
    rig.settle()
    rig.hub.restart("e2")
    rig.hub.begin_load("n")
    rig.publish("a")
    rig.hub.end_load("n")
    rig.settle()
    assert kinds(client) == ["live", "gap", "line"]


def test_a_namespace_that_is_forgotten_is_not_loaded_any_more() -> None:
    rig = loading()
    client = rig.join(follow=False)
    rig.hub.forget("n")
    rig.settle()
    assert client.ends == 1
    rig.hub.end_load("n")


def test_the_end_of_a_load_concerns_no_other_namespace() -> None:
    rig = loading()
    rig.hub.begin_load("m")
    client = rig.join(view("m"), follow=False)
    rig.hub.end_load("n")
    rig.settle()
    assert client.ends == 0
