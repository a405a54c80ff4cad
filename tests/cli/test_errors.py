from __future__ import annotations

import pytest

from cli.errors import Ended, NoWebSocket, Redirected, Refused, Unreachable, WrongScheme
from protocol import EXPIRED


@pytest.mark.parametrize(("status", "passes"), [(400, False), (401, False), (408, True), (429, True), (503, True)])
def test_only_some_refusals_pass(status: int, passes: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Refused("this stream", status, "").passes is passes


def test_a_refusal_shows_the_servers_sentence_without_its_control_characters() -> None:
    assert str(Refused("this stream", 400, "no\x1b[2J")) == "the server refuses this stream: no␛[2J (400)"


def test_a_refusal_without_a_sentence_asks_whose_it_was() -> None:
    refused = Refused("this stream", 404, "")
    assert (str(refused), refused.hint) == (
        "the server refuses this stream with HTTP status 404",
        "Is it logurt, and is the --url right?",
    )


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_without_a_sentence_is_named(status: int) -> None:
    assert (
        Refused("this stream", status, "").hint == "It comes from a proxy that has no logurt to pass the request on to."
    )


@pytest.mark.parametrize(("is_local", "hint"), [(True, "kubectl port-forward service/logurt"), (False, "--url")])
def test_an_unreachable_server_comes_with_a_hint(is_local: bool, hint: str) -> None:  # noqa: FBT001 - likewise
    assert hint in Unreachable("http://x", "Connection refused", is_local=is_local).hint


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ("https://x", "the server at u speaks TLS"),
        ("http://x", "the server at u speaks plain HTTP, not TLS"),
    ],
)
def test_a_wrong_scheme_comes_with_the_right_url(right: str, sentence: str) -> None:
    wrong = WrongScheme("u", right)
    assert (str(wrong), wrong.hint) == (sentence, f"Use --url {right}")


@pytest.mark.parametrize(("right", "hint"), [("https://x", "Use --url https://x"), ("", "Is it the right --url?")])
def test_a_redirect_says_where_to(right: str, hint: str) -> None:
    redirected = Redirected("http://x", "https://x/\x07", right)
    assert (str(redirected), redirected.hint) == ("http://x redirects to https://x/␇", hint)


def test_a_proxy_that_is_known_to_be_one_is_named() -> None:
    answer = NoWebSocket("http://x", 200, "text/html", is_logurt=True)
    assert str(answer) == (
        "http://x is logurt, but behind something that does not let WebSockets through (HTTP status 200, text/html)"
    )
    assert answer.hint.startswith("Enable WebSocket upgrades in that proxy")


def test_an_answer_that_may_be_a_proxys_asks_for_both() -> None:
    answer = NoWebSocket("http://x", 404)
    assert str(answer) == "http://x does not open a WebSocket (HTTP status 404)"
    assert "--url" in answer.hint
    assert "Enable WebSocket upgrades" in answer.hint


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (EXPIRED.code, "", "the token has expired: ask for a new one"),
        (1008, "", "the server has ended the stream: no reason given (1008)"),
        (1008, "bad\x07", "the server has ended the stream: bad␇ (1008)"),
    ],
)
def test_an_end_says_why(code: int, reason: str, sentence: str) -> None:
    assert str(Ended(code, reason)) == sentence
