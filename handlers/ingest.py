"""POST /_ingest/fluentbit: logs come in.

Requests are taken from Tornado's connection as they are, without a `RequestHandler`: it would take as much CPU as the
records of a request do.
"""

from __future__ import annotations

import asyncio
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

from buffer.chunk import pack
from handlers.base import ANY_LENGTH, JSON, is_told, log, sentence_of, status_of
from handlers.body import Body
from handlers.compression import BodyTooLarge, decompress
from handlers.fluentbit import decode
from handlers.readers import ServerStopping
from handlers.tokens import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tornado.http1connection import HTTP1Connection
    from tornado.httputil import HTTPServerRequest

    from handlers.base import Services

# Runs of lines that are stored before others get their turn: a body may alternate between pods at every record.
_RUNS_A_TURN = 256

# A body is received in pieces of this many bytes, which is what a client that sends no more has the server keep.
_PIECE = 256 * 1024

# Content-Lengths of as many are left to Tornado.
_MOST_DIGITS = 20

# How long a body may take to come: Fluent Bit gives an answer up after 60 seconds.
BODY_SECONDS = 60


class IngestRouter(Router):
    """Takes what Fluent Bit's `http` output sends."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def find_handler(self, request: HTTPServerRequest, **_: object) -> HTTPMessageDelegate:
        """Return what takes a request."""
        return IngestRequest(self._services, request)


class _Answer(NamedTuple):
    """What a request is answered with."""

    status: HTTPStatus
    body: bytes


class IngestRequest(HTTPMessageDelegate):
    """One request: its body is received, its records are stored, then it is answered with how many there were."""

    def __init__(self, services: Services, request: HTTPServerRequest) -> None:
        self._services = services
        self._request = request
        self._connection = cast("HTTP1Connection", request.connection)
        self._max_bytes = services.settings.max_body_mib << 20
        self._body = Body(services.bodies, self._max_bytes)
        self._answer: _Answer | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Refuse who does not hold a secret, and take the records of who does."""
        self._services.underway.add(self)
        self._connection.set_max_body_size(ANY_LENGTH)
        if cast("RequestStartLine", start_line).method != "POST":
            self._body.refuse(HTTPError(HTTPStatus.METHOD_NOT_ALLOWED))
        elif not self._services.ingest_secrets.accepts(headers.get_list("Authorization")):
            self._body.refuse(Unauthorized("the Authorization header must be: Token <INGEST_SECRET>"))
        length = _length(headers)
        if length is not None and length > self._max_bytes:
            self._body.refuse(BodyTooLarge(self._max_bytes))
        if length is None or self._body.refused:
            return None  # Tornado reads it
        return self._take_all(length, headers)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, unless the request is refused."""
        self._body.add(chunk)

    def finish(self) -> None:
        """Answer, now that the body is over."""
        if self._answer is None:
            self._answering = asyncio.ensure_future(self._answer_later())
        else:
            self._send(self._answer)

    def on_connection_close(self) -> None:
        """Let go of the body when the client has gone."""
        self._end()

    async def _take_all(self, length: int, headers: HTTPHeaders) -> None:
        left = await self._receive(length)
        # Tornado goes on to read what the headers say is there.
        del headers["Content-Length"]
        if left is None:
            self._connection.detach()  # or it would take what has come of the body for another request
            self._end()
        elif left:
            headers["Content-Length"] = str(left)
        else:
            self._answer = await self._handle()

    async def _receive(self, left: int) -> int | None:
        """Receive a body of so many bytes; return how many are left once it is refused, None if the client has gone.

        They come straight into where they stay; Tornado would copy them four times over.
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
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            return self._refusal(error)

    async def _store(self) -> _Answer:
        """Store all usable records, then say how many there were. Bad ones never cost their neighbours."""
        headers, settings, publish = self._request.headers, self._services.settings, self._services.broker.publish
        body = decompress(self._body.whole(), headers.get("Content-Encoding", ""), self._max_bytes)
        self._body.hold(len(body))
        tag = headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
        accepted = skipped = 0
        arrived, max_line_bytes = self._services.now(), settings.max_line_kib << 10
        for number, batch in enumerate(decode(body, tag)):
            if number:
                await asyncio.sleep(0)  # a broken body comes in pieces, so that others get their turn meanwhile
            for count, run in enumerate(batch.runs, start=1):
                if count % _RUNS_A_TURN == 0:
                    await asyncio.sleep(0)
                accepted += len(run.texts)
                chunks = pack(
                    run.source, run.texts, run.times, run.streams, arrived=arrived, max_line_bytes=max_line_bytes
                )
                await publish(chunks)
            skipped += batch.skipped
        if skipped:
            self._services.complaints.note("ingest: records without text or namespace skipped", skipped)
        return _Answer(HTTPStatus.OK, b'{"accepted":%d,"skipped":%d}' % (accepted, skipped))

    def _refusal(self, error: Exception) -> _Answer:
        """Return the answer to an error, and leave a trace of it: what Fluent Bit drops is lost."""
        status = status_of(error) or HTTPStatus.INTERNAL_SERVER_ERROR
        if is_told(error):
            self._services.complaints.note(f"ingest: refused with {status:d}, {error}")
        elif status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("%s %s failed", self._request.method, self._request.path, exc_info=error)
        return _Answer(status, msgspec.json.encode({"error": sentence_of(error, status)}))

    def _send(self, answer: _Answer) -> None:
        status, body = answer
        headers = HTTPHeaders({"Content-Type": JSON, "Content-Length": str(len(body))})
        headers["Date"] = _date(int(self._services.now()))
        if status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Token"
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "POST"
        if self._services.readers.stopping:
            headers["Connection"] = "close"  # the next request had better go elsewhere
        start = ResponseStartLine("HTTP/1.1", status, status.phrase)
        self._connection.write_headers(start, headers, body if self._request.method != "HEAD" else None)
        self._connection.finish()
        self._end()

    def _end(self) -> None:
        self._body.let_go()
        self._services.underway.remove(self)


@lru_cache(1)
def _date(second: int) -> str:
    """Return the value of a Date header (RFC 9110, 6.6.1)."""
    return format_timestamp(second)


def _length(headers: HTTPHeaders) -> int | None:
    """Return the length of a body that comes in one piece, without asking first; None for others."""
    length = headers.get("Content-Length", "")
    is_plain = "Transfer-Encoding" not in headers and "Expect" not in headers
    return int(length) if is_plain and length.isdecimal() and len(length) < _MOST_DIGITS else None
