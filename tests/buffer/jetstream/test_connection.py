from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from buffer.jetstream.connection import Connection, Servers
from tests.buffer.jetstream.nats_server import NatsServer, free_ports
from tests.buffer.jetstream.proxy import Proxy

if TYPE_CHECKING:
    import pytest
    from nats.aio.msg import Msg


async def opened(*urls: str) -> tuple[Connection, asyncio.Event]:
    made = asyncio.Event()
    connection = Connection(Servers(urls), made.set)
    await connection.open(5)
    return connection, made


async def test_a_question_that_nobody_takes_has_an_empty_answer(nats: NatsServer) -> None:
    connection, _ = await opened(nats.url)
    msg = await connection.ask("nobody.is.there", b"", 5)
    assert msg is not None
    assert (msg.data, (msg.headers or {}).get("Status")) == (b"", "503")
    await connection.close()


async def test_what_is_heard_is_heard_again_on_the_next_connection(nats: NatsServer) -> None:
    proxy = Proxy(nats.port)
    await proxy.start()
    connection, made = await opened(proxy.url)
    other, _ = await opened(nats.url)
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    connection.hear("some.subject", heard.put_nowait)
    await connection.ask("flush", b"", 5)
    other.tell("some.subject", b"one")
    assert (await heard.get()).data == b"one"
    made.clear()
    proxy.cut()
    await made.wait()
    await connection.ask("flush", b"", 5)
    other.tell("some.subject", b"two")
    assert (await heard.get()).data == b"two"
    connection.unhear("some.subject")
    await connection.ask("flush", b"", 5)
    other.tell("some.subject", b"three")
    await other.ask("flush", b"", 5)
    assert heard.empty()
    assert connection.connects == 2
    await connection.close()
    await other.close()
    await proxy.close()


async def test_a_connection_that_is_cut_is_made_to_another_server(
    nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frozen = NatsServer(tmp_path_factory.mktemp("nats"), free_ports(1)[0])
    frozen.start()
    connection, made = await opened(frozen.url, nats.url)
    frozen.signal(signal.SIGSTOP)
    for _ in range(3):  # whichever it is connected to, it comes to the one that answers
        made.clear()
        connection.cut()
        await made.wait()
        assert await connection.ask("anything", b"", 2) is not None
        if connection.connects > 2:
            break
    frozen.signal(signal.SIGCONT)
    await connection.close()
    frozen.kill()


async def test_a_server_that_takes_nothing_any_more_is_left_however_much_is_to_be_sent(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    frozen = NatsServer(tmp_path_factory.mktemp("nats"), free_ports(1)[0])
    frozen.start()
    connection, made = await opened(frozen.url)
    frozen.signal(signal.SIGSTOP)
    for _ in range(100):
        connection.tell("anything", bytes(200_000))
    await asyncio.sleep(0)
    made.clear()
    connection.cut()
    frozen.signal(signal.SIGCONT)
    async with asyncio.timeout(5):
        await made.wait()
    await connection.close()
    frozen.kill()


async def test_without_a_server_nothing_is_sent_and_the_reason_is_known() -> None:
    connection, _ = await opened_briefly("nats://127.0.0.1:1")
    assert not connection.is_up
    assert "Connect call failed" in connection.last_error
    assert await connection.ask("anything", b"", 0.05) is None
    connection.cut()
    await connection.close()


async def opened_briefly(url: str) -> tuple[Connection, None]:
    connection = Connection(Servers([url]), lambda: None)
    await connection.open(0.2)
    return connection, None
