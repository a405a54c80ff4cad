from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.conftest import LiveServer


async def test_healthz_answers_while_the_process_runs(live: LiveServer) -> None:
    response = await live.fetch("/healthz")
    assert (response.code, json.loads(response.body)) == (200, {"status": "alive"})


async def test_readyz_fails_once_the_server_is_stopping(live: LiveServer) -> None:
    assert (await live.fetch("/readyz")).code == 200
    live.services.sessions.stopping = True
    response = await live.fetch("/readyz")
    assert (response.code, json.loads(response.body)) == (503, {"error": "the server is stopping"})


async def test_readiness_for_ingest_is_lost_with_the_broker(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await live.fetch("/readyz/ingest")).code == 200
    monkeypatch.setattr(live.services.broker, "problem", "it has gone", raising=False)
    response = await live.fetch("/readyz/ingest")
    assert response.code == 503
    assert json.loads(response.body) == {"error": "the broker cannot take logs now", "problem": "it has gone"}
    assert (await live.fetch("/readyz")).code == 200
    live.services.sessions.stopping = True
    response = await live.fetch("/readyz/ingest")
    assert (response.code, json.loads(response.body)) == (503, {"error": "the server is stopping"})


async def test_readyz_says_what_the_broker_cannot_promise_and_stays_ready(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.services.broker, "weakness", "DATA_DIR takes no logs")
    response = await live.fetch("/readyz")
    expected = {"status": "ready", "weakness": "DATA_DIR takes no logs"}
    assert (response.code, json.loads(response.body)) == (200, expected)
    metrics = await live.fetch("/metrics")
    assert b"\nlogurt_broker_weak 1.0\n" in metrics.body
    assert b"\nlogurt_broker_unavailable 0.0\n" in metrics.body


async def test_a_written_line_reaches_a_reader(live: LiveServer) -> None:
    await live.write("hello")
    reader = await live.read(await live.sign())
    assert await reader.read_message() == "hello"
    reader.close()
    assert await reader.read_message() is None
