from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import Chunk
from buffer.codec import BadChunk, ChunkDecoder, encode_chunk
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
    assert decoded.encode() == given.encode()
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


def test_a_decoder_forgets_sources_before_they_are_too_many() -> None:
    decoder = ChunkDecoder()
    first = decoder.decode(encode_chunk(chunk(1, "x"))).source
    for number in range(5000):
        decoder.decode(encode_chunk(chunk(1, "x", writer=source(pod=f"web-{number + 1}"))))
    assert decoder.decode(encode_chunk(chunk(1, "x"))).source is not first


GOOD = encode_chunk(chunk(1, "one", "two"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00",
        GOOD[:-1],
        GOOD + b"x",
        b"\xff" + GOOD[1:],
        GOOD[:5] + b"\xc1" + GOOD[6:],
        GOOD.replace(b"one\ntwo", b"one two"),
    ],
)
def test_anything_else_is_no_chunk(data: bytes) -> None:
    with pytest.raises(BadChunk) as raised:
        ChunkDecoder().decode(data)
    assert str(raised.value) == "these bytes are not a chunk"
