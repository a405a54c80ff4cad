from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handlers.cors import OriginRefused, cors_headers, preflight_headers
from tests.handlers.peers import received

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

GOOD = ("https://good.example",)


def asked_by(origin: str | None) -> HTTPServerRequest:
    fields = [] if origin is None else [("Origin", origin)]
    return received("/logs", *fields, host="logs.example:8080")


@pytest.mark.parametrize("allowed", [("*",), GOOD, ()])
def test_a_client_that_is_no_page_needs_no_headers(allowed: tuple[str, ...]) -> None:
    assert cors_headers(asked_by(None), allowed) == {}


@pytest.mark.parametrize("origin", ["https://good.example", "HTTPS://Good.Example", "http://logs.example:8080"])
def test_a_page_of_an_allowed_origin_or_our_own_may_read_the_answer(origin: str) -> None:
    expected = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    assert cors_headers(asked_by(origin), GOOD) == expected


def test_a_page_below_the_public_url_is_our_own_whatever_host_a_proxy_names() -> None:
    expected = {"Access-Control-Allow-Origin": "https://Public.example:8443", "Vary": "Origin"}
    request = asked_by("https://Public.example:8443")
    assert cors_headers(request, GOOD, "https://public.example:8443/some/path") == expected
    for other in ("https://public.example/some/path", "http://public.example:8443", ""):
        with pytest.raises(OriginRefused):
            cors_headers(request, GOOD, other)


def test_no_origin_is_our_own_where_no_public_url_is_set() -> None:
    with pytest.raises(OriginRefused):
        cors_headers(asked_by(""), GOOD, "")


@pytest.mark.parametrize("origin", ["https://any.example", "null", ""])
def test_any_page_may_read_the_answer_where_all_are_allowed(origin: str) -> None:
    assert cors_headers(asked_by(origin), ("*",)) == {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "http://good.example",
        "https://good.example:8443",
        "https://good.example/",
        "https://good.example.evil.example",
        "https://evil.example/https://good.example",
        "http://logs.example",
        "http://x://logs.example:8080",
        "logs.example:8080",
        "//logs.example:8080",
    ],
)
def test_a_page_of_any_other_origin_is_refused(origin: str) -> None:
    with pytest.raises(OriginRefused, match="this origin is not allowed"):
        cors_headers(asked_by(origin), GOOD)


def test_a_preflight_is_told_the_method_and_the_headers_that_may_be_sent() -> None:
    assert preflight_headers("Authorization", "X-Other") == {
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": "Authorization, X-Other",
        "Access-Control-Max-Age": "3600",
    }
