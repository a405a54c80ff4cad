from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.cursor import Cursor
from delivery.filter import TextFilter
from delivery.group import RENDER_SECONDS
from delivery.hub import LOOP_SECONDS
from delivery.ranges import WRITE_BYTES
from delivery.reader import Start, State
from delivery.turns import READER_SECONDS, SLOW_SECONDS
from delivery.view import NOTHING, Rendered
from tests.buffer.factories import ARRIVED, EPOCH, source
from tests.delivery.doubles import FLUSH_INTERVAL, JSON, MIB, Client, Rig, gap_of, view

if TYPE_CHECKING:
    from delivery.view import View

OPERATIONS = st.lists(
    st.sampled_from(
        ["publish", "publish", "join", "join full", "leave oldest", "leave latest", "drain", "turn", "flush"]
    ),
    min_size=20,
    max_size=40,
)


def act(rig: Rig, clients: list[tuple[int, Client]], operation: str) -> None:
    match operation.split():
        case ["publish"]:
            rig.publish(str(rig.seq + 1))
        case ["join", *full]:
            clients.append((rig.seq, rig.join(start=Start(tail=0), room=0 if full else None)))
        case ["leave", which] if clients:
            clients.pop(0 if which == "oldest" else -1)[1].leave()
        case ["drain"]:
            for _, client in clients:
                client.drain(0)
        case ["turn"]:
            rig.clock.run_one()
        case ["flush"]:
            rig.clock.advance(FLUSH_INTERVAL)


@settings(max_examples=200)
@given(OPERATIONS)
@example(["join", "turn", "join", "publish", "leave oldest", "publish"])
def test_readers_of_one_view_that_come_and_go_all_see_every_line_once(operations: list[str]) -> None:
    rig = Rig()
    clients: list[tuple[int, Client]] = []
    for operation in operations:
        act(rig, clients, operation)
    for _, client in clients:
        client.drain()
    rig.settle()
    for joined_at, client in clients:
        assert client.texts() == [str(number + 1) for number in range(joined_at, rig.seq)]


def test_lines_that_arrive_together_are_written_together_and_once_for_all() -> None:
    rig = Rig()
    clients = [rig.join() for _ in range(3)]
    rig.settle()
    rig.publish("1")
    rig.publish("2")
    rig.settle()
    assert [len(client.socket.writes) for client in clients] == [1, 1, 1]
    assert len({id(client.socket.writes[0]) for client in clients}) == 1


def test_readers_at_the_same_place_share_what_is_rendered_of_the_backlog() -> None:
    rig = Rig()
    rig.publish("1")
    clients = [rig.join(room=0) for _ in range(3)]
    rig.settle()
    assert len({id(client.socket.writes[0]) for client in clients}) == 1


def test_what_was_rendered_of_the_backlog_is_let_go_once_all_have_it() -> None:
    rig = Rig()
    rig.publish("1")
    quick, slow = rig.join(), rig.join(room=0)
    rig.settle()
    slow.drain()
    rig.settle()
    assert quick.texts() == slow.texts() == ["1"]
    assert quick.reader.group.kept_range is None


def test_what_was_rendered_is_let_go_when_the_last_slow_reader_leaves() -> None:
    rig = Rig()
    rig.publish("1")
    live, slow = rig.join(), rig.join(room=0)
    rig.settle()
    slow.leave()
    assert live.reader.group.kept_range is None


def test_caught_up_readers_of_different_views_hold_no_copies_of_the_backlog() -> None:
    rig = Rig()
    rig.publish(*["x" * 100] * 500)
    gc.collect()
    tracemalloc.start()
    for number in range(20):
        seen = view(text=TextFilter((), (f"y{number}",)))
        rig.hub.join(seen, Start(), follow=True, write=lambda _: True, ended=lambda: None)
    rig.settle()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20 * 50_000 / 4


def test_nothing_is_written_where_no_fresh_line_is_shown() -> None:
    rig = Rig()
    client = rig.join(view(text=TextFilter(("a",))))
    rig.settle()
    for text in ("b", "a"):
        rig.publish(text)
        rig.settle()
    assert client.texts() == ["a"]


def test_a_flood_is_flushed_before_its_time() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("first")
    rig.clock.run_due()
    while len(client.socket.writes) == 1:
        rig.publish("x" * 60_000)
        assert rig.seq < 10
    assert WRITE_BYTES <= len(client.socket.writes[1]) < WRITE_BYTES + 61_000


def test_a_backlog_is_written_in_pieces_that_end_with_a_chunk() -> None:
    rig = Rig()
    for _ in range(12):
        rig.publish("x" * 60_000)
    client = rig.join()
    rig.settle()
    assert [len(frame) for frame in client.socket.writes] == [3 * 60_004] * 4


@pytest.mark.parametrize("seen", [view(text=TextFilter(("nothing",))), view(stream="stderr")])
def test_a_backlog_of_which_nothing_is_shown_is_passed_in_slices(seen: View) -> None:
    rig = Rig()
    for _ in range(100):
        rig.publish("x")
    rig.clock.tick = READER_SECONDS / 20
    client = rig.join(seen)
    assert 3 <= rig.clock.run_due() <= 15
    assert client.texts() == []


@pytest.mark.parametrize("start", [Start(tail=50), Start(since=ARRIVED), Start(tail=50, since=ARRIVED)])
@pytest.mark.parametrize("seen", [view(), view(stream="stderr"), view(text=TextFilter(("x",)))])
def test_a_search_is_interrupted_and_a_join_does_none_of_it(seen: View, start: Start) -> None:
    rig = Rig()
    for second in range(100):
        rig.publish("x", stream="stderr", arrived=ARRIVED - 100 + second)
    rig.clock.tick = READER_SECONDS / 20
    client = rig.join(seen, start)
    assert client.reader.is_searching
    rig.clock.run_one()
    assert client.reader.is_searching
    rig.clock.run_due()
    assert client.texts() == ["x"] * (0 if start.since else 50)


def test_a_search_for_matching_lines_goes_on_in_later_turns_and_finds_the_same() -> None:
    rig = Rig()
    for number in range(40):
        rig.publish(f"{number} {'match' if number % 4 == 0 else ''}")
    rig.clock.tick = READER_SECONDS / 3
    client = rig.join(view(text=TextFilter(("match",))), Start(tail=5))
    assert client.reader.missing
    rig.clock.run_due()
    assert client.texts() == [f"{number} match" for number in (20, 24, 28, 32, 36)]


def test_lines_that_leave_before_a_search_gets_to_them_are_replaced_by_older_ones() -> None:
    rig = Rig(namespace_bytes=11_500, tick=SLOW_SECONDS)
    quiet, chatty = source(pod="quiet"), source(pod="chatty")
    for text in ("0", "1" * 1000, "2" * 1000, "3" * 1000, "4", "5"):
        rig.publish(text, writer=quiet if len(text) == 1 else chatty)
    client = rig.join(start=Start(tail=4))
    rig.clock.run_one()
    rig.clock.run_one()
    assert client.reader.missing == 2
    rig.publish("6" * 4000, writer=chatty)
    rig.clock.run_due()
    assert [text[0] for text in client.texts()] == ["0", "4", "5", "6"]


def test_a_search_ends_at_the_time_that_was_asked_for() -> None:
    rig = Rig()
    for second in range(10):
        rig.publish(f"{second}", arrived=100.0 + second)
    client = rig.join(start=Start(tail=5, since=107.0))
    everything = rig.join(start=Start(since=107.0))
    rig.settle()
    assert client.texts() == everything.texts() == ["7", "8", "9"]


def test_a_search_that_is_under_way_ends_at_the_time_that_was_asked_for() -> None:
    rig = Rig()
    for second in range(30):
        rig.publish(f"{second}", arrived=100.0 + second)
    rig.clock.tick = READER_SECONDS
    client = rig.join(view(text=TextFilter((), ("29",))), Start(tail=10, since=125.0))
    rig.clock.run_due()
    assert client.texts() == ["25", "26", "27", "28"]


def test_lines_that_are_evicted_before_their_flush_still_reach_live_readers() -> None:
    rig = Rig(namespace_bytes=6000)
    client = rig.join()
    rig.settle()
    rig.publish("warm")
    rig.settle()
    rig.clock.run_due()
    for number in range(20):
        rig.publish(f"{number} {'x' * 500}")
    rig.settle()
    assert [text.split()[0] for text in client.texts()] == ["warm", *map(str, range(20))]


def test_losses_are_counted_once_a_chunk_however_many_readers_are_stuck() -> None:
    rig = Rig(namespace_bytes=20_000)
    rig.publish("x", "y", streams=["stdout", "stderr"])
    seen = view(stream="stdout")
    clients = [rig.join(seen, room=0) for _ in range(50)]
    rig.settle()
    with patch("delivery.view.View.count", autospec=True, return_value=1) as count:
        rig.publish("x", "y", streams=["stdout", "stderr"])
        rig.hub.expire(float("inf"))
    assert count.call_count == 1
    for client in clients:
        client.drain()
    rig.settle()
    assert {tuple(client.texts()) for client in clients} == {("x", "[logurt] 1 line lost: this reader was too slow")}


def test_a_rendered_stretch_that_has_lost_a_chunk_is_not_written_again() -> None:
    rig = Rig()
    for number in range(3):
        rig.publish(str(number), arrived=100.0 + number)
    first = rig.join(room=0)
    rig.clock.run_due()
    second = rig.join(room=0)
    rig.hub.expire(101.0 + 3600)
    rig.settle()
    assert first.texts() == ["0", "1", "2"]
    assert second.texts() == ["[logurt] 1 line lost: this reader was too slow", "1", "2"]


def test_a_line_that_is_told_as_lost_does_not_come_with_the_next_flush() -> None:
    rig = Rig()
    rig.publish("backlog")
    live, slow = rig.join(), rig.join(room=0)
    rig.clock.run_due()
    rig.publish("warm")
    rig.clock.run_due()
    rig.publish("fresh")
    rig.hub.expire(float("inf"))
    slow.drain()
    rig.settle()
    assert live.texts() == ["backlog", "warm", "fresh"]
    assert slow.texts() == ["backlog", "[logurt] 2 lines lost: this reader was too slow"]


def test_readers_at_different_lines_of_a_chunk_do_not_share() -> None:
    rig = Rig()
    rig.publish("a", "b", "c")
    whole, part = rig.join(room=0), rig.join(start=Start(cursor=Cursor(EPOCH, 1, 1)), room=0)
    other = rig.join(start=Start(cursor=Cursor(EPOCH, 1, 2)))
    rig.settle()
    assert [client.texts() for client in (whole, part, other)] == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_flush_of_many_groups_takes_no_longer_than_its_slice() -> None:
    rig = Rig()
    clients = [rig.join(view(text=TextFilter((f"{number}|x",)))) for number in range(100)]
    rig.settle()
    rig.publish("x", "hidden")
    rig.clock.tick = LOOP_SECONDS / 10
    with patch("delivery.view.View.render", autospec=True, return_value=Rendered(b"\x81\x01x", 1)) as render:
        rig.clock.run_one()
    assert 0 < render.call_count <= 10
    assert sum(len(client.socket.writes) for client in clients) == render.call_count
    rig.clock.run_due()
    assert all(client.texts() == ["x"] for client in clients)


def test_flushes_of_several_namespaces_share_a_slice() -> None:
    rig = Rig()
    clients = [rig.join(view(namespace)) for namespace in "abcdefghij"]
    rig.settle()
    for namespace in "abcdefghij":
        rig.publish("x", writer=source(namespace))
    rig.clock.tick = LOOP_SECONDS / 4
    for _ in range(10):
        rig.clock.run_one()
    assert 0 < sum(len(client.socket.writes) for client in clients) < 5
    rig.clock.run_due()
    assert all(client.texts() == ["x"] for client in clients)


def slow_rig() -> tuple[Rig, Client]:
    """A rig, and a live client whose filter takes more than there is time for with each look at a line."""
    rig = Rig(8 * MIB, 8 * MIB)
    client = rig.join(view(text=TextFilter(("(a|b)*a(a|b){90}c",), ("nothing",))))
    rig.settle()
    rig.clock.tick = RENDER_SECONDS / 2
    return rig, client


def test_a_filter_that_takes_too_long_for_a_flush_follows_in_turns() -> None:
    rig, client = slow_rig()
    rig.publish(*["ab" * 2000] * 10, "a" + "ab" * 45 + "c", *["ab" * 2000] * 10)
    rig.clock.run_one()
    assert client.reader.state is State.BEHIND
    assert client.reader.group.is_slow
    assert rig.clock.run_due() > 4
    assert client.texts() == ["a" + "ab" * 45 + "c"]


def test_a_slow_group_is_not_rendered_in_flushes_until_it_has_been_quick_again() -> None:
    rig, client = slow_rig()
    rig.publish(*["ab" * 2000] * 8)
    rig.settle()
    assert client.reader.group.is_slow
    assert client.reader.is_live
    rig.clock.tick = 0
    rig.publish("short")
    with patch("delivery.view.View.render", autospec=True, return_value=NOTHING) as render:
        rig.clock.run_one()
        assert render.call_count == 0
    rig.settle()
    assert not client.reader.group.is_slow


def test_a_slow_reader_is_told_what_it_lost_as_any_other() -> None:
    rig = Rig(namespace_bytes=100_000)
    client = rig.join(view(text=TextFilter(("(a|b)*a(a|b){90}c|end",))))
    rig.settle()
    rig.clock.tick = RENDER_SECONDS
    for _ in range(40):
        rig.publish(*["ab" * 2000] * 4)
        rig.clock.run_one()
    rig.publish("end")
    rig.clock.tick = 0
    rig.settle()
    *gaps, end = client.events()
    assert (end.kind, end.payload) == ("line", "end")
    assert {gap_of(gap)[1] for gap in gaps} == {"slow"}
    assert 0 < sum(gap_of(gap)[0] or 0 for gap in gaps) <= rig.store.statistics().lines_evicted


def test_the_rest_of_a_chunk_that_leaves_while_a_reader_is_inside_of_it_is_lost() -> None:
    rig = Rig(8 * MIB, 8 * MIB)
    rig.publish(*["x" * 400] * 2000)
    client = rig.join(view(format=JSON), room=0)
    rig.clock.run_one()
    read = client.reader.position.line
    rig.hub.expire(float("inf"))
    client.drain()
    rig.settle()
    assert [gap_of(event) for event in client.events() if event.kind == "gap"] == [(2000 - read, "slow")]


def test_fresh_lines_of_several_evicted_chunks_are_flushed_or_lost_but_never_both() -> None:
    rig = Rig(namespace_bytes=20_000)
    clients = [rig.join() for _ in range(4)]
    rig.settle()
    rig.publish("warm")
    rig.clock.run_due()
    for number in range(20):
        rig.publish(f"{number}")
    rig.clock.tick = LOOP_SECONDS / 3
    with patch("delivery.round.BATCH", 1):
        rig.publish("x" * 14_000)
    rig.clock.tick = 0
    rig.settle()
    for client in clients:
        lost = sum(gap_of(event)[0] or 0 for event in client.events() if event.kind == "gap")
        assert len([event for event in client.events() if event.kind == "line"]) + lost == 22
    assert {client.reader.is_live for client in clients} == {True}
