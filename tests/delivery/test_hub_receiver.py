"""What brokers tell the hub beside chunks: what is lost, skipped and forgotten, and that the numbering starts anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.cursor import Cursor
from delivery.framing import PlainLines, ServerSentEvents
from delivery.reader import Start
from tests.buffer.factories import EPOCH, source
from tests.delivery.doubles import JSON, Client, Rig, gap_of, view

if TYPE_CHECKING:
    from buffer.source import Source

WEB, JOB = source(pod="web"), source(pod="job")


def gaps(client: Client) -> list[tuple[int | None, str]]:
    return [gap_of(event) for event in client.events() if event.kind == "gap"]


def lose(rig: Rig, lines: int | None, writer: Source = WEB) -> None:
    rig.seq += 1
    rig.hub.lose(writer, rig.seq, lines)


def at(seq: int, line: int = 0, epoch: str = EPOCH) -> Start:
    return Start(cursor=Cursor(epoch, seq, line))


# Losses


def test_a_live_reader_is_told_what_never_came_between_what_came_before_and_after() -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    rig.publish("a", writer=WEB)
    lose(rig, 3)
    rig.publish("b", writer=WEB)
    rig.settle()
    assert client.texts() == ["a", "[logurt] 3 lines lost: they left the buffer before they could be sent", "b"]
    assert client.reader.is_live


def test_a_reader_is_told_once_of_losses_that_follow_each_other() -> None:
    rig = Rig()
    clients = [rig.join(), rig.join(view(pod="job")), rig.join()]
    rig.settle()
    clients[2].socket.room = 0
    lose(rig, 3)
    lose(rig, 4)
    lose(rig, 5, JOB)
    rig.settle()
    assert gaps(clients[0]) == [(12, "evicted")]
    assert gaps(clients[1]) == [(5, "evicted")]


@pytest.mark.parametrize(("lines", "told"), [([1, None], None), ([None, 1], None), ([2, 1], 3)])
def test_a_number_that_is_not_known_makes_the_sum_unknown(lines: list[int | None], told: int | None) -> None:
    rig = Rig()
    client = rig.join()
    rig.settle()
    for count in lines:
        lose(rig, count)
    rig.settle()
    assert gaps(client) == [(told, "evicted")]


def test_lines_of_unknown_streams_are_an_unknown_number_to_a_reader_of_one_stream() -> None:
    rig = Rig()
    client = rig.join(view(stream="stderr"))
    rig.settle()
    lose(rig, 3)
    rig.settle()
    assert gaps(client) == [(None, "evicted")]


def test_what_is_told_late_is_lost_to_those_who_have_read_on_and_to_nobody_who_began_after_it() -> None:
    rig = Rig()
    early = rig.join()
    rig.settle()
    rig.publish("a", writer=JOB)
    rig.seq += 1
    lost_at = rig.seq
    rig.publish("b", writer=JOB)
    rig.settle()
    late, resumed, unseen = rig.join(start=Start(tail=5)), rig.join(start=at(lost_at)), rig.join(start=at(lost_at + 1))
    rig.settle()
    rig.hub.lose(WEB, lost_at, 2)
    rig.publish("c", writer=WEB)
    rig.settle()
    assert [gaps(client) for client in (early, late, resumed, unseen)] == [[(2, "evicted")], [], [(2, "evicted")], []]


def test_a_hole_that_is_found_late_is_lost_to_those_who_were_shown_what_came_before_it() -> None:
    rig = Rig()
    rig.publish("a", writer=WEB)
    rig.seq += 1
    lost_at = rig.seq
    rig.publish("b", writer=JOB)
    everything, last, behind = rig.join(), rig.join(start=Start(tail=1)), rig.join(view(format=JSON), room=0)
    rig.settle()
    rig.hub.lose(WEB, lost_at, 2)
    rig.publish("c", writer=WEB)
    behind.drain()
    rig.settle()
    assert everything.texts()[2:] == ["[logurt] 2 lines lost: they left the buffer before they could be sent", "c"]
    assert last.texts() == ["b", "c"]
    assert gaps(behind) == [(2, "evicted")]


def test_what_was_held_of_a_source_goes_with_what_never_came_so_that_no_hole_is_read() -> None:
    rig = Rig()
    rig.publish("a", writer=WEB)
    slow = rig.join(start=Start(tail=None), room=0)
    rig.publish("b", writer=WEB)
    rig.publish("other", writer=JOB)
    lose(rig, 3)
    rig.publish("c", writer=WEB)
    late = rig.join(start=Start(tail=None))
    rig.settle()
    assert late.texts() == ["other", "c"]
    slow.drain()
    rig.settle()
    assert sum(lost or 0 for lost, _ in gaps(slow)) + sum(text in "abc" for text in slow.texts()) == 6


def test_what_came_after_a_loss_that_is_told_late_is_kept() -> None:
    rig = Rig()
    rig.publish("a", writer=WEB)
    rig.seq += 1
    lost_at = rig.seq
    rig.publish("b", writer=WEB)
    rig.hub.lose(WEB, lost_at, None)
    late, resumed = rig.join(start=Start(tail=None)), rig.join(start=at(lost_at + 1))
    rig.settle()
    assert late.texts() == ["b"]
    assert resumed.texts() == ["b"]


def test_a_reader_that_does_not_follow_does_not_miss_what_comes_after_it_has_come() -> None:
    rig = Rig()
    rig.publish("a")
    client = rig.join(follow=False, room=0)
    lose(rig, 3)
    rig.settle()
    client.drain()
    rig.settle()
    assert client.texts() == ["a"]
    assert client.ends == 1


def test_a_loss_is_remembered_for_cursors_that_come_later() -> None:
    rig = Rig()
    rig.publish("a", writer=WEB)
    lose(rig, 3)
    rig.publish("b", writer=WEB)
    told, untold, other = rig.join(start=at(2)), rig.join(start=at(3)), rig.join(view(pod="job"), at(2))
    rig.settle()
    assert [gaps(client) for client in (told, untold, other)] == [[(None, "evicted")], [], []]


def test_a_loss_in_a_namespace_without_lines_is_told_and_moves_the_next_reader_on() -> None:
    rig = Rig()
    lose(rig, 3)
    told, live = rig.join(start=at(1)), rig.join(view(format=JSON, framing=ServerSentEvents()))
    rig.settle()
    assert gaps(told) == [(None, "evicted")]
    assert [(event.kind, event.cursor) for event in live.events()] == [("live", f"{EPOCH}-2-0")]


# Skipped numbers


@pytest.mark.parametrize(
    ("place", "doubtful"), [((2, 0), False), ((2, 1), True), ((3, 0), True), ((99, 9), True), ((100, 0), False)]
)
def test_a_cursor_among_skipped_numbers_gives_a_gap_and_what_follows(place: tuple[int, int], doubtful: bool) -> None:  # noqa: FBT001 - a parameter of the test
    rig = Rig()
    rig.publish("a")
    rig.hub.skip(2, 100)
    rig.seq = 99
    rig.publish("b")
    client = rig.join(start=at(*place))
    rig.settle()
    assert gaps(client) == ([(None, "restarted")] if doubtful else [])
    assert [event.payload for event in client.events() if event.kind == "line"] == ["b"]


def test_a_cursor_among_skipped_numbers_is_kept_while_nothing_new_has_come() -> None:
    rig = Rig()
    rig.publish("a")
    rig.hub.skip(2, 100)
    client = rig.join(start=at(3))
    rig.settle()
    rig.seq = 99
    rig.publish("b")
    rig.settle()
    assert [event.kind for event in client.events()] == ["gap", "line"]


# Namespaces that are forgotten


def test_what_is_forgotten_is_no_loss_and_may_come_again() -> None:
    rig = Rig()
    rig.publish("a")
    rig.publish("b")
    rig.hub.forget("n")
    assert rig.store.ring("n") is None
    rig.seq = 0
    client = rig.join(start=Start(tail=0))
    rig.publish("a")
    rig.publish("b")
    resumed = rig.join(start=at(2))
    rig.settle()
    assert client.texts() == ["a", "b"]
    assert resumed.texts() == ["b"]


def test_a_reader_of_a_namespace_that_is_forgotten_has_been_given_what_was_fresh_and_goes_on() -> None:
    rig = Rig()
    live, blocked = rig.join(), rig.join()
    rig.settle()
    blocked.socket.room = 0
    rig.publish("a", writer=WEB)
    rig.hub.forget("n")
    rig.publish("b", writer=JOB)
    blocked.drain()
    rig.settle()
    assert live.texts() == blocked.texts() == ["a", "b"]


# Restarts


def test_a_restart_is_told_to_every_reader_in_whatever_state_and_they_go_on() -> None:
    rig = Rig()
    rig.publish("a")
    live, blocked = rig.join(), rig.join()
    rig.settle()
    blocked.socket.room = 0
    rig.publish("b")
    rig.settle()
    gathering = [rig.join(start=Start(tail=1)), rig.join(start=at(2)), rig.join(start=Start(since=0.0))]
    rig.hub.restart("e2")
    rig.seq = 0
    rig.publish("new")
    blocked.drain()
    rig.settle()
    for client, before in [(live, ["a", "b"]), (blocked, ["a", "b"]), *((client, []) for client in gathering)]:
        assert [event.payload for event in client.events() if event.kind == "line"] == [*before, "new"]
        assert gaps(client) == [(None, "restarted")]
        assert client.reader.is_live


def test_lines_name_the_numbering_that_they_belong_to() -> None:
    rig = Rig()
    client = rig.join(view(format=JSON))
    rig.settle()
    rig.publish("old")
    rig.hub.restart("e2")
    rig.seq = 0
    rig.publish("new")
    rig.settle()
    lines = [json.loads(event.payload) for event in client.events() if event.kind == "line"]
    assert [(line["log"], line["cursor"]) for line in lines] == [("old", f"{EPOCH}-2-0"), ("new", "e2-2-0")]


def test_cursors_of_the_old_numbering_are_told_of_a_restart_and_those_of_the_new_are_not() -> None:
    rig = Rig()
    rig.publish("a")
    rig.hub.skip(1, 3)
    rig.hub.restart("e2")
    rig.seq = 0
    rig.publish("b")
    old, new = rig.join(start=at(2)), rig.join(start=at(2, epoch="e2"))
    rig.settle()
    assert gaps(old) == [(None, "restarted")]
    assert new.texts() == []


def test_a_reader_that_does_not_follow_ends_with_the_numbering() -> None:
    rig = Rig()
    rig.publish("a")
    client = rig.join(follow=False)
    rig.hub.restart("e2")
    rig.publish("b")
    rig.settle()
    assert [event.kind for event in client.events()] == ["gap"]
    assert client.ends == 1


def test_a_blocked_reader_is_written_nothing_by_a_restart_before_its_socket_has_drained() -> None:
    rig = Rig()
    rig.publish("a")
    client = rig.join(room=0)
    rig.settle()
    rig.hub.restart("e2")
    lose(rig, 1)
    rig.settle()
    assert client.texts() == ["a"]
    client.drain()
    assert rig.clock.run_due()
    assert gaps(client) == [(None, "restarted")]


# All of it, against a model

EVENTS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from([WEB, JOB]), st.integers(1, 3)),
    st.tuples(st.just("publish"), st.sampled_from([WEB, JOB]), st.integers(1, 3)),
    st.tuples(st.just("lose"), st.sampled_from([WEB, JOB]), st.sampled_from([1, 2, 5, None])),
    st.tuples(st.just("join"), st.sampled_from(["*", "web", "job"]), st.tuples(st.integers(0, 30), st.booleans())),
    st.tuples(st.just("drain"), st.integers(0, 9), st.sampled_from([0, None])),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.03]), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


class Expected:
    """What one reader must be given: the lines of each numbering, and what is lost to it of the last one."""

    def __init__(self, client: Client, pod: str) -> None:
        self.client = client
        self.pod = pod
        self.eras: list[list[str]] = [[]]
        self.lost: list[int | None] = []
        self.dropped: set[str] = set()  # lines that went when others of their source were lost, read or not
        self.restarts = 0

    def sees(self, writer: Source) -> bool:
        return self.pod in ("*", writer.pod)

    def check(self) -> None:
        received = [event.payload for event in self.client.events() if event.kind == "line"]
        at = 0
        for era in self.eras[:-1]:  # what had not been read when it ended is lost
            had = [line for line in received[at:] if line in era]
            assert had == received[at : at + len(had)]
            self.check_order(had, era[: era.index(had[-1]) + 1] if had else [])
            at += len(had)
        missed = self.check_order(received[at:], self.eras[-1])
        told = gaps(self.client)
        assert bool(self.restarts) == ((None, "restarted") in told)
        if not self.restarts:
            assert {reason for _, reason in told} <= {"evicted", *(["slow"] if missed else [])}
            if None in self.lost:
                assert None in [lost for lost, _ in told]
            else:
                assert sum(lost or 0 for lost, _ in told) == sum(lost or 0 for lost in self.lost) + missed

    def check_order(self, had: list[str], era: list[str]) -> int:
        """Check that lines came in order, each once, and all but some that were dropped; return how many did not."""
        assert had == [line for line in era if line in had]
        assert set(era) - set(had) <= self.dropped
        return len(era) - len(had)


class Course:
    """What happens to a hub, and what its readers must see of it."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.epoch = EPOCH
        self.readers: list[Expected] = []
        self.held: list[tuple[int, Source, list[str]]] = []  # of this numbering
        self.lost: list[tuple[int, Source]] = []
        self.texts = 0

    def publish(self, writer: Source, lines: int) -> None:
        texts = [str(self.texts + line) for line in range(lines)]
        self.texts += lines
        self.rig.publish(*texts, writer=writer)
        self.held.append((self.rig.seq, writer, texts))
        for reader in self.readers:
            reader.eras[-1] += texts if reader.sees(writer) else []

    def lose(self, writer: Source, lines: int | None) -> None:
        lose(self.rig, lines, writer)
        dropped = [one for one in self.held if one[1] is writer]
        self.held = [one for one in self.held if one[1] is not writer]
        self.lost += [(number, writer) for number, _, _ in dropped]
        self.lost.append((self.rig.seq, writer))
        for reader in self.readers:
            reader.lost += [lines] if reader.sees(writer) else []
            reader.dropped |= {text for _, _, texts in dropped for text in texts}

    def join(self, pod: str, place: tuple[int, bool]) -> None:
        seq, is_blocked = min(place[0], self.rig.seq) + 1, place[1]
        seen = view(framing=PlainLines()) if pod == "*" else view(framing=PlainLines(), pod=pod)
        reader = Expected(self.rig.join(seen, at(seq, epoch=self.epoch), room=0 if is_blocked else None), pod)
        for number, writer, texts in self.held:
            reader.eras[-1] += texts if number >= seq and reader.sees(writer) else []
        reader.lost += [None for number, writer in self.lost if number >= seq and reader.sees(writer)][:1]
        self.readers.append(reader)
        self.rig.clock.run_due()

    def drain(self, reader: int, room: int | None) -> None:
        if self.readers:
            self.readers[reader % len(self.readers)].client.drain(room)

    def wait(self, seconds: float, _: None) -> None:
        self.rig.clock.advance(seconds)

    def restart(self, _: None, __: None) -> None:
        self.epoch += "x"
        self.rig.hub.restart(self.epoch)
        self.rig.seq, self.held, self.lost = 0, [], []
        for reader in self.readers:
            reader.eras.append([])
            reader.restarts += 1


@given(st.lists(EVENTS, max_size=40))
def test_readers_at_any_place_get_every_line_that_came_and_are_told_of_every_one_that_did_not(
    happening: list[tuple[str, Any, Any]],
) -> None:
    course = Course()
    for what, one, other in happening:
        getattr(course, what)(one, other)
    while any(reader.client.socket.is_full for reader in course.readers) or not all(
        reader.client.reader.is_live for reader in course.readers
    ):
        for reader in course.readers:
            reader.client.drain()
        course.rig.settle()
    course.rig.settle()
    for reader in course.readers:
        reader.check()
