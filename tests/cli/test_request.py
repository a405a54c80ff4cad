from __future__ import annotations

import json

import pytest

from cli.address import Address
from cli.errors import Redirected, Unreachable, Untrusted
from cli.request import fetch, unreachable
from tests.cli.bystanders import answering, saying, serving, untrusted


async def test_an_answer_is_returned_whatever_its_status() -> None:
    async with serving(saying(answering("418 Teapot", b"tea"))) as url:
        response = await fetch(Address(url), "/api/sources", "Bearer x")
    assert (response.code, response.body) == (418, b"tea")


async def test_a_body_is_posted_as_json() -> None:
    requests = list[bytes]()

    async with serving(saying(answering("200 OK"), requests.append)) as url:
        await fetch(Address(f"{url}/team"), "/api/sign", "Token x", body=json.dumps({}))
    assert requests[0].startswith(b"POST /team/api/sign HTTP/1.1\r\n")
    assert b"Authorization: Token x\r\n" in requests[0]
    assert b"Content-Type: application/json\r\n" in requests[0]


@pytest.mark.parametrize(
    ("location", "shown", "right"),
    [
        ("https://x.example/api/sign?a=secret#b", "https://x.example/api/sign", "https://x.example"),
        ("https://x.example/login?next=/", "https://x.example/login", ""),
        ("/login", "/login", ""),
        ("", "", ""),
    ],
)
async def test_a_redirect_is_reported_without_its_query_and_not_followed(location: str, shown: str, right: str) -> None:
    async with serving(saying(answering("301 Moved", b"", f"Location: {location}"))) as url:
        with pytest.raises(Redirected) as redirected:
            await fetch(Address(url), "/api/sign", "Token x", body="{}")
    assert (redirected.value.location, redirected.value.right) == (shown, right)


async def test_nobody_listening_is_unreachable() -> None:
    async with serving(saying(b"")) as url:
        pass
    with pytest.raises(Unreachable, match="Connection refused"):
        await fetch(Address(url), "/healthz", "")


@pytest.mark.logs
async def test_a_certificate_that_is_not_trusted_is_named() -> None:
    async with serving(saying(b""), tls=untrusted()) as url:
        with pytest.raises(Untrusted, match="is not trusted: ") as refused:
            await fetch(Address(url), "/healthz", "")
    assert "SSL_CERT_FILE" in refused.value.hint


def test_an_error_without_a_message_gets_one() -> None:
    assert unreachable(Address("http://x"), OSError()).problem == "the connection was closed"
