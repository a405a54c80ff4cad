"""A hub under random use, held against a model: each reader gets its lines in order, once, or is told of the loss."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from buffer.ring import RING_OVERHEAD
from buffer.selector import Operator, Requirement, Selector
from buffer.source import Source
from buffer.source_log import SOURCE_LOG_OVERHEAD
from delivery.cursor import Cursor
from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines, ServerSentEvents, WebSocketBatches
from delivery.hub import HubStatistics, Start
from delivery.view import View
from tests.buffer.factories import ARRIVED, names, selector
from tests.delivery.doubles import EPOCH, JSON, MESSAGES, TEXT, Client, Event, Rig, gap_of

TEMPLATE = ("pod-template-hash", "5d4f")
SOURCES = [
    *(
        Source(namespace, pod, container, labels)
        for namespace, pod in (("n", "a"), ("n", "b"), ("m", "b"))
        for container, labels in (("app", ()), ("app", (("k", "v"),)), ("side", (("k", "v"), ("x", "y"))))
    ),
    Source("n", "ab-5d4f-abcde", "app", (TEMPLATE,), "replicaset/ab-5d4f"),
    Source("n", "ab-5d4f-fghij", "app", (("k", "w"), TEMPLATE), "replicaset/ab-5d4f"),
]
SELECTORS = [
    selector(),
    selector("m"),
    selector(pod="a"),
    selector(pod="b", container="app"),
    selector(pod="a", x="y"),
    selector(container="side"),
    selector(k="v"),
    selector("m", container="app"),
    selector(pod="a,b"),
    selector(pod="a*"),
    selector(pod="b,ab-*", container="a*,side"),
    selector(k="v,w"),
    selector(labels=[Requirement("k", Operator.NOT_IN, names("v"))]),
    selector(pod="a*", labels=[Requirement("k", Operator.EXISTS), Requirement("x", Operator.MISSING)]),
    selector(workload="deployment/ab"),
    selector(pod="*", workload="deployment/*,job/import", k="w"),
]
ENCODINGS = [
    (TEXT, MESSAGES),
    (JSON, MESSAGES),
    (TEXT, WebSocketBatches()),
    (JSON, WebSocketBatches()),
    (TEXT, Chunked(PlainLines())),
    (JSON, Chunked(PlainLines())),
    (TEXT, Chunked(ServerSentEvents(EPOCH))),
    (JSON, Chunked(ServerSentEvents(EPOCH))),
]
TEXT_FILTERS = [*[TextFilter()] * 4, TextFilter(("even",)), TextFilter((), ("even",)), TextFilter(("^1.*d$",))]


def tells_live(view: View) -> bool:
    return view.format == JSON or view.framing == Chunked(ServerSentEvents(EPOCH))


STARTS = st.one_of(
    st.builds(Start, st.none() | st.integers(0, 12), st.none(), st.none()),
    st.builds(Start, st.none() | st.integers(0, 12), st.integers(0, 60).map(lambda seq: ARRIVED + seq), st.none()),
)
ROOMS = st.sampled_from([None, None, 0, 60, 400])
VIEWS = st.builds(
    lambda selector, encoding, stream, text: View(selector, encoding[0], encoding[1], stream, text),
    st.sampled_from([SELECTORS[0], SELECTORS[0], *SELECTORS]),
    st.sampled_from(ENCODINGS),
    st.sampled_from([None, None, None, "stdout", "stderr"]),
    st.sampled_from(TEXT_FILTERS),
)


class Line(NamedTuple):
    number: int
    seq: int
    writer: Source
    stream: str
    text: str


def shows(view: View, line: Line) -> bool:
    if not view.selector.admits(line.writer) or view.stream not in (None, line.stream):
        return False
    even, tens = "even" in line.text, line.text.startswith("1")
    filters = {
        TextFilter(): True,
        TextFilter(("even",)): even,
        TextFilter((), ("even",)): not even,
        TextFilter(("^1.*d$",)): tens and not even and "more" not in line.text,
    }
    return filters[view.text]


@dataclass
class Visit:
    """One reader's time with the hub, and what it must see of it."""

    client: Client
    backlog: list[Line]
    first_gap: tuple[None, str] | None
    due: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due = list(self.backlog)

    def line_events(self) -> list[Event]:
        return [event for event in self.client.events() if event.kind == "line" and event.payload != "more"]


def number_of(event: Event) -> int:
    text = json.loads(event.payload)["log"] if event.payload.startswith("{") else event.payload
    return int(text.split()[0])


class HubMachine(RuleBasedStateMachine):
    @initialize(
        views=st.lists(VIEWS, min_size=1, max_size=2),
        others=st.lists(st.sampled_from(SELECTORS), max_size=4),
        namespace_chunks=st.integers(3, 30),
        total_chunks=st.integers(4, 40),
    )
    def open(self, views: list[View], others: list[Selector], namespace_chunks: int, total_chunks: int) -> None:
        # Few, so that readers share them; some look alike, so that these share what is rendered.
        self.views = [*views, *(replace(views[0], selector=selector) for selector in others)]
        self.rig = Rig(namespace_chunks * 1500, total_chunks * 1500, max_age=25)
        self.log: list[Line] = []
        self.visits: list[Visit] = []

    def retained(self, namespace: str) -> set[int]:
        ring = self.rig.store.ring(namespace)
        logs = [] if ring is None else ring.logs.values()
        return {chunk.seq for log in logs for chunk in log.chunks.from_seq(0)}

    @rule(
        writer=st.sampled_from(SOURCES),
        streams=st.lists(st.sampled_from(["stdout", "stdout", "stderr"]), min_size=1, max_size=6),
        multiline=st.booleans(),
        hole=st.integers(0, 1),
    )
    def publish(self, writer: Source, streams: list[str], *, multiline: bool, hole: int) -> None:
        self.rig.seq += hole
        seq, first = self.rig.seq + 1, len(self.log)
        lines = []
        for number, stream in enumerate(streams, first):
            text = f"{number} {'odd' if number % 2 else 'even'}" + ("\nmore" if multiline and number % 3 == 0 else "")
            lines.append(Line(number, seq, writer, stream, text))
        self.rig.publish(*(line.text for line in lines), writer=writer, streams=streams, arrived=ARRIVED + seq)
        self.log += lines
        for visit in self.visits:
            if visit.client.follow:
                visit.due += [line for line in lines if shows(visit.client.view, line)]

    @rule(data=st.data(), start=STARTS, follow=st.sampled_from([True, True, False]), room=ROOMS)
    def join(self, data: st.DataObject, start: Start, *, follow: bool, room: int | None) -> None:
        view = data.draw(st.sampled_from(self.views))
        retained = self.retained(view.selector.namespace)
        backlog = [line for line in self.log if line.seq in retained and shows(view, line)]
        since = start.since
        if since is not None:
            backlog = [line for line in backlog if ARRIVED + line.seq >= since]
        if start.tail is not None:
            backlog = backlog[len(backlog) - start.tail :] if start.tail < len(backlog) else backlog
        client = self.rig.join(view, start, follow=follow, room=room)
        self.visits.append(Visit(client, backlog, None))

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), room=ROOMS, restarted=st.sampled_from([False, False, True]))
    def cut_and_resume(self, data: st.DataObject, room: int | None, *, restarted: bool) -> None:
        visit = data.draw(st.sampled_from(self.visits))
        had = [event for event in visit.line_events() if event.cursor]
        if not had:
            return
        self.end(visit)
        last = data.draw(st.sampled_from(had))
        cursor = Cursor.parse(last.cursor)
        view, retained = visit.client.view, self.retained(visit.client.view.selector.namespace)
        after = [line for line in self.log if line.number > number_of(last)]
        if restarted:
            cursor, after = cursor._replace(epoch="another"), self.log
        backlog = [line for line in after if line.seq in retained and shows(view, line)]
        is_late = any(line.seq not in retained and view.selector.admits(line.writer) for line in after)
        gap = (None, "restarted") if restarted else (None, "evicted") if is_late else None
        client = self.rig.join(view, Start(cursor=cursor), follow=visit.client.follow, room=room)
        self.visits.append(Visit(client, backlog, gap))

    @rule(
        data=st.data(),
        room=ROOMS,
        follow=st.booleans(),
        seq=st.integers(0, 3) | st.just(1 << 40),
        line=st.sampled_from([0, 0, 1, 9]),
    )
    def join_ahead(self, data: st.DataObject, room: int | None, seq: int, line: int, *, follow: bool) -> None:
        """Join with a cursor after the last line, or one that this process has not given out yet."""
        view = data.draw(st.sampled_from(self.views))
        retained = self.retained(view.selector.namespace)
        cursor = Cursor(EPOCH, self.rig.seq + 1 + seq, line)
        is_ahead = (seq, line) != (0, 0)
        backlog = [line for line in self.log if is_ahead and line.seq in retained and shows(view, line)]
        client = self.rig.join(view, Start(tail=0, cursor=cursor), follow=follow, room=room)
        self.visits.append(Visit(client, backlog, (None, "restarted") if is_ahead else None))

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), room=ROOMS, at_once=st.booleans())
    def drain(self, data: st.DataObject, room: int | None, *, at_once: bool) -> None:
        data.draw(st.sampled_from(self.visits)).client.drain(room)
        if at_once:
            self.rig.clock.run_due()

    @precondition(lambda self: self.visits)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(self.visits)))

    @rule(callbacks=st.integers(1, 4))
    def turn(self, callbacks: int) -> None:
        for _ in range(callbacks):
            self.rig.clock.run_one()

    @rule(seconds=st.sampled_from([0.001, 0.019, 0.05]))
    def wait(self, seconds: float) -> None:
        self.rig.clock.advance(seconds)

    @rule(all_of_it=st.sampled_from([False, False, True]))
    def expire(self, *, all_of_it: bool) -> None:
        self.rig.hub.expire(float("inf") if all_of_it else ARRIVED + self.rig.seq)
        for namespace in self.rig.store.rings:
            assert min(self.retained(namespace)) >= self.rig.seq - 25

    @invariant()
    def memory_is_accounted_for_and_bounded(self) -> None:
        if not hasattr(self, "rig"):
            return
        store = self.rig.store
        for ring in store.rings.values():
            chunks = [chunk for log in ring.logs.values() for chunk in log.chunks.from_seq(0)]
            assert ring
            assert ring.lines == sum(chunk.count for chunk in chunks)
            assert ring.bytes <= store.limits.namespace_bytes
            assert ring.bytes == RING_OVERHEAD + sum(chunk.size for chunk in chunks) + sum(
                SOURCE_LOG_OVERHEAD + source.size for source in ring.logs
            )
            assert set(ring.pods) == {source.pod for source in ring.logs}
        assert store.bytes == sum(ring.bytes for ring in store.rings.values()) <= store.limits.total_bytes
        statistics = store.statistics()
        assert statistics.lines + statistics.lines_evicted + statistics.lines_expired == len(self.log)

    @invariant()
    def feeds_know_who_sees_what_and_keep_nothing_else(self) -> None:
        if not hasattr(self, "rig"):
            return
        for namespace, feed in self.rig.hub.feeds.items():
            ring = self.rig.store.ring(namespace)
            sources = set[Source]() if ring is None else set(ring.logs)
            selectors = {view.selector for view in feed.groups}
            assert selectors
            for one in selectors:
                assert feed.sources(one) == {source for source in sources if one.admits(source)}
            statistics = feed.statistics()
            assert statistics.scopes == len(selectors)
            assert statistics.pods == len({pod for one in selectors for pod in one.listed_pods or (None,)})
            assert statistics.sources <= len(sources)
            assert statistics.admissions <= sum(len(feed.sources(one)) for one in selectors)
            assert statistics.render_caches == len({view.render_key for view in feed.groups})
            assert statistics.rendered_chunks == 0

    @invariant()
    def the_hub_keeps_nothing_but_its_readers(self) -> None:
        if not hasattr(self, "rig"):
            return
        statistics = self.rig.hub.statistics()
        readers = [visit.client.reader for visit in self.visits if not visit.client.ends]
        assert statistics.live == sum(reader.is_live for reader in readers)
        assert statistics.live + statistics.behind == len(readers)
        assert statistics.groups == len({reader.group for reader in readers})
        assert statistics.patterns == sum(len(group.view.text) for group in {reader.group for reader in readers})
        for group in {reader.group for reader in readers}:
            assert group.behind or group.kept_range is None

    def end(self, visit: Visit) -> None:
        self.check(visit)
        visit.client.leave()
        visit.client.leave()
        self.visits.remove(visit)

    def check(self, visit: Visit) -> None:
        """Hold what a reader has been sent so far against what it may be sent."""
        view, events = visit.client.view, visit.client.events()
        numbers = [number_of(event) for event in visit.line_events()]
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        assert all(shows(view, self.log[number]) for number in numbers), "out of scope"
        gaps = [gap_of(event) for event in events if event.kind == "gap"]
        if visit.first_gap and events:
            assert events[0].kind == "gap"
            assert gaps.pop(0) == visit.first_gap
        assert all(reason == "slow" and lost is not None and lost > 0 for lost, reason in gaps)
        if not view.text:
            assert set(numbers) <= {line.number for line in visit.due}, "not due"
            assert len(numbers) + sum(lost or 0 for lost, _ in gaps) <= len(visit.due), "lost what was not due"
        kinds = [event.kind for event in events]
        assert kinds.count("live") <= (tells_live(view) and visit.client.follow)
        if "live" in kinds:
            after = [number_of(e) for e in events[kinds.index("live") :] if e.kind == "line" and e.payload != "more"]
            assert not {line.number for line in visit.backlog} & set(after), "backlog after the live notice"

    def check_all_sent(self, visit: Visit) -> None:
        """Hold what a reader has been sent, now that all is written, against what it must be sent."""
        self.check(visit)
        view, events, due = visit.client.view, visit.client.events(), visit.due
        numbers = [number_of(event) for event in visit.line_events()]
        gaps = [gap_of(event) for event in events if event.kind == "gap"]
        assert (visit.first_gap in gaps) == (visit.first_gap is not None)
        retained = self.retained(view.selector.namespace)
        if not view.text:
            assert len(numbers) + sum(lost or 0 for lost, _ in gaps) == len(due)
        elif all(line.seq in retained for line in due) and (None, "evicted") not in gaps:
            assert numbers == [line.number for line in due]
        assert visit.client.ends == (not visit.client.follow)
        assert [event.kind for event in events].count("live") == (tells_live(view) and visit.client.follow)

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        hub = self.rig.hub
        for _ in range(2):  # the first wave of room may end on a full socket
            self.rig.settle()
            for visit in self.visits:
                visit.client.drain()
        self.rig.settle()
        for visit in list(self.visits):
            self.check_all_sent(visit)
            self.end(visit)
        self.rig.settle()
        assert not hub.feeds
        assert hub.statistics() == HubStatistics(0, 0, 0, 0, queued=0, patterns=0)
        hub.expire(float("inf"))
        assert (dict(self.rig.store.rings), self.rig.store.bytes) == ({}, 0)


@pytest.fixture(autouse=True)
def _small_ranges() -> object:
    with patch("delivery.group.WRITE_BYTES", 300), patch("delivery.group.SEARCH_BYTES", 100):
        yield


HubMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHubMachine = pytest.mark.usefixtures("_small_ranges")(HubMachine.TestCase)
