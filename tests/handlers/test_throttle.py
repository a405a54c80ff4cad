from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from handlers.throttle import LogThrottle

if TYPE_CHECKING:
    from tests.conftest import LiveServer


@pytest.mark.logs
def test_a_kind_of_complaint_is_logged_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    throttle = LogThrottle(lambda: now)
    for _ in range(3):
        throttle.note("bad")
    throttle.note("other", 5, level=logging.WARNING, client="10.0.0.1")
    now += 60
    throttle.note("bad")
    assert [(record.levelname, record.getMessage(), vars(record)["fields"]) for record in caplog.records] == [
        ("INFO", "bad", {"count": 1}),
        ("WARNING", "other", {"count": 5, "client": "10.0.0.1"}),
        ("INFO", "bad", {"count": 3}),
    ]


def test_a_burst_is_logged_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    throttle = LogThrottle(lambda: now)
    for number in range(5):
        throttle.note("bad", burst=3, number=number)
    now += 60
    throttle.note("bad", burst=3, number=5)
    told = [(vars(one)["fields"]["number"], vars(one)["fields"]["count"]) for one in caplog.records]
    assert told == [(0, 1), (1, 1), (2, 1), (5, 3)]


@pytest.mark.logs
async def test_refused_and_skipped_records_leave_a_trace(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="logurt")
    response = await live.fetch("/_ingest/fluentbit", method="POST", body=b"[]")
    assert response.code == 401
    await live.ingest(json.dumps([{"log": "of nobody"}, {"log": "of nobody else"}]).encode())
    told = [(one.levelname, one.getMessage(), vars(one)["fields"]["count"]) for one in caplog.records]
    assert told == [
        ("WARNING", "ingest refused: Fluent Bit drops these lines for good", 1),
        ("INFO", "records without text or namespace skipped", 2),
    ]
