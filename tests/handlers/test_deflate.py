"""permessage-deflate between the server and clients of all kinds."""

from __future__ import annotations

import asyncio
import json
import os
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate

from delivery.deflate import Deflate
from handlers.deflate import agree
from tests.handlers.peers import CLOSE, TEXT, client_frame, nobody_is_left, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

pytestmark = pytest.mark.usefixtures("way_in")

LINES = [f"{number} GET /products/{number % 7} HTTP/1.1 200" for number in range(200)]
OFFER = "permessage-deflate"


@pytest.mark.parametrize(
    ("offered", "deflate", "answer"),
    [
        ("", Deflate(), ""),
        ("; client_no_context_takeover", Deflate(), ""),
        ("; client_max_window_bits", Deflate(), ""),
        ("; client_max_window_bits=8", Deflate(), ""),
        (";server_no_context_takeover", Deflate(keeps_window=False), "; server_no_context_takeover"),
        ("; server_max_window_bits=10", Deflate(10), "; server_max_window_bits=10"),
        ('; server_max_window_bits="15"', Deflate(15), "; server_max_window_bits=15"),
        (
            " ; SERVER_MAX_WINDOW_BITS = 9 ; server_no_context_takeover; client_max_window_bits=15",
            Deflate(9, keeps_window=False),
            "; server_no_context_takeover; server_max_window_bits=9",
        ),
    ],
)
def test_an_offer_is_taken_with_the_parameters_that_it_has(offered: str, deflate: Deflate, answer: str) -> None:
    agreed = agree([OFFER + offered])
    assert agreed == (deflate, f"{OFFER}; client_no_context_takeover{answer}")


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "foo",
        "permessage-bzip2",
        "permessage-deflate; what",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=-9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8",  # which no library writes
        "permessage-deflate; ",
        ";;;===,,,",
    ],
)
def test_other_offers_are_declined(offered: str) -> None:
    assert agree([offered] if offered else []) is None


def test_the_first_offer_that_can_be_taken_is() -> None:
    one, other = "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=11"
    agreed = agree([f"foo, {one}", f"{other}, permessage-deflate"])
    assert agreed is not None
    assert agreed.deflate == Deflate(11)


def test_no_more_than_a_few_offers_are_looked_at() -> None:
    assert agree(["foo," * 16 + OFFER]) is None


def url(live: LiveServer, token: str, query: str) -> str:
    return f"ws://127.0.0.1:{live.port}/logs?token={token}&tail=all&{query}"


@pytest.mark.parametrize("query", ["", "batch=true", "format=json", "format=json&batch=true"])
@pytest.mark.parametrize(
    "offer",
    [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(client_max_window_bits=True),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
        ClientPerMessageDeflateFactory(server_max_window_bits=9),
    ],
)
async def test_a_client_of_another_library_reads_every_line_whatever_it_offers(
    live: LiveServer, offer: ClientPerMessageDeflateFactory, query: str
) -> None:
    await live.write(*LINES[:100])
    seen = list[str]()
    async with websockets.connect(url(live, await live.sign(), query), extensions=[offer], max_size=None) as client:
        await live.write(*LINES[100:150])
        await live.write(*LINES[150:])
        while len(seen) < len(LINES):
            async with asyncio.timeout(5):
                messages = str(await client.recv()).split("\n")
            decoded = [json.loads(message) for message in messages] if "json" in query else []
            seen += [one["log"] for one in decoded if one["type"] == "line"] if decoded else messages
    assert seen == LINES
    await until(lambda: nobody_is_left(live))


@pytest.mark.parametrize("query", ["", "batch=true"])
@pytest.mark.parametrize(
    ("offers", "agreed"),
    [
        ([{}], Deflate()),
        ([{"server_no_context_takeover": True}], Deflate(keeps_window=False)),
        ([{"server_max_window_bits": 9}], Deflate(9)),
        ([{"server_max_window_bits": 15}], Deflate(15)),
        ([{"server_no_context_takeover": True, "server_max_window_bits": 9}], Deflate(9, keeps_window=False)),
        ([{"server_no_context_takeover": True, "server_max_window_bits": 15}], Deflate(15, keeps_window=False)),
        ([{"server_max_window_bits": 8}, {"server_max_window_bits": 12}, {}], Deflate(12)),
    ],
)
async def test_a_client_reads_messages_of_any_length_and_sends_one_in_fragments_whatever_is_agreed_on(
    live: LiveServer, offers: list[dict[str, Any]], agreed: Deflate, query: str
) -> None:
    texts = "; ".join(LINES) * 30, os.urandom(65536).hex()
    lines = [text[: 16 << shift] for shift in range(14) for text in texts]
    extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True, **offer) for offer in offers]
    address = url(live, await live.sign(expires_in=60), query)

    async def in_fragments(message: str) -> None:
        await client.send(message[start : start + 16] for start in range(0, len(message), 16))

    async with websockets.connect(address, extensions=extensions, max_size=None) as client:
        [known] = client.protocol.extensions
        assert isinstance(known, PerMessageDeflate)
        assert Deflate(known.remote_max_window_bits, not known.remote_no_context_takeover) == agreed
        for seconds in (600, 1200):
            await live.write(*lines)
            assert await read(client, len(lines)) == lines
            await renewed(live, in_fragments, seconds)
    await until(lambda: nobody_is_left(live))


async def read(client: ClientConnection, count: int) -> list[str]:
    """So many lines, in as many messages as they come in."""
    lines = list[str]()
    async with asyncio.timeout(5):
        while len(lines) < count:
            lines += str(await client.recv()).split("\n")
    return lines


async def test_readers_of_one_view_with_and_without_compression_get_the_same(live: LiveServer) -> None:
    await live.write(*LINES)
    for compression in ("deflate", None, "deflate"):
        async with websockets.connect(url(live, await live.sign(), "follow=false"), compression=compression) as client:
            assert [message async for message in client] == LINES


async def test_a_client_that_offers_nothing_gets_no_extension(live: LiveServer, connect: Connect) -> None:
    assert "Extensions" not in await connect().upgrade(await live.sign())
    head = await connect().upgrade(await live.sign(), Sec_WebSocket_Extensions="foo; bar=1")
    assert "Extensions" not in head


async def compressed(peer: Peer, payload: bytes) -> None:
    """Have a client send a message that is compressed, or claims to be."""
    await peer.send(client_frame(TEXT, payload, compressed=True))


@pytest.mark.parametrize("ending", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])  # RFC 7692, 7.2.1 and 7.2.3.5
async def test_a_token_may_be_renewed_in_messages_that_are_compressed_each_by_itself(
    live: LiveServer, connect: Connect, ending: int
) -> None:
    peer = connect()
    await peer.upgrade(await live.sign(expires_in=60), Sec_WebSocket_Extensions=OFFER)

    async def send(message: str) -> None:
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(message.encode()) + deflater.flush(ending)
        await compressed(peer, data + b"\0" if ending == zlib.Z_FINISH else data[:-4])

    for seconds in (600, 1200):
        await renewed(live, send, seconds)


async def renewed(live: LiveServer, send: Callable[[str], Awaitable[None]], seconds: int) -> None:
    """Have the only reader renew its token."""
    [session] = live.services.sessions
    before = session.expires_at
    await send(json.dumps({"token": await live.sign(expires_in=seconds)}))
    await until(lambda: session.expires_at > before)


async def test_an_idle_reader_takes_no_more_memory_for_being_able_to_compress(
    live: LiveServer, connect: Connect
) -> None:
    async def taken_by_ten(**headers: str) -> int:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10):
            await connect().upgrade(await live.sign(), **headers)
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    await taken_by_ten()  # what only the first readers need does not count
    plain, deflating = await taken_by_ten(), await taken_by_ten(Sec_WebSocket_Extensions=OFFER)
    tracemalloc.stop()
    assert deflating < plain + 10 * 10_000


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"not deflate"])
async def test_a_message_that_cannot_be_inflated_ends_the_connection(
    live: LiveServer, connect: Connect, payload: bytes
) -> None:
    peer = connect()
    await peer.upgrade(await live.sign(), Sec_WebSocket_Extensions=OFFER)
    await compressed(peer, payload)
    assert (await peer.frame()).close_code == 1007
    assert await peer.rest() == b""
    await until(lambda: nobody_is_left(live))


async def test_a_message_that_inflates_beyond_its_bound_is_not_inflated(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await peer.upgrade(await live.sign(), Sec_WebSocket_Extensions=OFFER)
    deflater = zlib.compressobj(9, wbits=-15)
    await compressed(peer, (deflater.compress(b" " * (10 << 20)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4])
    frame = await peer.frame()
    assert (frame.opcode, frame.close_code) == (CLOSE, 1009)
    await until(lambda: nobody_is_left(live))


async def test_without_an_agreement_a_compressed_message_ends_the_connection(
    live: LiveServer, connect: Connect
) -> None:
    peer = connect()
    await peer.upgrade(await live.sign())
    await compressed(peer, b"\x02\x00")
    assert (await peer.frame()).close_code == 1002
    assert await peer.rest() == b""
    await until(lambda: nobody_is_left(live))
