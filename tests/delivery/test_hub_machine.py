"""A hub under random use, held against a model: each reader gets its lines in order, once, or is told of the loss."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from buffer.ring import RING_OVERHEAD
from buffer.selector import Operator, Requirement, Selector
from buffer.source import Source
from buffer.source_log import SOURCE_LOG_OVERHEAD
from buffer.timestamp import rfc3339
from delivery.cursor import Cursor
from delivery.deflate import Deflate, Deflated
from delivery.encoded import Encoded
from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines, ServerSentEvents, WebSocketBatches
from delivery.hub import HubStatistics
from delivery.reader import Start
from delivery.view import View
from tests.buffer.factories import ARRIVED, EPOCH, chunk, names, selector
from tests.delivery.doubles import JSON, MESSAGES, TEXT, Rig
from tests.delivery.model import Begin, Line, Visit, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    (TEXT, Chunked(ServerSentEvents())),
    (JSON, Chunked(ServerSentEvents())),
    (TEXT, Deflated(MESSAGES, Deflate())),
    (JSON, Deflated(WebSocketBatches(), Deflate(9))),
    (TEXT, Encoded(ServerSentEvents(), "gzip")),
    (JSON, Encoded(PlainLines(), "gzip")),
    (JSON, Encoded(ServerSentEvents(), "zstd")),
]
TEXT_FILTERS = [*[TextFilter()] * 4, TextFilter(("even",)), TextFilter((), ("even",)), TextFilter(("^1.*d$",))]


TAILS = st.none() | st.integers(0, 12)
STARTS = st.one_of(
    st.builds(Start, TAILS, st.none(), st.none()),
    st.builds(Start, TAILS, st.integers(0, 60).map(lambda seq: ARRIVED + seq), st.none()),
)
# Seconds that pass with each look at the clock: with the last, every slice is over at once.
TICKS = st.sampled_from([0.0, 0.0, 0.0004, 0.002, 0.006, 0.02])
SMALL = {
    "delivery.view.STEP_BYTES": 100,
    "delivery.view.STEP_WORK": 500,
    "delivery.ranges.WRITE_BYTES": 300,
    "delivery.ranges.MAX_WRITE_BYTES": 400,
    "delivery.round.BATCH": 1,
    "delivery.deflate.LEAST_BYTES": 100,
}
ROOMS = st.sampled_from([None, None, 0, 60, 400])
VIEWS = st.builds(
    lambda selector, encoding, stream, text: View(selector, encoding[0], encoding[1], stream, text),
    st.sampled_from([SELECTORS[0], SELECTORS[0], *SELECTORS]),
    st.sampled_from(ENCODINGS),
    st.sampled_from([None, None, None, "stdout", "stderr"]),
    st.sampled_from(TEXT_FILTERS),
)


class Delivery(NamedTuple):
    """A chunk as the broker has it."""

    seq: int
    lines: list[Line]
    times: list[str]
    arrived: float


class HubMachine(RuleBasedStateMachine):
    @initialize(
        views=st.lists(VIEWS, min_size=1, max_size=2),
        others=st.lists(st.sampled_from(SELECTORS), max_size=4),
        namespace_chunks=st.integers(3, 30),
        total_chunks=st.integers(4, 40),
        loading=st.sampled_from([(), (), ("n",), ("n", "m")]),
        tick=TICKS,
    )
    def open(
        self,
        *,
        views: list[View],
        others: list[Selector],
        namespace_chunks: int,
        total_chunks: int,
        loading: tuple[str, ...],
        tick: float,
    ) -> None:
        # Few, so that readers share them; some look alike, so that these share what is rendered.
        self.views = [*views, *(replace(views[0], selector=selector) for selector in others)]
        self.rig = Rig(namespace_chunks * 1500, total_chunks * 1500, max_age=25, tick=tick)
        self.rig.clock.run = self.watching
        self.log: list[Line] = []
        self.stream: list[Delivery] = []  # all that has come of this numbering
        self.epoch = EPOCH
        self.ahead: dict[str, list[Delivery]] = {}  # what a load has yet to bring once more, by namespace
        self.received = 0  # lines, however often each has come
        self.dropped = 0  # lines that nobody has counted
        self.visits: list[Visit] = []
        self.loading: set[str] = set()
        for namespace in loading:
            self.begin_load(namespace)

    def retained(self, namespace: str) -> set[int]:
        ring = self.rig.store.ring(namespace)
        logs = [] if ring is None else ring.logs.values()
        return {chunk.seq for log in logs for chunk in log.chunks.from_seq(0)}

    def watching(self, step: Callable[[], object]) -> None:
        """Take one step, and let the visits see what it has changed."""
        step()
        for visit in self.visits:
            visit.watch(self.retained(visit.view.selector.namespace))

    @rule(
        writers=st.lists(st.sampled_from(SOURCES), min_size=1, max_size=3),
        streams=st.lists(st.sampled_from(["stdout", "stdout", "stderr"]), min_size=1, max_size=6),
        late=st.lists(st.sampled_from([0, 0, 5, -5, 300, -300, None]), min_size=6, max_size=6),
        multiline=st.booleans(),
        hole=st.integers(0, 1),
    )
    def publish(
        self, writers: list[Source], streams: list[str], late: list[int | None], *, multiline: bool, hole: int
    ) -> None:
        for writer in writers:
            self.bring(writer.namespace)
            self.rig.seq += hole
            arrived, first = ARRIVED + self.rig.seq + 1, len(self.log)
            lines, times = [], []
            for index, (stream, seconds) in enumerate(zip(streams, late, strict=False)):
                number, time = first + index, arrived - (seconds or 0)
                parity, more = "odd" if number % 2 else "even", "\nmore" if multiline and number % 3 == 0 else ""
                place = self.rig.seq + 1, index
                lines.append(Line(number, place, writer, stream, f"{number} {parity}{more}", time))
                zone = "+00:00" if number % 5 == 0 else "Z"
                times.append("" if seconds is None else rfc3339(time).replace("Z", zone))
            self.rig.seq += 1
            self.log += lines
            self.stream.append(Delivery(self.rig.seq, lines, times, arrived))
            self.receive(self.stream[-1])

    def receive(self, delivery: Delivery) -> None:
        seq, lines, times, arrived = delivery
        texts, streams = [line.text for line in lines], [line.stream for line in lines]
        self.received += len(lines)
        for visit in self.visits:
            visit.publish(lines)
        made = chunk(seq, *texts, writer=lines[0].writer, streams=streams, times=times, arrived=arrived)
        self.watching(lambda: self.rig.hub.receive(made))

    def bring(self, namespace: str, deliveries: int | None = None) -> None:
        """Have a load bring some of what it has yet to bring, or all of it."""
        ahead = self.ahead.get(namespace, [])
        for delivery in ahead[:deliveries]:
            self.receive(delivery)
        del ahead[:deliveries]

    def known(self) -> list[Line]:
        """What is known of this numbering, although it may have left."""
        ahead = {delivery.seq for deliveries in self.ahead.values() for delivery in deliveries}
        return [line for delivery in self.stream if delivery.seq not in ahead for line in delivery.lines]

    def visit(self, view: View, start: Start, begin: Begin, *, follow: bool, room: int | None) -> None:
        namespace = view.selector.namespace
        if begin != Begin() and self.ahead.get(namespace):
            self.end_load_of(namespace)  # which is waited for
        client = self.rig.join(view, start, follow=follow, room=room)
        self.visits.append(Visit(client, begin, self.known(), is_loading=namespace in self.loading))
        self.watching(lambda: None)

    @rule(
        data=st.data(),
        start=STARTS,
        follow=st.sampled_from([True, True, False]),
        rooms=st.lists(ROOMS, min_size=1, max_size=3),
    )
    def join(self, data: st.DataObject, start: Start, rooms: list[int | None], *, follow: bool) -> None:
        view = data.draw(st.sampled_from(self.views))
        for room in rooms:
            self.visit(view, start, Begin(start.tail, start.since), follow=follow, room=room)

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), room=ROOMS, restarted=st.sampled_from([False, False, True]))
    def cut_and_resume(self, data: st.DataObject, room: int | None, *, restarted: bool) -> None:
        visit = data.draw(st.sampled_from(self.visits))
        had = [event for event in visit.line_events() if event.cursor]
        if not had:
            return
        self.end(visit)
        last = data.draw(st.sampled_from(had))
        cursor, begin = Cursor.parse(last.cursor), Begin(after=number_of(last))
        if restarted or cursor.epoch != self.epoch:
            cursor, begin = cursor._replace(epoch="another"), Begin(is_restarted=True)
        self.visit(visit.view, Start(cursor=cursor), begin, follow=visit.client.follow, room=room)

    @rule(
        data=st.data(),
        room=ROOMS,
        follow=st.booleans(),
        seq=st.integers(0, 3) | st.just(1 << 40),
        line=st.sampled_from([0, 0, 1, 9]),
    )
    def join_ahead(self, data: st.DataObject, room: int | None, seq: int, line: int, *, follow: bool) -> None:
        """Join with a cursor after the namespace's last line, or with one that has not been given out there yet."""
        view = data.draw(st.sampled_from(self.views))
        seen = [one.seq for one in self.stream if one.lines[0].writer.namespace == view.selector.namespace]
        cursor = Cursor(self.epoch, max(seen, default=0) + 1 + seq, line)
        is_ahead = (seq, line) != (0, 0)
        begin = Begin(is_restarted=True) if is_ahead else Begin(after=len(self.log) - 1)
        self.visit(view, Start(tail=0, cursor=cursor), begin, follow=follow, room=room)

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

    @rule(namespace=st.sampled_from(["n", "n", "m"]))
    def begin_load(self, namespace: str) -> None:
        """Begin to load a namespace, as happens before its first reader comes."""
        if not any(visit.view.selector.namespace == namespace for visit in self.visits):
            self.rig.hub.begin_load(namespace)
            self.loading.add(namespace)

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def end_load(self, data: st.DataObject) -> None:
        self.end_load_of(data.draw(st.sampled_from(sorted(self.loading))))

    @precondition(lambda self: any(self.ahead.values()))
    @rule(data=st.data(), deliveries=st.integers(1, 4))
    def go_on_with_load(self, data: st.DataObject, deliveries: int) -> None:
        self.bring(data.draw(st.sampled_from(sorted(self.ahead))), deliveries)

    @rule(namespace=st.sampled_from(["n", "m"]))
    def forget(self, namespace: str) -> None:
        """Forget a namespace that nobody reads, and load it anew."""
        if any(visit.view.selector.namespace == namespace for visit in self.visits):
            return
        ring = self.rig.store.ring(namespace)
        self.dropped += 0 if ring is None else ring.lines
        self.rig.hub.forget(namespace)
        self.rig.hub.begin_load(namespace)
        self.loading.add(namespace)
        self.ahead[namespace] = [one for one in self.stream if one.lines[0].writer.namespace == namespace]

    @rule(times=st.sampled_from([0, 0, 0, 1, 2]))
    def restart(self, times: int) -> None:
        """Begin the numbering anew, and all loads."""
        for _ in range(times):
            for visit in [visit for visit in self.visits if visit.client.ends]:
                visit.check_all_sent(self.log, self.retained(visit.view.selector.namespace))
                self.end(visit)
            self.dropped += sum(ring.lines for ring in self.rig.store.rings.values())
            self.epoch += "x"
            self.rig.hub.restart(self.epoch)
            self.rig.seq, self.stream, self.ahead = 0, [], {}
            for namespace in self.loading:
                self.rig.hub.begin_load(namespace)
            for visit in self.visits:
                visit.restart(self.log)

    def end_load_of(self, namespace: str) -> None:
        self.bring(namespace)
        self.loading.remove(namespace)
        for visit in self.visits:
            if visit.view.selector.namespace == namespace:
                visit.check(self.log)
                visit.end_load()
        self.watching(lambda: self.rig.hub.end_load(namespace))

    @rule(callbacks=st.integers(1, 4), tick=TICKS)
    def turn(self, callbacks: int, tick: float) -> None:
        self.rig.clock.tick = tick
        for _ in range(callbacks):
            self.rig.clock.run_one()

    @rule(seconds=st.sampled_from([0.001, 0.019, 0.05]))
    def wait(self, seconds: float) -> None:
        self.rig.clock.advance(seconds)

    @rule(all_of_it=st.sampled_from([False, False, True]), at_once=st.booleans())
    def expire(self, *, all_of_it: bool, at_once: bool) -> None:
        now = float("inf") if all_of_it else ARRIVED + self.rig.seq
        self.watching(lambda: self.rig.hub.expire(now))
        if at_once:
            self.rig.clock.run_due()  # whatever expiry was under way
            self.watching(lambda: self.rig.hub.expire(now))
            self.rig.clock.run_due()
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
        assert statistics.lines + statistics.lines_evicted + statistics.lines_expired == self.received - self.dropped

    @invariant()
    def feeds_know_who_sees_what_and_keep_nothing_else(self) -> None:
        if not hasattr(self, "rig"):
            return
        for namespace, feed in self.rig.hub.feeds.items():
            ring = self.rig.store.ring(namespace)
            sources = set[Source]() if ring is None else set(ring.logs)
            selectors = {view.selector for view in feed.groups}
            assert selectors
            statistics = feed.statistics()
            for one in selectors:
                admitted = {source for source in sources if one.admits(source)}
                assert feed.sources(one) <= admitted
                assert statistics.pending or feed.sources(one) == admitted
            assert statistics.scopes == len(selectors)
            assert statistics.pods == len({pod for one in selectors for pod in one.listed_pods or (None,)})
            assert statistics.sources <= len(sources)
            assert statistics.admissions <= sum(one.admits(source) for one in selectors for source in sources)
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
        assert statistics.patterns == sum(group.view.text.patterns for group in {reader.group for reader in readers})
        for group in {reader.group for reader in readers}:
            assert group.behind or group.kept_range is None

    def end(self, visit: Visit) -> None:
        visit.check(self.log)
        visit.client.leave()
        visit.client.leave()
        self.visits.remove(visit)

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        hub = self.rig.hub
        self.rig.clock.tick = 0
        for namespace in sorted(self.loading):
            self.end_load_of(namespace)
        for _ in range(2):  # the first wave of room may end on a full socket
            self.rig.settle()
            for visit in self.visits:
                visit.client.drain()
        self.rig.settle()
        for visit in list(self.visits):
            visit.check_all_sent(self.log, self.retained(visit.view.selector.namespace))
            self.end(visit)
        self.rig.settle()
        assert not hub.feeds
        assert hub.statistics() == HubStatistics(0, 0, 0, 0, queued=0, patterns=0)
        hub.expire(float("inf"))
        assert (dict(self.rig.store.rings), self.rig.store.bytes) == ({}, 0)


@pytest.fixture(autouse=True)
def _small_ranges() -> Iterator[None]:
    """Have chunks of a few lines divided into steps, and ranges and writes that end inside of them."""
    with ExitStack() as patched:
        for name, value in SMALL.items():
            patched.enter_context(patch(name, value))
        yield


HubMachine.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, suppress_health_check=list(HealthCheck)
)
TestHubMachine = pytest.mark.usefixtures("_small_ranges")(HubMachine.TestCase)
