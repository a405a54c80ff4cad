from __future__ import annotations

from http import HTTPStatus

import pytest
from tornado.web import HTTPError

from buffer.broker import BrokerUnavailable, Lagging
from delivery.cursor import BadCursor
from delivery.patterns import TooManyPatterns
from handlers.authorisation import Unauthorized
from handlers.budget import Overloaded
from handlers.cors import OriginRefused
from handlers.duplicates import StillStoring
from handlers.errors import STATUSES, error_message, is_public, status_of
from handlers.query import BadParameter, OutOfScope
from handlers.scope import InvalidMember
from handlers.sessions import ServerStopping, TooManyReaders
from handlers.tokens import InvalidBody
from handlers.upgrade import BadUpgrade
from ingest.errors import BodyTooLarge, Undecodable, UnsupportedEncoding

PUBLIC = [
    (InvalidBody("is bad"), 400),
    (InvalidMember("pod", "is bad"), 400),
    (BadParameter("tail", "is bad"), 400),
    (BadCursor(), 400),
    (BadUpgrade("this is no upgrade"), 400),
    (Undecodable("gzip"), 400),
    (Unauthorized("no"), 401),
    (OutOfScope("pod"), 403),
    (OriginRefused(), 403),
    (BodyTooLarge(1), 413),
    (UnsupportedEncoding("br"), 415),
    (Overloaded(1), 503),
    (StillStoring(), 503),
    (BrokerUnavailable("it sleeps"), 503),
    (Lagging(), 503),
    (TooManyReaders(1), 503),
    (TooManyPatterns(1), 503),
    (ServerStopping(), 503),
]
INTERNAL = [ValueError("hush"), KeyError("hush"), RecursionError("hush"), MemoryError("hush"), None]


@pytest.mark.parametrize(("error", "status"), PUBLIC)
def test_an_error_that_a_request_can_cause_has_its_status_and_tells_its_sentence(error: Exception, status: int) -> None:
    assert (status_of(error), is_public(error)) == (status, True)
    assert error_message(error, HTTPStatus(status)) == str(error)


def test_every_error_in_the_table_is_tried_here() -> None:
    assert {kind for kind in STATUSES for error, _ in PUBLIC if isinstance(error, kind)} == STATUSES.keys()


@pytest.mark.parametrize("error", INTERNAL)
def test_an_error_that_is_our_fault_has_no_status_and_stays_hidden(error: BaseException | None) -> None:
    assert (status_of(error), is_public(error)) == (None, False)
    assert error_message(error, HTTPStatus.INTERNAL_SERVER_ERROR) == "internal server error"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "there is nothing at this path"),
        (405, "this path does not take that method"),
        (400, "bad request"),
    ],
)
def test_an_error_of_tornado_has_its_status_and_a_sentence_of_ours(status: int, sentence: str) -> None:
    error = HTTPError(status, "a detail of Tornado's")
    assert (status_of(error), is_public(error)) == (status, False)
    assert error_message(error, HTTPStatus(status)) == sentence


def test_what_fluent_bit_should_send_again_is_never_a_4xx() -> None:
    passing = (BrokerUnavailable, Overloaded, ServerStopping)
    assert all(STATUSES[kind] >= HTTPStatus.INTERNAL_SERVER_ERROR for kind in passing)
