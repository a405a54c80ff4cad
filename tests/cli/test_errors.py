from __future__ import annotations

import pytest

from cli.errors import Ended, Refused, Unreachable
from protocol import EXPIRED


@pytest.mark.parametrize(("status", "passes"), [(400, False), (401, False), (408, True), (429, True), (503, True)])
def test_only_some_refusals_pass(status: int, passes: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Refused("this stream", status, "").passes is passes


def test_a_refusal_tells_the_servers_sentence_without_its_control_characters() -> None:
    assert str(Refused("this stream", 400, "no\x1b[2J")) == "the server refuses this stream: no␛[2J (400)"


def test_a_refusal_without_a_sentence_asks_who_that_was() -> None:
    assert "HTTP status 404: is it logurt" in str(Refused("this stream", 404, ""))


@pytest.mark.parametrize(("is_local", "hint"), [(True, "kubectl port-forward service/logurt"), (False, "--url")])
def test_an_unreachable_server_comes_with_a_hint(is_local: bool, hint: str) -> None:  # noqa: FBT001 - likewise
    assert hint in str(Unreachable("http://x", "Connection refused", is_local=is_local))


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
