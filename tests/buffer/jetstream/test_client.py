from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from buffer.jetstream.client import DirectClient, end_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

    from benchmarks.cluster.nats_server import NatsServer


async def connected(nats: NatsServer, handlers: dict[str, Callable[[Msg], None]]) -> tuple[DirectClient, asyncio.Event]:
    client, lost = DirectClient(handlers), asyncio.Event()

    async def note_lost() -> None:
        lost.set()

    async def note_error(_: Exception) -> None:
        pass

    await client.connect(nats.url, allow_reconnect=False, disconnected_cb=note_lost, error_cb=note_error)
    return client, lost


async def test_a_task_that_misses_that_it_was_cancelled_is_cancelled_again() -> None:
    missed = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            missed.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_task(task)
    assert missed.is_set()
    assert task.cancelled()


async def test_a_task_that_is_over_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0, "result"))
    await task
    await end_task(task)
    assert task.result() == "result"


async def test_what_is_written_is_sent_whole_and_after_what_it_is_for(nats: NatsServer) -> None:
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    client, _ = await connected(nats, {"written": heard.put_nowait})
    await client.subscribe("written")
    client.write([b"PUB written 3\r\none\r\n", b"PUB written 3\r\ntwo\r\n"])
    assert [(await heard.get()).data, (await heard.get()).data] == [b"one", b"two"]
    await client.end()


async def test_messages_of_subjects_without_a_handler_are_dropped(nats: NatsServer) -> None:
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    client, _ = await connected(nats, {"written": heard.put_nowait})
    await client.subscribe("unhandled")
    await client.subscribe("written")
    client.write([b"PUB unhandled 3\r\none\r\n", b"PUB written 3\r\ntwo\r\n"])
    assert (await heard.get()).data == b"two"
    assert heard.empty()
    await client.end()


async def test_a_client_that_is_cut_off_notices(nats: NatsServer) -> None:
    client, lost = await connected(nats, {})
    client.abort()
    await lost.wait()
    assert not client.is_connected
    await client.end()


async def test_a_client_that_never_connected_ends() -> None:
    client = DirectClient({})
    client.abort()
    client.write([b"PING\r\n"])
    await client.end()
