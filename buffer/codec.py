"""Chunks as bytes, for brokers that keep them outside of this process."""

from __future__ import annotations

import msgspec

from buffer.chunk import Chunk, Parts
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


class _Fields(msgspec.Struct, array_like=True):
    source: msgspec.Raw
    parts: Parts


_ENCODER = msgspec.msgpack.Encoder()


def encode_source(source: Source) -> msgspec.Raw:
    """Return a source as bytes; equal ones give equal bytes."""
    return msgspec.Raw(
        _ENCODER.encode(_SourceFields(source.namespace, source.pod, source.container, source.labels, source.owner))
    )


def encode_chunk(chunk: Chunk, source: msgspec.Raw | None = None) -> bytes:
    """Return a chunk as bytes, its number aside. `source` is that of the chunk, where the caller has its bytes."""
    return _ENCODER.encode(_Fields(encode_source(chunk.source) if source is None else source, chunk.parts()))


class ChunkDecoder:
    """Reads chunks. Those of one source share one object for it, as long as it is remembered."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(_Fields).decode
        self._decode_source = msgspec.msgpack.Decoder(_SourceFields).decode
        self._sources: dict[bytes, Source] = {}

    def decode(self, data: bytes) -> Chunk:
        """Return the chunk, not numbered yet. Raises BadChunk."""
        try:
            fields = self._decode(data)
            return Chunk.restore(self._source(bytes(fields.source)), fields.parts)
        except (msgspec.MsgspecError, ValueError, OverflowError):
            raise BadChunk from None

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
