"""Stand-ins for what surrounds the hub: a clock with timers, sockets, and clients that read what they are sent."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import zstandard

from buffer.store import Limits, Store
from delivery.deflate import Deflated
from delivery.encoded import Encoded, content
from delivery.format import Json, Text
from delivery.framing import Chunked, ServerSentEvents, WebSocketBatches, WebSocketMessages
from delivery.hub import Hub
from delivery.reader import Start
from delivery.view import ALL_TEXT, View
from protocol import GAP_REASONS
from tests.buffer.factories import EPOCH, chunk, selector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk
    from buffer.source import Source
    from delivery.encoded import Coding
    from delivery.reader import Reader

MIB = 1024 * 1024
JSON = Json()
TEXT = Text()
MESSAGES = WebSocketMessages()
FLUSH_INTERVAL = 0.02


def view(namespace: str = "n", **options: Any) -> View:
    """A view of a namespace; what is not an attribute of views narrows its selector."""
    own = {"format": TEXT, "framing": MESSAGES, "stream": None, "text": ALL_TEXT}
    given: dict[str, Any] = {name: options.pop(name, otherwise) for name, otherwise in own.items()}
    return View(selector(namespace, **options), **given)


class Clock:
    """Time that goes on only when it is told to, and by `tick` seconds with each look; and timers."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = 1000.0
        self.tick = tick
        self.run: Callable[[Callable[[], None]], None] = _run  # what is done with a callback when it is due
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = count()

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        assert delay >= 0
        heappush(self._timers, (self.now + delay, next(self._ticket), callback))

    def run_one(self) -> bool:
        """Run the next callback that is due; tell whether there was one."""
        if not self._timers or self._timers[0][0] > self.now:
            return False
        self.run(heappop(self._timers)[2])
        return True

    def run_due(self) -> int:
        """Run what is due, and what becomes due thereby; return how many callbacks that were."""
        count = 0
        while self.run_one():
            count += 1
        return count

    def advance(self, seconds: float) -> None:
        """Let time pass, and run each callback at its time."""
        end = self.now + seconds
        self.run_due()
        while self._timers and self._timers[0][0] <= end:
            self.now = max(self.now, self._timers[0][0])
            self.run_due()
        self.now = max(self.now, end)


def _run(callback: Callable[[], None]) -> None:
    callback()


class Socket:
    """Takes so many bytes (None: any number), and keeps all that is written to it. One that is full must be let be."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.is_full = False

    def write(self, data: bytes) -> bool:
        assert data, "nothing was written"
        assert not self.is_full, "written to before it had drained"
        self.writes.append(data)
        if self.room is not None:
            self.room -= len(data)
            self.is_full = self.room < 0
        return not self.is_full

    @property
    def received(self) -> bytes:
        return b"".join(self.writes)


class Client:
    """A reader and its socket."""

    def __init__(self, hub: Hub, seen: View, start: Start, *, follow: bool = True, room: int | None = None) -> None:
        self.hub = hub
        self.view = seen
        self.follow = follow
        self.socket = Socket(room)
        self.ends = 0
        self.reader: Reader = hub.join(seen, start, follow=follow, write=self.socket.write, ended=self._ended)

    def _ended(self) -> None:
        self.ends += 1

    def drain(self, room: int | None = None) -> None:
        """Have the socket take what it was given, and make room for so many bytes more."""
        was_full, self.socket.room, self.socket.is_full = self.socket.is_full, room, False
        if was_full:
            self.hub.drained(self.reader)

    def leave(self) -> None:
        self.hub.leave(self.reader)

    def events(self) -> list[Event]:
        return events(*without_compression(self.view, self.socket.writes))

    def texts(self) -> list[str]:
        """What it has been sent, notices included, as a person would read it."""
        return [event.payload for event in self.events()]


class Rig:
    """A hub with its store and clock, and a broker that only numbers chunks."""

    def __init__(
        self, namespace_bytes: int = MIB, total_bytes: int = 4 * MIB, max_age: float = 3600.0, tick: float = 0.0
    ) -> None:
        self.clock = Clock(tick)
        self.store = Store(Limits(namespace_bytes, total_bytes, max_age))
        self.hub = Hub(
            self.store,
            FLUSH_INTERVAL,
            EPOCH,
            monotonic=self.clock.monotonic,
            call_later=self.clock.call_later,
        )
        self.seq = 0

    def publish(self, *texts: str, writer: Source | None = None, **options: object) -> Chunk:
        self.seq += 1
        made = chunk(self.seq, *texts, writer=writer, **options)  # type: ignore[arg-type]
        self.hub.receive(made)
        return made

    def join(
        self, seen: View | None = None, start: Start | None = None, *, follow: bool = True, room: int | None = None
    ) -> Client:
        return Client(self.hub, seen or view(), start or Start(), follow=follow, room=room)

    def settle(self) -> None:
        """Let everything happen that can without a socket draining."""
        self.clock.advance(1)


class Event(NamedTuple):
    """A message, a line of a body, or a server-sent event: kind is "line", "gap" or "live"."""

    kind: str
    payload: str
    cursor: str = ""


def without_compression(seen: View, writes: Sequence[bytes]) -> tuple[View, bytes]:
    """Decode what was written as a client does; return it with the view that would have been written so."""
    framing, data = seen.framing, b"".join(writes)
    if isinstance(framing, Deflated):
        inflater = zlib.decompressobj(-framing.deflate.window_bits)
        messages = [
            inflater.decompress(payload + b"\0\0\xff\xff") if is_compressed else payload
            for is_compressed, payload in parsed_frames(data)
        ]
        return replace(seen, framing=framing.inner), b"".join(map(MESSAGES.gap, messages))
    if isinstance(framing, Encoded):
        return replace(seen, framing=framing.inner), decoded(framing.coding, body(framing.coding, writes))
    return seen, data


def body(coding: Coding, parts: Sequence[bytes]) -> bytes:
    """A whole body, as a session writes it."""
    written = content(coding)
    for part in parts:
        written.add(part)
    return written.begin + dechunk(b"".join(parts)) + written.end()


def decoded(coding: Coding, data: bytes) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


_GAP = re.compile(r"\[logurt\] (?:an unknown number of|(\d+)) lines? lost: (.*)")
_REASONS = {sentence: reason for reason, sentence in GAP_REASONS.items()}


def gap_of(event: Event) -> tuple[int | None, str]:
    """Return how many lines a notice says are lost, and why."""
    if event.payload.startswith("{"):
        notice = json.loads(event.payload)
        return notice["lost"], notice["reason"]
    match = _GAP.fullmatch(event.payload)
    assert match is not None
    return None if match[1] is None else int(match[1]), _REASONS[match[2]]


def events(seen: View, data: bytes) -> list[Event]:
    """Take apart what was written to a socket through this view."""
    framing = seen.framing
    if isinstance(framing, Chunked):
        data, framing = dechunk(data), framing.inner
    if isinstance(framing, ServerSentEvents):
        return [_named(event) for event in server_sent(data.decode())]
    if isinstance(framing, WebSocketBatches):
        return [_named(Event("", line)) for payload in frames(data) for line in payload.decode().split("\n")]
    if isinstance(framing, WebSocketMessages):
        return [_named(Event("", payload.decode())) for payload in frames(data)]
    return [_named(Event("", line)) for line in data.decode().split("\n")[:-1]]


def _named(event: Event) -> Event:
    """Give an event its kind and cursor where these stand in the payload."""
    kind, payload, cursor = event
    if payload.startswith('{"type":'):
        members = json.loads(payload)
        assert kind in ("", members["type"]), "the event's name and the object's type differ"
        return Event(members["type"], payload, cursor or members.get("cursor", ""))
    return Event(kind or ("gap" if _GAP.fullmatch(payload) else "line"), payload, cursor)


def frames(data: bytes) -> list[bytes]:
    """Take unmasked, final text frames apart (RFC 6455, section 5.2)."""
    parsed = parsed_frames(data)
    assert not any(is_compressed for is_compressed, _ in parsed)
    return [payload for _, payload in parsed]


def parsed_frames(data: bytes) -> list[tuple[bool, bytes]]:
    """Do the same with frames that may be compressed; tell which are (RFC 7692, section 6)."""
    parsed, at = [], 0
    while at < len(data):
        assert data[at] in {0x81, 0xC1}
        is_compressed = data[at] == 0xC1
        length, at = data[at + 1], at + 2
        wide = {126: 2, 127: 8}.get(length, 0)
        if wide:
            length, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        assert at + length <= len(data)
        parsed.append((is_compressed, data[at : at + length]))
        at += length
    return parsed


def dechunk(data: bytes) -> bytes:
    """Take the chunks of an HTTP/1.1 body apart (RFC 9112, section 7.1)."""
    parts, at = [], 0
    while at < len(data):
        head = data.index(b"\r\n", at)
        length = int(data[at:head], 16)
        assert length, "the body has ended"
        parts.append(data[head + 2 : head + 2 + length])
        at = head + 2 + length + 2
        assert data[at - 2 : at] == b"\r\n"
    return b"".join(parts)


def server_sent(stream: str) -> list[Event]:
    """Interpret an event stream (WHATWG HTML, section 9.2.6); a line has no event name."""
    found, kind, lines, last_id = [], "", list[str](), ""
    for line in re.split("\r\n|\r|\n", stream):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if lines:
                found.append(Event(kind or "line", "\n".join(lines), last_id if kind != "gap" else ""))
            kind, lines = "", []
        elif field == "data":
            lines.append(value)
        elif field == "event":
            kind = value
        elif field == "id":
            last_id = value
        else:
            raise AssertionError(line)
    return found
