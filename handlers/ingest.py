"""Ingest: receive and decode the body of a request, publish its lines, and answer.

The table of routes says which decoder reads the body. Requests are taken straight from Tornado's connection: a
`RequestHandler` would cost as much CPU as the records of a request do.
"""

from __future__ import annotations

import asyncio
import logging
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

from handlers import tcp
from handlers.base import ANY_LENGTH, JSON, log
from handlers.body import Body
from handlers.client import client_address
from handlers.errors import error_message, is_public, status_of
from handlers.intake import Abandoned, Intake, Upload
from handlers.sessions import ServerStopping
from ingest.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tornado.http1connection import HTTP1Connection
    from tornado.httputil import HTTPServerRequest

    from handlers.services import Services
    from handlers.turns import Turn
    from ingest.batch import Decoder

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
        self._intake = Intake(services, decode)

    def find_handler(self, request: HTTPServerRequest, **_: object) -> HTTPMessageDelegate:
        """Return what takes a request."""
        return IngestRequest(self._services, self._intake, request)


class _Answer(NamedTuple):
    """The answer to a request."""

    status: HTTPStatus
    body: bytes


_PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %%d\r\nDate: %%b\r\n\r\n%%b" % JSON.encode()
_NO_ANSWER = _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"")


class _State(Enum):
    """How far a request has come."""

    RECEIVING = auto()  # until the body is complete, and stored if Tornado has received it
    HANDLED = auto()  # the answer is known, but Tornado has not seen the end of the request yet
    OVER = auto()  # it has been answered, or the client has gone


class IngestRequest(HTTPMessageDelegate):
    """One request: receives the body, stores its records, and answers with how many there were."""

    def __init__(self, services: Services, intake: Intake, request: HTTPServerRequest) -> None:
        self._services = services
        self._intake = intake
        self._headers = dict(request.headers.get_all())
        self._tag = self._headers.get("Fluent-Tag", "") or self._headers.get("X-Fluent-Tag", "")
        self._turn: Turn | None = None  # taken once the sender is known
        self._request = request
        self._connection = cast("HTTP1Connection", request.connection)
        self._max_bytes = services.settings.max_body_mib << 20
        self._body = Body(services.bodies, self._max_bytes, request.remote_ip)
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
        if not self._body.refused:
            self._turn = self._services.turns.take(self._tag and f"{self._request.remote_ip} {self._tag}")
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
        self._services.sessions.check_not_stopping()
        if length is not None and length > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)

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
        loop, statistics = asyncio.get_running_loop(), self._services.ingest
        began = loop.time()
        statistics.bytes += self._body.size
        answer = await self._store_or_refuse()
        statistics.seconds.observe(loop.time() - began)
        return answer

    async def _store_or_refuse(self) -> _Answer:
        try:
            return await self._store()
        except Abandoned:
            self._services.ingest.abandoned += 1
            self._connection.close()
            return _NO_ANSWER
        except asyncio.CancelledError:
            self._connection.close()  # or Tornado would wait for the next request
            return self._refusal(ServerStopping())
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return self._refusal(error)

    async def _store(self) -> _Answer:
        upload = Upload(self._body, self._headers, self._tag, self._turn, self._is_abandoned)
        receipt = await self._intake.store(upload)
        statistics = self._services.ingest
        statistics.records += receipt.accepted
        statistics.skipped += receipt.skipped
        statistics.contradicted += receipt.contradicted
        statistics.duplicates += receipt.duplicate
        duplicate = b',"duplicate":true' if receipt.duplicate else b""
        return _Answer(
            HTTPStatus.OK, b'{"accepted":%d,"skipped":%d%b}' % (receipt.accepted, receipt.skipped, duplicate)
        )

    def _is_abandoned(self) -> bool:
        stream = self._connection.stream
        return self._state is _State.OVER or stream.closed() or tcp.peer_has_closed(stream.socket)

    def _refusal(self, error: Exception) -> _Answer:
        """Return the answer to an error, and leave a trace of it."""
        status = status_of(error) or HTTPStatus.INTERNAL_SERVER_ERROR
        if is_public(error):
            # Fluent Bit sends the same body again after a 5xx, and drops it for good after nearly any 4xx.
            is_lost = status < HTTPStatus.INTERNAL_SERVER_ERROR
            self._services.throttle.note(
                f"ingest refused: Fluent Bit {'drops these lines for good' if is_lost else 'will send it again'}",
                level=logging.WARNING if is_lost else logging.INFO,
                status=int(status),
                error=str(error),
                client=client_address(self._request, self._services.settings.trusted_proxies),
            )
        elif status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("%s %s failed", self._request.method, self._request.path, exc_info=error)
        return _Answer(status, msgspec.json.encode({"error": error_message(error, status)}))

    def _send(self, answer: _Answer) -> None:
        if self._state is _State.OVER:
            return
        status, body = answer
        self._services.ingest.requests[status] += 1
        if status is HTTPStatus.OK and self._may_be_plain():
            # Nearly all answers: formatting their headers takes Tornado a tenth of the CPU of a small request.
            self._connection.stream.write(_PLAIN % (len(body), _date(int(self._services.now())).encode(), body))
            self._connection.finish()
            self._end()
            return
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

    def _may_be_plain(self) -> bool:
        """Tell whether the answer has nothing to say of the connection, because that just goes on."""
        is_usual = self._request.version == "HTTP/1.1" and "Connection" not in self._headers
        return is_usual and not self._services.stopping and not self._connection.stream.closed()

    def _end(self) -> None:
        self._state = _State.OVER
        if self._turn is not None:
            self._turn.end()
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
