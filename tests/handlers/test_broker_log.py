from __future__ import annotations

import logging

import pytest

from buffer.broker import MemoryBroker
from handlers.broker_log import BrokerLog


@pytest.mark.logs
def test_a_change_of_the_brokers_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    broker = MemoryBroker()
    watch = BrokerLog(broker)
    for problem, weakness in [
        ("", ""),
        ("it has gone", ""),
        ("it has gone far", ""),
        ("", "the disk is full"),
        ("", "the disk is full"),
        ("", ""),
    ]:
        broker.problem, broker.weakness = problem, weakness
        watch.look()
    assert [record.getMessage() for record in caplog.records] == [
        "no logs are taken, and senders have to come again: it has gone",
        "logs are taken again",
        "the broker is not all well: the disk is full",
        "the broker is well again",
    ]
