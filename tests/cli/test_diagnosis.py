from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from cli.address import Address
from cli.connection import connect
from cli.credential import Signer
from cli.diagnosis import diagnosed
from cli.errors import Failure, NoWebSocket, Refused, Unreachable, Untrusted, WrongScheme
from tests.cli.bystanders import Cutter, answering, changing, routed, saying, serving, silent, untrusted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import TypeAlias

    from tests.conftest import LiveServer

    Attempt: TypeAlias = Callable[[str], Coroutine[None, None, Failure]]

_ALIVE = answering("200 OK", b'{"status":"alive"}', "Content-Type: application/json")
_BAD_REQUEST = answering("400 Bad Request", b"<html>", "Content-Type: text/html")


async def _failure(address: Address, attempt: Coroutine[None, None, object]) -> Failure:
    """Return what a diagnosed attempt raises, within two seconds."""
    started = time.monotonic()
    with pytest.raises(Failure) as failed:
        await diagnosed(address, attempt)
    assert time.monotonic() - started < 2
    return failed.value


async def _read(url: str) -> Failure:
    address = Address(url)
    return await _failure(address, connect(address, "token", {}))


async def _sign(url: str) -> Failure:
    address = Address(url)
    return await _failure(address, Signer(address, "secret", {"namespace": "myapp"}).sign())


async def test_what_an_attempt_returns_is_returned() -> None:
    assert await diagnosed(Address("http://x"), asyncio.sleep(0, "result")) == "result"


@contextlib.asynccontextmanager
async def _speaking_tls(first: bytes) -> AsyncIterator[tuple[str, str]]:
    """Answer TLS with TLS, and the first connection with these bytes; give the right URL, and a wrong one."""
    connections = 0
    async with serving(silent, tls=untrusted()) as behind:
        through = Cutter(urlsplit(behind).port or 0, iter(lambda: 0, 1))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await (saying(first) if connections == 1 else through)(reader, writer)

        async with serving(answer) as url:
            yield url.replace("http:", "https:"), url


@pytest.mark.parametrize("attempt", [_read, _sign])
# Nothing, as many do; what nginx says; a TLS alert.
@pytest.mark.parametrize("answer", [b"", _BAD_REQUEST, b"\x15\x03\x03\x00\x02\x02\x46"])
async def test_plain_http_to_a_server_that_speaks_tls_is_named(answer: bytes, attempt: Attempt) -> None:
    async with _speaking_tls(answer) as (right, wrong):
        failure = await attempt(wrong)
    assert isinstance(failure, WrongScheme)
    assert (failure.url, failure.right) == (wrong, right)


@pytest.mark.parametrize("attempt", [_read, _sign])
async def test_plain_http_to_a_server_that_waits_for_tls_is_named(attempt: Attempt) -> None:
    async with serving(silent, tls=untrusted()) as right:
        failure = await attempt(right.replace("https:", "http:"))
    assert isinstance(failure, WrongScheme)


@pytest.mark.parametrize("attempt", [_read, _sign])
async def test_tls_to_a_server_that_speaks_plain_http_is_named(live: LiveServer, attempt: Attempt) -> None:
    failure = await attempt(live.url("", "https"))
    assert isinstance(failure, WrongScheme)
    assert failure.right == live.url("")


@pytest.mark.parametrize("attempt", [_read, _sign])
@pytest.mark.logs
async def test_what_speaks_neither_stays_unreachable(attempt: Attempt) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"x" * 200_000)
        await writer.drain()

    async with serving(babble) as url:
        assert isinstance(await attempt(url.replace("http:", "https:")), Unreachable)


@pytest.mark.logs
async def test_a_certificate_that_is_not_trusted_is_no_wrong_scheme() -> None:
    async with serving(saying(_BAD_REQUEST), tls=untrusted()) as url:
        assert isinstance(await _read(url), Untrusted)


async def test_a_server_that_refuses_a_handshake_in_tls_speaks_tls() -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure (RFC 5246, section 7.2)
        await writer.drain()

    async with serving(alert) as url:
        assert isinstance(await _read(url), WrongScheme)


async def test_nobody_listening_stays_unreachable() -> None:
    async with serving(silent) as url:
        pass
    assert isinstance(await _read(url), Unreachable)
    assert isinstance(await _read(url.replace("http:", "https:")), Unreachable)


@pytest.mark.parametrize(
    "status", ["200 OK", "400 Bad Request", "404 Not Found", "405 Not Allowed", "426 Upgrade Required"]
)
@pytest.mark.parametrize("body", [b"<html>", b'{"message": "no"}'])
async def test_a_proxy_without_websockets_is_distinguished_from_a_wrong_url(status: str, body: bytes) -> None:
    answer = answering(status, body)
    async with serving(routed({"/healthz": _ALIVE}, answer)) as proxy, serving(saying(answer)) as other:
        failures = [await _read(proxy), await _read(other)]
    assert [isinstance(failure, NoWebSocket) and failure.is_logurt for failure in failures] == [True, False]


# As nginx does by default: the server then answers with plain lines, without end.
@pytest.mark.parametrize("left_out", [b"Upgrade: websocket", b"Connection: Upgrade"])
async def test_a_proxy_that_leaves_out_what_asks_for_the_upgrade_is_named(live: LiveServer, left_out: bytes) -> None:
    async with serving(changing(live.port, left_out, b"X: x")) as url:
        address = Address(url)
        failure = await _failure(address, connect(address, await live.sign(), {"format": ["json"]}))
    assert isinstance(failure, NoWebSocket)
    assert failure.is_logurt


async def test_a_refusal_by_the_server_stays_what_it_is(live: LiveServer) -> None:
    failure = await _read(live.url(""))
    assert isinstance(failure, Refused)
    assert failure.reason == "the token is not a JWT signed with HS256"


async def test_a_server_that_is_slow_to_answer_is_waited_for() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.2)
        writer.write(answering("503 Not Now", b'{"error": "not now"}'))

    async with serving(late) as url:
        address = Address(url)
        with pytest.raises(Refused, match="not now"):
            await diagnosed(address, connect(address, "token", {}))
