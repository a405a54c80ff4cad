from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from cli import demo_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_lines import Record

    Writer = Callable[[random.Random], list[Record]]


def written(write: Writer) -> list[Record]:
    chance = random.Random(1)
    return [record for _ in range(200) for record in write(chance)]


@pytest.mark.parametrize("write", [demo_lines.web, demo_lines.leaving, demo_lines.arriving])
def test_the_web_server_writes_json_with_a_level(write: Writer) -> None:
    assert {json.loads(record.text)["level"] for record in written(write)} <= {"info", "warn", "error"}


def test_requests_come_with_all_levels() -> None:
    assert {json.loads(record.text)["level"] for record in written(demo_lines.web)} == {"info", "warn", "error"}


def test_a_stack_trace_of_python_is_one_line_and_one_of_java_is_several() -> None:
    assert any("Traceback" in text and "\n" in text for _, text in written(demo_lines.checkout))
    java = [text for _, text in written(demo_lines.search)]
    assert any(text.startswith("\tat ") for text in java)
    assert not any("\n" in text for text in java)


def test_payments_are_logfmt() -> None:
    levels = {text.split()[0] for _, text in written(demo_lines.payments)}
    assert levels == {"level=debug", "level=info", "level=warn"}


def test_jobs_have_colours_that_end_with_the_line() -> None:
    texts = [text for _, text in written(demo_lines.worker)]
    assert all("\x1b[" in text and text.count("\x1b[0m") >= 1 for text in texts)
    assert any("\x1b[38;5;" in text for text in texts)


def test_a_burst_has_a_hundred_lines_with_a_beginning_and_an_end() -> None:
    texts = [text for _, text in demo_lines.burst(random.Random(1))]
    assert (len(texts), texts[0], texts[-1]) == (120, "INFO  importing 120 prices", "INFO  done")


def test_housekeeping_is_plain() -> None:
    assert all("keys expired" in text for _, text in written(demo_lines.cache))
