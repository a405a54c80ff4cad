"""What all handlers have in common: the services they need, request bodies, and errors as answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from buffer.broker import BrokerUnavailable
from buffer.cursor import BadCursor
from buffer.hub import TooManyPatterns
from handlers.body import Body
from handlers.budget import Overloaded
from handlers.compression import BodyTooLarge, Undecodable, UnsupportedEncoding
from handlers.query import BadParameter, OutOfScope
from handlers.readers import ServerStopping, TooManyReaders
from handlers.tokens import InvalidRequest, Unauthorized
from handlers.underway import Underway

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from types import TracebackType

    from tornado.http1connection import HTTP1Connection

    from buffer.broker import Broker
    from buffer.hub import Hub
    from handlers.budget import Budget
    from handlers.complaints import Complaints
    from handlers.readers import Readers
    from handlers.tokens import Secrets, Tokens
    from settings import Settings

log = logging.getLogger("logurt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers work with. `now` gives Unix seconds."""

    settings: Settings
    tokens: Tokens
    api_secrets: Secrets
    ingest_secrets: Secrets
    broker: Broker
    hub: Hub
    readers: Readers
    bodies: Budget
    now: Callable[[], float]
    complaints: Complaints
    underway: Underway = field(default_factory=Underway)


class OriginRefused(Exception):
    """A browser's page of an origin that is not among ALLOWED_ORIGINS asks."""

    def __str__(self) -> str:
        return "this origin is not allowed"


class BadUpgrade(Exception):
    """A request for a WebSocket that RFC 6455, section 4.2.1 does not allow. `problem` is the sentence."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


# Fluent Bit drops a chunk for good on nearly every 4xx, and sends it again on 5xx: what may pass must be a 5xx.
_STATUSES: dict[type[Exception], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    BadParameter: HTTPStatus.BAD_REQUEST,
    BadCursor: HTTPStatus.BAD_REQUEST,
    BadUpgrade: HTTPStatus.BAD_REQUEST,
    Undecodable: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    OutOfScope: HTTPStatus.FORBIDDEN,
    OriginRefused: HTTPStatus.FORBIDDEN,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedEncoding: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BrokerUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyReaders: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyPatterns: HTTPStatus.SERVICE_UNAVAILABLE,
    ServerStopping: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What all answers are, unless they are streams.
JSON = "application/json; charset=utf-8"

# For Tornado: bodies of any length are received.
ANY_LENGTH = 1 << 62

_SENTENCES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method",
}


def status_of(error: BaseException | None) -> HTTPStatus | None:
    """Return the status that answers an error; None if it is not one that a request can cause."""
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            return _STATUSES[kind]
    return HTTPStatus(error.status_code) if isinstance(error, HTTPError) else None


def is_told(error: BaseException | None) -> bool:
    """Tell whether an error has a sentence for the client. Whatever is our fault is told nothing of."""
    return status_of(error) is not None and not isinstance(error, HTTPError)


def sentence_of(error: BaseException | None, status: HTTPStatus) -> str:
    """Return the sentence that an error's answer has."""
    return str(error) if is_told(error) else _SENTENCES.get(status, status.phrase.lower())


class Answers(RequestHandler):
    """Answers in JSON, errors included. The name of a credential's scheme is set where one is asked for."""

    scheme = "Token"

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        self.services = services

    def set_default_headers(self) -> None:
        """Say nothing of the server's software, and that answers are JSON."""
        self.clear_header("Server")
        self.set_header("Content-Type", JSON)
        self.set_header("Cache-Control", "no-store")

    def answer(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with a value as JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with what the table of errors says."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        status = status_of(error) or HTTPStatus(status_code)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._methods()))
        if status is HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", self.scheme)
        self.answer({"error": sentence_of(error, status)}, status)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what is our fault, without the query, which may hold a token."""
        if status_of(value) is None and not isinstance(value, StreamClosedError) and typ is not None:
            what = f"{self.request.method} {self.request.path}"
            log.error("%s failed", what, exc_info=(typ, value or typ(), tb))

    def _methods(self) -> list[str]:
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]


@stream_request_body
class Handler(Answers):
    """A handler whose request body is read to its end, whatever becomes of the request."""

    max_body = 0

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over. A method that HTTP does not have gets no further than here."""
        super().initialize(services)
        self.body = Body(services.bodies, self.max_body)

    def prepare(self) -> None:
        """Get ready for a body of any length."""
        self.services.underway.add(self)
        # Bodies that are too long are answered here, in our own words, once they are over.
        cast("HTTP1Connection", self.request.connection).set_max_body_size(ANY_LENGTH)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, unless the request is refused."""
        self.body.add(chunk)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """Send the answer; while the server is stopping, the next request had better go elsewhere."""
        if self.services.readers.stopping:
            self.set_header("Connection", "close")
        return super().finish(chunk)

    def on_finish(self) -> None:
        """Let go of the body when the request is over."""
        self.body.let_go()
        self.services.underway.remove(self)

    def on_connection_close(self) -> None:
        """Let go of the body when the client has gone."""
        self.body.let_go()
        self.services.underway.remove(self)
        super().on_connection_close()


class NotFound(Handler):
    """Answers for all paths that are not in the table of routes."""

    def prepare(self) -> None:
        """Refuse whatever it is."""
        super().prepare()
        self.body.refuse(HTTPError(HTTPStatus.NOT_FOUND))

    def _answer(self) -> None:
        self.body.whole()

    get = head = post = put = patch = delete = options = _answer
