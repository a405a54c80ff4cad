"""GET /logs in a content coding."""

from __future__ import annotations

import gzip
import shutil
import zlib
from asyncio.subprocess import PIPE, create_subprocess_exec
from typing import TYPE_CHECKING

import pytest
import zstandard

from protocol import STOPPING
from tests.handlers.peers import nobody_is_left, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

LINES = [f"{number} GET /products/{number % 7} HTTP/1.1 200" for number in range(300)]
TEXT = "".join(f"{line}\n" for line in LINES)


async def body(peer: Peer) -> bytes:
    """All chunks of a body, up to the last one and the end of the connection."""
    parts = []
    while part := await peer.chunk():
        parts.append(part)
    assert await peer.rest() == b""
    return b"".join(parts)


@pytest.mark.parametrize(("accepted", "coding"), [("gzip, deflate, br, zstd", "gzip"), ("zstd", "zstd")])
async def test_a_backlog_comes_in_the_coding_that_a_client_accepts(
    live: LiveServer, connect: Connect, accepted: str, coding: str
) -> None:
    await live.write(*LINES)
    peer = connect()
    head = await peer.get(await live.sign(), "tail=all&follow=false", Accept_Encoding=accepted)
    assert f"content-encoding: {coding}" in head.lower()
    assert "vary: accept-encoding" in head.lower()
    data = await body(peer)
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        assert (gzip.decompress(data) if coding == "gzip" else reader.read()).decode() == TEXT
    assert len(data) < len(TEXT) / 2


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
async def test_without_such_a_coding_it_comes_as_it_is(live: LiveServer, connect: Connect, accepted: str) -> None:
    await live.write("x")
    peer = connect()
    head = await peer.get(await live.sign(), "follow=false", Accept_Encoding=accepted)
    assert "content-encoding" not in head.lower()
    assert await body(peer) == b"x\n"


async def test_http_1_0_gets_no_coding(live: LiveServer, connect: Connect) -> None:
    await live.write("x")
    peer = connect()
    head = await peer.get(await live.sign(), "follow=false", version="1.0", Accept_Encoding="gzip")
    assert "Content-Encoding" not in head
    assert await peer.rest() == b"x\n"


async def test_events_are_seen_as_they_come_and_a_stop_ends_the_member(live: LiveServer, connect: Connect) -> None:
    peer, inflater, seen = connect(), zlib.decompressobj(wbits=31), ""
    await peer.get(await live.sign(), Accept="text/event-stream", Accept_Encoding="gzip")

    async def until_seen(text: str) -> None:
        nonlocal seen
        while text not in seen:
            seen += inflater.decompress(await peer.chunk()).decode()

    await until_seen("event: live")
    for number in range(3):
        await live.write(f"line {number}")
        await until_seen(f"data: line {number}\n\n")
    [session] = live.services.sessions
    session.heartbeat()
    await until_seen(": \n\n")
    session.end(STOPPING)
    await until_seen("retry: ")
    while part := await peer.chunk():
        seen += inflater.decompress(part).decode()
    assert seen.startswith("retry: 2000\n\n")
    assert inflater.eof  # the checksum is right, then


async def test_a_gap_before_lines_is_counted_too(live: LiveServer, connect: Connect) -> None:
    await live.write("x")
    peer = connect()
    await peer.get(await live.sign(), "follow=false&cursor=0ther-1-0", Accept_Encoding="gzip")
    assert gzip.decompress(await body(peer)).decode() == (
        "[logurt] an unknown number of lines lost: the server has started anew since this reader left\nx\n"
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_decodes_it(live: LiveServer) -> None:
    await live.write(*LINES)
    url = f"{live.url('/logs')}?token={await live.sign()}&tail=all&follow=false"
    curl = await create_subprocess_exec("curl", "-sS", "--compressed", url, stdout=PIPE)
    out, _ = await curl.communicate()
    assert (curl.returncode, out.decode()) == (0, TEXT)
    await until(lambda: nobody_is_left(live))
