from __future__ import annotations

import io

import pytest

from cli.message import Message
from cli.output import Output, Style

_PIPE = Style()
_TERMINAL = Style(is_terminal=True, coloured=True)
_GAP = Message("gap", lost=1, reason="slow")


def _line(text: str, pod: str = "web-0") -> Message:
    return Message("line", pod=pod, container="app", timestamp="2025-11-22T08:15:01Z", log=text)


def _shown(style: Style, *messages: Message, text: str = "") -> tuple[str, str]:
    out, notices = io.BytesIO(), io.StringIO()
    Output(out, notices, style).show(text, messages)
    return out.getvalue().decode(), notices.getvalue()


def test_a_pipe_gets_text_as_it_was() -> None:
    text = "\x1b[2J\x00\x9b \r unclosed \x1b[31m"
    assert _shown(_PIPE._replace(prefix=False), _line(text)) == (f"{text}\n", "")


def test_every_line_of_a_text_has_its_front() -> None:
    shown, _ = _shown(_PIPE._replace(timestamps=True), _line("one\n  two"))
    assert shown == "2025-11-22T08:15:01Z web-0/app one\n2025-11-22T08:15:01Z web-0/app   two\n"


def test_a_terminal_gets_harmless_text_and_colours_that_end_with_the_line() -> None:
    shown, _ = _shown(_TERMINAL._replace(prefix=False), _line("\x1b[31mred\n\x1b[2J"))
    assert shown == "\x1b[31mred\x1b[0m\n␛[2J\x1b[0m\n"


def test_a_pod_has_its_colour_and_its_harmless_name() -> None:
    shown, _ = _shown(_TERMINAL, _line("x", pod="web\x1b[2J"))
    assert shown.endswith("mweb␛[2J/app\x1b[0m x\n")
    assert shown.startswith("\x1b[")


def test_a_terminal_without_colours_gets_none() -> None:
    shown, _ = _shown(Style(is_terminal=True, timestamps=True), _line("\x1b[31mred"), _GAP)
    assert shown == ("2025-11-22T08:15:01Z web-0/app red\n[logurt] 1 line lost: this reader was too slow\n")


def test_a_gap_stands_out_in_a_terminal() -> None:
    assert _shown(_TERMINAL, _GAP) == ("\x1b[1;33m[logurt] 1 line lost: this reader was too slow\x1b[0m\n", "")


def test_a_gap_does_not_go_into_a_pipe_of_text() -> None:
    assert _shown(_PIPE, Message("live"), _GAP) == ("", "[logurt] 1 line lost: this reader was too slow\n")


@pytest.mark.parametrize(("is_terminal", "shown"), [(False, "\x9b"), (True, "\\u009b")])
def test_json_is_passed_on_with_its_gaps(is_terminal: bool, shown: str) -> None:  # noqa: FBT001 - a parameter of the test
    text = '{"type":"live"}\n{"type":"gap"}\n{"log":"\x9b"}'
    style = Style(as_json=True, is_terminal=is_terminal)
    out, notices = _shown(style, Message("live"), _GAP, _line("\x9b"), text=text)
    assert (out, notices) == (f'{{"type":"gap"}}\n{{"log":"{shown}"}}\n', "")
