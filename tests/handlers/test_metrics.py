from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from handlers.metrics import METRICS
from tests.handlers.peers import until, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

TIMED = {"log": "one", "time": "2025-11-22T08:15:01Z", "kubernetes": {"namespace_name": "myapp", "pod_name": "p"}}


async def scraped(live: LiveServer) -> dict[str, float]:
    """Return all samples by their name and label values, as Prometheus reads them."""
    response = await live.fetch("/metrics")
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.body.decode())
        for sample in family.samples
    }


async def test_prometheus_finds_every_metric(live: LiveServer) -> None:
    response = await live.fetch("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(response.body.decode())}
    assert {(one.name, one.kind, one.meaning) for one in METRICS} <= {
        (family.name, family.type, family.documentation) for family in families.values()
    }
    assert "process_resident_memory_bytes" in families


@with_settings(duplicate_window_seconds=120)
async def test_what_comes_in_is_counted(live: LiveServer) -> None:
    body = json.dumps([TIMED, TIMED | {"kubernetes": None}]).encode()
    await live.ingest(body)
    await live.ingest(body)
    refused = await live.fetch("/_ingest/fluentbit", method="POST", body=body)
    samples = await scraped(live)
    assert refused.code == 401
    assert {
        name: samples[f"logurt_ingest_{name}"]
        for name in ("records_total", "skipped_total", "duplicates_total", "bytes_total", "requests_total 200")
    } == {
        "records_total": 1,
        "skipped_total": 1,
        "duplicates_total": 1,
        "bytes_total": 2 * len(body),
        "requests_total 200": 2,
    }
    assert samples["logurt_ingest_requests_total 401"] == 1
    assert samples["logurt_ingest_seconds_count"] >= 2


async def test_what_is_held_and_what_has_left_is_counted(live: LiveServer) -> None:
    await live.write("one", "two")
    samples = await scraped(live)
    assert [samples[f"logurt_{name}"] for name in ("namespaces", "sources", "lines")] == [1, 1, 2]
    live.services.hub.expire(float("inf"))
    samples = await scraped(live)
    assert [samples[f"logurt_{name}"] for name in ("lines", "bytes", "lines_expired_total")] == [0, 0, 2]


async def test_readers_are_counted_by_transport_and_why_they_left(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    await live.write("hello")
    peer = connect()
    await peer.upgrade(await live.sign())
    assert (await peer.frame()).payload == b"hello"
    samples = await scraped(live)
    assert (samples["logurt_readers WebSocket"], samples["logurt_sent_bytes_total"]) == (1, 7)
    peer.close()
    await until(lambda: not len(live.services.sessions))
    samples = await scraped(live)
    assert (samples["logurt_readers_left_total the client has gone"], samples["logurt_sent_bytes_total"]) == (1, 7)


async def test_lines_are_counted_once_they_are_written_and_still_when_their_readers_have_left(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    await live.write("backlog")
    peers = [connect(), connect()]
    token = await live.sign()
    for peer in peers:
        await peer.upgrade(token)
        assert (await peer.frame()).payload == b"backlog"
    await until(lambda: all(session.is_live for session in live.services.sessions))
    await live.write("one", "two")
    for peer in peers:
        assert [(await peer.frame()).payload for _ in range(2)] == [b"one", b"two"]
    assert (await scraped(live))["logurt_lines_delivered_total"] == 6
    peers[0].close()
    await until(lambda: len(live.services.sessions) == 1)
    assert (await scraped(live))["logurt_lines_delivered_total"] == 6


async def test_signed_tokens_and_refusals_are_counted(live: LiveServer) -> None:
    token = await live.sign()
    await live.fetch(f"/logs?token={token}&tail=x")
    samples = await scraped(live)
    assert (samples["logurt_tokens_signed_total"], samples["logurt_refusals_total /logs 400"]) == (1, 1)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
async def test_the_format_is_the_one_that_is_asked_for(live: LiveServer, accept: str) -> None:
    response = await live.fetch("/metrics", headers={"Accept": accept})
    assert ("openmetrics" in response.headers["Content-Type"]) == bool(accept)


async def test_no_series_names_what_is_served(live: LiveServer) -> None:
    await live.write("one", namespace="secret-namespace", pod="secret-pod")
    await live.fetch("/secret-path")
    assert b"secret" not in (await live.fetch("/metrics")).body


async def test_gaps_and_the_lines_that_are_lost_are_counted_by_reason(live: LiveServer) -> None:
    await live.write("one", "two")
    token = await live.sign()
    response = await live.fetch(f"/logs?token={token}&follow=false&cursor=another-1-0")
    samples = await scraped(live)
    assert response.body.startswith(b"[logurt] an unknown number of lines lost")
    assert (samples["logurt_gaps_total restarted"], samples["logurt_lines_lost_total restarted"]) == (1, 0)


async def test_the_time_until_lines_are_written_is_counted(live: LiveServer, connect: Callable[..., Peer]) -> None:
    peer = connect()
    await peer.upgrade(await live.sign())
    await until(lambda: all(session.is_live for session in live.services.sessions))
    await live.write("hello")
    assert (await peer.frame()).payload == b"hello"
    assert (await scraped(live))["logurt_delivery_seconds_count"] >= 1
