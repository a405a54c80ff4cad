"""What is particular to the lane; that uploads through it are taken like others is in test_ingest.py."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tornado.iostream import IOStream

from handlers.lane import Lane
from handlers.routes import make_ingests
from tests.handlers.peers import let_timers_pass, until
from tests.handlers.uploads import STORED, backlog, upload
from tests.wire import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.conftest import LiveServer


async def test_a_herd_is_spread_over_many_passes_of_the_event_loop(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.pass_budget.PASS_SECONDS", 0.001)
    count, passes = 300, 0
    async with AsyncExitStack() as stack:
        herd = [await stack.enter_async_context(connected(live.port)) for _ in range(count)]
        for wire in herd:
            await wire.send(upload("x")[:-1])
        await until(lambda: len(live.services.inflight) == count)
        for wire in herd:
            wire.send_at_once(upload("x")[-1:])
        before = live.services.ingest.requests[200]
        while live.services.ingest.requests[200] < count:
            await asyncio.sleep(0)
            passes += live.services.ingest.requests[200] > before
            before = live.services.ingest.requests[200]
    assert passes > 3


async def test_the_heads_of_a_herd_are_spread_over_many_passes_of_the_event_loop_too(live: LiveServer) -> None:
    count, most, answered = 300, 0, live.services.ingest.requests
    async with AsyncExitStack() as stack:
        herd = [await stack.enter_async_context(connected(live.port)) for _ in range(count)]
        for wire in herd:
            wire.send_at_once(upload("x"))
        while answered[200] < count:
            await asyncio.sleep(0)
            most = max(most, len(live.services.inflight))
    assert most < 10


async def test_an_upload_on_a_new_connection_is_not_overtaken_by_a_later_one_on_an_old_one(live: LiveServer) -> None:
    tag = "Fluent-Tag: kube.web"
    async with connected(live.port) as old:
        for number in range(20):
            await old.send(upload(f"{number} before", tag))
            await old.answer()
            with socket.create_connection(("127.0.0.1", live.port)) as new:  # without a turn of the event loop
                new.sendall(upload(f"{number} new", tag))
                old.send_at_once(upload(f"{number} old", tag))
                assert (await old.answer()).json == STORED
                new.settimeout(0)
                await asyncio.get_running_loop().sock_recv(new, 4096)
    wanted = [f"{number} {which}" for number in range(20) for which in ("before", "new", "old")]
    assert await backlog(live) == wanted


@asynccontextmanager
async def lane_of(live: LiveServer) -> AsyncIterator[tuple[Lane, socket.socket]]:
    """A lane of its own, with one connection, whose kernel takes little until it is read."""
    ingests = make_ingests(live.services)
    lane = Lane(live.services, ingests, lambda *_: None, max_head=1000, idle_seconds=10, body_seconds=10)
    ours, theirs = socket.socketpair()
    with theirs:
        for one in (ours, theirs):
            one.setblocking(False)  # noqa: FBT003 - the standard library's signature
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        lane.accept(IOStream(ours), ("127.0.0.1", 1))
        yield lane, theirs
        await lane.close(0)
    assert not len(lane)


async def test_a_connection_that_a_stop_finds_before_it_has_begun_is_closed(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        lane.drain()
        await until(lambda: not len(lane))
        assert client.recv(1) == b""


async def deafen(live: LiveServer, client: socket.socket) -> int:
    """Send uploads until the kernel takes no more answers; return how many have been answered, that one included."""
    loop, answered = asyncio.get_running_loop(), live.services.ingest.requests
    for sent in range(1000):
        if answered[200] < sent:
            return answered[200]
        await loop.sock_sendall(client, upload("x"))
        for _ in range(10):
            await asyncio.sleep(0)
    raise AssertionError


async def take_all(client: socket.socket) -> bytes:
    loop, taken = asyncio.get_running_loop(), b""
    with suppress(ConnectionResetError):  # what it has sent has not been read
        while data := await loop.sock_recv(client, 65536):
            taken += data
    return taken


async def test_a_request_whose_answer_is_being_sent_is_not_in_flight_and_is_not_cut_short_by_a_stop(
    live: LiveServer,
) -> None:
    async with lane_of(live) as (lane, client):
        answered = await deafen(live, client)
        assert not len(live.services.inflight)
        live.services.sessions.stopping = True
        lane.drain()
        closed = asyncio.create_task(lane.close(60))
        assert (await take_all(client)).count(b"HTTP/1.1 ") == answered
        await asyncio.wait_for(closed, 10)


async def test_a_client_that_reads_no_answers_is_closed_when_a_stop_has_waited_for_it(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        await deafen(live, client)
        lane.drain()
        await asyncio.wait_for(lane.close(0.01), 10)
        assert not len(lane)


async def test_a_client_that_reads_no_answers_is_closed_after_a_while(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        await deafen(live, client)
        let_timers_pass(11)
        await until(lambda: not len(lane))


async def test_a_body_that_does_not_come_is_waited_for_by_a_stop_and_then_given_up(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        client.send(upload("x")[:-1])
        await until(lambda: len(live.services.inflight))
        lane.drain()
        closing = asyncio.create_task(lane.close(10))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        let_timers_pass(11)
        await asyncio.wait_for(closing, 10)
    assert (len(live.services.inflight), live.services.bodies.taken) == (0, 0)


async def test_a_body_that_comes_during_a_stop_is_answered(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        sent = upload("x")
        client.send(sent[:-1])
        await until(lambda: len(live.services.inflight))
        live.services.sessions.stopping = True
        lane.drain()
        closing = asyncio.create_task(lane.close(10))
        await asyncio.sleep(0)
        client.send(sent[-1:])
        await asyncio.wait_for(closing, 10)
        assert (await take_all(client)).startswith(b"HTTP/1.1 503 ")
