"""A WebSocket client that inflates what it gets, as browsers do (RFC 7692)."""

from __future__ import annotations

import zlib

_TAIL = b"\0\0\xff\xff"


class Inflating:
    """Takes what comes on one connection, in pieces of any size, and returns what the messages say."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._rest = b""

    def feed(self, data: bytes | memoryview) -> bytes:
        """Return the messages that are complete now, one after the other."""
        received, at, said = self._rest + data, 0, list[bytes]()
        while (end := _end(received, at)) is not None and end[1] <= len(received):
            start, stop = end
            payload = received[start:stop]
            said.append(self._inflater.decompress(payload + _TAIL) if received[at] & 0x40 else payload)
            at = stop
        self._rest = received[at:]
        return b"\n".join(said)


def _end(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the payload of a frame begins and ends; None if its head is not complete."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    wide = {126: 2, 127: 8}.get(length, 0)
    if len(data) < start + wide:
        return None
    length = int.from_bytes(data[start : start + wide]) if wide else length
    return start + wide, start + wide + length
