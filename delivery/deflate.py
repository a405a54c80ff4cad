"""Compressed WebSocket messages (permessage-deflate, RFC 7692), once for all readers of a view.

The usual way has a compressor for each connection, which takes 260 KB and does the same work for every reader. Here a
range is compressed once, by a compressor that begins anew with it: nothing refers to an earlier range, so a client
can decode it whatever its connection has carried before. Within a range, messages refer to those
before them, which is where most of the gain is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isal import isal_zlib
from zlib_ng import zlib_ng

from delivery.framing import FrameHeaders, WebSocketBatches, WebSocketMessages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from delivery.cursor import Cursor

# A smaller range, of a packet or two, is sent as it is, and so is a smaller message that may not refer to others. One
# that may is no shorter than this once it is compressed, and there may be tens of thousands of these in a range.
LEAST_BYTES, LEAST_ALONE, _LEAST_BESIDE = 2048, 256, 6
# What ends a message after a flush, and is left out (RFC 7692, section 7.2.1): an empty block without compression.
_FLUSHED = 4
_LEVEL = 1
_HEADERS, _COMPRESSED = FrameHeaders(), FrameHeaders(compressed=True)


@dataclass(frozen=True, slots=True)
class Deflate:
    """What a client has agreed to: the bits of the window that it keeps, 9 to 15, and whether it keeps it at all.

    If it does, a message may refer to those before it.
    """

    window_bits: int = 15
    keeps_window: bool = True


@dataclass(frozen=True, slots=True)
class Deflated:
    """The WebSocket messages of another framing, compressed where that pays."""

    inner: WebSocketMessages
    deflate: Deflate

    def piece(self, payloads: Sequence[bytes], chunk: Chunk, indices: Sequence[int] | None) -> bytes:
        """Return what the other framing makes of the lines."""
        return self.inner.piece(payloads, chunk, indices)

    def seal(self, pieces: list[bytes]) -> bytes:
        """Return the messages of the range compressed, or as the other framing has them if they are few."""
        if sum(map(len, pieces)) < LEAST_BYTES:
            return self.inner.seal(pieces)
        # ISA-L is the quicker one with much at a time, and zlib-ng with little: five times, where lines are messages.
        make = isal_zlib.compressobj if isinstance(self.inner, WebSocketBatches) else zlib_ng.compressobj
        bits, keeps_window = -self.deflate.window_bits, self.deflate.keeps_window
        compressor, flush = make(_LEVEL, zlib.DEFLATED, bits), zlib.Z_SYNC_FLUSH
        least = _LEAST_BESIDE if keeps_window else LEAST_ALONE
        parts = list[bytes]()
        for message in self.inner.messages(pieces):
            if len(message) < least:
                parts += (_HEADERS[len(message)], message)
                continue
            data = compressor.compress(message) + compressor.flush(flush)
            parts += (_COMPRESSED[len(data) - _FLUSHED], data[:-_FLUSHED])
            if not keeps_window:
                compressor = make(_LEVEL, zlib.DEFLATED, bits)
        return b"".join(parts)

    def gap(self, payload: bytes) -> bytes:
        """Return the notice in a frame, as it is."""
        return self.inner.gap(payload)

    def live(self, payload: bytes | None, cursor: Cursor) -> bytes:
        """Return the notice in a frame, as it is, if there is one."""
        return self.inner.live(payload, cursor)
