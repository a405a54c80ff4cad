"""Odd request bodies, which Fluent Bit never sends, and whoever holds an ingest secret may. Sizes in, bytes out."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import TYPE_CHECKING

import cramjam
import msgspec
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

_KUBERNETES = '{"namespace_name":"attack","pod_name":"web-0","container_name":"app"}'
_TIME = "2025-11-22T08:15:01.123457790Z"
_SOURCE = f'"time":"{_TIME}","stream":"stdout","kubernetes":{_KUBERNETES}'
_EVENT_TIME = msgspec.msgpack.Ext(0, bytes.fromhex("6921741d075bcd3e"))
_BRACKETS, _VALUES, _LONG_TEXT = 102_000, 180_000, 100_000


def ones_and_nan(size: int) -> bytes:
    """Return an array of numbers, the last of which is none."""
    return b"[" + b"1," * (size // 2) + b"nan]"


def long_records_with_nan(size: int) -> bytes:
    """Return an array of records of 100 KB, each with a bare nan in it."""
    record = f'{{"log":"{"x" * _LONG_TEXT}","value":nan,{_SOURCE}}}'
    return _array(record, size)


def brackets(size: int) -> bytes:
    """Return an array of records with 102,000 brackets each, and a bare nan."""
    record = f'{{"log":"x","value":[{"[]," * (_BRACKETS // 2)}nan],{_SOURCE}}}'
    return _array(record, size)


def packed_arrays(size: int) -> bytes:
    """Return MessagePack entries with 180,000 numbers each, and text that is not UTF-8."""
    values = msgspec.msgpack.encode([1] * _VALUES)
    text = b"\xa2\xff\xff"
    members = b"\x83\xa3log" + text + b"\xa5value" + values + b"\xaakubernetes"
    members += msgspec.msgpack.encode(json.loads(_KUBERNETES))
    entry = b"\x92\x92" + msgspec.msgpack.encode(_EVENT_TIME) + b"\x80" + members
    return entry * max(1, size // len(entry))


def escapes_and_a_bad_byte(size: int) -> bytes:
    """Return a record whose text is escaped throughout, but for a byte that is not UTF-8."""
    return b'[{"log":"%b\xff",%b}]' % (rb"\u00e9" * (size // 6), _SOURCE.encode())


def empty_objects(size: int) -> bytes:
    """Return an array of empty objects."""
    return b"[" + b"{}," * (size // 3) + b"{}]"


def nested(size: int) -> bytes:
    """Return objects and arrays inside each other, hundreds of thousands deep, that never end."""
    return b'{"log":[' * (size // 8)


def bare_nested(size: int) -> bytes:
    """Return arrays inside each other that never end."""
    return b"[" * size


def _array(record: str, size: int) -> bytes:
    return f"[{','.join([record] * max(1, size // len(record)))}]".encode()


ODD: dict[str, Callable[[int], bytes]] = {
    "[1,1,...,nan]": ones_and_nan,
    "records of 100 KB, a nan in each": long_records_with_nan,
    "records of 102,000 brackets": brackets,
    "MessagePack, 180,000 values in each": packed_arrays,
    "escaped text, one bad byte": escapes_and_a_bad_byte,
    "{},{},...": empty_objects,
    '{"log":[{"log":[...': nested,
    "[[[[...": bare_nested,
}


def gzipped_twice(size: int) -> bytes:
    """Return an empty array with that much space in it, compressed twice."""
    return gzip.compress(gzipped(size), 6)


@cache
def gzipped(size: int) -> bytes:
    """Return an empty array with that much space in it, as a gzip member."""
    return gzip.compress(_hollow(size), 6)


def zstandard_frame(size: int) -> bytes:
    """Return an empty array with that much space in it, as a zstd frame that does not say its size."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(_hollow(size))


def snappy_block(size: int) -> bytes:
    """Return an empty array with that much space in it, as a raw snappy block."""
    return bytes(cramjam.snappy.compress_raw(_hollow(size)))


def _hollow(size: int) -> bytes:
    return b"[%b]" % (b" " * size)


BOMBS: dict[str, Callable[[int], bytes]] = {
    "gzip, gzip": gzipped_twice,
    "gzip": gzipped,
    "zstd": zstandard_frame,
    "snappy": snappy_block,
}
