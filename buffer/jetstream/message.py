"""Messages: what is stored in the stream, one chunk each, and where it belongs among those of its source.

    1 byte     version, 1
    1 byte     0: lines; 1: a farewell, that is, a source and no lines
    8 bytes    the writer: a process, drawn at random when it starts
    8 bytes    how many lines of the source this writer had sent before
    8 bytes    the stream's number of its message before this one of the source, 0 if there was none
    the rest   a chunk, or just its source, as `buffer.codec` encodes them, compressed with zstd at level 1

Numbers are big-endian. The two counts are what makes loss exact. JetStream cannot say how many messages of a subject it
has let go of between two others; but if a source's next message says that 120 lines came before it, and 100 have been
seen, then 20 are missing, and the last of them were in the message that it names.

A farewell says the same where no next message would: it is sent once a source has fallen silent whose messages are not
kept for the full time.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import zstandard

from buffer.chunk import Chunk  # noqa: TC001 - the type of a field
from buffer.codec import BadChunk, ChunkDecoder, encode_chunk, encode_source
from buffer.source import Source  # noqa: TC001 - the type of a field

_VERSION = 1
_LINES, _FAREWELL = 0, 1
_HEAD = struct.Struct(">BB8sQQ")

# No message inflates to more: a chunk has 64 KiB of text, or one line of up to a MiB, its times, and its labels.
MAX_INFLATED = 8 * 1024 * 1024


class BadMessage(ValueError):
    """Bytes that are no message, or one of another version."""

    def __str__(self) -> str:
        return "these bytes are not a message of this version"


class Place(NamedTuple):
    """Where a message belongs among those of its source."""

    writer: bytes
    lines: int  # of this source and writer, before this message
    previous: int  # the number of the message before it, 0 if there was none


class Message(NamedTuple):
    """A decoded message; `chunk` is None in a farewell."""

    place: Place
    source: Source
    chunk: Chunk | None


class Encoder:
    """Makes messages."""

    def __init__(self) -> None:
        self._compress = zstandard.ZstdCompressor(level=1).compress

    def body(self, chunk: Chunk) -> bytes:
        """Return the compressed chunk: what does not depend on its place."""
        return self._compress(encode_chunk(chunk))

    def farewell_body(self, source: Source) -> bytes:
        """Return the compressed source."""
        return self._compress(encode_source(source))


def join(place: Place, body: bytes, *, is_farewell: bool = False) -> bytes:
    """Return the bytes of a message."""
    kind = _FAREWELL if is_farewell else _LINES
    return _HEAD.pack(_VERSION, kind, place.writer, place.lines, place.previous) + body


class Decoder:
    """Reads messages."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()
        self._chunks = ChunkDecoder()

    def decode(self, data: bytes) -> Message:
        """Return the message; its chunk is not numbered yet. Raises BadMessage."""
        try:
            version, kind, *place = _HEAD.unpack_from(data)
            if version != _VERSION:
                raise BadMessage
            inflated = self._inflate(data[_HEAD.size :])
            if kind == _FAREWELL:
                return Message(Place(*place), self._chunks.decode_source(inflated), None)
            chunk = self._chunks.decode(inflated)
            return Message(Place(*place), chunk.source, chunk)
        except (struct.error, zstandard.ZstdError, BadChunk):
            raise BadMessage from None

    def _inflate(self, body: bytes) -> bytes:
        if zstandard.frame_content_size(body) > MAX_INFLATED:
            raise BadMessage
        return self._decompressor.decompress(body, max_output_size=MAX_INFLATED)
