"""HTTP bodies in a content coding (RFC 9110, section 8.4.1), encoded once for all readers of a view.

As with WebSockets, a range is compressed by a compressor that begins anew with it, and ends where a client can decode
all of it. What begins and ends a body is written for each reader.

- gzip: clients expect a single member, so a range is a run of blocks of the member's deflate stream. The member ends
  with a checksum of all that came before, to which each range brings its part.
- zstd: a body is a sequence of frames (RFC 8878, section 3). A range ends the frame before it and begins its own:
  some clients take a frame that ends where their data does for the end of the body.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

import zstandard
from isal import isal_zlib

from delivery.framing import http_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from delivery.cursor import Cursor
    from delivery.framing import PlainLines, ServerSentEvents

Coding: TypeAlias = Literal["gzip", "zstd"]

_LEVEL, _WINDOW = 1, -15
# RFC 1952, section 2.3: deflate, no flags, no time, an unknown system. And the last block, which is empty.
_GZIP_BEGIN, _GZIP_LAST = b"\x1f\x8b\x08" + bytes(6) + b"\xff", b"\x03\x00"
# RFC 8878, section 3.1.1: the head of a frame of unknown size, and its last block, which is empty.
_ZSTD_BEGIN, _ZSTD_LAST = b"\x28\xb5\x2f\xfd\x00\x48", b"\x01\x00\x00"
_ZSTD = zstandard.ZstdCompressor(level=_LEVEL)


class Part(bytes):
    """Part of a gzip member, in HTTP chunks: `crc` and `size` are those of what it decodes to. Parts can be added."""

    crc: int
    size: int

    @classmethod
    def of(cls, data: bytes, crc: int, size: int) -> Part:
        """Return data as a part."""
        part = cls(data)
        part.crc, part.size = crc, size
        return part

    def __add__(self, other: bytes) -> bytes:  # type: ignore[override]
        if not isinstance(other, Part):
            return super().__add__(other) if other else self
        crc = isal_zlib.crc32_combine(self.crc, other.crc, other.size)
        return Part.of(super().__add__(other), crc, self.size + other.size)

    def __radd__(self, other: bytes) -> bytes:
        return other + bytes(self) if other else self


class Content(Protocol):
    """What is written of one body."""

    begin: ClassVar[bytes]  # what the body begins with

    def add(self, data: bytes) -> None:
        """Count what is written."""

    def end(self) -> bytes:
        """Return what ends the body."""


class _Gzip:
    """A member, whose end has a checksum and a size."""

    begin: ClassVar[bytes] = _GZIP_BEGIN

    def __init__(self) -> None:
        self._crc = self._size = 0

    def add(self, data: bytes) -> None:
        if isinstance(data, Part):
            self._crc = isal_zlib.crc32_combine(self._crc, data.crc, data.size)
            self._size += data.size

    def end(self) -> bytes:
        return _GZIP_LAST + self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


class _Zstd:
    """Frames, of which one is always open."""

    begin: ClassVar[bytes] = _ZSTD_BEGIN

    def add(self, data: bytes) -> None:
        pass

    def end(self) -> bytes:
        return _ZSTD_LAST


def content(coding: Coding) -> Content:
    """Return a new body in a coding."""
    return _Gzip() if coding == "gzip" else _Zstd()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Another framing's bytes in a content coding, as chunks of an HTTP/1.1 response body."""

    inner: PlainLines | ServerSentEvents
    coding: Coding

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return what the other framing makes of the lines."""
        return self.inner.piece(payloads, chunk, indices)

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return all pieces as one chunk."""
        return self.wrap(self.inner.seal(pieces))

    def gap(self, payload: bytes) -> bytes:
        """Return the notice as a chunk."""
        return self.wrap(self.inner.gap(payload))

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice as a chunk, if there is one."""
        data = self.inner.live(payload, cursor)
        return self.wrap(data) if data else b""

    def wrap(self, data: bytes) -> bytes:
        """Return a part of a body as a chunk."""
        if self.coding == "zstd":
            frame = _ZSTD.compressobj()
            return http_chunk(_ZSTD_LAST + frame.compress(data) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        deflater = isal_zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW)
        chunk = http_chunk(deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))
        return Part.of(chunk, isal_zlib.crc32(data), len(data))
