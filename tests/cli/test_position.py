from __future__ import annotations

import pytest

from cli.message import Message
from cli.position import Position

_LIVE = Message("live")
_LINE = Message("line", cursor="c1")


def _query_after(asked: dict[str, list[str]], *messages: Message, seconds: float = 0) -> object:
    """Return what is asked for so many seconds after these messages have come."""
    now = 1000.0
    position = Position(asked, lambda: now)
    position.advance(messages)
    now += seconds
    return position.query()


@pytest.mark.parametrize("messages", [(), (Message("gap"), Message("news"))])
def test_before_any_line_the_same_is_asked_for_again(messages: tuple[Message, ...]) -> None:
    assert _query_after({"tail": ["5"], "pod": ["p"]}, *messages) == {"tail": ["5"], "pod": ["p"]}


def test_after_a_line_its_cursor_is_asked_for_in_place_of_the_backlog() -> None:
    asked = {"tail": ["5"], "since": ["5m"], "cursor": ["c0"], "pod": ["p"]}
    assert _query_after(asked, _LIVE, _LINE, _LIVE) == {"pod": ["p"], "cursor": ["c1"]}


def test_a_backlog_without_lines_is_followed_by_all_lines_however_old_they_say_they_are() -> None:
    assert _query_after({"tail": ["5"]}, _LIVE) == {"tail": ["all"]}


@pytest.mark.parametrize("asked", [{"tail": ["0"]}, {"since": ["5m"]}])
def test_lines_of_before_are_not_asked_for_where_a_backlog_was_not_wanted(asked: dict[str, list[str]]) -> None:
    assert _query_after(asked, _LIVE, seconds=7.5) == {"tail": ["all"], "since": ["18s"]}


def test_a_clock_that_is_set_back_asks_for_a_moment_at_least() -> None:
    assert _query_after({"tail": ["0"]}, _LIVE, seconds=-100) == {"tail": ["all"], "since": ["10s"]}


def test_a_cursor_that_was_given_holds_until_a_line_comes() -> None:
    assert _query_after({"cursor": ["c0"]}, _LIVE) == {"cursor": ["c0"]}


def test_only_lines_count_as_lines() -> None:
    position = Position({}, lambda: 0)
    position.advance([_LIVE])
    assert not position.has_lines
    position.advance([_LINE])
    assert position.has_lines
