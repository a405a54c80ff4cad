from __future__ import annotations

import gc
import tracemalloc
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.cursor import Cursor
from delivery.filter import TextFilter
from delivery.group import WRITE_BYTES
from delivery.hub import Start
from tests.delivery.doubles import ARRIVED, EPOCH, FLUSH_INTERVAL, Client, House, source, view

OPERATIONS = st.lists(
    st.sampled_from(
        ["publish", "publish", "join", "join full", "leave oldest", "leave latest", "drain", "turn", "flush"]
    ),
    min_size=20,
    max_size=40,
)


def act(house: House, clients: list[tuple[int, Client]], operation: str) -> None:
    match operation.split():
        case ["publish"]:
            house.publish(str(house.seq + 1))
        case ["join", *full]:
            clients.append((house.seq, house.join(start=Start(tail=0), room=0 if full else None)))
        case ["leave", which] if clients:
            clients.pop(0 if which == "oldest" else -1)[1].leave()
        case ["drain"]:
            for _, client in clients:
                client.drain(0)
        case ["turn"]:
            house.clock.run_one()
        case ["flush"]:
            house.clock.advance(FLUSH_INTERVAL)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
@example(["join", "turn", "join", "publish", "leave oldest", "publish"])
def test_readers_of_one_view_that_come_and_go_all_see_every_line_once(operations: list[str]) -> None:
    house = House()
    clients: list[tuple[int, Client]] = []
    for operation in operations:
        act(house, clients, operation)
    for _, client in clients:
        client.drain()
    house.settle()
    for joined_at, client in clients:
        assert client.texts() == [str(number + 1) for number in range(joined_at, house.seq)]


def test_lines_that_arrive_together_are_written_together_and_once_for_all() -> None:
    house = House()
    clients = [house.join() for _ in range(3)]
    house.settle()
    house.publish("1")
    house.publish("2")
    house.settle()
    assert [len(client.socket.writes) for client in clients] == [1, 1, 1]
    assert len({id(client.socket.writes[0]) for client in clients}) == 1


def test_readers_at_the_same_place_share_what_is_rendered_of_the_backlog() -> None:
    house = House()
    house.publish("1")
    clients = [house.join(room=0) for _ in range(3)]
    house.settle()
    assert len({id(client.socket.writes[0]) for client in clients}) == 1


def test_what_was_rendered_of_the_backlog_is_let_go_once_all_have_it() -> None:
    house = House()
    house.publish("1")
    quick, slow = house.join(), house.join(room=0)
    house.settle()
    slow.drain()
    house.settle()
    assert quick.texts() == slow.texts() == ["1"]
    assert quick.reader.group._range is None


def test_what_was_rendered_is_let_go_when_the_last_slow_reader_leaves() -> None:
    house = House()
    house.publish("1")
    live, slow = house.join(), house.join(room=0)
    house.settle()
    slow.leave()
    assert live.reader.group._range is None


def test_caught_up_readers_of_different_views_hold_no_copies_of_the_backlog() -> None:
    house = House()
    house.publish(*["x" * 100] * 500)
    gc.collect()
    tracemalloc.start()
    for number in range(20):
        seen = view(text=TextFilter((), (f"y{number}",)))
        house.hub.join(seen, Start(), follow=True, write=lambda _: True, ended=lambda: None)
    house.settle()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20 * 50_000 / 4


def test_nothing_is_written_where_no_fresh_line_is_shown() -> None:
    house = House()
    client = house.join(view(text=TextFilter(("a",))))
    house.settle()
    for text in ("b", "a"):
        house.publish(text)
        house.settle()
    assert client.texts() == ["a"]


def test_a_flood_is_flushed_before_its_time() -> None:
    house = House()
    client = house.join()
    house.settle()
    house.publish("first")
    house.clock.run_due()
    while len(client.socket.writes) == 1:
        house.publish("x" * 60_000)
        assert house.seq < 10
    assert WRITE_BYTES <= len(client.socket.writes[1]) < WRITE_BYTES + 61_000


def test_a_backlog_is_written_in_pieces_that_end_with_a_chunk() -> None:
    house = House()
    for _ in range(12):
        house.publish("x" * 60_000)
    client = house.join()
    house.settle()
    assert [len(frame) for frame in client.socket.writes] == [4 * 60_004] * 3


def test_a_filtered_backlog_without_a_match_is_searched_in_pieces() -> None:
    house = House(8 * 1024 * 1024, 8 * 1024 * 1024)
    for _ in range(60):
        house.publish(*["x" * 60_000])
    client = house.join(view(text=TextFilter(("nothing",))))
    turns = 0
    while house.clock.run_one():
        turns += 1
    assert turns >= 4
    assert client.texts() == []


def test_a_search_for_matching_lines_goes_on_in_later_turns_and_finds_the_same() -> None:
    house = House()
    for number in range(40):
        house.publish(f"{number} {'match' if number % 4 == 0 else ''}")
    with patch("delivery.group.SEARCH_BYTES", 2000):
        client = house.join(view(text=TextFilter(("match",))), Start(tail=5))
        assert client.reader.missing
        house.settle()
    assert client.texts() == [f"{number} match" for number in (20, 24, 28, 32, 36)]


def test_a_search_ends_at_the_time_that_was_asked_for() -> None:
    house = House()
    for second in range(10):
        house.publish(f"{second}", arrived=100.0 + second)
    client = house.join(start=Start(tail=5, since=107.0))
    everything = house.join(start=Start(since=107.0))
    house.settle()
    assert client.texts() == everything.texts() == ["7", "8", "9"]


def test_a_search_that_is_under_way_ends_at_the_time_that_was_asked_for() -> None:
    house = House()
    for second in range(30):
        house.publish(f"{second}", arrived=100.0 + second)
    with patch("delivery.group.SEARCH_BYTES", 1):
        client = house.join(view(text=TextFilter((), ("29",))), Start(tail=10, since=125.0))
        turns = 0
        while house.clock.run_one():
            turns += 1
    assert turns <= 12
    assert client.texts() == ["25", "26", "27", "28"]


def test_lines_that_are_evicted_before_their_flush_still_reach_live_readers() -> None:
    house = House(namespace_bytes=6000)
    client = house.join()
    house.settle()
    house.publish("warm")
    house.settle()
    house.clock.run_due()
    for number in range(20):
        house.publish(f"{number} {'x' * 500}")
    house.settle()
    assert [text.split()[0] for text in client.texts()] == ["warm", *map(str, range(20))]


def test_losses_are_counted_once_a_chunk_however_many_readers_are_stuck() -> None:
    house = House(namespace_bytes=20_000)
    house.publish("x", "y", streams=["stdout", "stderr"])
    seen = view(stream="stdout")
    clients = [house.join(seen, room=0) for _ in range(50)]
    house.settle()
    with patch("delivery.view.View.count", autospec=True, return_value=1) as count:
        house.publish("x", "y", streams=["stdout", "stderr"])
        for _ in range(2):
            house.hub._evict(house.hub.rings["n"])
    assert count.call_count == 1
    for client in clients:
        client.drain()
    house.settle()
    assert {tuple(client.texts()) for client in clients} == {("x", "[logurt] 1 line lost: this reader was too slow")}


def test_a_reader_sees_the_sources_that_were_there_before_it_and_those_that_come_later() -> None:
    house = House()
    for pod in "ab":
        house.publish(f"early {pod}", writer=source(pod=pod))
    some, every = house.join(view(pod="a")), house.join(view())
    house.settle()
    for pod, container in (("a", "app"), ("a", "side"), ("b", "app"), ("c", "app")):
        house.publish(f"late {pod} {container}", writer=source(pod=pod, container=container))
    house.settle()
    assert some.texts() == ["early a", "late a app", "late a side"]
    assert len(every.texts()) == 6


def test_a_view_that_comes_later_sees_sources_that_have_been_offered_to_others() -> None:
    house = House()
    first = house.join()
    house.settle()
    house.publish("1", writer=source(pod="a"))
    second = house.join(view(pod="a"))
    house.settle()
    house.publish("2", writer=source(pod="a"))
    house.settle()
    assert [client.texts() for client in (first, second)] == [["1", "2"]] * 2


def test_a_feed_keeps_nothing_of_what_has_gone() -> None:
    house, seen = House(max_age=10), [view(pod="a"), view(), view(container="app")]
    clients = [house.join(one) for one in seen]
    feed = house.hub._feeds["n"]
    house.publish("1", writer=source(pod="a"))
    house.publish("2", writer=source(pod="b"))
    house.hub.expire(ARRIVED + 20)
    assert not feed._by_source
    assert [group.sources for group in feed.groups.values()] == [set()] * 3
    house.publish("3", writer=source(pod="a"))
    for client in clients:
        client.leave()
    assert not feed.groups
    assert not feed._scopes
    assert not feed._by_pod
    assert not any(feed._by_source.values())
    assert not feed._caches._by_key


def test_a_rendered_stretch_that_has_lost_a_chunk_is_not_written_again() -> None:
    house = House()
    for number in range(3):
        house.publish(str(number), arrived=100.0 + number)
    first = house.join(room=0)
    house.clock.run_due()
    second = house.join(room=0)
    house.hub.expire(101.0 + 3600)
    house.settle()
    assert first.texts() == ["0", "1", "2"]
    assert second.texts() == ["[logurt] 1 line lost: this reader was too slow", "1", "2"]


def test_a_line_that_is_told_as_lost_does_not_come_with_the_next_flush() -> None:
    house = House()
    house.publish("backlog")
    live, slow = house.join(), house.join(room=0)
    house.clock.run_due()
    house.publish("warm")
    house.clock.run_due()
    house.publish("fresh")
    house.hub.expire(float("inf"))
    slow.drain()
    house.settle()
    assert live.texts() == ["backlog", "warm", "fresh"]
    assert slow.texts() == ["backlog", "[logurt] 2 lines lost: this reader was too slow"]


def test_a_backlog_of_tiny_chunks_without_a_match_is_searched_in_pieces_too() -> None:
    house = House(8 * 1024 * 1024, 8 * 1024 * 1024)
    for _ in range(8000):
        house.publish("")
    house.join(view(text=TextFilter(("nothing",))))
    turns = 0
    while house.clock.run_one():
        turns += 1
    assert turns >= 3


def test_readers_at_different_lines_of_a_chunk_do_not_share() -> None:
    house = House()
    house.publish("a", "b", "c")
    whole, part = house.join(room=0), house.join(start=Start(cursor=Cursor(EPOCH, 1, 1)), room=0)
    other = house.join(start=Start(cursor=Cursor(EPOCH, 1, 2)))
    house.settle()
    assert [client.texts() for client in (whole, part, other)] == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_source_that_left_and_came_back_is_seen_by_readers_who_are_behind() -> None:
    house = House()
    client = house.join(room=0)
    house.settle()
    house.publish("1")
    house.settle()
    house.hub.expire(float("inf"))
    assert house.hub._feeds["n"]._by_source == {}
    house.publish("2")
    client.drain()
    house.settle()
    assert client.texts() == ["1", "2"]
