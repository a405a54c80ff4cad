"""Framings: how rendered lines travel over a transport.

A framing turns lines of a chunk into a piece, and the pieces of a range into the bytes written to a socket. A piece is
shared by all views that show lines alike; a range is sealed once for each view. Framings are values: equal ones are
interchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from delivery.cursor import cursor_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buffer.chunk import Chunk
    from delivery.cursor import Cursor

# A message of joined lines has no more bytes than this, unless a single piece does.
MAX_BATCH_BYTES = 256 * 1024


class Framing(Protocol):
    """How lines travel. A payload is one line as its format has it."""

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return lines of a chunk, ready to be sealed. `indices` are their places in the chunk (None: all lines)."""

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return pieces, ready to be written. There is at least one, and none is empty."""

    def gap(self, payload: bytes) -> bytes:
        """Return the notice of lost lines, ready to be written."""

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice that the backlog has been sent, ready to be written; b"" if there is none."""


class HttpFraming(Framing, Protocol):
    """How lines travel in the body of an HTTP response."""

    def wrap(self, data: bytes) -> bytes:
        """Return any other part of a body, ready to be written."""


class FrameHeaders(dict[int, bytes]):
    """Frame headers by payload length. Lengths repeat, and looking a header up is cheaper than making it."""

    def __init__(self, *, compressed: bool = False) -> None:
        super().__init__()
        self._compressed = compressed

    def __missing__(self, length: int) -> bytes:
        header = text_frame_header(length, compressed=self._compressed)
        if length < 0x10000:
            self[length] = header
        return header


def text_frame_header(length: int, *, compressed: bool = False) -> bytes:
    """Return the header of an unmasked, final text frame with that many bytes (RFC 6455, section 5.2; RFC 7692, 6)."""
    first = b"\xc1" if compressed else b"\x81"
    if length < 126:
        return first + bytes((length,))
    if length < 0x10000:
        return first + b"\x7e" + length.to_bytes(2, "big")
    return first + b"\x7f" + length.to_bytes(8, "big")


_HEADERS = FrameHeaders()


@dataclass(frozen=True, slots=True)
class WebSocketMessages:
    """One WebSocket text message for each line."""

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return a frame for each payload."""
        headers = _HEADERS
        return b"".join([part for payload in payloads for part in (headers[len(payload)], payload)])

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return the frames one after the other."""
        return b"".join(pieces)

    def messages(self, pieces: list[bytes]) -> Iterator[bytes]:
        """Yield what is in the frames of a range."""
        for piece in pieces:
            start, size = 0, len(piece)
            while start < size:
                length, start = piece[start + 1], start + 2
                if length > 125:
                    after = start + (2 if length == 126 else 8)
                    length, start = int.from_bytes(piece[start:after], "big"), after
                yield piece[start : start + length]
                start += length

    def gap(self, payload: bytes) -> bytes:
        """Return the payload in a frame."""
        return text_frame_header(len(payload)) + payload

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payload in a frame, if there is one."""
        return b"" if payload is None else self.gap(payload)


@dataclass(frozen=True, slots=True)
class WebSocketBatches(WebSocketMessages):
    """Many lines in one WebSocket text message, joined by newlines: all of a range, up to MAX_BATCH_BYTES."""

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payloads with a newline after each, so that not even an empty line makes an empty piece."""
        return b"\n".join(payloads) + b"\n"

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return as few frames as MAX_BATCH_BYTES allows."""
        return b"".join([self.gap(message) for message in self.messages(pieces)])

    def messages(self, pieces: list[bytes]) -> Iterator[bytes]:
        """Yield what is in the frames of a range."""
        for batch in _batches(pieces):
            yield b"".join(batch)[:-1]


def _batches(pieces: list[bytes]) -> Iterator[list[bytes]]:
    batch, size = list[bytes](), 0
    for piece in pieces:
        if batch and size + len(piece) > MAX_BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece)
    yield batch


@dataclass(frozen=True, slots=True)
class PlainLines:
    """Lines of an HTTP response body, each with a newline at its end."""

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payloads with a newline after each."""
        return b"\n".join(payloads) + b"\n"

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return the lines one after the other."""
        return b"".join(pieces)

    def gap(self, payload: bytes) -> bytes:
        """Return the payload as a line."""
        return payload + b"\n"

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:  # noqa: ARG002 - the port's signature
        """Return the payload as a line, if there is one."""
        return b"" if payload is None else self.gap(payload)

    def wrap(self, data: bytes) -> bytes:
        """Return a part of a body as it is."""
        return data


@dataclass(frozen=True, slots=True)
class ServerSentEvents:
    """Server-sent events, whose ids are cursors (WHATWG HTML, section 9.2)."""

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return an event for each payload."""
        places = range(chunk.count) if indices is None else indices
        return b"".join(
            [
                b"id: %s\n%s\n" % (cursor_after(chunk, place), _event_data(payload))
                for place, payload in zip(places, payloads, strict=True)
            ]
        )

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return the events one after the other."""
        return b"".join(pieces)

    def gap(self, payload: bytes) -> bytes:
        """Return an event without an id, so that the client keeps its last cursor."""
        return b"event: gap\n%s\n" % _event_data(payload)

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return an event, in any format: with its id, a client that has not seen a line yet can come back too."""
        return b"event: live\nid: %s\n%s\n" % (cursor.encode(), _event_data(payload or b""))

    def wrap(self, data: bytes) -> bytes:
        """Return a part of a body as it is."""
        return data


def _event_data(payload: bytes) -> bytes:
    # In an event stream, a carriage return ends a line too. A client gets a newline in its place.
    if b"\r" in payload:
        payload = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return b"data: %s\n" % payload.replace(b"\n", b"\ndata: ")


@dataclass(frozen=True, slots=True)
class Chunked:
    """Another framing's bytes as chunks of an HTTP/1.1 response body (RFC 9112, section 7.1)."""

    inner: PlainLines | ServerSentEvents

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return what the other framing makes of the lines."""
        return self.inner.piece(payloads, chunk, indices)

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return all pieces as one HTTP chunk."""
        return http_chunk(self.inner.seal(pieces))

    def gap(self, payload: bytes) -> bytes:
        """Return the notice as an HTTP chunk."""
        return http_chunk(self.inner.gap(payload))

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice as an HTTP chunk, if there is one."""
        data = self.inner.live(payload, cursor)
        return http_chunk(data) if data else b""

    def wrap(self, data: bytes) -> bytes:
        """Return a part of a body as a chunk."""
        return http_chunk(data)


def http_chunk(data: bytes) -> bytes:
    """Return one chunk of an HTTP/1.1 body. An empty one ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
