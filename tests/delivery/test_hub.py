from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from delivery.encoding import Chunked, PlainLines, ServerSentEvents

from delivery.cursor import BadCursor, Cursor
from delivery.filter import TextFilter
from delivery.hub import READERS_A_TURN, Start, TooManyPatterns
from tests.delivery.doubles import ARRIVED, EPOCH, FLUSH_INTERVAL, JSON, House, gap_of, source, view

if TYPE_CHECKING:
    from delivery.view import View

LOST = "[logurt] {} lines lost: this reader was too slow"


def kinds(house: House, seen: View, start: Start) -> list[str]:
    client = house.join(seen, start)
    house.settle()
    return [event.kind for event in client.events()]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (Start(), "01234"),
        (Start(tail=2), "34"),
        (Start(tail=99), "01234"),
        (Start(tail=0), ""),
        (Start(since=ARRIVED + 3), "34"),
        (Start(tail=1, since=ARRIVED + 3), "4"),
        (Start(tail=9, since=ARRIVED + 3), "34"),
        (Start(since=ARRIVED + 9), ""),
        (Start(cursor=Cursor(EPOCH, 3, 0)), "234"),
        (Start(tail=0, since=ARRIVED + 9, cursor=Cursor(EPOCH, 3, 0)), "234"),
        (Start(cursor=Cursor(EPOCH, 6, 0)), ""),
    ],
)
def test_a_reader_begins_where_it_asks_to(start: Start, expected: str) -> None:
    house = House()
    for number in range(5):
        house.publish(str(number), arrived=ARRIVED + number)
    client = house.join(start=start)
    house.settle()
    house.publish("live")
    house.settle()
    assert client.texts() == [*expected, "live"]


def test_a_reader_of_an_empty_namespace_waits_for_its_lines() -> None:
    house = House()
    client = house.join(start=Start(tail=10, since=ARRIVED))
    house.settle()
    house.publish("first")
    house.settle()
    assert client.texts() == ["first"]


def test_a_reader_sees_nothing_of_other_namespaces_pods_and_labels() -> None:
    house = House()
    client = house.join(view(pod="web-0"))
    for writer in (source("m"), source(pod="web-1"), source(container="side"), source(app="web")):
        house.publish(writer.container, writer=writer)
    house.settle()
    assert client.texts() == ["side", "app"]


def test_nothing_is_written_while_a_reader_joins() -> None:
    house = House()
    house.publish("1")
    client = house.join()
    assert client.socket.writes == []
    house.clock.run_due()
    assert client.texts() == ["1"]


def test_a_line_after_a_quiet_time_is_flushed_at_once() -> None:
    house = House()
    client = house.join()
    house.settle()
    house.publish("1")
    house.clock.run_due()
    assert client.texts() == ["1"]


def test_lines_under_load_are_flushed_an_interval_after_the_last() -> None:
    house = House()
    client = house.join()
    house.settle()
    house.publish("1")
    house.clock.run_due()
    house.publish("2")
    house.clock.advance(FLUSH_INTERVAL * 0.9)
    house.publish("3")
    assert client.texts() == ["1"]
    house.clock.advance(FLUSH_INTERVAL * 0.2)
    assert client.texts() == ["1", "2", "3"]


def test_a_reader_that_joins_between_flushes_sees_each_line_once() -> None:
    house = House()
    first = house.join()
    house.settle()
    house.publish("1")
    house.clock.run_due()
    house.publish("2")
    second = house.join()
    house.publish("3")
    house.settle()
    assert first.texts() == second.texts() == ["1", "2", "3"]


def test_a_reader_that_does_not_follow_gets_what_there_was_and_ends() -> None:
    house = House()
    house.publish("1")
    client = house.join(view(format=JSON), follow=False)
    house.publish("2")
    house.settle()
    assert [json.loads(text)["log"] for text in client.texts()] == ["1"]
    assert client.ends == 1
    assert not house.hub._feeds


def test_a_reader_that_does_not_follow_ends_at_once_where_nothing_is() -> None:
    house = House()
    client = house.join(follow=False)
    house.publish("too late")
    house.settle()
    assert (client.ends, client.texts()) == (1, [])


def test_a_reader_that_does_not_follow_ends_only_when_its_socket_has_drained() -> None:
    house = House()
    house.publish("1")
    client = house.join(follow=False, room=0)
    house.settle()
    assert client.ends == 0
    client.drain()
    house.settle()
    assert client.ends == 1


def test_a_slow_reader_that_does_not_follow_is_told_only_of_what_was_its_own() -> None:
    house = House(namespace_bytes=10_000)
    house.publish("0")
    house.publish("1")
    client = house.join(follow=False, start=Start(), room=0)
    with patch("delivery.group.WRITE_BYTES", 1):
        house.settle()
        for number in range(2, 60):
            house.publish(str(number))
        client.drain()
        house.settle()
    assert client.texts() == ["0", "[logurt] 1 line lost: this reader was too slow"]
    assert client.ends == 1


def test_the_live_notice_comes_once_and_after_the_backlog() -> None:
    house = House()
    house.publish("1")
    client = house.join(view(format=JSON), room=0)
    house.settle()
    house.publish("2")
    client.drain(0)
    house.settle()
    client.drain()
    house.settle()
    house.publish("3")
    house.settle()
    assert [event.kind for event in client.events()] == ["line", "line", "live", "line"]


def test_a_slow_reader_is_told_how_much_it_lost_before_it_goes_on() -> None:
    house = House(namespace_bytes=6000)
    client = house.join(room=0)
    house.settle()
    for number in range(100):
        house.publish(f"{number}", f"{number}")
        house.settle()
    client.drain()
    house.settle()
    texts = client.texts()
    kept = house.hub.rings["n"].lines
    assert texts[:3] == ["0", "0", LOST.format(200 - 2 - kept)]
    assert texts[3:] == [f"{number // 2}" for number in range(200 - kept, 200)]


def test_a_reader_cut_off_in_the_middle_of_a_chunk_loses_only_the_rest() -> None:
    house = House()
    house.publish("a", "b", "c")
    client = house.join(start=Start(cursor=Cursor(EPOCH, 1, 1)))
    house.hub.expire(float("inf"))
    house.settle()
    assert client.texts() == [LOST.format(2)]


def test_losses_that_nobody_could_see_are_not_told() -> None:
    house = House(namespace_bytes=6000)
    client = house.join(view(pod="other"))
    for number in range(100):
        house.publish(f"{number}")
    house.settle()
    assert client.texts() == []


def test_a_quiet_pod_keeps_its_tail_while_its_neighbour_writes() -> None:
    house = House(namespace_bytes=200_000)
    for number in range(100):
        house.publish(str(number), writer=source(pod="quiet"))
    for _ in range(2000):
        house.publish("x" * 200, writer=source(pod="chatty"))
    client = house.join(view(pod="quiet"), Start(tail=100))
    house.settle()
    assert client.texts() == [str(number) for number in range(100)]


def test_the_total_is_bounded_and_taken_from_the_heaviest_namespace() -> None:
    house = House(namespace_bytes=50_000, total_bytes=60_000)
    house.publish("small", writer=source("small"))
    for number in range(1000):
        house.publish("x" * 100, writer=source(f"n{number % 3}"))
        assert house.hub.bytes <= 60_000
    assert "small" in house.hub.rings


def test_a_chunk_larger_than_all_the_memory_reaches_live_readers_and_is_not_kept() -> None:
    house = House(namespace_bytes=1000, total_bytes=500)
    client = house.join()
    house.settle()
    house.publish("x" * 2000)
    house.settle()
    assert client.texts() == ["x" * 2000]
    assert (house.hub.rings, house.hub.bytes) == ({}, 0)


def test_a_ring_leaves_with_its_last_chunk_and_comes_back() -> None:
    house = House(max_age=60)
    client = house.join()
    house.settle()
    house.publish("1", arrived=100.0)
    house.settle()
    house.hub.expire(160.0)
    assert "n" in house.hub.rings
    house.hub.expire(160.1)
    assert not house.hub.rings
    house.publish("2", arrived=200.0)
    house.settle()
    assert client.texts() == ["1", "2"]


def test_a_reader_cut_anywhere_comes_back_to_exactly_what_follows() -> None:
    house = House()
    for number in range(6):
        house.publish(f"{number}a", f"{number}b", f"{number}c", writer=source(pod=f"web-{number % 2}"))
    seen = view(format=JSON, framing=Chunked(PlainLines()))
    whole = house.join(seen)
    house.settle()
    lines = [event for event in whole.events() if event.kind == "line"]
    for index, line in enumerate(lines):
        back = house.join(seen, Start(cursor=Cursor.parse(line.cursor)))
        house.settle()
        assert [event for event in back.events() if event.kind == "line"] == lines[index + 1 :]
        assert [event.kind for event in back.events()].count("gap") == 0


def test_a_cursor_of_another_epoch_gives_a_gap_and_the_whole_backlog() -> None:
    house = House()
    house.publish("1")
    client = house.join(start=Start(tail=0, cursor=Cursor("e0", 999, 5)))
    house.settle()
    assert gap_of(client.events()[0]) == (None, "restarted")
    assert client.texts()[1:] == ["1"]


def test_a_cursor_of_a_place_that_was_evicted_gives_a_gap_and_what_there_is() -> None:
    house = House(namespace_bytes=6000)
    for number in range(50):
        house.publish(str(number))
    client = house.join(view(format=JSON), Start(cursor=Cursor(EPOCH, 2, 0)))
    house.settle()
    events = client.events()
    assert gap_of(events[0]) == (None, "evicted")
    assert [event.kind for event in events[1:]] == ["line"] * house.hub.rings["n"].lines + ["live"]


def test_a_cursor_behind_everything_that_was_evicted_gives_no_gap() -> None:
    house = House(namespace_bytes=6000)
    for number in range(50):
        house.publish(str(number))
    oldest = house.hub.rings["n"].first().seq
    assert kinds(house, view(format=JSON), Start(cursor=Cursor(EPOCH, oldest, 0))).count("gap") == 0


@pytest.mark.parametrize(("pod", "gaps"), [("web-0", 1), ("web-1", 0)])
def test_a_cursor_older_than_a_source_that_left_gives_a_gap_to_those_who_saw_it(pod: str, gaps: int) -> None:
    house = House()
    house.publish("1", arrived=100.0)
    house.publish("2", writer=source(pod="web-1"), arrived=200.0)
    house.hub.expire(200.0 + 3600)
    assert kinds(house, view(pod=pod, format=JSON), Start(cursor=Cursor(EPOCH, 1, 0))).count("gap") == gaps


@pytest.mark.parametrize("cursor", [Cursor(EPOCH, 2, 1), Cursor(EPOCH, 3, 0), Cursor(EPOCH, 0, 0), Cursor(EPOCH, 0, 7)])
def test_a_cursor_that_was_never_given_out_is_refused_and_leaves_nothing_behind(cursor: Cursor) -> None:
    house = House()
    house.publish("1")
    with pytest.raises(BadCursor):
        house.join(start=Start(cursor=cursor))
    assert not house.hub._feeds


def test_a_forged_line_number_in_a_cursor_does_no_harm() -> None:
    house = House()
    house.publish("a", "b")
    house.publish("c")
    client = house.join(start=Start(cursor=Cursor(EPOCH, 1, 500)), room=0)
    house.hub.expire(float("inf"))
    house.settle()
    assert client.texts() == ["[logurt] 1 line lost: this reader was too slow"]


def test_text_filters_are_limited_in_number_and_given_back() -> None:
    house = House()
    with patch("delivery.hub.MAX_PATTERNS_IN_USE", 2):
        clients = [house.join(view(text=TextFilter((pattern,)))) for pattern in ("a", "b", "b")]
        house.join(view(pod="a"))
        with pytest.raises(TooManyPatterns, match=r"^the views of all readers use 2 patterns already$") as refused:
            house.join(view(text=TextFilter(("c",))))
        for client in clients:
            client.leave()
        house.join(view(text=TextFilter(("c",))))
    assert refused.value.limit == 2


def test_a_reader_may_leave_more_than_once_and_at_any_time() -> None:
    house = House()
    one, other = house.join(), house.join()
    one.leave()
    one.leave()
    house.publish("1")
    house.settle()
    other.leave()
    other.leave()
    house.settle()
    assert one.texts() == []
    assert not house.hub._feeds
    assert not house.hub._queue


def test_a_reader_that_left_is_not_written_to_by_a_flush_that_was_due() -> None:
    house = House()
    client = house.join()
    house.settle()
    house.publish("1")
    client.leave()
    house.settle()
    assert client.texts() == []


def test_a_drain_of_a_reader_that_waits_for_its_turn_gives_it_no_second_one() -> None:
    house = House()
    house.publish("1")
    client = house.join()
    house.hub.drained(client.reader)
    house.settle()
    assert client.texts() == ["1"]


def test_a_check_raises_what_joining_would() -> None:
    house = House()
    with pytest.raises(BadCursor):
        house.hub.check(view(), Start(cursor=Cursor(EPOCH, 1, 1)))
    with patch("delivery.hub.MAX_PATTERNS_IN_USE", 0), pytest.raises(TooManyPatterns):
        house.hub.check(view(text=TextFilter(("a",))), Start())
    house.hub.check(view(), Start(cursor=Cursor("e0", 1, 0)))


def test_a_drain_of_a_reader_that_is_live_or_gone_changes_nothing() -> None:
    house = House()
    house.publish("1")
    client = house.join()
    house.settle()
    house.hub.drained(client.reader)
    client.leave()
    house.hub.drained(client.reader)
    house.settle()
    assert client.texts() == ["1"]


def test_a_turn_serves_a_few_readers_and_leaves_the_rest_to_the_next() -> None:
    house = House()
    house.publish("1")
    clients = [house.join() for _ in range(READERS_A_TURN + 1)]
    assert house.clock.run_one()
    assert [len(client.socket.writes) for client in clients] == [1] * READERS_A_TURN + [0]
    house.settle()
    assert all(client.texts() == ["1"] for client in clients)


def test_a_large_backlog_does_not_delay_another_namespace_by_more_than_a_piece() -> None:
    house = House(8 * 1024 * 1024, 16 * 1024 * 1024)
    for _ in range(100):
        house.publish("x" * 60_000)
    house.publish("1", writer=source("m"))
    large, small = house.join(), house.join(view("m"))
    house.clock.run_one()
    assert small.texts() == ["1"]
    assert len(large.socket.writes) == 1


def test_an_event_stream_of_text_can_be_resumed() -> None:
    house = House()
    house.publish("a", "b")
    seen = view(framing=Chunked(ServerSentEvents(EPOCH)))
    client = house.join(seen)
    house.settle()
    back = house.join(seen, Start(cursor=Cursor.parse(client.events()[0].cursor)))
    house.settle()
    assert back.texts() == ["b", ""]


def test_an_event_stream_can_be_resumed_before_its_first_line() -> None:
    house = House()
    seen = view(framing=Chunked(ServerSentEvents(EPOCH)))
    client = house.join(seen, Start(tail=0))
    house.settle()
    (told_live,) = client.events()
    house.publish("a")
    back = house.join(seen, Start(cursor=Cursor.parse(told_live.cursor)))
    house.settle()
    assert back.texts() == ["a", ""]


def test_many_quiet_namespaces_do_not_keep_a_new_one_from_holding_a_line() -> None:
    house = House(40_000, 40_000)
    for number in range(100):
        house.publish("x", writer=source(namespace=f"n{number:03}"))
    house.publish("a longer line than theirs", writer=source(namespace="a-new-one"))
    assert "a-new-one" in house.hub.rings
    assert "n000" not in house.hub.rings


def test_a_reader_that_was_live_and_fell_behind_is_not_told_that_it_is_live_again() -> None:
    house = House()
    client = house.join(view(format=JSON))
    house.settle()
    client.socket.room = 0
    house.publish("1")
    house.settle()
    house.publish("2")
    client.drain()
    house.settle()
    assert [event.kind for event in client.events()] == ["live", "line", "line"]


def test_a_cursor_in_the_middle_of_a_chunk_that_was_evicted_gives_a_gap() -> None:
    house = House()
    house.publish("a", "b", arrived=100.0)
    house.publish("c", arrived=200.0)
    house.hub.expire(200.0 + 3600)
    cut, done = (house.join(start=Start(cursor=Cursor(EPOCH, seq, line))) for seq, line in ((1, 1), (2, 0)))
    house.settle()
    assert [event.kind for event in cut.events()] == ["gap", "line"]
    assert done.texts() == ["c"]
