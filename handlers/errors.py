"""The status of every error that a request can cause, and what the client is told."""

from __future__ import annotations

from http import HTTPStatus

from tornado.web import HTTPError

from buffer.broker import BrokerUnavailable, Lagging
from delivery.cursor import BadCursor
from delivery.patterns import TooManyPatterns
from handlers.authorisation import Unauthorized
from handlers.budget import Overloaded
from handlers.cors import OriginRefused
from handlers.duplicates import StillStoring
from handlers.query import BadParameter, OutOfScope
from handlers.scope import InvalidRequest
from handlers.sessions import ServerStopping, TooManyReaders
from handlers.upgrade import BadUpgrade
from ingest.errors import BodyTooLarge, Undecodable, UnsupportedEncoding

# Fluent Bit drops a chunk for good on nearly every 4xx, and sends it again on 5xx: whatever may pass must be a 5xx.
STATUSES: dict[type[Exception], HTTPStatus] = {
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
    Lagging: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    StillStoring: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyReaders: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyPatterns: HTTPStatus.SERVICE_UNAVAILABLE,
    ServerStopping: HTTPStatus.SERVICE_UNAVAILABLE,
}

_MESSAGES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method",
}


def status_of(error: BaseException | None) -> HTTPStatus | None:
    """Return the status of an error; None if it is none that a request can cause."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return HTTPStatus(error.status_code) if isinstance(error, HTTPError) else None


def is_public(error: BaseException | None) -> bool:
    """Return whether the client may read the text of an error. Internal errors stay hidden from it."""
    return status_of(error) is not None and not isinstance(error, HTTPError)


def error_message(error: BaseException | None, status: HTTPStatus) -> str:
    """Return the sentence that the client gets."""
    return str(error) if is_public(error) else _MESSAGES.get(status, status.phrase.lower())
