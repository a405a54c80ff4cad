from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tornado.iostream import IOStream

from handlers.doorway import AT_ONCE, Doorway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.doorway import Serve


class Served:
    """Notes what connections were served, and by the first bytes of which."""

    def __init__(self) -> None:
        self.glimpses: list[bytes] = []
        self.addresses: list[object] = []
        self.first = asyncio.Event()

    def nobody(self, said: bytes) -> Serve | None:
        self.glimpses.append(said)
        return None

    def server(self, _said: bytes) -> Serve:
        return self.serve

    def serve(self, _stream: IOStream, address: object) -> None:
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
        Doorway(10, served.nobody, served.server).wait(stream, "here")
        assert (served.glimpses, served.addresses) == ([b"GET / HTTP/1.1"], ["here"])
        assert await stream.read_bytes(14) == b"GET / HTTP/1.1"


async def test_a_silent_connection_is_served_once_it_speaks() -> None:
    served = Served()
    doorway = Doorway(10, served.nobody, served.server)
    with connection() as (stream, client):
        doorway.wait(stream, "here")
        assert (len(doorway), served.glimpses) == (1, [])
        client.sendall(b"P")
        await served.first.wait()
        assert (len(doorway), served.glimpses) == (0, [b"P"])


async def test_a_connection_that_says_nothing_in_time_is_closed() -> None:
    doorway = Doorway(0.01, Served().nobody, Served().server)
    with connection() as (stream, client):
        doorway.wait(stream, "here")
        client.settimeout(0)
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        assert (len(doorway), stream.closed()) == (0, True)


async def test_a_connection_whose_client_goes_in_silence_is_closed() -> None:
    served = Served()
    doorway = Doorway(10, served.nobody, served.server)
    with connection() as (stream, client):
        closed = asyncio.Event()
        stream.set_close_callback(closed.set)
        doorway.wait(stream, "here")
        client.close()
        await closed.wait()
        assert (len(doorway), served.glimpses) == (0, [])


async def test_what_is_served_quickly_never_waits_for_what_is_not() -> None:
    slow, quick = Served(), Served()
    doorway = Doorway(10, lambda said: quick.serve if said == b"P" else None, slow.server)
    with ExitStack() as stack:
        for number, said in enumerate([b"G"] * 3 * AT_ONCE + [b"P"]):
            stream, client = stack.enter_context(connection())
            client.sendall(said)
            doorway.wait(stream, number)
        assert (quick.addresses, slow.addresses) == ([3 * AT_ONCE], [0])


async def test_of_many_that_speak_at_once_a_few_are_served_in_each_pass_in_order() -> None:
    served = Served()
    doorway = Doorway(10, served.nobody, served.server)
    with ExitStack() as stack:
        for number in range(3 * AT_ONCE + 1):
            stream, client = stack.enter_context(connection())
            client.sendall(b"G")
            doorway.wait(stream, number)
        counts = [len(served.addresses)]
        while len(doorway):
            await asyncio.sleep(0)
            counts.append(len(served.addresses))
        assert counts == [1, AT_ONCE + 1, 2 * AT_ONCE + 1, 3 * AT_ONCE + 1]
        assert served.addresses == [*range(3 * AT_ONCE + 1)]


async def test_those_that_wait_to_be_served_are_not_closed_for_being_silent() -> None:
    served = Served()
    doorway = Doorway(10, served.nobody, served.server)
    with ExitStack() as stack:
        for number in range(3):
            stream, client = stack.enter_context(connection())
            client.sendall(b"G")
            doorway.wait(stream, number)
        doorway.close()
        await doorway.over(5)
        assert served.addresses == [0, 1, 2]


async def test_all_silent_connections_can_be_closed() -> None:
    doorway = Doorway(10, Served().nobody, Served().server)
    with connection() as (one, _), connection() as (other, _):
        doorway.wait(one, "here")
        doorway.wait(other, "there")
        doorway.close()
        assert (one.closed(), other.closed(), len(doorway)) == (True, True, 0)
