from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

import pytest

from handlers import tcp
from tests.handlers.peers import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection, that of the server first."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as theirs,
        listening.accept()[0] as ours,
    ):
        yield ours, theirs


@pytest.fixture
def ours(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    return ends[0]


@pytest.fixture
def theirs(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    return ends[1]


def test_a_connection_that_is_kept_alive_ends_two_minutes_after_its_peer_has_vanished(ours: socket.socket) -> None:
    tcp.keep_alive(ours)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    silence, between, questions = (
        ours.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert silence + between * questions == 120


def test_keeping_alive_makes_do_with_the_options_that_the_system_has(
    ours: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    tcp.keep_alive(ours)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4


async def test_what_the_peer_takes_leaves_the_queue_and_is_acknowledged(
    ours: socket.socket, theirs: socket.socket
) -> None:
    assert (tcp.send_queue(ours), tcp.acknowledged(ours)) == (0, 0)
    ours.sendall(b"hello")
    await until(lambda: tcp.send_queue(ours) == 0)
    assert tcp.acknowledged(ours) == len(theirs.recv(10)) == 5


async def test_what_the_peer_has_no_room_for_stays_in_the_queue(ours: socket.socket) -> None:
    ours.settimeout(0)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += ours.send(b"x" * 65536)
    await until(lambda: tcp.send_queue(ours) + tcp.acknowledged(ours) == sent)
    assert 0 < tcp.acknowledged(ours) < sent


def test_a_system_that_does_not_tell_has_acknowledged_nothing(
    ours: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_INFO")
    ours.sendall(b"hello")
    assert tcp.acknowledged(ours) == 0


def test_what_is_no_connection_cannot_be_asked() -> None:
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(OSError, match="not supported"):
        tcp.acknowledged(other)


async def test_what_has_come_and_has_not_been_received_is_counted(ours: socket.socket, theirs: socket.socket) -> None:
    assert tcp.receive_queue(ours) == 0
    theirs.sendall(b"hello")
    await until(lambda: tcp.receive_queue(ours) == 5)
    ours.recv(2)
    assert tcp.receive_queue(ours) == 3


def test_a_socket_is_readable_once_as_much_has_come_as_is_expected(ours: socket.socket, theirs: socket.socket) -> None:
    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN)
        tcp.expect(ours, 10)
        theirs.sendall(b"hello")
        assert epoll.poll(0.02) == []
        theirs.sendall(b"world")
        assert epoll.poll(5) == [(ours.fileno(), select.EPOLLIN)]
