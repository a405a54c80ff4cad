from __future__ import annotations

import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_format import JsonFormatter, TextFormatter, log_event


def written(formatter: logging.Formatter, caplog: pytest.LogCaptureFixture) -> str:
    return formatter.format(caplog.records[-1])


def note(**fields: object) -> None:
    log_event(logging.getLogger("logurt"), logging.INFO, "reader left", **fields)


def record(event: str, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "logurt", "levelname": "INFO", "msg": event, "fields": fields})


def is_safe(character: str) -> bool:
    """Tell whether a character neither ends a line, nor is obeyed by a terminal, nor reorders what stands beside it."""
    reorders = unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    is_mark = character in "\u061c\u200e\u200f"
    return not reorders and not is_mark and unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_text_names_each_fact(caplog: pytest.LogCaptureFixture) -> None:
    note(namespace="myapp", lines=3)
    assert written(TextFormatter(), caplog).endswith("INFO logurt: reader left namespace=myapp lines=3")


@pytest.mark.parametrize("value", ["a b", "x=1", 'say "hi"', "line\nline", "\x1b[31m", "a, b"])
def test_text_quotes_what_could_be_mistaken_for_something_else(caplog: pytest.LogCaptureFixture, value: str) -> None:
    note(namespace=value)
    line = written(TextFormatter(), caplog)
    assert json.loads(line.partition("namespace=")[2]) == value
    assert "\n" not in line


EVERY = [chr(number) for number in range(sys.maxunicode + 1)]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_no_character_of_a_value_or_an_event_can_forge_or_reorder_a_line(formatter: logging.Formatter) -> None:
    text = "".join(EVERY)
    line = formatter.format(record(text, namespace=text))
    assert [one for one in set(line) if not is_safe(one)] == []


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_what_is_safe_stays_readable(formatter: logging.Formatter) -> None:
    text = "".join(one for one in EVERY if is_safe(one) and one not in '"\\')
    line = formatter.format(record(text, namespace=text))
    assert line.count(text) == 2


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_can_be_read_back_whatever_it_holds(value: str) -> None:
    assert json.loads(JsonFormatter().format(record("read", namespace=value)))["namespace"] == value
    shown = TextFormatter().format(record("read", namespace=value)).partition("namespace=")[2]
    assert value == (json.loads(shown) if shown.startswith('"') else shown)


def test_a_traceback_keeps_its_lines_and_nothing_else_that_is_unsafe() -> None:
    def refuse(text: str) -> None:
        raise ValueError(text)

    try:
        refuse("\x9b31m\u202e\r")
    except ValueError:
        failed = logging.LogRecord("logurt", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    lines = TextFormatter().format(failed).split("\n")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == r"ValueError: \u009b31m\u202e\u000d"


def test_json_is_an_object_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    note(namespace="my\napp", lines=3)
    line = written(JsonFormatter(), caplog)
    entry = json.loads(line)
    assert (entry["level"], entry["event"], entry["namespace"], entry["lines"]) == ("info", "reader left", "my\napp", 3)
    assert "\n" not in line


def test_facts_that_are_not_there_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    note(sub=None, pod="", lines=0)
    assert written(TextFormatter(), caplog).endswith("reader left lines=0")


def test_json_has_the_traceback_of_an_error() -> None:
    try:
        int("broken")
    except ValueError:
        record = logging.LogRecord("logurt", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    assert "ValueError: invalid" in json.loads(JsonFormatter().format(record))["error"]


def test_a_level_that_is_off_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    note(namespace="myapp")
    assert not caplog.records
