from __future__ import annotations

import argparse

import pytest

from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import BadInput
from cli.options import (
    read_address,
    read_api_secret,
    read_credential,
    read_labels,
    read_scope,
    read_seconds,
)

_SERVER = Address("http://x")


def _options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**({"namespace": None, "token": None, "url": None} | given))


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        ([], {}),
        (["app=web"], {"app": "web"}),
        (["app=web,tier==front", "a=b=c"], {"app": "web", "tier": "front", "a": "b=c"}),
        (["app=", "app="], {"app": ""}),
    ],
)
def test_labels_are_read_as_kubectl_reads_them(texts: list[str], read: dict[str, str]) -> None:
    assert read_labels(texts) == read


@pytest.mark.parametrize("text", ["app", "=web", "app!=web", "app in (a,b)", "app=a,app=b", ""])
def test_other_selectors_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="label"):
        read_labels([text])


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("1m5", 65)]
)
def test_a_duration_is_seconds(text: str, seconds: int) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-5", "5m1h", "1.5h", "٣"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="duration"):
        read_seconds(text)


@pytest.mark.parametrize(
    ("option", "variable", "url"),
    [("http://a", "http://b", "http://a"), (None, "http://b", "http://b"), (None, "", "http://localhost:8080")],
)
def test_the_option_names_the_server_before_the_variable(option: str | None, variable: str, url: str) -> None:
    assert read_address(_options(url=option), {"LOGURT_URL": variable}).url == url


@pytest.mark.parametrize(
    ("option", "link", "variable", "token"),
    [("a", "b", "c", "a"), (None, "b", "c", "b"), (None, "", "c", "c"), (" a\n", "", "", "a")],
)
async def test_the_nearest_token_counts(option: str | None, link: str, variable: str, token: str) -> None:
    server = Address("http://x", link)
    variables = {"LOGURT_TOKEN": variable, "API_SECRET": "secret"}
    credential = read_credential(_options(token=option), variables, server)
    assert isinstance(credential, GivenToken)
    assert await credential.token() == token


def test_a_secret_signs_for_a_namespace() -> None:
    assert isinstance(read_credential(_options(namespace="myapp"), {"API_SECRET": "s"}, _SERVER), Signer)


@pytest.mark.parametrize(
    ("given", "variables", "problem"),
    [
        ({"namespace": "myapp"}, {}, "a token is needed"),
        ({}, {"API_SECRET": "s"}, "NAMESPACE is needed"),
        ({"namespace": "myapp"}, {"API_SECRET": "a\nb"}, "API_SECRET must be visible"),
        ({"token": "a b"}, {}, "the token must be visible"),
    ],
)
def test_a_credential_that_cannot_be_is_explained(
    given: dict[str, str], variables: dict[str, str], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        read_credential(_options(**given), variables, _SERVER)


def test_signing_without_a_secret_is_refused() -> None:
    with pytest.raises(BadInput, match="API_SECRET is missing"):
        read_api_secret({"API_SECRET": ""})


def test_a_scope_has_only_what_was_given() -> None:
    given = _options(namespace="myapp", pod=None, container=None, labels=[], expires_in=None)
    assert read_scope(given) == {"namespace": "myapp"}
    given = _options(namespace="myapp", pod="p", container="c", labels=["a=b"], expires_in="10m")
    assert read_scope(given) == {
        "namespace": "myapp",
        "pod": "p",
        "container": "c",
        "labels": {"a": "b"},
        "expires_in": 600,
    }
