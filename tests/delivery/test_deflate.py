from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from delivery.cursor import Cursor
from delivery.deflate import LEAST_ALONE, LEAST_BYTES, Deflate, Deflated
from delivery.framing import WebSocketBatches, WebSocketMessages
from tests.buffer.factories import EPOCH, chunk
from tests.delivery.doubles import frames, parsed_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

INNER = [WebSocketMessages(), WebSocketBatches()]
AGREED = [Deflate(), Deflate(9), Deflate(keeps_window=False), Deflate(12, keeps_window=False)]
LINES = [f"{number} GET /products/{number % 7} HTTP/1.1 200" for number in range(100)]


def sealed(framing: Deflated | WebSocketMessages, *pieces: Sequence[str]) -> bytes:
    return framing.seal(
        [
            framing.piece([text.encode() for text in texts], chunk(seq, *texts), None)
            for seq, texts in enumerate(pieces, start=1)
        ]
    )


def peer(deflate: Deflate) -> PerMessageDeflate:
    """A client of the websockets library that has agreed to this."""
    return PerMessageDeflate(not deflate.keeps_window, True, deflate.window_bits, 15)  # noqa: FBT003 - its signature


def inflated(client: PerMessageDeflate, data: bytes) -> list[bytes]:
    return [
        bytes(client.decode(Frame(Opcode.TEXT, payload, rsv1=is_compressed)).data)
        for is_compressed, payload in parsed_frames(data)
    ]


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("deflate", AGREED)
def test_a_peer_reads_what_is_sent_without_compression_in_a_fraction_of_the_bytes(
    inner: WebSocketMessages, deflate: Deflate
) -> None:
    plain = sealed(inner, LINES[:50], LINES[50:])
    data = sealed(Deflated(inner, deflate), LINES[:50], LINES[50:])
    assert inflated(peer(deflate), data) == frames(plain)
    if deflate.keeps_window:
        assert len(data) < len(plain) / 2


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("deflate", AGREED)
def test_a_peer_may_come_to_any_range_after_any_other(inner: WebSocketMessages, deflate: Deflate) -> None:
    framing, client = Deflated(inner, deflate), peer(deflate)
    ranges = [[f"{number} {line}" for line in LINES] for number in range(4)]
    for number in (2, 0, 0, 3, 1, 3):
        assert inflated(client, sealed(framing, ranges[number])) == frames(sealed(inner, ranges[number]))


@given(st.lists(st.lists(st.text(max_size=40) | st.text("ab", max_size=900), min_size=1, max_size=4), max_size=4))
def test_whatever_lines_say_a_peer_reads_them(pieces: list[list[str]]) -> None:
    for inner in INNER:
        for deflate in AGREED:
            data = sealed(Deflated(inner, deflate), *pieces)
            assert inflated(peer(deflate), data) == frames(sealed(inner, *pieces))


def test_a_window_is_never_larger_than_the_client_s() -> None:
    block = os.urandom(200).hex()
    lines = [block, *(os.urandom(500).hex() for _ in range(8)), block]
    for inner in INNER:
        compressed = b"".join(
            payload + b"\0\0\xff\xff" for _, payload in parsed_frames(sealed(Deflated(inner, Deflate(9)), lines))
        )
        assert zlib.decompressobj(-9).decompress(compressed)


@pytest.mark.parametrize("inner", INNER)
def test_little_is_sent_as_it_is(inner: WebSocketMessages) -> None:
    framing = Deflated(inner, Deflate())
    for size, is_compressed in ((LEAST_BYTES - 10, False), (LEAST_BYTES, True)):
        assert [flag for flag, _ in parsed_frames(sealed(framing, ["x" * size]))] == [is_compressed]
    alone = Deflated(inner, Deflate(keeps_window=False))
    texts = ["x" * (LEAST_ALONE - 1), "x" * LEAST_BYTES]
    if isinstance(inner, WebSocketBatches):
        assert [flag for flag, _ in parsed_frames(sealed(alone, texts))] == [True]
    else:
        assert [flag for flag, _ in parsed_frames(sealed(alone, texts))] == [False, True]


def test_messages_that_nothing_makes_shorter_are_sent_as_they_are() -> None:
    lines = ["x" * (number % 9) for number in range(2000)]
    parsed = parsed_frames(sealed(Deflated(WebSocketMessages(), Deflate()), lines))
    assert [is_compressed for is_compressed, _ in parsed] == [len(line) > 5 for line in lines]
    assert sum(len(payload) for _, payload in parsed) <= sum(map(len, lines))


def test_an_empty_line_is_an_empty_message() -> None:
    client = peer(Deflate())
    assert inflated(client, sealed(Deflated(WebSocketMessages(), Deflate()), ["", *LINES, ""]))[:: len(LINES) + 1] == [
        b"",
        b"",
    ]


@pytest.mark.parametrize("inner", INNER)
def test_notices_are_sent_as_they_are(inner: WebSocketMessages) -> None:
    framing, cursor = Deflated(inner, Deflate()), Cursor(EPOCH, 5, 0)
    assert framing.gap(b"gone") == inner.gap(b"gone")
    assert framing.live(b"live", cursor) == inner.live(b"live", cursor)
    assert framing.live(None, cursor) == b""
