from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tornado.iostream import IOStream

from handlers.doorway import Doorway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.doorway import Serve


class Served:
    """Notes what connections were served, and by the first bytes of which."""

    def __init__(self) -> None:
        self.glimpses: list[bytes] = []
        self.addresses: list[object] = []
        self.first = asyncio.Event()

    def server_for(self, said: bytes) -> Serve:
        self.glimpses.append(said)
        return self._serve

    def _serve(self, _stream: IOStream, address: object) -> None:
        self.addresses.append(address)
        self.first.set()


@contextmanager
def connection() -> Iterator[tuple[IOStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = IOStream(ours)
    with theirs:
        yield stream, theirs
    stream.close()


async def test_a_connection_that_has_spoken_is_served_at_once_and_nothing_of_it_is_taken() -> None:
    served = Served()
    with connection() as (stream, client):
        client.sendall(b"GET / HTTP/1.1")
        Doorway(10, served.server_for).wait(stream, "here")
        assert (served.glimpses, served.addresses) == ([b"GET / HTTP/1.1"], ["here"])
        assert await stream.read_bytes(14) == b"GET / HTTP/1.1"


async def test_a_silent_connection_is_served_once_it_speaks() -> None:
    served = Served()
    doorway = Doorway(10, served.server_for)
    with connection() as (stream, client):
        doorway.wait(stream, "here")
        assert (len(doorway), served.glimpses) == (1, [])
        client.sendall(b"P")
        await served.first.wait()
        assert (len(doorway), served.glimpses) == (0, [b"P"])


async def test_a_connection_that_says_nothing_in_time_is_closed() -> None:
    doorway = Doorway(0.01, Served().server_for)
    with connection() as (stream, client):
        doorway.wait(stream, "here")
        client.settimeout(0)
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        assert (len(doorway), stream.closed()) == (0, True)


async def test_a_connection_whose_client_goes_in_silence_is_closed() -> None:
    served = Served()
    doorway = Doorway(10, served.server_for)
    with connection() as (stream, client):
        closed = asyncio.Event()
        stream.set_close_callback(closed.set)
        doorway.wait(stream, "here")
        client.close()
        await closed.wait()
        assert (len(doorway), served.glimpses) == (0, [])


async def test_all_silent_connections_can_be_closed() -> None:
    doorway = Doorway(10, Served().server_for)
    with connection() as (one, _), connection() as (other, _):
        doorway.wait(one, "here")
        doorway.wait(other, "there")
        doorway.close()
        assert (one.closed(), other.closed(), len(doorway)) == (True, True, 0)
