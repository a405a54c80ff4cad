"""The nats-server that all tests share, and a stream of its own for each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import pytest

from benchmarks.cluster.nats_server import NatsServer
from benchmarks.cluster.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server that all tests share; each has a stream of its own."""
    server = NatsServer(tmp_path_factory.mktemp("nats"), free_ports(1)[0])
    server.start()
    yield server
    server.kill()


class StartNats(Protocol):
    """Starts a nats-server, with lines of a configuration file, with or without JetStream."""

    def __call__(self, config: str = "", *, jetstream: bool = True) -> NatsServer: ...


@pytest.fixture
def start_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNats]:
    """Starts servers that one test has to itself; none outlives it."""
    servers: list[NatsServer] = []

    def start(config: str = "", *, jetstream: bool = True) -> NatsServer:
        folder = tmp_path_factory.mktemp("nats")
        servers.append(NatsServer(folder, free_ports(1)[0], config=config, jetstream=jetstream))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def own_nats(start_nats: StartNats) -> NatsServer:
    """A nats-server that one test may freeze, kill, or start again."""
    return start_nats()


@pytest.fixture
def stream() -> str:
    """The name of a stream that nobody else uses."""
    return f"TEST{next(_NUMBERS)}"
