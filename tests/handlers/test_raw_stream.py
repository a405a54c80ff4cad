from __future__ import annotations

import asyncio
import socket

from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.testing import bind_unused_port

from handlers.raw_stream import UnreadStream


@given(before=st.binary(max_size=300), after=st.binary(max_size=300), sizes=st.lists(st.integers(1, 400), min_size=1))
@settings(deadline=None)
def test_a_stream_reads_what_was_received_before_first(before: bytes, after: bytes, sizes: list[int]) -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair()
        stream = UnreadStream(ours, before)
        theirs.sendall(after)
        theirs.close()
        read, turn = b"", 0
        while len(read) < len(before) + len(after):
            read += await stream.read_bytes(sizes[turn % len(sizes)], partial=True)
            turn += 1
        stream.close()
        assert read == before + after

    asyncio.run(body())


async def test_a_stream_reads_up_to_a_pattern_across_what_was_received_before() -> None:
    listening, port = bind_unused_port(address="127.0.0.1")
    with listening, socket.create_connection(("127.0.0.1", port)) as theirs:
        ours, _ = listening.accept()
        stream = UnreadStream(ours, b"GET / HTTP/1.1\r\nHo")
        theirs.sendall(b"st: x\r\n\r\nrest")
        assert await stream.read_until(b"\r\n\r\n") == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await stream.read_bytes(4) == b"rest"
        stream.close()
