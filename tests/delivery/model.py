"""What a reader must see: a model of a namespace's log as plain lists, without slices, ranges, caches or indexes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from delivery import ranges
from delivery.encoded import Encoded
from delivery.filter import TextFilter
from delivery.format import Json
from delivery.framing import Chunked, ServerSentEvents
from delivery.reader import State
from tests.delivery.doubles import gap_of

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from buffer.ring import Position
    from buffer.source import Source
    from delivery.view import View
    from tests.delivery.doubles import Client, Event

SEARCHING = (State.GATHERING, State.SEEKING, State.COUNTING)


class Line(NamedTuple):
    number: int
    place: tuple[int, int]  # sequence number of its chunk, index in it
    writer: Source
    stream: str
    text: str
    time: float

    @property
    def seq(self) -> int:
        return self.place[0]


class Begin(NamedTuple):
    """Where a reader asks to begin: after a line (its number), else as `Start` says."""

    tail: int | None = None
    since: float | None = None
    after: int | None = None
    is_restarted: bool = False


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


def tells_live(view: View) -> bool:
    framing = view.framing.inner if isinstance(view.framing, Chunked | Encoded) else view.framing
    return isinstance(view.format, Json) or isinstance(framing, ServerSentEvents)


def number_of(event: Event) -> int:
    text = json.loads(event.payload)["log"] if event.payload.startswith("{") else event.payload
    return int(text.split()[0])


def lines_of(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "line" and event.payload != "more"]


class Visit:
    """One reader's time with the hub, and what it must see of it.

    Its backlog is known once it has been found. Until then, lines that leave the ring before the search gets to them
    are not missed, and lines that leave after that are.

    If its namespace is being loaded when it comes (`is_loading`), it is told of no end until `end_load`. If it wants
    everything, what comes until then belongs to its backlog.
    """

    def __init__(self, client: Client, begin: Begin, log: list[Line], *, is_loading: bool = False) -> None:
        self.client = client
        self.view = client.view
        self.begin = begin
        self.is_found = False
        self.backlog: list[Line] = []  # once it is found
        self.later: list[Line] = []  # what it must see of what came after it had joined
        self.is_loading = is_loading
        self._loads_all = is_loading and begin == Begin()
        self._loaded: list[Line] = []  # of the later ones, those that came with the load
        self.first_gap: tuple[None, str] | None = (None, "restarted") if begin.is_restarted else None
        # What the search may find, of all that the selector admits.
        self._findable = [line for line in log if self.view.selector.admits(line.writer)]
        self._arrived: list[Line] = []  # since it has joined
        self._floor = (0, 0)
        self._state = State.GATHERING
        self._position: Position | tuple[int, int] = client.reader.position
        self._before = 0  # events that it had been sent when the numbering started anew

    @property
    def due(self) -> list[Line]:
        return [*self.backlog, *self.later]

    def publish(self, lines: list[Line]) -> None:
        """Note lines that have just come."""
        self._arrived += [line for line in lines if self.view.selector.admits(line.writer)]
        shown = [line for line in lines if shows(self.view, line)]
        if self.client.follow or self._loads_all:
            self.later += shown
        if self._loads_all:
            self._loaded += shown

    def restart(self, log: list[Line]) -> None:
        """Note that the numbering has started anew: nothing that was due until now will come any more."""
        self.check(log)
        self._before = len(self.client.events())
        self.is_found = True
        self.backlog, self.later, self._loaded = [], [], []
        self.first_gap = (None, "restarted")

    def end_load(self) -> None:
        """Note that its namespace has been loaded."""
        self.is_loading = self._loads_all = False

    def watch(self, retained: AbstractSet[int]) -> None:
        """Note what has happened in one step: either chunks have left, or the search has gone on."""
        if self.is_found:
            return
        state = self.client.reader.state
        if self.begin.after is not None:
            if state is not State.GATHERING:
                self._resume(retained)
            return
        # Only what the walk back has passed stays due when it leaves.
        passed = self._position if self._state is State.COUNTING else (1 << 60, 0)
        self._findable = [line for line in self._findable if line.seq in retained or line.place >= passed]
        since = self.begin.since
        if since is not None and state not in (State.GATHERING, State.SEEKING) and self._floor == (0, 0):
            self._floor = next((line.place for line in self._findable if line.time >= since), (1 << 60, 0))
        self._state, self._position = state, self.client.reader.position
        if state not in SEARCHING:
            found = [line for line in self._findable if line.place >= self._floor and shows(self.view, line)]
            tail = len(found) if self.begin.tail is None else self.begin.tail
            self.backlog = found[max(0, len(found) - tail) :]
            self.is_found = True

    def _resume(self, retained: AbstractSet[int]) -> None:
        assert self.begin.after is not None
        after = [line for line in self._findable if line.number > self.begin.after]
        have_left = any(line.seq not in retained for line in (*after, *self._arrived))
        # To a reader that does not follow, what has left since it joined was not due. But that may not be known.
        is_told = self.client.reader.gap or [event for event in self.client.events() if event.kind == "gap"]
        if have_left and (self.client.follow or is_told):
            self.first_gap = (None, "evicted")
        assert self.first_gap or all(line.seq in retained for line in after)
        self.backlog = [line for line in after if line.seq in retained and shows(self.view, line)]
        self.later = [line for line in self.later if line.seq in retained]
        self.is_found = True

    def line_events(self) -> list[Event]:
        return lines_of(self.client.events())

    def check(self, log: list[Line]) -> None:
        """Hold what the reader has been sent so far against what it may be sent."""
        assert self.client.reader.lines == len(self.line_events()), "counted wrong"
        kinds = [event.kind for event in self.client.events()]
        assert kinds.count("live") <= (tells_live(self.view) and self.client.follow)
        events = self.client.events()[self._before :]
        if not self.is_found:
            assert not events, "written to before it was known where it begins"
            return
        # A line and notices take fewer bytes than the patched bound of a write.
        assert all(len(data) <= 2 * ranges.MAX_WRITE_BYTES for data in self.client.socket.writes), "written too much"
        numbers = [number_of(event) for event in lines_of(events)]
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        assert all(shows(self.view, log[number]) for number in numbers), "out of scope"
        gaps = [gap_of(event) for event in events if event.kind == "gap"]
        if self.first_gap and events:
            assert events[0].kind == "gap"
            assert gaps.pop(0) == self.first_gap
        assert all(reason == "slow" and lost is not None and lost > 0 for lost, reason in gaps)
        assert set(numbers) <= {line.number for line in self.due}, "not due"
        if not self.view.text:
            assert len(numbers) + sum(lost or 0 for lost, _ in gaps) <= len(self.due), "lost what was not due"
        kinds = [event.kind for event in events]
        if "live" in kinds:
            after = [number_of(event) for event in lines_of(events[kinds.index("live") :])]
            backlog = {line.number for line in (*self.backlog, *self._loaded)}
            assert not backlog & set(after), "backlog after the live notice"
        assert not (self.is_loading and "live" in kinds), "live while the namespace was being loaded"
        assert not (self._loads_all and self.client.ends), "ended while the namespace was being loaded"

    def check_all_sent(self, log: list[Line], retained: AbstractSet[int]) -> None:
        """Hold what the reader has been sent, now that all is written, against what it must be sent."""
        assert self.is_found
        self.check(log)
        events, due = self.client.events()[self._before :], self.due
        numbers = [number_of(event) for event in lines_of(events)]
        gaps = [gap_of(event) for event in events if event.kind == "gap"]
        assert (self.first_gap in gaps) == (self.first_gap is not None)
        if not self.view.text:
            assert len(numbers) + sum(lost or 0 for lost, _ in gaps) == len(due)
        elif all(line.seq in retained for line in due) and (None, "evicted") not in gaps:
            assert numbers == [line.number for line in due]
        assert self.client.ends == (not self.client.follow)
        kinds = [event.kind for event in self.client.events()]
        assert kinds.count("live") == (tells_live(self.view) and self.client.follow)
