from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import logurt
from cli.address import Address
from cli.claims import claims
from cli.credential import Signed
from cli.sign import report
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer


async def _sign(live: LiveServer, *given: str) -> int:
    """Run the command in a thread of this process."""
    return await asyncio.to_thread(logurt.main, ["sign", "myapp", "--url", live.url(""), *given])


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_SECRET", API_SECRET)


async def test_a_token_alone_goes_to_standard_output(live: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert await _sign(live, "-l", "app=web", "--expires-in", "10m") == 0
    shown = capsys.readouterr()
    token = shown.out.removesuffix("\n")
    grant = live.services.tokens.verify(token)
    assert grant.selector.facts["labels"] == "app=web"
    assert grant.expires_at - claims(token)["iat"] == 600
    assert shown.err.startswith("This token opens\n  namespace  myapp\n  labels     app=web\n  until      2")


async def test_the_link_can_be_followed(live: LiveServer, capfd: pytest.CaptureFixture[str]) -> None:
    await live.write("one")
    await _sign(live)
    *_, link, _, view = capfd.readouterr().err.split()
    response = await live.http.fetch(f"{link}&follow=false")
    assert response.body == b"one\n"
    page = await live.http.fetch(view)
    assert page.headers["Content-Type"].startswith("text/html")


def test_links_of_the_server_go_before_one_that_is_made_here() -> None:
    signed = Signed("a.b.c", url="https://logs.example.com/logs?token=a.b.c", view="/view#token=a.b.c")
    assert report(Address("http://localhost:8080"), signed).splitlines() == [
        "This token opens",
        "  link       https://logs.example.com/logs?token=a.b.c",
        "  view       http://localhost:8080/view#token=a.b.c",
    ]


def test_a_server_that_gives_no_link_has_one_made_for_it() -> None:
    assert report(Address("http://x"), Signed("a.b.c")).endswith("  link       http://x/logs?token=a.b.c")


@pytest.mark.parametrize(
    ("secret", "given", "code", "sentence"),
    [
        ("", (), 2, "API_SECRET is missing, in the environment and in .env"),
        ("wrong", (), 1, "the server refuses to sign a token: API_SECRET is not the server's (401)"),
        (API_SECRET, ("-n", "other"), 2, "two namespaces are given, myapp and other"),
        (
            API_SECRET,
            ("-p", "Web_0"),
            1,
            "the server refuses to sign a token: pod must have names that Kubernetes allows, unlike Web_0 (400)",
        ),
        (API_SECRET, ("--expires-in", "x"), 2, "a duration must be like 600, 90s, 10m or 1h30m, not 'x'"),
    ],
)
async def test_what_cannot_be_signed_is_explained_in_a_line(
    live: LiveServer,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret: str,
    given: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("API_SECRET", secret)
    assert await _sign(live, *given) == code
    assert capsys.readouterr() == ("", f"logurt: {sentence}\n")
