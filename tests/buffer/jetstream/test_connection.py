from __future__ import annotations

import asyncio
import signal
import socket
import struct
from typing import TYPE_CHECKING

import nats as nats_py
import pytest
import trustme
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from buffer.broker import BrokerUnavailable
from buffer.jetstream.connection import Connection, Servers
from tests.buffer.jetstream.credentials import Operator
from tests.buffer.jetstream.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from nats.aio.msg import Msg

    from benchmarks.cluster.nats_server import NatsServer
    from tests.buffer.jetstream.nats_server import StartNats


async def opened(*urls: str) -> tuple[Connection, asyncio.Event]:
    made = asyncio.Event()
    connection = Connection(Servers(urls), made.set)
    await connection.open(5)
    return connection, made


def test_nats_py_has_what_is_used_of_it_although_it_is_not_public() -> None:
    assert vars(Client()).keys() >= {"_pending", "_pending_data_size", "_transport", "_reconnection_task"}
    assert "_io_writer" in vars(TcpTransport())  # type: ignore[no-untyped-call]


async def test_a_question_that_nobody_takes_has_an_empty_answer(nats: NatsServer) -> None:
    connection, _ = await opened(nats.url)
    msg = await connection.ask("nobody.is.there", b"", 5)
    assert msg is not None
    assert (msg.data, (msg.headers or {}).get("Status")) == (b"", "503")
    await connection.close()


async def test_a_question_that_got_lost_is_asked_again_and_all_else_is_sent_once(nats: NatsServer) -> None:
    connection, _ = await opened(nats.url)
    client, sent = await nats_py.connect(nats.url), list[bytes]()

    async def answer(msg: Msg) -> None:
        sent.append(msg.data)
        if msg.data != b"order" and (msg.data == b"ready?" or sent.count(msg.data) > 1):
            await msg.respond(b"an answer")

    async def ask(payload: bytes, seconds: float, *, is_question: bool = True) -> bytes | None:
        msg = await connection.ask("some.subject", payload, seconds, is_question=is_question)
        return None if msg is None else msg.data

    await client.subscribe("some.subject", cb=answer)
    while not await ask(b"ready?", 5):  # nobody takes it before the server knows of the subscription
        pass
    assert await ask(b"question", 60) == b"an answer"
    assert await ask(b"order", 0.6, is_question=False) is None
    assert sent.count(b"question") > 1
    assert sent.count(b"order") == 1
    await client.close()
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


async def test_headers_of_any_form_are_read(nats: NatsServer) -> None:
    connection, _ = await opened(nats.url)
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    connection.hear("some.subject", heard.put_nowait)
    await connection.ask("flush", b"", 5)
    client = await nats_py.connect(nats.url)
    await client.publish("some.subject", b"data", headers={"Nats-Msg-Id": "a:b", "Empty": "", "Wide": "  \u00fc "})
    await client.publish("some.subject", b"")
    await client.close()
    msg = await heard.get()
    assert (msg.subject, msg.data) == ("some.subject", b"data")
    assert msg.headers is not None
    assert (msg.headers["Nats-Msg-Id"], msg.headers["Empty"], msg.headers["Wide"]) == ("a:b", "", "\u00fc")
    assert (await heard.get()).headers is None
    await connection.close()


async def test_a_message_that_cannot_be_handled_ends_nothing(nats: NatsServer) -> None:
    connection, _ = await opened(nats.url)
    heard: asyncio.Queue[int] = asyncio.Queue()
    connection.hear("some.subject", lambda msg: heard.put_nowait(int(msg.data)))
    await connection.ask("flush", b"", 5)
    connection.tell("some.subject", b"no number")
    connection.tell("some.subject", b"7")
    assert await heard.get() == 7
    assert "no number" in connection.last_error
    assert connection.connects == 1
    await connection.close()


async def test_a_connection_that_is_cut_is_made_to_another_server(nats: NatsServer, own_nats: NatsServer) -> None:
    connection, made = await opened(own_nats.url, nats.url)
    own_nats.signal(signal.SIGSTOP)
    for _ in range(3):  # whichever it is connected to, it comes to the one that answers
        made.clear()
        connection.cut()
        await made.wait()
        assert await connection.ask("anything", b"", 2) is not None
        if connection.connects > 2:
            break
    own_nats.signal(signal.SIGCONT)
    await connection.close()


async def test_a_server_that_takes_nothing_any_more_is_left_however_much_is_to_be_sent(
    own_nats: NatsServer,
) -> None:
    connection, made = await opened(own_nats.url)
    own_nats.signal(signal.SIGSTOP)
    for _ in range(100):
        connection.tell("anything", bytes(200_000))
    await asyncio.sleep(0)
    made.clear()
    connection.cut()
    own_nats.signal(signal.SIGCONT)
    async with asyncio.timeout(5):
        await made.wait()
    await connection.close()


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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the file that NATS_CREDENTIALS names cannot be read: No such file or directory"),
        (b"\xff", "the file that NATS_CREDENTIALS names cannot be read: it is no text"),
        (b"hello", "the file that NATS_CREDENTIALS names holds no credentials of a NATS user"),
    ],
)
async def test_a_file_without_credentials_is_refused_at_once(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "user.creds"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BrokerUnavailable) as raised:
        await Connection(Servers(["nats://127.0.0.1:1"], str(path)), lambda: None).open(1)
    assert raised.value.problem == problem


async def test_a_server_that_wants_a_password_takes_the_one_in_the_url(start_nats: StartNats) -> None:
    server = start_nats('authorization { user: logurt, password: "s3cret" }', jetstream=False)
    connection, _ = await opened(f"nats://logurt:s3cret@127.0.0.1:{server.port}")
    assert connection.is_up
    await connection.close()
    await refused(f"nats://logurt:wrong@127.0.0.1:{server.port}")


async def refused(url: str, credentials: str = "") -> None:
    """Wait until a server has said why it refuses: it may do so only once, and reset the next connection."""
    connection = Connection(Servers([url], credentials), lambda: None)
    await connection.open(0.1)
    while "Authorization Violation" not in connection.last_error:  # noqa: ASYNC110 - nothing tells the test
        await asyncio.sleep(0.01)
    assert not connection.is_up
    await connection.close()


async def test_why_a_server_refuses_is_still_known_when_it_resets_the_next_connection() -> None:
    attempts: asyncio.Queue[None] = asyncio.Queue()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        await reader.readline()
        if attempts.empty():
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await writer.drain()
        else:
            never_lingers = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, never_lingers)
        writer.close()
        attempts.put_nowait(None)

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = Connection(Servers([f"nats://{host}:{port}"]), lambda: None)
    await connection.open(0)
    while attempts.qsize() < 4:  # noqa: ASYNC110 - each is made by nats-py
        await asyncio.sleep(0.01)
    assert "Authorization Violation" in connection.last_error
    await connection.close()
    server.close()
    await server.wait_closed()


async def test_a_server_that_wants_credentials_takes_those_of_a_file(tmp_path: Path, start_nats: StartNats) -> None:
    operator, path = Operator(), tmp_path / "user.creds"
    server = start_nats(operator.config, jetstream=False)
    path.write_text(operator.user())
    connection = Connection(Servers([server.url], str(path)), lambda: None)
    await connection.open(10)
    assert connection.is_up
    assert await connection.ask("anything", b"", 2) is not None
    await connection.close()
    path.write_text(Operator().user())
    await refused(server.url, str(path))


@pytest.mark.logs  # what asyncio says when TLS ends
async def test_a_server_with_tls_is_trusted_by_the_authorities_of_the_system(
    tmp_path: Path, start_nats: StartNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    pem = tmp_path / "server.pem"
    server = start_nats(f'tls {{ cert_file: "{pem}", key_file: "{pem}" }}', jetstream=False)
    url = f"tls://127.0.0.1:{server.port}"
    stranger, _ = await opened_briefly(url)
    assert not stranger.is_up
    await stranger.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    connection, _ = await opened(url)
    assert await connection.ask("anything", b"", 2) is not None
    await connection.close()
