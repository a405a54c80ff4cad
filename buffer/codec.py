"""Chunks as bytes, for brokers that keep them outside of this process."""

from __future__ import annotations

import struct

import msgspec

from buffer.chunk import Chunk
from buffer.source import Labels, Source

# Sources that a decoder remembers; each takes about a kilobyte.
_REMEMBERED = 4096


class BadChunk(ValueError):
    """Bytes that are no chunk."""

    def __str__(self) -> str:
        return "these bytes are not a chunk"


class _SourceFields(msgspec.Struct, array_like=True):
    namespace: str
    pod: str
    container: str
    labels: Labels
    owner: str


_ENCODER = msgspec.msgpack.Encoder()
_SIZE = struct.Struct(">I")


def encode_source(source: Source) -> bytes:
    """Return a source as bytes; equal ones give equal bytes."""
    return _ENCODER.encode(_SourceFields(source.namespace, source.pod, source.container, source.labels, source.owner))


def encode_chunk(chunk: Chunk) -> bytes:
    """Return a chunk as bytes, its source included, and its number not."""
    source = encode_source(chunk.source)
    return b"".join((_SIZE.pack(len(source)), source, chunk.encode()))


class ChunkDecoder:
    """Reads chunks. Those of one source share one object for it, as long as it is remembered."""

    def __init__(self) -> None:
        self._decode_source = msgspec.msgpack.Decoder(_SourceFields).decode
        self._sources: dict[bytes, Source] = {}

    def decode(self, data: bytes) -> Chunk:
        """Return the chunk, not numbered yet. Raises BadChunk."""
        try:
            start = _SIZE.size + _SIZE.unpack_from(data)[0]
            chunk = Chunk.decode(self._source(data[_SIZE.size : start]), memoryview(data)[start:])
        except (struct.error, msgspec.MsgspecError, ValueError):
            raise BadChunk from None
        if not chunk.count or (chunk.joins_cleanly and _newlines(chunk.text) != chunk.count - 1):
            raise BadChunk
        return chunk

    def decode_source(self, data: bytes) -> Source:
        """Return a source. Raises BadChunk."""
        try:
            return self._source(data)
        except (msgspec.MsgspecError, ValueError):
            raise BadChunk from None

    def _source(self, data: bytes) -> Source:
        source = self._sources.get(data)
        if source is None:
            fields = self._decode_source(data)
            if len(self._sources) >= _REMEMBERED:
                self._sources.clear()
            source = self._sources[data] = Source(
                fields.namespace, fields.pod, fields.container, fields.labels, fields.owner
            )
        return source


def _newlines(text: bytes) -> int:
    """Count them: in long text without many, `count` takes twice as long."""
    return len(text) - len(text.replace(b"\n", b""))
