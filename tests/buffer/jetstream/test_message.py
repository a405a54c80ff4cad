from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from buffer.jetstream.message import MAX_INFLATED, BadMessage, Decoder, Encoder, Place, join
from tests.buffer.factories import chunk, source

PLACE = Place(b"writer-1", 120, 1 << 50)


def test_a_message_holds_its_place_and_its_chunk() -> None:
    given_chunk = chunk(7, "one", "two")
    message = Decoder().decode(join(PLACE, Encoder().body(given_chunk)))
    assert (message.place, message.source) == (PLACE, source())
    assert message.chunk is not None
    assert message.chunk.lines() == [b"one", b"two"]
    assert message.chunk.seq == 0


def test_a_farewell_holds_its_place_and_a_source() -> None:
    writer = source(pod="gone", app="web")
    message = Decoder().decode(join(PLACE, Encoder().farewell_body(writer), is_farewell=True))
    assert message == (PLACE, writer, None)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_no_message(data: bytes) -> None:
    with pytest.raises(BadMessage):
        Decoder().decode(data)


def test_a_message_of_another_version_is_refused() -> None:
    data = join(PLACE, Encoder().body(chunk(1, "x")))
    with pytest.raises(BadMessage) as raised:
        Decoder().decode(b"\x02" + data[1:])
    assert str(raised.value) == "these bytes are not a message of this version"


def test_a_message_that_inflates_beyond_all_bounds_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_INFLATED + 1))
    with pytest.raises(BadMessage):
        Decoder().decode(join(PLACE, bomb))
