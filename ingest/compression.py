"""Content-Encoding undone, never past a limit.

Fluent Bit compresses with gzip, and since 4.0 with snappy (a raw block) or zstd.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import cramjam
import zstandard
from zlib_ng import zlib_ng

from ingest.errors import BodyTooLarge, Undecodable, UnsupportedEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    _Inflater: TypeAlias = zlib_ng._Decompress | zstandard.ZstdDecompressionObj  # noqa: SLF001 - has no other name

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP_MAGIC, _ZSTD_MAGIC)
_SNAPPY_STREAM = b"\xff\x06\x00\x00sNaPpY"
# More members or frames than this is an attack on the time it takes to start each.
_MAX_MEMBERS = 10_000
# RFC 9659 lets a sender assume a window of 8 MiB.
_ZSTD_WINDOW = 8 << 20
# What a byte can become: 3 bytes of zstd can become 128 KiB, 2 bits of deflate 258 bytes, and 3 bytes of snappy 64.
_ZSTD_RATIO, _DEFLATE_RATIO, _SNAPPY_RATIO = (128 << 10) // 3 + 1, 1032, 22
# What may be inflated in one go: a few milliseconds' worth.
_AT_ONCE = 8 << 20
# What is small once it is inflated, and how long it may be before: some milliseconds' worth of either.
_SMALL, _SMALL_PACKED = 1 << 20, 64 << 10
_LEAST_PIECE, _NEXT_PIECE, _PIECE = 64, 512, 64 << 10
# zlib puts together what it returns from pieces, which takes as much again.
_PART = 1 << 20
_ZLIB = type(zlib_ng.decompressobj())
_GZIP_BITS, _RAW_BITS = 16 + zlib_ng.MAX_WBITS, -zlib_ng.MAX_WBITS
_ZLIB_ERROR: type[Exception] = zlib_ng.error  # type: ignore[assignment] # which its stubs take for an instance
_ERRORS = (_ZLIB_ERROR, zstandard.ZstdError, cramjam.DecompressionError, EOFError, ValueError)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body without its Content-Encoding; at most `limit` bytes are ever inflated.

    What the body is counts for more than what the header claims: JSON is taken as it is, and gzip and zstd
    are known by their first bytes, which start neither JSON nor what Fluent Bit sends as MessagePack. One coding is
    enough: a few hundred bytes that are compressed twice can become gigabytes on the way.
    Raises UnsupportedEncoding, BodyTooLarge, Undecodable.
    """
    return _decompressed(body, _name_of(body, encoding), limit)


def decompress_quickly(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Do what `decompress` does where that takes a few milliseconds at most; else return None."""
    name = _name_of(body, encoding)
    if name:
        coding = _CODINGS[name]
        if coding.undo_small is not None and len(body) <= _SMALL_PACKED:
            with suppress(*_ERRORS):
                small = coding.undo_small(body)
                if small is not None and len(small) <= limit:
                    return small
        # Framed snappy takes time for each frame, and may be nothing but these.
        ratio = _DEFLATE_RATIO if body.startswith(_SNAPPY_STREAM) else coding.ratio
        if len(body) * ratio > _AT_ONCE:
            return None
    return _decompressed(body, name, limit)


def _decompressed(body: bytes, name: str, limit: int) -> bytes:
    if name:
        body = _undo(body, name, limit)
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return body


def _name_of(body: bytes, encoding: str) -> str:
    """Return the name of a body's coding; empty if it has none. Raises UnsupportedEncoding."""
    if not encoding and not body.startswith(_MAGICS):
        return ""  # like most
    names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not names and body.startswith(_MAGICS):
        return "gzip" if body.startswith(_GZIP_MAGIC) else "zstd"
    if len(names) > 1 or not _CODINGS.keys() >= set(names):
        raise UnsupportedEncoding(encoding)
    return names[0] if names else ""


def _undo(body: bytes, name: str, limit: int) -> bytes:
    try:
        return _CODINGS[name].undo(body, limit)
    except _ERRORS as error:
        if body.lstrip()[:1] in (b"{", b"["):
            return body
        raise Undecodable(name) from error


def _inflate(body: bytes, limit: int, begin: Callable[[], _Inflater], magic: bytes | None) -> bytes:
    """Inflate a stream up to the limit, and those after it that start with `magic`; what else follows is padding."""
    # Parts are added as they come: joining them in the end would keep the interpreter from others all at once.
    view, inflated, left, position = memoryview(body), BytesIO(), limit, 0
    for number in range(_MAX_MEMBERS):
        # The bytes after a member are copied on its end, so another one starts on a small piece.
        member, piece = begin(), _NEXT_PIECE if number else _PIECE
        while not member.eof:
            if position == len(view):
                raise EOFError
            if not isinstance(member, _ZLIB):
                piece = min(piece, max(min(left, _AT_ONCE) // _ZSTD_RATIO, _LEAST_PIECE))
            given = view[position : position + piece]
            for part in _parts(member, given):
                left -= len(part)
                if left < 0:
                    raise BodyTooLarge(limit)
                inflated.write(part)
            position += len(given) - len(member.unused_data)
            piece = min(2 * piece, _PIECE)
        if position == len(view) or magic is None or view[position : position + len(magic)] != magic:
            return inflated.getvalue()
    raise ValueError(_MAX_MEMBERS)


def _parts(member: _Inflater, data: bytes | memoryview) -> Iterator[bytes]:
    if not isinstance(member, _ZLIB):
        yield member.decompress(data)  # all of it at once: it must not become much more than the limit
        return
    part = None
    while part is None or (len(part) == _PART and not member.eof):
        part = member.decompress(data, _PART)
        data = member.unconsumed_tail
        yield part


def _gunzip(body: bytes, limit: int) -> bytes:
    """Undo gzip. A damaged member after the first makes all of it undecodable: half a body would be lost in silence."""
    return _inflate(body, limit, lambda: zlib_ng.decompressobj(_GZIP_BITS), _GZIP_MAGIC)


def _gunzip_small(body: bytes) -> bytes | None:
    """Undo gzip if it is a single member that becomes no more than its end says (RFC 1952, ISIZE), which is little."""
    if int.from_bytes(body[-4:], "little") > _SMALL:
        return None
    member = zlib_ng.decompressobj(_GZIP_BITS)
    inflated = member.decompress(body, _SMALL)
    return inflated if member.eof and not member.unused_data else None


def _unzstd_small(body: bytes) -> bytes | None:
    """Undo zstd if it is a single frame that says how much it becomes (RFC 8878, 3.1.1.1.4), which is little."""
    frame = zstandard.get_frame_parameters(body)
    if not 0 < frame.content_size <= _SMALL or frame.window_size > _ZSTD_WINDOW:
        return None
    return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Undo zstd, of which any number of frames may follow each other."""
    return _inflate(body, limit, zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj, b"")


def _undeflate(body: bytes, limit: int) -> bytes:
    """Undo RFC 9110's deflate: a zlib stream, or bare deflate data as some senders have it."""
    try:
        return _inflate(body, limit, zlib_ng.decompressobj, None)
    except _ZLIB_ERROR:
        return _inflate(body, limit, lambda: zlib_ng.decompressobj(_RAW_BITS), None)


def _unsnappy(body: bytes, limit: int) -> bytes:
    """Undo snappy: a raw block (what Fluent Bit sends), or the framed stream format."""
    if not body.startswith(_SNAPPY_STREAM):
        return _unsnappy_block(body, limit, limit)
    parts, left, position = list[bytes](), limit, 0
    while position < len(body):
        kind, size = body[position], int.from_bytes(body[position + 1 : position + 4], "little")
        chunk = body[position + 4 : position + 4 + size]
        if len(chunk) < size or 0x02 <= kind <= 0x7F:
            raise ValueError(kind)
        position += 4 + size
        # Four bytes of checksum come first. Kinds from 0x80 on are to be skipped.
        if kind == 0x00:
            parts.append(_unsnappy_block(chunk[4:], left, limit))
        elif kind == 0x01:
            parts.append(chunk[4:])
        else:
            continue
        left -= len(parts[-1])
        if left < 0:
            raise BodyTooLarge(limit)
    return b"".join(parts)


def _unsnappy_block(block: bytes, left: int, limit: int) -> bytes:
    declared = _varint(block)
    if declared > left:
        raise BodyTooLarge(limit)
    if declared > _SNAPPY_RATIO * len(block):
        raise ValueError(declared)
    return bytes(cramjam.snappy.decompress_raw(block))


def _varint(block: bytes) -> int:
    """Return the uncompressed length a snappy block starts with: up to 32 bits, seven to a byte."""
    value = 0
    for place, byte in enumerate(block[:5]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value
    raise ValueError(value)


class _Coding(NamedTuple):
    """How to undo a coding; how many times as large a body may become; and how to undo it in a body that is small."""

    undo: Callable[[bytes, int], bytes]
    ratio: int
    undo_small: Callable[[bytes], bytes | None] | None = None


_GZIP = _Coding(_gunzip, _DEFLATE_RATIO, _gunzip_small)
_SNAPPY = _Coding(_unsnappy, _SNAPPY_RATIO)
_CODINGS = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": _Coding(_undeflate, _DEFLATE_RATIO),
    "snappy": _SNAPPY,
    "x-snappy": _SNAPPY,
    "zstd": _Coding(_unzstd, _ZSTD_RATIO, _unzstd_small),
}
