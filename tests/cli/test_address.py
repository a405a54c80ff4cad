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
    assert Address.parse("https://x.example/logs?token=a.b.c") == Address("https://x.example", "a.b.c")


def test_a_link_gives_its_other_parameters_even_those_that_are_empty() -> None:
    address = Address.parse("https://x.example/logs?tail=3&token=a&label=app%20in%20(a,b)&label=x&pod=")
    assert address.query == {"tail": ["3"], "label": ["app in (a,b)", "x"], "pod": [""]}


def test_a_link_for_browsers_has_everything_in_its_fragment() -> None:
    address = Address.parse("https://x.example/team/view#token=a.b.c&tail=3")
    assert (address.url, address.token, address.query) == ("https://x.example/team", "a.b.c", {"tail": ["3"]})


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://x:8080/team", "https://x:8080/team"),
        ("https://x", "http://x:443"),
        ("http://[::1]", "https://[::1]:80"),
    ],
)
def test_the_other_scheme_is_of_the_same_port(url: str, other: str) -> None:
    assert Address.parse(url).other_scheme == other


def test_a_path_of_the_server_is_resolved_and_a_url_stays() -> None:
    address = Address("https://x.example/team")
    assert address.resolve("/logs?token=a") == "https://x.example/team/logs?token=a"
    assert address.resolve("https://y.example/logs") == "https://y.example/logs"


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
