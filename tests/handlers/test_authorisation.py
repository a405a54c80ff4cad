from __future__ import annotations

import pytest

from handlers.authorisation import Secrets, Unauthorized, token_of
from handlers.query import BadParameter
from tests.handlers.peers import received

A_TOKEN_IS_NEEDED = "a token is needed: Authorization: Bearer <token>, or ?token=<token>"


# Secrets


def test_a_token_with_the_secret_is_accepted() -> None:
    assert Secrets("API_SECRET", "s3cret").accepts(["Token s3cret"])


@pytest.mark.parametrize("header", ["token s3cret", "TOKEN s3cret", "Token   s3cret ", "\tToken\ts3cret\t"])
def test_the_scheme_has_no_case_and_space_around_the_secret_does_not_count(header: str) -> None:
    assert Secrets("API_SECRET", "s3cret").accepts([header])


@pytest.mark.parametrize("scheme", ["", "Bearer ", "Basic ", "Token", "Token:", "Token s3cret ", "X-Token "])
def test_the_secret_in_another_scheme_is_not_accepted(scheme: str) -> None:
    assert not Secrets("API_SECRET", "s3cret").accepts([f"{scheme}s3cret"])


@pytest.mark.parametrize("credential", ["", "S3CRET", "s3cret2", "s3cre", "s3cret\0", "\udcff", "\u00e9"])
def test_anything_but_the_secret_is_not_accepted(credential: str) -> None:
    assert not Secrets("API_SECRET", "s3cret").accepts([f"Token {credential}"])


def test_the_secret_is_found_beside_the_basic_credentials_of_fluent_bit() -> None:
    assert Secrets("API_SECRET", "s3cret").accepts(["Basic dXNlcjpwYXNz", "Token wrong", "Token s3cret", "Basic eDp5"])


def test_no_header_at_all_is_not_accepted() -> None:
    assert not Secrets("API_SECRET", "s3cret").accepts([])


def test_each_of_many_secrets_is_accepted() -> None:
    secrets = Secrets("API_SECRET", "new", "", "old")
    assert [secrets.accepts([f"Token {one}"]) for one in ("new", "old", "", "newold")] == [
        True,
        True,
        False,
        False,
    ]


def test_an_empty_secret_opens_nothing() -> None:
    assert not Secrets("API_SECRET", "", "").accepts(["Token ", "Token", "Token  "])


def test_a_request_with_the_secret_passes() -> None:
    Secrets("API_SECRET", "s3cret").check(["Basic eDp5", "Token s3cret"])


@pytest.mark.parametrize("fields", [[], ["Token wrong"], ["Bearer s3cret"]])
def test_a_request_without_it_is_told_which_secret_is_wanted_and_not_what_it_sent(fields: list[str]) -> None:
    with pytest.raises(Unauthorized) as caught:
        Secrets("API_SECRET", "s3cret").check(fields)
    assert str(caught.value) == caught.value.reason == "the Authorization header must be: Token <API_SECRET>"


# Tokens


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("/logs", [("Authorization", "Bearer t.o.k")]),
        ("/logs", [("Authorization", "bearer   t.o.k")]),
        ("/logs?token=t.o.k", []),
        ("/logs?token=t.o.k", [("Authorization", "Basic eDp5")]),
        ("/logs", [("Sec-WebSocket-Protocol", "logurt, bearer.t.o.k")]),
        ("/logs", [("Sec-WebSocket-Protocol", "bearer.t.o.k")]),
        ("/logs?token=", [("Sec-WebSocket-Protocol", "x,bearer.t.o.k,y")]),
    ],
)
def test_a_token_is_found_in_each_of_its_three_places(uri: str, fields: list[tuple[str, str]]) -> None:
    assert token_of(received(uri, *fields)) == "t.o.k"


def test_the_header_goes_before_the_query_and_the_query_before_the_subprotocols() -> None:
    fields = [("Authorization", "Bearer header"), ("Sec-WebSocket-Protocol", "bearer.subprotocol")]
    assert token_of(received("/logs?token=query", *fields)) == "header"
    assert token_of(received("/logs?token=query", *fields[1:])) == "query"


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("/logs", []),
        ("/logs?token=", []),
        ("/logs?Token=t", []),
        ("/logs", [("Authorization", "Bearer")]),
        ("/logs", [("Authorization", "Token t")]),
        ("/logs", [("Sec-WebSocket-Protocol", "logurt, bearer., Bearer.t")]),
        ("/logs", [("Cookie", "token=t")]),
    ],
)
def test_a_request_without_a_token_is_told_how_to_send_one(uri: str, fields: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthorized) as caught:
        token_of(received(uri, *fields))
    assert str(caught.value) == A_TOKEN_IS_NEEDED


def test_a_token_in_the_query_that_is_not_utf_8_is_a_bad_parameter() -> None:
    with pytest.raises(BadParameter, match="parameter token is not UTF-8"):
        token_of(received("/logs?token=%FF"))
