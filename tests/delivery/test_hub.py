from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from buffer.timestamp import rfc3339
from delivery.cursor import Cursor
from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines, ServerSentEvents
from delivery.hub import LOOP_SECONDS
from delivery.patterns import TooManyPatterns
from delivery.reader import Start, State
from tests.buffer.factories import ARRIVED, EPOCH, source
from tests.delivery.doubles import FLUSH_INTERVAL, JSON, Rig, gap_of, view

if TYPE_CHECKING:
    from delivery.view import View

LOST = "[logurt] {} lines lost: this reader was too slow"


def kinds(rig: Rig, seen: View, start: Start) -> list[str]:
    client = rig.join(seen, start)
    rig.settle()
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
    rig = Rig()
    for number in range(5):
        rig.publish(str(number), arrived=ARRIVED + number)
    client = rig.join(start=start)
    rig.settle()
    rig.publish("live")
    rig.settle()
    assert client.texts() == [*expected, "live"]


def test_a_reader_of_an_empty_namespace_waits_for_its_lines() -> None:
    rig = Rig()
    client = rig.join(start=Start(tail=10, since=ARRIVED))
    rig.settle()
    rig.publish("first")
    rig.settle()
    assert client.texts() == ["first"]


def test_a_reader_sees_nothing_of_other_namespaces_pods_and_labels() -> None:
    rig = Rig()
    client = rig.join(view(pod="web-0"))
    for writer in (source("m"), source(pod="web-1"), source(container="side"), source(app="web")):
        rig.publish(writer.container, writer=writer)
    rig.settle()
    assert client.texts() == ["side", "app"]


def test_nothing_is_written_while_a_reader_joins() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join()
    assert client.socket.writes == []
    rig.clock.run_due()
    assert client.texts() == ["1"]


def test_a_line_after_a_quiet_time_is_flushed_at_once() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("1")
    rig.clock.run_due()
    assert client.texts() == ["1"]


def test_lines_under_load_are_flushed_an_interval_after_the_last() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("1")
    rig.clock.run_due()
    rig.publish("2")
    rig.clock.advance(FLUSH_INTERVAL * 0.9)
    rig.publish("3")
    assert client.texts() == ["1"]
    rig.clock.advance(FLUSH_INTERVAL * 0.2)
    assert client.texts() == ["1", "2", "3"]


def test_a_reader_that_joins_between_flushes_sees_each_line_once() -> None:
    rig = Rig()
    first = rig.join()
    rig.settle()
    rig.publish("1")
    rig.clock.run_due()
    rig.publish("2")
    second = rig.join()
    rig.publish("3")
    rig.settle()
    assert first.texts() == second.texts() == ["1", "2", "3"]


def test_a_reader_that_does_not_follow_gets_what_there_was_and_ends() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(view(format=JSON), follow=False)
    rig.publish("2")
    rig.settle()
    assert [json.loads(text)["log"] for text in client.texts()] == ["1"]
    assert client.ends == 1
    assert not rig.hub.feeds


def test_a_reader_that_does_not_follow_ends_at_once_where_nothing_is() -> None:
    rig = Rig()
    client = rig.join(follow=False)
    rig.publish("too late")
    rig.settle()
    assert (client.ends, client.texts()) == (1, [])


def test_a_reader_that_does_not_follow_ends_only_when_its_socket_has_drained() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(follow=False, room=0)
    rig.settle()
    assert client.ends == 0
    client.drain()
    rig.settle()
    assert client.ends == 1


def test_a_slow_reader_that_does_not_follow_is_told_only_of_what_was_its_own() -> None:
    rig = Rig(namespace_bytes=10_000)
    rig.publish("0")
    rig.publish("1")
    client = rig.join(follow=False, start=Start(), room=0)
    with patch("delivery.ranges.WRITE_BYTES", 1):
        rig.settle()
        for number in range(2, 60):
            rig.publish(str(number))
        client.drain()
        rig.settle()
    assert client.texts() == ["0", "[logurt] 1 line lost: this reader was too slow"]
    assert client.ends == 1


def test_the_live_notice_comes_once_and_after_the_backlog() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(view(format=JSON), room=0)
    rig.settle()
    rig.publish("2")
    client.drain(0)
    rig.settle()
    client.drain()
    rig.settle()
    rig.publish("3")
    rig.settle()
    assert [event.kind for event in client.events()] == ["line", "line", "live", "line"]


def test_a_slow_reader_is_told_how_much_it_lost_before_it_goes_on() -> None:
    rig = Rig(namespace_bytes=6000)
    client = rig.join(room=0)
    rig.settle()
    for number in range(100):
        rig.publish(f"{number}", f"{number}")
        rig.settle()
    client.drain()
    rig.settle()
    texts = client.texts()
    kept = rig.store.rings["n"].lines
    assert texts[:3] == ["0", "0", LOST.format(200 - 2 - kept)]
    assert texts[3:] == [f"{number // 2}" for number in range(200 - kept, 200)]


def test_a_reader_cut_off_in_the_middle_of_a_chunk_loses_only_the_rest() -> None:
    rig = Rig()
    rig.publish("a", "b", "c")
    client = rig.join(start=Start(cursor=Cursor(EPOCH, 1, 1)))
    rig.hub.expire(float("inf"))
    rig.settle()
    assert client.texts() == [LOST.format(2)]


def test_losses_that_nobody_could_see_are_not_told() -> None:
    rig = Rig(namespace_bytes=6000)
    client = rig.join(view(pod="other"))
    for number in range(100):
        rig.publish(f"{number}")
    rig.settle()
    assert client.texts() == []


def test_a_quiet_pod_keeps_its_tail_while_its_neighbour_writes() -> None:
    rig = Rig(namespace_bytes=200_000)
    for number in range(100):
        rig.publish(str(number), writer=source(pod="quiet"))
    for _ in range(2000):
        rig.publish("x" * 200, writer=source(pod="chatty"))
    client = rig.join(view(pod="quiet"), Start(tail=100))
    rig.settle()
    assert client.texts() == [str(number) for number in range(100)]


def test_the_total_is_bounded_and_taken_from_the_heaviest_namespace() -> None:
    rig = Rig(namespace_bytes=50_000, total_bytes=60_000)
    rig.publish("small", writer=source("small"))
    for number in range(1000):
        rig.publish("x" * 100, writer=source(f"n{number % 3}"))
        assert rig.store.bytes <= 60_000
    assert "small" in rig.store.rings


def test_a_chunk_larger_than_all_the_memory_reaches_live_readers_and_is_not_kept() -> None:
    rig = Rig(namespace_bytes=1000, total_bytes=500)
    client = rig.join()
    rig.settle()
    rig.publish("x" * 2000)
    rig.settle()
    assert client.texts() == ["x" * 2000]
    assert (dict(rig.store.rings), rig.store.bytes) == ({}, 0)


def test_a_ring_leaves_with_its_last_chunk_and_comes_back() -> None:
    rig = Rig(max_age=60)
    client = rig.join()
    rig.settle()
    rig.publish("1", arrived=100.0)
    rig.settle()
    rig.hub.expire(160.0)
    assert "n" in rig.store.rings
    rig.hub.expire(160.1)
    assert not rig.store.rings
    rig.publish("2", arrived=200.0)
    rig.settle()
    assert client.texts() == ["1", "2"]


def test_a_reader_cut_anywhere_comes_back_to_exactly_what_follows() -> None:
    rig = Rig()
    for number in range(6):
        rig.publish(f"{number}a", f"{number}b", f"{number}c", writer=source(pod=f"web-{number % 2}"))
    seen = view(format=JSON, framing=Chunked(PlainLines()))
    whole = rig.join(seen)
    rig.settle()
    lines = [event for event in whole.events() if event.kind == "line"]
    for index, line in enumerate(lines):
        back = rig.join(seen, Start(cursor=Cursor.parse(line.cursor)))
        rig.settle()
        assert [event for event in back.events() if event.kind == "line"] == lines[index + 1 :]
        assert [event.kind for event in back.events()].count("gap") == 0


def test_a_cursor_of_another_epoch_gives_a_gap_and_the_whole_backlog() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(start=Start(tail=0, cursor=Cursor("e0", 999, 5)))
    rig.settle()
    assert gap_of(client.events()[0]) == (None, "restarted")
    assert client.texts()[1:] == ["1"]


def test_a_cursor_of_a_place_that_was_evicted_gives_a_gap_and_what_there_is() -> None:
    rig = Rig(namespace_bytes=6000)
    for number in range(50):
        rig.publish(str(number))
    client = rig.join(view(format=JSON), Start(cursor=Cursor(EPOCH, 2, 0)))
    rig.settle()
    events = client.events()
    assert gap_of(events[0]) == (None, "evicted")
    assert [event.kind for event in events[1:]] == ["line"] * rig.store.rings["n"].lines + ["live"]


def test_a_cursor_behind_everything_that_was_evicted_gives_no_gap() -> None:
    rig = Rig(namespace_bytes=6000)
    for number in range(50):
        rig.publish(str(number))
    oldest = rig.store.rings["n"].first().seq
    assert kinds(rig, view(format=JSON), Start(cursor=Cursor(EPOCH, oldest, 0))).count("gap") == 0


@pytest.mark.parametrize(("pod", "gaps"), [("web-0", 1), ("web-1", 0)])
def test_a_cursor_older_than_a_source_that_left_gives_a_gap_to_those_who_saw_it(pod: str, gaps: int) -> None:
    rig = Rig()
    rig.publish("1", arrived=100.0)
    rig.publish("2", writer=source(pod="web-1"), arrived=200.0)
    rig.hub.expire(200.0 + 3600)
    assert kinds(rig, view(pod=pod, format=JSON), Start(cursor=Cursor(EPOCH, 1, 0))).count("gap") == gaps


@pytest.mark.parametrize("cursor", [Cursor(EPOCH, 2, 1), Cursor(EPOCH, 3, 0), Cursor(EPOCH, 16**14, 7)])
def test_a_cursor_ahead_of_this_process_gives_a_gap_and_the_whole_backlog(cursor: Cursor) -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join(start=Start(tail=0, cursor=cursor))
    rig.settle()
    assert gap_of(client.events()[0]) == (None, "restarted")
    assert client.texts()[1:] == ["1"]


def test_a_forged_line_number_in_a_cursor_does_no_harm() -> None:
    rig = Rig()
    rig.publish("a", "b")
    rig.publish("c")
    client = rig.join(start=Start(cursor=Cursor(EPOCH, 1, 500)), room=0)
    rig.hub.expire(float("inf"))
    rig.settle()
    assert client.texts() == ["[logurt] 1 line lost: this reader was too slow"]


def test_text_filters_are_limited_in_number_and_given_back() -> None:
    rig = Rig()
    with patch("delivery.patterns.MAX_PATTERNS_IN_USE", 2):
        clients = [rig.join(view(text=TextFilter((pattern,)))) for pattern in ("a", "b", "b")]
        rig.join(view(pod="a"))
        with pytest.raises(TooManyPatterns, match=r"^the views of all readers use 2 patterns already$") as refused:
            rig.join(view(text=TextFilter(("c",))))
        for client in clients:
            client.leave()
        rig.join(view(text=TextFilter(("c",))))
    assert refused.value.limit == 2


def test_a_reader_may_leave_more_than_once_and_at_any_time() -> None:
    rig = Rig()
    one, other = rig.join(), rig.join()
    one.leave()
    one.leave()
    rig.publish("1")
    rig.settle()
    other.leave()
    other.leave()
    rig.settle()
    assert one.texts() == []
    assert not rig.hub.feeds
    assert rig.hub.statistics().queued == 0


def test_a_reader_that_left_is_not_written_to_by_a_flush_that_was_due() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("1")
    client.leave()
    rig.settle()
    assert client.texts() == []


def test_a_drain_of_a_reader_that_waits_for_its_turn_gives_it_no_second_one() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join()
    rig.hub.drained(client.reader)
    rig.settle()
    assert client.texts() == ["1"]


def test_a_check_raises_what_joining_would() -> None:
    rig = Rig()
    rig.join(view(text=TextFilter(("a",))))
    with patch("delivery.patterns.MAX_PATTERNS_IN_USE", 1):
        with pytest.raises(TooManyPatterns):
            rig.hub.check(view(text=TextFilter(("b",))))
        rig.hub.check(view(text=TextFilter(("a",))))
        rig.hub.check(view())
    assert rig.hub.statistics().patterns == 1


def test_a_drain_of_a_reader_that_is_live_or_gone_changes_nothing() -> None:
    rig = Rig()
    rig.publish("1")
    client = rig.join()
    rig.settle()
    rig.hub.drained(client.reader)
    client.leave()
    rig.hub.drained(client.reader)
    rig.settle()
    assert client.texts() == ["1"]


def test_a_large_backlog_does_not_delay_another_namespace_by_more_than_a_piece() -> None:
    rig = Rig(8 * 1024 * 1024, 16 * 1024 * 1024)
    for _ in range(100):
        rig.publish("x" * 60_000)
    rig.publish("1", writer=source("m"))
    large, small = rig.join(), rig.join(view("m"))
    rig.clock.run_one()
    assert small.texts() == ["1"]
    assert len(large.socket.writes) == 1


def test_an_event_stream_of_text_can_be_resumed() -> None:
    rig = Rig()
    rig.publish("a", "b")
    seen = view(framing=Chunked(ServerSentEvents()))
    client = rig.join(seen)
    rig.settle()
    back = rig.join(seen, Start(cursor=Cursor.parse(client.events()[0].cursor)))
    rig.settle()
    assert back.texts() == ["b", ""]


def test_an_event_stream_can_be_resumed_before_its_first_line() -> None:
    rig = Rig()
    seen = view(framing=Chunked(ServerSentEvents()))
    client = rig.join(seen, Start(tail=0))
    rig.settle()
    (told_live,) = client.events()
    rig.publish("a")
    back = rig.join(seen, Start(cursor=Cursor.parse(told_live.cursor)))
    rig.settle()
    assert back.texts() == ["a", ""]


def test_many_quiet_namespaces_do_not_keep_a_new_one_from_holding_a_line() -> None:
    rig = Rig(40_000, 40_000)
    for number in range(100):
        rig.publish("x", writer=source(namespace=f"n{number:03}"))
    rig.publish("a longer line than theirs", writer=source(namespace="a-new-one"))
    assert "a-new-one" in rig.store.rings
    assert "n000" not in rig.store.rings


def test_what_waits_for_a_flush_when_a_reader_joins_comes_before_its_live_notice() -> None:
    rig = Rig()
    other = rig.join(view(format=JSON))
    rig.settle()
    rig.publish("1")
    rig.clock.run_due()
    rig.publish("2")
    client = rig.join(view(format=JSON))
    rig.settle()
    rig.publish("3")
    rig.settle()
    assert [event.kind for event in client.events()] == ["line", "line", "live", "line"]
    assert [event.kind for event in other.events()] == ["live", "line", "line", "line"]


def test_a_reader_that_was_live_and_fell_behind_is_not_told_that_it_is_live_again() -> None:
    rig = Rig()
    client = rig.join(view(format=JSON))
    rig.settle()
    client.socket.room = 0
    rig.publish("1")
    rig.settle()
    rig.publish("2")
    client.drain()
    rig.settle()
    assert [event.kind for event in client.events()] == ["live", "line", "line"]


def test_a_cursor_in_the_middle_of_a_chunk_that_was_evicted_gives_a_gap() -> None:
    rig = Rig()
    rig.publish("a", "b", arrived=100.0)
    rig.publish("c", arrived=200.0)
    rig.hub.expire(200.0 + 3600)
    cut, done = (rig.join(start=Start(cursor=Cursor(EPOCH, seq, line))) for seq, line in ((1, 1), (2, 0)))
    rig.settle()
    assert [event.kind for event in cut.events()] == ["gap", "line"]
    assert done.texts() == ["c"]


def test_a_join_looks_at_no_more_sources_than_there_is_time_for() -> None:
    rig = Rig()
    for number in range(100):
        rig.publish(str(number), writer=source(pod=f"web-{number}"))
    rig.clock.tick = LOOP_SECONDS / 10
    clients = [rig.join(view(pod=f"web-{number}*")) for number in (1, 2, 3)]
    assert {client.reader.state for client in clients} == {State.GATHERING}
    assert 250 < rig.hub.feeds["n"].statistics().pending < 300
    rig.clock.run_due()
    assert rig.hub.feeds["n"].statistics().pending == 0
    assert [len(client.texts()) for client in clients] == [11, 11, 11]


def test_losses_between_a_cursor_and_the_end_of_gathering_are_told() -> None:
    rig = Rig()
    for number in range(20):
        rig.publish(str(number), writer=source(pod=f"web-{number}"), arrived=100.0 + number)
    rig.clock.tick = LOOP_SECONDS / 10
    client = rig.join(start=Start(cursor=Cursor(EPOCH, 5, 0)))
    assert client.reader.state is State.GATHERING
    rig.clock.tick = 0
    rig.hub.expire(3600 + 110.5)
    rig.settle()
    assert gap_of(client.events()[0]) == (None, "evicted")
    assert client.texts()[1:] == [str(number) for number in range(11, 20)]


@pytest.mark.parametrize("follow", [True, False])
def test_since_shows_lines_in_the_order_of_arrival_whatever_their_times_are(*, follow: bool) -> None:
    rig = Rig()
    for ahead in (-50, 30, -50, 0, -50):
        rig.publish(f"{ahead}", times=[rfc3339(ARRIVED + ahead)])
    client = rig.join(start=Start(since=ARRIVED), follow=follow)
    rig.settle()
    assert client.texts() == ["30", "-50", "0", "-50"]


def test_many_chunks_that_leave_for_one_are_counted_for_each_reader_by_its_place() -> None:
    rig = Rig(namespace_bytes=60_000)
    for number in range(60):
        rig.publish(f"{number}a", f"{number}b", streams=["stdout", "stderr"])
    places = [(1, 0), (1, 1), (10, 0), (10, 1), (61, 0)]
    clients = [rig.join(start=Start(cursor=Cursor(EPOCH, *place)), room=0) for place in places]
    ended = rig.join(follow=False, room=0)
    rig.publish("x" * 40_000)
    evicted = rig.store.statistics().lines_evicted
    assert evicted > 60
    for client in (*clients, ended):
        client.drain()
    rig.settle()
    lost = [sum(gap_of(event)[0] or 0 for event in client.events() if event.kind == "gap") for client in clients]
    assert lost == [evicted, evicted - 1, evicted - 18, evicted - 19, 0]


def test_lines_that_come_and_leave_while_a_reader_gathers_are_part_of_its_gap() -> None:
    rig = Rig()
    for number in range(20):
        rig.publish(str(number), writer=source(pod=f"web-{number}"))
    rig.clock.tick = LOOP_SECONDS / 10
    client = rig.join(start=Start(cursor=Cursor(EPOCH, 5, 0)))
    rig.publish("late", writer=source(pod="web-19"))
    rig.clock.tick = 0
    rig.hub.expire(float("inf"))
    assert client.reader.state is State.GATHERING
    rig.settle()
    assert [gap_of(event) for event in client.events()] == [(None, "evicted")]
