from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from delivery.cursor import Cursor
from delivery.encoded import Coding, Encoded, content
from delivery.framing import PlainLines, ServerSentEvents, http_chunk
from tests.buffer.factories import EPOCH, chunk
from tests.delivery.doubles import body, dechunk, decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

CODINGS: list[Coding] = ["gzip", "zstd"]
INNER = [PlainLines(), ServerSentEvents()]
LINES = [f"{number} GET /products/{number % 7} HTTP/1.1 200" for number in range(100)]


def pieces(framing: Encoded | PlainLines | ServerSentEvents, *texts: Sequence[str]) -> list[bytes]:
    return [
        framing.piece([line.encode() for line in lines], chunk(seq, *lines), None)
        for seq, lines in enumerate(texts, start=1)
    ]


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_decodes_to_what_is_sent_otherwise_in_a_fraction_of_the_bytes(
    coding: Coding, inner: PlainLines | ServerSentEvents
) -> None:
    framing, plain = Encoded(inner, coding), inner.seal(pieces(inner, LINES[:50], LINES[50:]))
    parts = [framing.seal(pieces(framing, LINES[:50], LINES[50:]))] * 3
    assert decoded(coding, body(coding, parts)) == plain * 3
    assert len(parts[0]) < len(plain) / 2


@given(st.lists(st.lists(st.text(max_size=60), min_size=1, max_size=3), min_size=1, max_size=4))
def test_whatever_lines_say_they_are_decoded(texts: list[list[str]]) -> None:
    for coding in CODINGS:
        framing = Encoded(PlainLines(), coding)
        parts = [framing.seal(pieces(framing, lines)) for lines in texts]
        expected = b"".join(PlainLines().seal(pieces(PlainLines(), lines)) for lines in texts)
        assert decoded(coding, body(coding, parts)) == expected


@pytest.mark.parametrize("coding", CODINGS)
def test_each_range_is_seen_as_soon_as_it_has_come(coding: Coding) -> None:
    framing = Encoded(PlainLines(), coding)
    gunzip, seen = zlib.decompressobj(wbits=31), b""
    unzstd = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
    decode = gunzip.decompress if coding == "gzip" else unzstd.decompress
    decode(content(coding).begin)
    for number in range(3):
        seen += decode(dechunk(framing.seal(pieces(framing, [f"line {number}"]))))
        assert seen.endswith(b"line %d\n" % number)


@pytest.mark.parametrize("coding", CODINGS)
def test_notices_are_parts_of_the_body_and_can_be_joined_with_lines(coding: Coding) -> None:
    framing, cursor = Encoded(ServerSentEvents(), coding), Cursor(EPOCH, 5, 0)
    gap, live, lines = framing.gap(b"gone"), framing.live(None, cursor), framing.seal(pieces(framing, ["x"]))
    plain = ServerSentEvents()
    expected = [plain.gap(b"gone"), plain.live(None, cursor), plain.seal(pieces(plain, ["x"]))]
    for parts in ([gap, live, lines], [b"" + gap + live + lines], [gap + b"", live + lines + b""]):
        assert decoded(coding, body(coding, parts)) == b"".join(expected)
    assert Encoded(PlainLines(), coding).live(None, cursor) == b""


def test_what_is_no_part_of_the_body_is_not_counted() -> None:
    part = Encoded(PlainLines(), "gzip").wrap(b"x")
    assert type(part + http_chunk(b"")) is bytes
    assert type(http_chunk(b"") + part) is bytes
