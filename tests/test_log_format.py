from __future__ import annotations

import json
import logging
import sys

import pytest

from log_format import JsonFormatter, TextFormatter, log_event


def written(formatter: logging.Formatter, caplog: pytest.LogCaptureFixture) -> str:
    return formatter.format(caplog.records[-1])


def note(**fields: object) -> None:
    log_event(logging.getLogger("logurt"), logging.INFO, "reader left", **fields)


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
