from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buffer.selector import Names
from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import NotLogurt, Refused, Unreachable
from tests.cli.bystanders import saying, serving
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer


async def test_a_given_token_stays_what_it_is() -> None:
    given = GivenToken("a.b.c")
    assert (await given.token(), await given.renew()) == ("a.b.c", "a.b.c")
    assert (given.forget(), given.renew_in()) == (False, None)


async def test_a_signed_token_opens_what_was_asked_for(live: LiveServer) -> None:
    signer = Signer(Address(live.url("")), API_SECRET, {"namespace": "myapp", "pod": "web-0"})
    token = await signer.token()
    assert live.services.tokens.verify(token).selector.pods == Names.of("web-0")


async def test_a_token_is_signed_once_until_it_is_forgotten(live: LiveServer) -> None:
    signer = Signer(Address(live.url("")), API_SECRET, {"namespace": "myapp"})
    first = await signer.token()
    live.clock.advance(1000)
    assert await signer.token() == first
    assert signer.forget()
    assert await signer.token() != first


async def test_a_token_is_renewed_before_it_ends_whatever_the_servers_clock_says(live: LiveServer) -> None:
    live.clock.advance(1_000_000_000)
    now = 50.0
    scope = {"namespace": "myapp", "expires_in": 100}
    signer = Signer(Address(live.url("")), API_SECRET, scope, monotonic=lambda: now)
    await signer.token()
    assert signer.renew_in() == 80
    now = 130.0
    assert signer.renew_in() == 16
    now = 1000.0
    assert signer.renew_in() == 1


@pytest.mark.parametrize(
    ("secret", "scope", "sentence"),
    [
        ("wrong", {"namespace": "x"}, "the server refuses to sign a token: API_SECRET is not the server's (401)"),
        (
            API_SECRET,
            {"namespace": "My_App"},
            "the server refuses to sign a token: namespace must have names that Kubernetes allows, unlike My_App (400)",
        ),
    ],
)
async def test_a_refusal_to_sign_has_the_servers_reason(
    live: LiveServer, secret: str, scope: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Refused) as refused:
        await Signer(Address(live.url("")), secret, scope).token()
    assert str(refused.value) == sentence


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b'{"error": 5}', b"\xff"])
async def test_a_refusal_by_something_else_has_its_status_only(body: bytes) -> None:
    response = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with serving(saying(response)) as url:
        with pytest.raises(Refused, match="HTTP status 404"):
            await Signer(Address(url), "secret", {}).token()


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'"\xff"'])
async def test_an_answer_without_a_token_is_not_from_logurt(body: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with serving(saying(response)) as url:
        with pytest.raises(NotLogurt, match="does not speak as a logurt server"):
            await Signer(Address(url), "secret", {}).token()


async def test_a_connection_that_ends_without_an_answer_is_unreachable() -> None:
    async with serving(saying(b"")) as url:
        with pytest.raises(Unreachable, match=r"cannot reach http://127\.0\.0\.1:"):
            await Signer(Address(url), "secret", {}).token()
