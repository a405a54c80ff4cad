from __future__ import annotations

from typing import Any, cast

import pytest

from buffer.jetstream.heard import Heard
from tests.buffer.jetstream.answers import Answer


def test_a_message_of_the_stream_says_its_number_and_that_of_the_one_before() -> None:
    answer = Answer({"Nats-Sequence": "7", "Nats-Last-Sequence": "3", "Nats-Stream": "S"}, b"data")
    assert Heard.read(cast("Any", answer)) == (7, 3, b"data")


@pytest.mark.parametrize(
    "headers", [None, {}, {"Nats-Sequence": "7"}, {"Nats-Sequence": "x", "Nats-Last-Sequence": "1"}]
)
def test_a_message_of_anybody_else_is_none_of_the_stream(headers: dict[str, str] | None) -> None:
    assert Heard.read(cast("Any", Answer(cast("Any", headers)))) is None
