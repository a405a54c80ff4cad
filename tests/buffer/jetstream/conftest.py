from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.cluster.nats_server import NatsServer
from benchmarks.cluster.processes import free_ports
from buffer.jetstream.connection import Connection, Servers
from tests.buffer.jetstream.doubles import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop


@pytest.fixture
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server that one test may kill, or start again."""
    server = NatsServer(tmp_path_factory.mktemp("nats"), free_ports(1)[0])
    server.start()
    yield server
    server.kill()


@pytest.fixture
def connection(io_loop: IOLoop, nats: NatsServer) -> Iterator[Connection]:
    """A connection to the server that all tests share."""

    async def opened() -> Connection:
        connection = Connection(Servers([nats.url]), lambda: None)
        await connection.open(5)
        return connection

    made: Connection = io_loop.run_sync(opened)
    yield made
    io_loop.run_sync(made.close)


@pytest.fixture
def replicas(io_loop: IOLoop, nats: NatsServer, stream: str) -> Iterator[Replicas]:
    """Brokers of one stream, on one server; all are closed in the end."""
    made = Replicas(nats.url, stream)
    yield made
    io_loop.run_sync(made.close)
