"""Encodings: what a line looks like (its format), and how it travels (its framing).

A format turns lines into payloads, a framing turns payloads into the bytes that are written to a socket. Both are
values: equal ones are interchangeable, which is what lets readers share rendered bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from buffer.cursor import cursor_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from buffer.cursor import Cursor
    from buffer.gap import Gap


class Format(Protocol):
    """How a line reads. `growth` is about how many bytes it adds to a line, framing included."""

    growth: ClassVar[int]

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines of the chunk (None: all of them), without anything at their ends."""

    def gap(self, gap: Gap) -> bytes:
        """Return the notice of lost lines."""

    def live(self) -> bytes | None:
        """Return the notice that the backlog has been sent, if this format has one."""


class Framing(Protocol):
    """How payloads travel."""

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return lines ready to be written; `indices` are their places in the chunk (None: all of them)."""

    def gap(self, payload: bytes) -> bytes:
        """Return the notice of lost lines, ready to be written."""

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice that the backlog has been sent, ready to be written; b"" if there is none."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text as it was written, after its time and its writer where asked for."""

    growth: ClassVar[int] = 40

    timestamps: bool = False
    prefix: bool = False

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines as UTF-8."""
        lines = _pick(chunk.lines(), indices)
        if self.prefix:
            writer = f"{chunk.source.pod}/{chunk.source.container} ".encode()
            lines = [writer + line for line in lines]
        if self.timestamps:
            times = _pick(chunk.times(), indices)
            lines = [time + b" " + line for time, line in zip(times, lines, strict=True)]
        return lines

    def gap(self, gap: Gap) -> bytes:
        """Return the sentence that a person reads."""
        return str(gap).encode()

    def live(self) -> bytes | None:
        """Return nothing: text is lines only."""
        return None


@dataclass(frozen=True, slots=True)
class Json:
    """One object a line, with the cursor to come back with. `epoch` is the broker's."""

    growth: ClassVar[int] = 200

    epoch: str

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines as JSON objects."""
        encode, source = msgspec.json.encode, chunk.source
        middle = b'","pod":%s,"container":%s,"stream":' % (encode(source.pod), encode(source.container))
        places = range(chunk.count) if indices is None else indices
        times, streams, lines = chunk.times(), chunk.streams(), chunk.lines()
        return [
            b'{"type":"line","cursor":"%s","timestamp":"%s%s%s,"log":%s}'
            % (
                cursor_after(self.epoch, chunk, at),
                times[at],
                middle,
                encode(streams[at]),
                encode(lines[at].decode()),
            )
            for at in places
        ]

    def gap(self, gap: Gap) -> bytes:
        """Return the gap as an object."""
        return msgspec.json.encode({"type": "gap", "lost": gap.lost, "reason": gap.reason})

    def live(self) -> bytes | None:
        """Return the object that says: from here on, lines are live."""
        return b'{"type":"live"}'


def _pick(values: list[bytes], indices: Sequence[int] | None) -> list[bytes]:
    return values if indices is None else [values[index] for index in indices]


class _Headers(dict[int, bytes]):
    """Frame headers by payload length, kept once made: lengths repeat, and making one costs more than the copy."""

    def __missing__(self, length: int) -> bytes:
        header = text_frame_header(length)
        if length < 0x10000:
            self[length] = header
        return header


def text_frame_header(length: int) -> bytes:
    """Return the head of an unmasked, final text frame of that many bytes (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 0x10000:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


_HEADERS = _Headers()


@dataclass(frozen=True, slots=True)
class WebSocketMessages:
    """One WebSocket text message a line."""

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return a frame for each payload."""
        headers = _HEADERS
        return b"".join([part for payload in payloads for part in (headers[len(payload)], payload)])

    def gap(self, payload: bytes) -> bytes:
        """Return the payload in a frame."""
        return text_frame_header(len(payload)) + payload

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payload in a frame, if there is one."""
        return b"" if payload is None else self.gap(payload)


@dataclass(frozen=True, slots=True)
class WebSocketBatches(WebSocketMessages):
    """Many lines in one WebSocket text message, joined by newlines."""

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return one frame that holds all payloads."""
        text = b"\n".join(payloads)
        return text_frame_header(len(text)) + text


@dataclass(frozen=True, slots=True)
class PlainLines:
    """Lines of an HTTP response body, each ended by a newline."""

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payloads with a newline after each."""
        return b"\n".join(payloads) + b"\n"

    def gap(self, payload: bytes) -> bytes:
        """Return the payload as a line."""
        return payload + b"\n"

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payload as a line, if there is one."""
        return b"" if payload is None else self.gap(payload)


@dataclass(frozen=True, slots=True)
class ServerSentEvents:
    """Server-sent events, whose ids are cursors (WHATWG HTML, section 9.2). `epoch` is the broker's."""

    epoch: str

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return an event for each payload."""
        places = range(chunk.count) if indices is None else indices
        return b"".join(
            [
                b"id: %s\n%s\n" % (cursor_after(self.epoch, chunk, place), _event_data(payload))
                for place, payload in zip(places, payloads, strict=True)
            ]
        )

    def gap(self, payload: bytes) -> bytes:
        """Return an event without an id, so that the client keeps its last cursor."""
        return b"event: gap\n%s\n" % _event_data(payload)

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return an event, in any format: its id lets a client come back that has not seen a line yet."""
        return b"event: live\nid: %s\n%s\n" % (cursor.encode(), _event_data(payload or b""))


def _event_data(payload: bytes) -> bytes:
    # To an event stream, a carriage return ends a line too: text that holds one arrives with a newline in its place.
    if b"\r" in payload:
        payload = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return b"data: %s\n" % payload.replace(b"\n", b"\ndata: ")


@dataclass(frozen=True, slots=True)
class Chunked:
    """Another framing's bytes as chunks of an HTTP/1.1 response body (RFC 9112, section 7.1)."""

    inner: Framing

    def lines(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return all lines as one HTTP chunk."""
        return http_chunk(self.inner.lines(payloads, chunk, indices))

    def gap(self, payload: bytes) -> bytes:
        """Return the notice as an HTTP chunk."""
        return http_chunk(self.inner.gap(payload))

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice as an HTTP chunk, if there is one."""
        data = self.inner.live(payload, cursor)
        return http_chunk(data) if data else b""


def http_chunk(data: bytes) -> bytes:
    """Return one chunk of an HTTP/1.1 body; no data ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
