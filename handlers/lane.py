"""The lane: connections on which Fluent Bit posts logs, without the cost of a general HTTP server.

Most requests hold a few records, and cost Tornado several times what storing these does. A connection that begins with
an upload comes here. Requests whose first line is that of an upload, and whose head asks for no more than to take a
body of known length, are answered right where they arrive; a task is made only for one that has to wait, be it for its
body or for the broker. At the first request for anything else, the connection goes over to Tornado for good, with what
has been received and not been used: nothing is guessed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado.httputil import format_timestamp

from handlers import eager, tcp
from handlers.base import JSON
from handlers.raw_stream import RECEIVE_BYTES, RawStream
from handlers.request_head import parse_head

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from tornado.iostream import IOStream

    from handlers.body import Body
    from handlers.ingest import Answer, Ingest
    from handlers.request_head import RequestHead
    from handlers.services import Services

    # Takes over a socket with the address of its peer and what has been received from it.
    HandOver = Callable[[socket.socket, Any, bytes], None]

_HEAD_END = b"\r\n\r\n"

# A body is received in pieces of this size, which is also the memory that a client costs once it stops sending.
_PIECE = 256 * 1024

# How long requests may be handled in one pass of the event loop, in seconds.
PASS_SECONDS = 0.005
# So many bytes are handled without a look at the clock; a request counts for some that it has not.
_AT_ONCE, _REQUEST = 64 * 1024, 2048


class Lane:
    """Serves connections as long as they bring uploads to `ingests`, which are known by their paths.

    A connection may be idle for `idle_seconds`, and a body may take `body_seconds` to come. A head of more than
    `max_head` bytes is for Tornado to refuse.
    """

    def __init__(
        self,
        services: Services,
        ingests: Mapping[str, Ingest],
        hand_over: HandOver,
        *,
        max_head: int,
        idle_seconds: float,
        body_seconds: float,
    ) -> None:
        self.services = services
        self.hand_over = hand_over
        self.max_head = max_head
        self.idle_seconds = idle_seconds
        self.body_seconds = body_seconds
        self.dropped = memoryview(bytearray(RECEIVE_BYTES))  # where unwanted bytes are received
        self._ingests = {f"POST {path} HTTP/1.1\r\n".encode(): ingest for path, ingest in ingests.items()}
        self._connections: dict[LaneConnection, None] = {}  # a dict, because it keeps an order
        self._handled = 0  # bytes of requests, in this pass of the event loop and some before it
        self._pass_ends: float | None = None  # on the loop's clock, once that is a lot

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    def accept(self, stream: IOStream, address: Any) -> None:
        """Serve a new connection, of which nothing has been read although something has come."""
        stream.set_nodelay(True)  # or an answer to pipelined uploads would wait for the client's kernel
        unread = b""
        with suppress(OSError):
            # At once: its head must not be overtaken by one that comes later, on a connection that is watched already.
            unread = stream.socket.recv(RECEIVE_BYTES)
        served = LaneConnection(self, stream.socket, address)
        self._connections[served] = None
        if unread:
            served.begin(unread)
        else:
            served.wait()

    def ingest_for(self, data: bytes) -> Ingest | None:
        """Return what takes the request that begins with this; None if it is not an upload."""
        return self._ingests.get(data[: data.find(b"\r\n") + 2])

    def may_be_upload(self, data: bytes) -> bool:
        """Tell whether data may still become the first line of an upload."""
        return any(line.startswith(data[: len(line)]) for line in self._ingests)

    async def turn(self, size: int) -> None:
        """Return once so many bytes may be handled: a herd of requests takes several passes of the event loop."""
        while not self.may_handle(size):  # noqa: ASYNC110 - an event would let all of them go at once again
            await asyncio.sleep(0)

    def drain(self) -> None:
        """Close all connections without a request. The others close once they have answered it."""
        for connection in list(self._connections):
            if connection.is_idle:
                connection.close()

    async def close(self, seconds: float) -> None:
        """Close all connections: those that send an answer have so many seconds for it."""
        self.drain()
        if tasks := [connection.task for connection in self._connections if connection.task is not None]:
            _, pending = await asyncio.wait(tasks, timeout=seconds)
            for task in pending:
                task.cancel()
            if pending:
                await asyncio.wait(pending)
        for connection in list(self._connections):
            connection.close()

    def forget(self, connection: LaneConnection) -> None:
        """Forget a connection that is closed or has been handed over."""
        del self._connections[connection]

    def may_handle(self, size: int) -> bool:
        """Tell whether so many bytes may be handled at once, and count them; else it takes a `turn`."""
        self._handled += size + _REQUEST
        if self._handled <= _AT_ONCE:
            return True
        loop = asyncio.get_running_loop()
        if self._pass_ends is None:
            # Only now: to be told of each pass would cost a pass for each request, where these are few.
            self._pass_ends = loop.time() + PASS_SECONDS
            loop.call_soon(self._end_pass)
        return loop.time() < self._pass_ends

    def _end_pass(self) -> None:
        self._handled, self._pass_ends = 0, None


class LaneConnection:
    """A connection as long as it brings uploads. `task` is there only while one of them has to wait for something."""

    def __init__(self, lane: Lane, connection: socket.socket, address: Any) -> None:
        self._lane = lane
        self._stream = RawStream(connection)
        self._address = address
        self._sender = str(address[0]) if isinstance(address, tuple) else "0.0.0.0"  # noqa: S104 - as Tornado has it
        self._is_abandoned = partial(tcp.peer_has_closed, connection)
        self.task: asyncio.Task[None] | None = None
        self.is_idle = True  # whether nothing is lost if it is closed now
        self._unread = b""  # received, and not used yet
        self._is_over = False  # closed, or with Tornado
        self._may_follow = False  # whether another request may
        self._stream.expect_within(lane.idle_seconds)

    def wait(self) -> None:
        """Wait for a request."""
        self.is_idle = True
        self._stream.call_with_next(self.begin)

    def begin(self, received: bytes) -> None:
        """Answer what has come; nothing means that no more does."""
        self._unread, self._may_follow = received, False
        if not received:
            self.close()
            return
        try:
            self.task = eager.begin(self._serve())
        except BaseException:
            self.close()
            raise
        if self.task is None:
            self._go_on()
        else:
            self.task.add_done_callback(self._go_on)

    def close(self) -> None:
        """Close the connection, once its task has ended, unless Tornado has it. Does nothing the second time."""
        self._may_follow = False
        if self.task is not None:
            self.task.cancel()
        elif not self._is_over:
            self._let_go()
            self._stream.socket.close()

    def _go_on(self, _task: asyncio.Task[None] | None = None) -> None:
        """Wait for the next request once all that had come are answered, or else close the connection."""
        self.task = None
        if self._may_follow:
            self.wait()
        else:
            self.close()

    async def _serve(self) -> None:
        """Answer uploads until all that has come is answered, the client leaves, or asks for something else."""
        with suppress(OSError):  # the client has gone, or what it sends does not come in time
            while self._unread and await self._serve_one():
                self._may_follow = not self._unread
                self._stream.expect_within(self._lane.idle_seconds)

    async def _serve_one(self) -> bool:
        """Answer an upload; tell whether another request may follow here."""
        lane, data = self._lane, await self._receive_head()
        self._unread = b""
        if not data:
            return False
        self.is_idle = False
        if not lane.may_handle(len(data)):
            await lane.turn(len(data))
        end = data.find(_HEAD_END) + len(_HEAD_END)
        ingest = lane.ingest_for(data)
        head = parse_head(data[:end]) if ingest is not None and len(_HEAD_END) <= end <= lane.max_head else None
        if ingest is None or head is None or head.length is None:
            self._hand_over(data)
            return False
        self._unread = data[end:]
        del data  # it may be a good part of the body
        return await self._answer(ingest, head, head.length)

    async def _receive_head(self) -> bytes:
        """Receive until the head of a request is complete, or known to be none of an upload; b"" if no more comes."""
        lane, data = self._lane, self._unread
        self.is_idle = True
        while not _may_be_complete(data) and len(data) <= lane.max_head and lane.may_be_upload(data):
            if not (received := await self._stream.receive()):
                return b""
            data += received
        return data

    async def _answer(self, ingest: Ingest, head: RequestHead, length: int) -> bool:
        """Receive and store an upload, and answer; tell whether another request may follow."""
        lane, services = self._lane, self._lane.services
        upload = ingest.begin(
            head.fields, head.credentials, sender=self._sender, length=length, is_abandoned=self._is_abandoned
        )
        services.inflight.add(self)
        try:
            if (left := self._take_unread(upload.body, length)) > 0:
                await self._receive_body(upload.body, left)
                upload.turn.arrived()
                if not lane.may_handle(upload.body.size):
                    await lane.turn(upload.body.size)
            answer = await ingest.answer(upload)
        finally:
            upload.close()
            services.inflight.remove(self)
        if answer is None:
            return False
        is_last = services.stopping or not head.keep_alive
        await self._stream.send(_response(answer, services.now(), is_last=is_last), lane.idle_seconds)
        return not is_last and not services.stopping  # which may have begun meanwhile

    def _take_unread(self, body: Body, length: int) -> int:
        """Take what has come of a body with its head; return how much has not."""
        unread, self._unread = self._unread, self._unread[length:]
        body.add(unread[:length])
        return length - len(unread)

    async def _receive_body(self, body: Body, left: int) -> None:
        """Receive the rest of a body, straight to where it stays; drop what comes of a refused one."""
        stream = self._stream
        stream.expect_within(self._lane.body_seconds)
        while left:
            if (piece := body.piece(min(left, _PIECE))) is not None:
                left -= await stream.fill(memoryview(piece), body.filled)
            else:
                left -= await stream.receive_into(self._lane.dropped[:left])

    def _hand_over(self, unread: bytes) -> None:
        self._let_go()
        self._lane.hand_over(self._stream.socket, self._address, unread)

    def _let_go(self) -> None:
        self._is_over = True
        self._stream.release()
        self._lane.forget(self)


def _may_be_complete(data: bytes) -> bool:
    """Tell whether a head has come to an end, be it only for Tornado, which takes bare line feeds."""
    return b"\n\r\n" in data or b"\n\n" in data


_PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %%d\r\nDate: %%b\r\n\r\n%%b" % JSON.encode()


def _response(answer: Answer, now: float, *, is_last: bool) -> bytes:
    status, body = answer
    if status is HTTPStatus.OK and not is_last:
        return _PLAIN % (len(body), _date(int(now)), body)
    fields = [
        f"HTTP/1.1 {status:d} {status.phrase}",
        f"Content-Type: {JSON}",
        f"Content-Length: {len(body)}",
        f"Date: {_date(int(now)).decode()}",
    ]
    if status is HTTPStatus.UNAUTHORIZED:
        fields.append("WWW-Authenticate: Token")
    if is_last:
        fields.append("Connection: close")  # the next request should go elsewhere
    return "\r\n".join([*fields, "", ""]).encode() + body


@lru_cache(1)
def _date(second: int) -> bytes:
    """Return the value of a Date header (RFC 9110, section 6.6.1)."""
    return format_timestamp(second).encode()
