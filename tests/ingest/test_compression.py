from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import TypeAlias

import cramjam
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.compression import decompress, decompress_quickly
from ingest.errors import BodyTooLarge, Undecodable, UnsupportedEncoding

Packer: TypeAlias = Callable[[bytes], bytes]

BODY = b'[{"log":"line"}]' * 400
LIMIT = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def framed_snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(data))


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


def zstd_without_size(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


PACKERS: dict[str, list[Packer]] = {
    "gzip": [gzip.compress],
    "x-gzip": [gzip.compress],
    "deflate": [zlib.compress, raw_deflate],
    "snappy": [snappy, framed_snappy],
    "zstd": [zstd, zstd_without_size],
}
CASES = [(name, packer) for name, packers in PACKERS.items() for packer in packers]


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_known_encoding_is_undone(name: str, packer: Packer) -> None:
    assert decompress(packer(BODY), name, LIMIT) == BODY
    assert decompress(packer(BODY), name.upper() + " , identity", LIMIT) == BODY


@pytest.mark.parametrize("name", ["", "identity", " , "])
def test_without_an_encoding_the_body_is_the_same_object(name: str) -> None:
    assert decompress(BODY, name, LIMIT) is BODY


@pytest.mark.parametrize("packer", [gzip.compress, zstd])
def test_gzip_and_zstd_are_known_without_a_header(packer: Packer) -> None:
    assert decompress(packer(BODY), "", LIMIT) == BODY


@pytest.mark.parametrize("name", PACKERS)
def test_a_header_that_claims_what_json_is_not_is_ignored(name: str) -> None:
    assert decompress(BODY, name, LIMIT) == BODY


@pytest.mark.parametrize("name", ["br", "gzip, br", "gzip, gzip", "snappy, gzip", "gzip, identity, zstd"])
def test_an_unknown_encoding_or_more_than_one_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        decompress(gzip.compress(BODY), name, LIMIT)
    assert refused.value.encoding == name


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_body_is_taken_at_the_limit_and_refused_above_it(name: str, packer: Packer) -> None:
    assert decompress(packer(BODY), name, len(BODY)) == BODY
    with pytest.raises(BodyTooLarge) as refused:
        decompress(packer(BODY), name, len(BODY) - 1)
    assert refused.value.limit == len(BODY) - 1
    assert str(len(BODY) - 1) in str(refused.value)


def test_the_limit_holds_without_an_encoding() -> None:
    with pytest.raises(BodyTooLarge):
        decompress(BODY, "", 10)


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_body_cut_short_is_undecodable(name: str, packer: Packer) -> None:
    noise = random.Random(7).randbytes(5_000)
    with pytest.raises(Undecodable) as refused:
        decompress(packer(noise)[:-20], name, LIMIT)
    assert refused.value.form == name
    assert name in str(refused.value)


@pytest.mark.parametrize("name", PACKERS)
def test_random_bytes_only_ever_raise_undecodable_or_too_large(name: str) -> None:
    noise = random.Random(1)
    for size in range(200):
        with pytest.raises((Undecodable, BodyTooLarge)):
            decompress(b"\xfe" + noise.randbytes(size), name, 100)


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_bomb_is_not_inflated_past_the_limit(name: str, packer: Packer) -> None:
    bomb, limit = packer(bytes(64 << 20)), 16 << 20
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        decompress(bomb, name, limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.75 * limit


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_body_takes_no_more_than_twice_its_size_while_it_is_inflated(name: str, packer: Packer) -> None:
    size = 16 << 20
    packed = packer(bytes(size))
    tracemalloc.start()
    assert len(decompress(packed, name, size)) == size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.1 * size


@pytest.mark.parametrize(("name", "packer"), [("gzip", gzip.compress), ("zstd", zstd), ("zstd", zstd_without_size)])
def test_members_follow_each_other(name: str, packer: Packer) -> None:
    assert decompress(packer(BODY) + packer(b"") + packer(b"end"), name, LIMIT) == BODY + b"end"


@pytest.mark.parametrize(("name", "packer"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_endless_empty_members_are_refused(name: str, packer: Packer) -> None:
    with pytest.raises(Undecodable):
        decompress(packer(b"") * 10_001, name, LIMIT)


@pytest.mark.parametrize("padding", [bytes(512), b"\n", b"\x1f\x00"])
def test_padding_after_a_gzip_member_is_ignored(padding: bytes) -> None:
    assert decompress(gzip.compress(BODY) + padding, "gzip", LIMIT) == BODY


@pytest.mark.parametrize("damage", [b"\x1f\x8b", gzip.compress(BODY)[:-9], b"\x1f\x8b\x08" + bytes(40)])
def test_a_second_gzip_member_that_is_damaged_is_no_padding(damage: bytes) -> None:
    with pytest.raises(Undecodable):
        decompress(gzip.compress(BODY) + damage, "gzip", LIMIT)


def test_a_body_that_was_compressed_twice_is_refused_before_it_is_inflated() -> None:
    with pytest.raises(UnsupportedEncoding):
        decompress(gzip.compress(gzip.compress(bytes(64 << 20))), "gzip, gzip", 1 << 30)


@pytest.mark.parametrize("block", [b"", b"\xff\xff\xff\xff\xff\x01", b"\x90\x4e\x00", b"\x05"])
def test_a_snappy_block_with_an_impossible_length_is_undecodable(block: bytes) -> None:
    with pytest.raises(Undecodable):
        decompress(block, "snappy", LIMIT)


def test_a_framed_snappy_stream_may_hold_plain_and_skippable_chunks() -> None:
    head, plain, skippable = b"\xff\x06\x00\x00sNaPpY", b"\x01\x07\x00\x00sum.abc", b"\x80\x01\x00\x00x"
    assert decompress(head + plain + skippable + plain, "snappy", LIMIT) == b"abcabc"


@pytest.mark.parametrize("chunk", [b"\x02\x00\x00\x00", b"\x01\x09\x00\x00ab"])
def test_a_framed_snappy_stream_with_a_bad_chunk_is_undecodable(chunk: bytes) -> None:
    with pytest.raises(Undecodable):
        decompress(b"\xff\x06\x00\x00sNaPpY" + chunk, "snappy", LIMIT)


def test_a_framed_snappy_stream_of_plain_chunks_is_bounded() -> None:
    with pytest.raises(BodyTooLarge):
        decompress(b"\xff\x06\x00\x00sNaPpY" + b"\x01\x07\x00\x00sum.abc" * 9, "snappy", 20)


@pytest.mark.parametrize(("name", "packer"), CASES)
def test_a_small_body_is_decompressed_quickly(name: str, packer: Packer) -> None:
    assert decompress_quickly(packer(BODY), name, LIMIT) == BODY


@pytest.mark.parametrize("packer", [gzip.compress, zstd])
@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20])
def test_what_says_that_it_becomes_a_mebibyte_is_decompressed_quickly(packer: Packer, size: int) -> None:
    noise = random.Random(1).randbytes(64) * (size // 64 + 1)
    assert decompress_quickly(packer(noise[:size]), "", LIMIT) == noise[:size]


def with_another_size(member: bytes, size: int) -> bytes:
    """Return a gzip member that says it becomes so many bytes."""
    return member[:-4] + size.to_bytes(4, "little")


SPACES = b" " * (10 << 20)
LONG = {
    "gzip": (gzip.compress(SPACES), "gzip"),
    "gzip without a header": (gzip.compress(SPACES), ""),
    "gzip that says it is small": (with_another_size(gzip.compress(SPACES), 100), "gzip"),
    "gzip before an empty member": (gzip.compress(SPACES) + gzip.compress(b""), "gzip"),
    "many members": (gzip.compress(b"") * 1000, "gzip"),
    "deflate": (zlib.compress(SPACES), "deflate"),
    "snappy": (snappy(random.Random(1).randbytes(1 << 20)), "snappy"),
    "snappy of empty frames": (b"\xff\x06\x00\x00sNaPpY" + b"\xfe\x00\x00\x00" * 10_000, "snappy"),
    "zstd": (zstd(SPACES), "zstd"),
    "zstd without a header": (zstd(SPACES), ""),
    "zstd without a size": (zstd_without_size(random.Random(1).randbytes(500)), "zstd"),
}


@pytest.mark.parametrize("case", LONG)
def test_what_may_take_long_to_decompress_is_not_decompressed_quickly(case: str) -> None:
    assert decompress_quickly(*LONG[case], 1 << 30) is None


def test_a_zstd_window_that_is_too_large_is_refused_in_small_bodies_too() -> None:
    window = 16 << 20
    frame = b"\x28\xb5\x2f\xfd\x80" + bytes([(window.bit_length() - 11) << 3])
    block = (len(BODY) << 3 | 1).to_bytes(3, "little")
    body = frame + len(BODY).to_bytes(4, "little") + block + BODY
    assert zstandard.get_frame_parameters(body).window_size == window
    assert decompress_quickly(body, "zstd", LIMIT) is None
    with pytest.raises(Undecodable):
        decompress(body, "zstd", LIMIT)


def outcome(undo: Callable[[bytes, str, int], bytes | None], body: bytes, name: str, limit: int) -> object:
    try:
        return undo(body, name, limit)
    except (Undecodable, BodyTooLarge) as error:
        return type(error)


@given(
    parts=st.lists(st.tuples(st.sampled_from(CASES), st.binary(max_size=300)), min_size=1, max_size=3),
    name=st.sampled_from(sorted(PACKERS)),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=2),
    cut=st.integers(0, 30),
    limit=st.integers(0, 400),
)
def test_quickly_or_not_the_outcome_is_the_same(
    parts: list[tuple[tuple[str, Packer], bytes]], name: str, changes: list[tuple[int, int]], cut: int, limit: int
) -> None:
    packed = bytearray(b"".join(packer(data) for (_, packer), data in parts) or b"?")
    for position, value in changes:
        packed[position % len(packed)] = value
    body = bytes(packed[: max(1, len(packed) - cut)])
    quick = outcome(decompress_quickly, body, name, limit)
    assert quick is None or quick == outcome(decompress, body, name, limit)
