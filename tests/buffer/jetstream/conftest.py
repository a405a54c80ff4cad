from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buffer.jetstream.connection import Connection, Servers
from tests.buffer.jetstream.doubles import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop

    from benchmarks.cluster.nats_server import NatsServer


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
