from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from benchmarks.attacks.crowd import answered, exchange, hang_up, held, storm
from benchmarks.server import BARE, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b"POST /receive HTTP/1.1\r\nHost: logurt\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def port() -> Iterator[int]:
    with Server(BARE) as server:
        yield server.port


def test_each_request_of_an_exchange_has_the_beginning_of_its_answer(port: int) -> None:
    assert [answer[:15] for answer in exchange(port, [REQUEST] * 3, 10.0)] == [b"HTTP/1.1 200 OK"] * 3


def test_an_exchange_ends_without_the_answers_that_do_not_come(port: int) -> None:
    assert exchange(port, [REQUEST, b"POST"], 0.2)[1] == b""


def test_a_storm_counts_its_answers(port: int) -> None:
    assert storm(port, REQUEST, connections=2, seconds=0.3) > 2


def test_held_connections_are_answered_and_stay(port: int) -> None:
    with held(port, [REQUEST.replace(b"close", b"keep-alive")] * 2) as sockets:
        assert answered(sockets, 10.0) == 2
        assert answered(sockets, 0.0) == 2


def test_a_connection_that_sends_nothing_is_not_answered(port: int) -> None:
    with held(port, [b""]) as sockets:
        assert answered(sockets, 0.05) == 0


def test_who_hangs_up_has_sent_everything() -> None:
    size = 3 << 20
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        received = threads.submit(_bytes_until_the_end, listening)
        hang_up(listening.getsockname()[1], [bytes(size)], 10.0)
        assert received.result(10.0) == size


def _bytes_until_the_end(listening: socket.socket) -> int:
    connected, _ = listening.accept()
    with connected:
        return sum(iter(lambda: len(connected.recv(1 << 16)), 0))
