from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from cli.message import Message, parse
from delivery.gap import Gap, Reason


def test_a_text_holds_a_message_a_line() -> None:
    text = '{"type":"gap","lost":3,"reason":"slow"}\n{"type":"line","cursor":"c","pod":"p","stream":null,"log":"a\\nb"}'
    assert parse(text) == [Message("gap", lost=3, reason="slow"), Message("line", cursor="c", pod="p", log="a\nb")]


def test_what_a_later_server_says_is_read_too() -> None:
    assert parse('{"type":"news","what":[1]}') == [Message("news")]


@pytest.mark.parametrize("text", ["plain text", "[]", "{}", '{"type":1}'])
def test_what_no_server_says_is_refused(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        parse(text)


@pytest.mark.parametrize("reason", get_args(Reason))
@pytest.mark.parametrize("lost", [None, 1, 7])
def test_a_gap_reads_as_in_the_servers_text_format(lost: int | None, reason: Reason) -> None:
    assert Message("gap", lost=lost, reason=reason).gap() == str(Gap(lost, reason))


def test_a_gap_of_an_unknown_reason_shows_the_reason() -> None:
    assert Message("gap", lost=2, reason="gremlins").gap() == "[logurt] 2 lines lost: gremlins"
