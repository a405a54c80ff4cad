"""What all handlers share: answers and errors in JSON, CORS, and request bodies that are read to their end."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from handlers.body import Body
from handlers.client import client_address
from handlers.cors import cors_headers, preflight_headers
from handlers.errors import error_message, is_public, status_of
from log_format import log_event

if TYPE_CHECKING:
    from asyncio import Future
    from types import TracebackType

    from tornado.http1connection import HTTP1Connection

    from handlers.services import Services

log = logging.getLogger("logurt")

# The Content-Type of every answer that is not a stream of lines.
JSON = "application/json; charset=utf-8"

# Refusals of one kind that are logged one by one.
_REFUSALS_A_MINUTE = 10

# Has Tornado receive bodies of any length.
ANY_LENGTH = 1 << 62


class JSONHandler(RequestHandler):
    """Answers in JSON, also when it fails. `scheme` is the authentication scheme that a 401 names."""

    scheme = "Token"

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        self.services = services

    def set_default_headers(self) -> None:
        """Announce JSON, and keep quiet about the software that serves it."""
        self.clear_header("Server")
        self.set_header("Content-Type", JSON)
        self.set_header("Cache-Control", "no-store")

    def answer(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with a value as JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the status and the sentence of an error."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        status = status_of(error) or HTTPStatus(status_code)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._methods()))
        if status is HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", self.scheme)
        message = error_message(error, status)
        if is_public(error):
            self.services.requests.refusals[self.request.path, int(status)] += 1
            kind = f"{self.request.path} refused with {status:d}"
            self.services.throttle.note(kind, burst=_REFUSALS_A_MINUTE, error=message, client=self.client)
        self.answer({"error": message}, status)

    @property
    def client(self) -> str:
        """The address of the client."""
        forwarded, trusted = self.request.headers.get("X-Forwarded-For", ""), self.services.settings.trusted_proxies
        return client_address(self.request.remote_ip or "", forwarded, trusted)

    def log_event(self, event: str, **facts: Any) -> None:
        """Log what a client has had done."""
        log_event(log, logging.INFO, event, **facts, client=self.client)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log internal errors, but not the query, which may hold a token."""
        if status_of(value) is None and not isinstance(value, StreamClosedError) and typ is not None:
            what = f"{self.request.method} {self.request.path}"
            log.error("%s failed", what, exc_info=(typ, value or typ(), tb))

    def _methods(self) -> list[str]:
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]


class CrossOriginHandler(JSONHandler):
    """A handler that pages of allowed origins may call. They may read its errors too."""

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over."""
        super().initialize(services)
        self.lasting_headers: dict[str, str] = {}  # kept when Tornado clears the others for an error

    def admit_origin(self) -> None:
        """Reject disallowed origins, and set the CORS headers for the others. Raises OriginRefused."""
        settings = self.services.settings
        self.lasting_headers |= cors_headers(self.request, settings.allowed_origins, settings.public_url)
        self._set_lasting_headers()

    def options(self) -> None:
        """Answer a CORS preflight: a browser asks whether a page of another origin may send credentials."""
        self.admit_origin()
        for name, value in preflight_headers("Authorization", "Last-Event-ID").items():
            self.set_header(name, value)
        self.clear_header("Content-Type")
        self.set_status(HTTPStatus.NO_CONTENT)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the status and the sentence of an error."""
        self._set_lasting_headers()
        super().write_error(status_code, **kwargs)

    def _set_lasting_headers(self) -> None:
        for name, value in self.lasting_headers.items():
            self.set_header(name, value)


@stream_request_body
class Handler(JSONHandler):
    """A handler that reads the request's body to its end, even if it refuses the request."""

    max_body = 0

    def initialize(self, services: Services) -> None:
        """Take what the table of routes hands over. A request with an unknown method gets no further."""
        super().initialize(services)
        self.body = Body(services.bodies, self.max_body, self.request.remote_ip)

    def prepare(self) -> None:
        """Get ready for a body of any length."""
        self.services.inflight.add(self.request.connection)
        # Once a body that is too long is over, we refuse it in our own words; Tornado would just hang up.
        cast("HTTP1Connection", self.request.connection).set_max_body_size(ANY_LENGTH)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, unless the request has been refused."""
        self.body.add(chunk)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """Send the answer. While the server is stopping, tell the client to connect anew for its next request."""
        if self.services.stopping:
            self.set_header("Connection", "close")
        return super().finish(chunk)

    def on_finish(self) -> None:
        """Release the body when the request is over."""
        self._release()

    def on_connection_close(self) -> None:
        """Release the body when the client has gone."""
        self._release()
        super().on_connection_close()

    def _release(self) -> None:
        self.body.release()
        self.services.inflight.remove(self.request.connection)


class NotFound(Handler):
    """Answers requests to paths that are not in the table of routes."""

    def prepare(self) -> None:
        """Refuse the request, whatever it is."""
        super().prepare()
        self.body.refuse(HTTPError(HTTPStatus.NOT_FOUND))

    def _answer(self) -> None:
        self.body.whole()

    get = head = post = put = patch = delete = options = _answer
