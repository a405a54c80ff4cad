from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from handlers.throttle import LogThrottle

if TYPE_CHECKING:
    import pytest

    from tests.conftest import LiveServer


def test_a_kind_of_complaint_is_logged_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    throttle = LogThrottle(lambda: now)
    for _ in range(3):
        throttle.note("bad")
    throttle.note("other", 5)
    now += 60
    throttle.note("bad")
    assert caplog.messages == [
        "bad; since the last such line: 1",
        "other; since the last such line: 5",
        "bad; since the last such line: 3",
    ]


async def test_refused_and_skipped_records_leave_a_trace(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="logurt")
    response = await live.fetch("/_ingest/fluentbit", method="POST", body=b"[]")
    assert response.code == 401
    await live.ingest(json.dumps([{"log": "of nobody"}, {"log": "of nobody else"}]).encode())
    said = [message for message in caplog.messages if message.startswith("ingest")]
    assert said == [
        (
            "ingest: refused with 401, the Authorization header must be: Token <INGEST_SECRET>; "
            "since the last such line: 1"
        ),
        "ingest: records without text or namespace skipped; since the last such line: 2",
    ]
