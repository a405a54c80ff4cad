"""A connection of the lane: requests are answered one after the other, right where they arrive.

Every event that it waits for calls `_go_on`, which takes whatever step is next until there is something to wait for.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.httputil import format_timestamp

from handlers import eager, tcp
from handlers.base import JSON
from handlers.raw_stream import RawStream
from handlers.request_head import parse_head
from handlers.upload import Peer

if TYPE_CHECKING:
    import asyncio
    import socket

    from handlers.ingest import Answer, Ingest
    from handlers.lane import Lane
    from handlers.request_head import RequestHead
    from handlers.upload import Upload

_HEAD_END = b"\r\n\r\n"

# A body is received in parts, each once all of it has come: of this size, or as much as has come before. So much a
# client costs that stops sending.
_PART = 256 * 1024


class _Begun(NamedTuple):
    """A request whose head has come."""

    ingest: Ingest
    upload: Upload
    keep_alive: bool


class LaneConnection:
    """A connection as long as it brings uploads. There is a task only while one of them has to wait to be stored."""

    def __init__(self, lane: Lane, connection: socket.socket, address: Any) -> None:
        self._lane = lane
        self._stream = RawStream(connection)
        self._address = address
        has_gone, waiting = partial(tcp.peer_has_closed, connection), partial(tcp.receive_queue, connection)
        self._peer = Peer(tcp.host_of(address), has_gone, waiting)
        self._unread = b""  # received, and not used yet
        self._begun: _Begun | None = None  # until it is stored
        self._left = 0  # bytes of its body that have not come
        self._is_late = False  # whether it came after its head, and has not been handled
        self._may_follow = True  # whether another request may
        self._task: asyncio.Task[None] | None = None
        self._is_over = False  # closed, or with Tornado
        self.is_idle = True  # whether nothing is lost if it is closed now

    def begin(self, unread: bytes) -> None:
        """Serve the connection, of which this has been received."""
        self._stream.expect_within(self._lane.idle_seconds)
        self._unread = unread
        self._go_on()

    def close(self) -> None:
        """Close the connection, once its task has ended, unless Tornado has it. Does nothing the second time."""
        self._may_follow = False
        if self._task is not None:
            self._task.cancel()
        elif not self._is_over:
            self._end_upload()
            self._let_go()
            self._stream.socket.close()

    def _go_on(self, _task: asyncio.Task[None] | None = None) -> None:
        """Answer all that has come, up to what has to be waited for: that calls this again."""
        self._task = None
        try:
            while (begun := self._begun or self._next()) and self._has_body(begun) and self._is_answered(begun):
                pass
        except BaseException:
            self.close()
            raise

    def _next(self) -> _Begun | None:
        """Begin the next request; return None if it has not come, has no turn yet, or is none of ours."""
        lane, data = self._lane, self._unread
        if not self._may_follow:
            self.close()
            return None
        if not _may_be_complete(data) and len(data) <= lane.max_head and lane.may_be_upload(data):
            self.is_idle = True
            self._stream.receive(self._received)
            return None
        self.is_idle = False
        if not lane.budget.may_handle(len(data)):
            lane.loop.call_soon(self._go_on)
            return None
        end = data.find(_HEAD_END) + len(_HEAD_END)
        ingest = lane.ingest_for(data)
        head = parse_head(data[:end]) if ingest is not None and len(_HEAD_END) <= end <= lane.max_head else None
        if ingest is None or head is None or head.length is None:
            self._let_go()
            lane.hand_over(self._stream.socket, self._address, data)
            return None
        return self._begin(ingest, head, head.length, data[end:])

    def _begin(self, ingest: Ingest, head: RequestHead, length: int, unread: bytes) -> _Begun:
        """Begin an upload with what has come of its body, and maybe of more."""
        upload = ingest.begin(head.fields, head.credentials, self._peer, length)
        upload.body.add(unread[:length])
        self._unread, self._left = unread[length:], length - len(unread)
        if self._left > 0:
            self._stream.expect_within(self._lane.body_seconds)
        self._lane.services.inflight.add(self)
        self._begun = _Begun(ingest, upload, head.keep_alive)
        return self._begun

    def _has_body(self, begun: _Begun) -> bool:
        """Tell whether all of a body has come and may be handled; else wait for that."""
        if self._left > 0:
            body = begun.upload.body
            size = min(self._left, max(_PART, body.arrived))
            body.expect(size)
            # What is refused is dropped as it comes.
            least = 1 if body.refused else size
            self._stream.receive(partial(self._received_body, begun.upload), most=size, least=least)
            return False
        if self._is_late and not self._lane.budget.may_handle(begun.upload.body.size):
            self._lane.loop.call_soon(self._go_on)
            return False
        self._is_late = False
        return True

    def _is_answered(self, begun: _Begun) -> bool:
        """Store and answer an upload; tell whether that is over, or goes on in a task."""
        self._task = eager.begin(self._answer(begun))
        if self._task is None:
            return True
        self._task.add_done_callback(self._go_on)
        return False

    def _received(self, data: bytes) -> None:
        """Take more of a head; nothing means that no more comes."""
        if data:
            self._unread += data
            self._go_on()
        else:
            self.close()

    def _received_body(self, upload: Upload, data: bytes) -> None:
        """Take more of a body; nothing means that no more comes."""
        if not data:
            self.close()
            return
        upload.body.add(data)
        self._left -= len(data)
        if self._left <= 0:
            upload.turn.arrived()
            self._is_late = True
        self._go_on()

    async def _answer(self, begun: _Begun) -> None:
        """Store an upload and answer it. No other may follow if the answer is not sent."""
        lane, services = self._lane, self._lane.services
        ingest, upload, keep_alive = begun
        self._may_follow = False
        try:
            answer = await ingest.answer(upload)
        finally:
            self._end_upload()
        if answer is None:
            return
        is_last = services.stopping or not keep_alive
        with suppress(OSError):  # the client has gone, or does not read
            await self._stream.send(_response(answer, services.now(), is_last=is_last), lane.idle_seconds)
            self._may_follow = not is_last and not services.stopping  # which may have begun meanwhile
            self._stream.expect_within(lane.idle_seconds)

    def _end_upload(self) -> None:
        if self._begun is not None:
            self._begun.upload.close()
            self._begun = None
            self._lane.services.inflight.remove(self)

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
