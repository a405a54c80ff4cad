"""Ingest: receive and decode the body of a request, publish its lines, and answer.

The table of routes says which decoder reads the body. Requests are taken straight from Tornado's connection: a
`RequestHandler` would cost as much CPU as the records of a request do.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import StreamClosedError
from tornado.routing import Router
from tornado.web import HTTPError

from buffer.chunk import Chunk, pack
from handlers.base import ANY_LENGTH, JSON, log
from handlers.body import Body
from handlers.errors import error_message, is_public, status_of
from handlers.sessions import ServerStopping
from ingest.compression import decompress
from ingest.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tornado.http1connection import HTTP1Connection
    from tornado.httputil import HTTPServerRequest

    from handlers.services import Services
    from ingest.batch import Batch, Decoder

# How many runs of lines are packed before others get their turn: a body may change pods with every record.
_RUNS_A_TURN = 256

# A body is received in pieces of this size, which is also the memory that a client costs once it stops sending.
_PIECE = 256 * 1024

# A Content-Length of so many digits is left to Tornado to refuse.
_MAX_DIGITS = 20

# How long a body may take to come: Fluent Bit gives an answer up after 60 seconds.
BODY_SECONDS = 60


class IngestRouter(Router):
    """Takes requests whose bodies one decoder can read."""

    def __init__(self, services: Services, decode: Decoder) -> None:
        self._services = services
        self._decode = decode

    def find_handler(self, request: HTTPServerRequest, **_: object) -> HTTPMessageDelegate:
        """Return what takes a request."""
        return IngestRequest(self._services, self._decode, request)


class _Answer(NamedTuple):
    """The answer to a request."""

    status: HTTPStatus
    body: bytes


_NO_ANSWER = _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"")


class _State(Enum):
    """How far a request has come."""

    RECEIVING = auto()  # until the body is complete, and stored if Tornado has received it
    HANDLED = auto()  # the answer is known, but Tornado has not seen the end of the request yet
    OVER = auto()  # it has been answered, or the client has gone


class IngestRequest(HTTPMessageDelegate):
    """One request: receives the body, stores its records, and answers with how many there were."""

    def __init__(self, services: Services, decode: Decoder, request: HTTPServerRequest) -> None:
        self._services = services
        self._decode = decode
        self._request = request
        self._connection = cast("HTTP1Connection", request.connection)
        self._max_bytes = services.settings.max_body_mib << 20
        self._body = Body(services.bodies, self._max_bytes)
        self._state = _State.RECEIVING
        self._answer = _NO_ANSWER  # set once HANDLED
        self._task: asyncio.Task[None] | None = None  # stores and answers; the event loop alone would not keep it

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Authenticate the sender, then start receiving the body."""
        self._services.inflight.add(self._connection)
        self._connection.set_max_body_size(ANY_LENGTH)
        length = _length(headers)
        try:
            self._check(cast("RequestStartLine", start_line).method, length)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer once the body is over
            self._body.refuse(error)
        if length is None or self._body.refused:
            return None  # Tornado reads it
        return self._take_all(length, headers)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, unless the request has been refused."""
        self._body.add(chunk)

    def finish(self) -> None:
        """Answer, now that the body is over."""
        if self._state is _State.HANDLED:
            self._send(self._answer)
        else:
            self._task = asyncio.create_task(self._answer_later())

    def on_connection_close(self) -> None:
        """Release the body when the client has gone."""
        self._end()

    def _check(self, method: str, length: int | None) -> None:
        if method != "POST":
            raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        self._services.ingest_secrets.check(self._request)
        self._check_not_stopping()
        if length is not None and length > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)

    def _check_not_stopping(self) -> None:
        """Raise ServerStopping if it has begun: whatever is stored now may go with this process, before it is read."""
        if self._services.stopping:
            raise ServerStopping

    async def _take_all(self, length: int, headers: HTTPHeaders) -> None:
        """Receive a body of so many bytes and store its records, or leave the rest of a refused one to Tornado."""
        left = await self._receive(length)
        _leave_to_tornado(headers, left or 0)
        if left is None:
            self._connection.detach()  # or Tornado would take what has come of the body for another request
            self._end()
        elif not left:
            self._answer = await self._handle()
            self._state = _State.HANDLED

    async def _receive(self, left: int) -> int | None:
        """Receive a body; return how many bytes are left once it has been refused, or None if the client has gone.

        The bytes are read straight to where they stay. Tornado would copy them four times.
        """
        stream = self._connection.stream
        timeout = asyncio.get_running_loop().call_later(BODY_SECONDS, stream.close)
        try:
            while left and (piece := self._body.piece(min(left, _PIECE))) is not None:
                await stream.read_into(piece)
                left -= len(piece)
                if left:
                    await asyncio.sleep(0)  # others get their turn, however fast this one sends
        except StreamClosedError:
            return None
        finally:
            timeout.cancel()
        return left

    async def _answer_later(self) -> None:
        self._send(await self._handle())

    async def _handle(self) -> _Answer:
        try:
            return await self._store()
        except asyncio.CancelledError:
            self._connection.close()  # or Tornado would wait for the next request
            return self._refusal(ServerStopping())
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return self._refusal(error)

    async def _store(self) -> _Answer:
        """Store all usable records, and return how many there were. A bad one never costs its neighbours."""
        headers = self._request.headers
        body = decompress(self._body.whole(), headers.get("Content-Encoding", ""), self._max_bytes)
        self._body.hold(len(body))
        chunks, skipped = list[Chunk](), 0
        for number, batch in enumerate(self._decode(body, headers)):
            if number:
                await asyncio.sleep(0)  # a broken body comes in batches, between which others get their turn
            await self._pack(batch, chunks)
            skipped += batch.skipped
        self._check_not_stopping()
        await self._services.broker.publish(chunks)
        if skipped:
            self._services.throttle.note("ingest: records without text or namespace skipped", skipped)
        accepted = sum([chunk.count for chunk in chunks])
        return _Answer(HTTPStatus.OK, b'{"accepted":%d,"skipped":%d}' % (accepted, skipped))

    async def _pack(self, batch: Batch, chunks: list[Chunk]) -> None:
        arrived, max_line_bytes = self._services.now(), self._services.settings.max_line_kib << 10
        for count, run in enumerate(batch.runs, start=1):
            if count % _RUNS_A_TURN == 0:
                await asyncio.sleep(0)
            chunks += pack(
                run.source, run.texts, run.times, run.streams, arrived=arrived, max_line_bytes=max_line_bytes
            )

    def _refusal(self, error: Exception) -> _Answer:
        """Return the answer to an error, and log the error: what Fluent Bit drops for it is lost."""
        status = status_of(error) or HTTPStatus.INTERNAL_SERVER_ERROR
        if is_public(error):
            self._services.throttle.note(f"ingest: refused with {status:d}, {error}")
        elif status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("%s %s failed", self._request.method, self._request.path, exc_info=error)
        return _Answer(status, msgspec.json.encode({"error": error_message(error, status)}))

    def _send(self, answer: _Answer) -> None:
        if self._state is _State.OVER:
            return
        status, body = answer
        headers = HTTPHeaders({"Content-Type": JSON, "Content-Length": str(len(body))})
        headers["Date"] = _date(int(self._services.now()))
        if status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Token"
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "POST"
        if self._services.stopping:
            headers["Connection"] = "close"  # the next request should go elsewhere
        start = ResponseStartLine("HTTP/1.1", status, status.phrase)
        self._connection.write_headers(start, headers, body if self._request.method != "HEAD" else None)
        self._connection.finish()
        self._end()

    def _end(self) -> None:
        self._state = _State.OVER
        self._body.release()
        self._services.inflight.remove(self._connection)


@lru_cache(1)
def _date(second: int) -> str:
    """Return the value of a Date header (RFC 9110, section 6.6.1)."""
    return format_timestamp(second)


def _length(headers: HTTPHeaders) -> int | None:
    """Return the length of a body that comes unchunked and without asking first; None for any other."""
    length = headers.get("Content-Length", "")
    is_plain = "Transfer-Encoding" not in headers and "Expect" not in headers
    return int(length) if is_plain and length.isdecimal() and len(length) < _MAX_DIGITS else None


def _leave_to_tornado(headers: HTTPHeaders, size: int) -> None:
    """Have Tornado read `size` bytes of the body: it looks at this header once `headers_received` is over."""
    del headers["Content-Length"]
    if size:
        headers["Content-Length"] = str(size)
