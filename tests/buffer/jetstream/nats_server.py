"""The nats-server that all tests share, and a stream of its own for each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

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


@pytest.fixture
def stream() -> str:
    """The name of a stream that nobody else uses."""
    return f"TEST{next(_NUMBERS)}"
