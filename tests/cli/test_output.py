from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.highlight import Highlighter
from cli.message import Message
from cli.output import Output
from cli.style import Style
from cli.template import Template
from cli.timezone import TimeZone

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


def test_pods_side_by_side_differ_in_colour() -> None:
    shown, _ = _shown(_TERMINAL, *(_line("x", pod=f"web-{number}") for number in range(10)))
    assert len({line.partition("web")[0] for line in shown.splitlines()}) == 10


def test_prefixes_of_many_pods_are_right() -> None:
    pods = [f"web-{number // 2}" for number in range(20_100)]
    shown, _ = _shown(_PIPE, *(_line("x", pod=pod) for pod in pods))
    assert shown == "".join(f"{pod}/app x\n" for pod in pods)


def test_matches_are_marked_in_the_text_only_and_with_colours_only() -> None:
    style = _TERMINAL._replace(highlighter=Highlighter(["w[a-z]+", "\u241b"]))
    shown, _ = _shown(style, _line("a word\x1b[2J"))
    assert shown.endswith("web-0/app\x1b[0m a \x1b[1;31mword\x1b[0m\x1b[1;31m␛\x1b[0m[2J\x1b[0m\n")
    assert _shown(style._replace(coloured=False), _line("a word"))[0] == "web-0/app a word\n"


def test_times_are_shown_in_a_time_zone() -> None:
    style = _PIPE._replace(timestamps=True, time_zone=TimeZone.parse("Europe/Berlin"))
    assert _shown(style, _line("x"))[0] == "2025-11-22T09:15:01+01:00 web-0/app x\n"


_TEMPLATE = Template.parse("{timestamp} {namespace} {pod:>6}/{container} {stream} {log}")


def test_a_template_is_filled_for_every_line_of_a_text() -> None:
    style = Style(template=_TEMPLATE, namespace="myapp", time_zone=TimeZone.parse("UTC"))
    shown, _ = _shown(style, _line("one\n  two"))
    front = "2025-11-22T08:15:01+00:00 myapp  web-0/app "
    assert shown == f"{front} one\n{front}   two\n"


def test_a_template_without_the_log_is_filled_once_a_message() -> None:
    assert _shown(Style(template=Template.parse("{pod}")), _line("one\ntwo"))[0] == "web-0\n"


def test_a_filled_template_has_colours_and_nothing_else_that_a_terminal_obeys() -> None:
    style = _TERMINAL._replace(template=Template.parse("{pod}: {log}"), highlighter=Highlighter(["b"]))
    shown, _ = _shown(style, _line("\x1b[31mab\x1b[2J", pod="p\x1b[2J"))
    assert re.fullmatch(r"\x1b\[\d+mp␛\[2J\x1b\[0m: \x1b\[31ma\x1b\[1;31mb\x1b\[0m\x1b\[31m␛\[2J\x1b\[0m\n", shown)


def test_a_log_that_is_cut_loses_its_colours_first() -> None:
    style = _TERMINAL._replace(template=Template.parse("{log:.3}"))
    assert _shown(style, _line("\x1b[31mabcd"))[0] == "abc\n"


_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Messages never hold lone surrogates: their decoder refuses them.
_HOSTILE = st.text(st.sampled_from("ab\t\r\x00\x1b[]0;1m\x9b\x85é漢") | st.characters(codec="utf-8"))


def _without_colours(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;:]*m", "", shown)


@given(_HOSTILE, st.integers(0, 20))
def test_a_terminal_obeys_nothing_but_colours_of_any_template(text: str, length: int) -> None:
    template = Template.parse(f"{{pod:.{length}}}{{stream}}{{timestamp}}{{log:.{length}}}{{container}}{{log}}")
    message = Message("line", pod=text, container=text, timestamp=text, stream=text, log=text)
    shown, _ = _shown(_TERMINAL._replace(template=template, highlighter=Highlighter(["[a-z]"])), message)
    assert not _OBEYED.search(_without_colours(shown))


@given(_HOSTILE)
def test_a_terminal_obeys_nothing_but_colours_of_any_line(text: str) -> None:
    style = _TERMINAL._replace(timestamps=True, time_zone=TimeZone.parse("UTC"), highlighter=Highlighter(["[a-z]"]))
    shown, _ = _shown(style, Message("line", pod=text, container=text, timestamp=text, log=text))
    assert not _OBEYED.search(_without_colours(shown))
