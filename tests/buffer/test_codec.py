from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import Chunk
from buffer.codec import BadChunk, ChunkDecoder, encode_chunk, encode_source
from tests.buffer.factories import chunk, source

LINES = st.lists(
    st.tuples(st.text(max_size=20), st.sampled_from(["", "2025-11-22T08:15:01Z"]), st.sampled_from([None, "stdout"])),
    min_size=1,
    max_size=8,
)


@given(LINES)
def test_a_decoded_chunk_is_what_was_encoded(lines: list[tuple[str, str, str | None]]) -> None:
    texts, times, streams = (list(column) for column in zip(*lines, strict=True))
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    given = Chunk(source(app="web"), texts, times, streams, 5.5)
    decoded = ChunkDecoder().decode(encode_chunk(given))
    assert decoded.parts() == given.parts()
    assert (decoded.source, decoded.size, decoded.seq) == (given.source, given.size, 0)
    assert (decoded.lines(), decoded.times(), decoded.streams()) == (given.lines(), given.times(), given.streams())


def test_a_source_keeps_its_labels_and_its_owner() -> None:
    writer = source(owner="deployment/web", app="web", tier="front")
    decoded = ChunkDecoder().decode(encode_chunk(chunk(1, "x", writer=writer)))
    assert (decoded.source, decoded.source.labels) == (writer, (("app", "web"), ("tier", "front")))


def test_chunks_of_one_source_share_it() -> None:
    decoder = ChunkDecoder()
    one, two = (decoder.decode(encode_chunk(chunk(1, text))) for text in ("one", "two"))
    assert one.source is two.source


def test_a_source_that_was_encoded_before_gives_the_same_bytes() -> None:
    given = chunk(1, "x")
    assert encode_chunk(given, encode_source(given.source)) == encode_chunk(given)


def test_a_decoder_forgets_sources_before_they_are_too_many() -> None:
    decoder = ChunkDecoder()
    first = decoder.decode(encode_chunk(chunk(1, "x"))).source
    for number in range(5000):
        decoder.decode(encode_chunk(chunk(1, "x", writer=source(pod=f"web-{number + 1}"))))
    assert decoder.decode(encode_chunk(chunk(1, "x"))).source is not first


def broken(**parts: Any) -> bytes:
    whole = chunk(1, "one", "two").parts()._replace(**parts)
    return msgspec.msgpack.encode([encode_source(source()), whole])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([1, 2]),
        broken(lines=3),
        broken(lines=0, text=b"", times=b""),
        broken(times=b""),
        broken(streams=9),
        broken(streams=b"\x01"),
        broken(streams=b"\x01\x09"),
        broken(streams=-1),
        broken(ends=[7]),
        broken(ends=[7, 3]),
        broken(ends=[3, 8]),
        broken(ends=[-1, 7]),
        broken(arrived="now"),
        msgspec.msgpack.encode([["n"], chunk(1, "x").parts()]),
    ],
)
def test_anything_else_is_no_chunk(data: bytes) -> None:
    with pytest.raises(BadChunk) as raised:
        ChunkDecoder().decode(data)
    assert str(raised.value) == "these bytes are not a chunk"
