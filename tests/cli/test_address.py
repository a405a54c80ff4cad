from __future__ import annotations

import pytest

from cli.address import Address
from cli.errors import BadInput


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("https://logs.example.com/", "https://logs.example.com"),
        ("wss://logs.example.com/team/logs", "https://logs.example.com/team"),
        ("ws://[::1]:81", "http://[::1]:81"),
    ],
)
def test_a_url_is_read_as_people_write_it(text: str, url: str) -> None:
    assert Address.parse(text) == Address(url)


def test_a_link_gives_its_token() -> None:
    assert Address.parse("https://x.example/logs?token=a.b.c&tail=3") == Address("https://x.example", "a.b.c")


@pytest.mark.parametrize("text", ["", "ftp://x", "http://", "http://x:port", "http://[", "http://a b", "http://a\x1b"])
def test_a_url_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="URL"):
        Address.parse(text)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput) as refused:
        Address.parse("http://user:hunter2@x")
    assert "hunter2" not in str(refused.value)


def test_a_websocket_has_the_scheme_that_fits_and_a_query() -> None:
    address = Address("https://x.example/team")
    assert address.logs({"label": ["a=b", "c=d"], "tail": ["all"]}) == (
        "wss://x.example/team/logs?label=a%3Db&label=c%3Dd&tail=all"
    )


@pytest.mark.parametrize(
    ("url", "is_local"), [("http://[::1]:1", True), ("http://localhost", True), ("http://x", False)]
)
def test_only_this_machine_is_local(url: str, is_local: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Address.parse(url).is_local is is_local
