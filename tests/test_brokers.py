from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tornado.testing import bind_unused_port

from brokers import make_storage
from buffer.broker import MemoryBroker
from buffer.disk import DiskBroker
from buffer.jetstream.broker import JetStreamBroker
from handlers.logs import LogsHandler
from server import Server
from settings import Settings, SettingsError, from_mapping
from tests.conftest import API_SECRET, INGEST_SECRET, JWT_SIGNING_KEY, Clock, LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tornado.ioloop import IOLoop

    from benchmarks.cluster.nats_server import NatsServer


def settings(**given: Any) -> Settings:
    return Settings(
        api_secret=API_SECRET, ingest_secret=INGEST_SECRET, jwt_signing_key=JWT_SIGNING_KEY, drain_seconds=0, **given
    )


async def test_lines_are_kept_in_memory_unless_something_else_is_set(tmp_path: Path) -> None:
    made = [
        make_storage(settings(**given), time.time, report=pytest.fail).broker
        for given in ({}, {"data_dir": str(tmp_path)}, {"nats_url": ("nats://127.0.0.1:1",)})
    ]
    assert [type(broker) for broker in made] == [MemoryBroker, DiskBroker, JetStreamBroker]


def test_lines_are_kept_in_one_place() -> None:
    secrets = {"API_SECRET": API_SECRET, "JWT_SIGNING_KEY": JWT_SIGNING_KEY}
    with pytest.raises(SettingsError) as raised:
        from_mapping(secrets | {"DATA_DIR": "/data", "NATS_URL": "nats://a"})
    assert raised.value.problems == ("DATA_DIR and NATS_URL must not both be set: lines are kept in one place",)


@pytest.fixture
def replicas(io_loop: IOLoop, nats: NatsServer, stream: str) -> Iterator[list[LiveServer]]:
    """Two servers that share a stream."""

    async def start() -> LiveServer:
        listening, port = bind_unused_port(address="127.0.0.1")
        clock = Clock()
        given = settings(nats_url=(nats.url,), nats_stream=stream, nats_max_gib=1)
        server = Server(given, now=clock.now, monotonic=clock.monotonic)
        await server.start([listening])
        return LiveServer(server, clock, port)

    started = [io_loop.run_sync(start) for _ in range(2)]
    yield started
    for one in started:
        one.close()
        io_loop.run_sync(one.server.stop)


async def test_a_reader_goes_on_at_another_replica_with_the_next_line(replicas: list[LiveServer]) -> None:
    a, b = replicas
    token = await a.sign()
    await a.write("one", "two")
    reader = await b.read(token, "format=json&tail=all")
    lines = [json.loads(str(await reader.read_message())) for _ in range(2)]
    assert [line["log"] for line in lines] == ["one", "two"]
    reader.close()
    await b.write("three")
    reader = await a.read(token, f"format=json&cursor={lines[0]['cursor']}")
    assert [json.loads(str(await reader.read_message())).get("log") for _ in range(2)] == ["two", "three"]
    assert json.loads(str(await reader.read_message())) == {"type": "live"}
    await b.write("four")
    assert json.loads(str(await reader.read_message()))["log"] == "four"
    reader.close()


async def test_a_body_that_comes_again_at_another_replica_is_stored_once(replicas: list[LiveServer]) -> None:
    a, b = replicas
    kubernetes = {"namespace_name": "myapp", "pod_name": "web-0", "container_name": "app"}
    body = json.dumps([{"time": "2025-11-22T08:15:01Z", "log": "one", "kubernetes": kubernetes}]).encode()
    await a.ingest(body, Fluent_Tag="kube.web")
    await b.ingest(body, Fluent_Tag="kube.web")
    await b.ingest(body, Fluent_Tag="kube.other")
    lines = await a.fetch(f"/logs?tail=all&follow=false&token={await b.sign()}")
    assert lines.body == b"one\none\n"


async def test_the_sources_of_a_namespace_are_known_everywhere(replicas: list[LiveServer]) -> None:
    a, b = replicas
    await a.write("one", pod="web-7")
    response = await b.fetch("/api/sources", headers={"Authorization": f"Bearer {await b.sign()}"})
    assert [one["pod"] for one in json.loads(response.body)["sources"]] == ["web-7"]


async def test_readers_are_not_left_to_tornado_for_having_to_wait_for_the_broker(
    replicas: list[LiveServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = replicas
    await a.write("one")
    token = await b.sign()
    monkeypatch.setattr(LogsHandler, "get", None)
    for _ in range(2):
        reader = await b.read(token, "tail=1")
        assert await reader.read_message() == "one"
        reader.close()
