from __future__ import annotations

import argparse

import pytest

from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import BadInput
from cli.options import (
    add_namespace,
    add_selection,
    read_address,
    read_api_secret,
    read_credential,
    read_namespace,
    read_scope,
    read_seconds,
    read_selection,
)

_SERVER = Address("http://x")


def _options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**({"namespace": None, "namespace_option": None, "token": None, "url": None} | given))


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


def _parsed(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_namespace(parser, "")
    add_selection(parser)
    parser.add_argument("--expires-in")
    return parser.parse_args(given)


@pytest.mark.parametrize(
    ("given", "namespace"),
    [((), ""), (("a",), "a"), (("-n", "a"), "a"), (("--namespace", "a"), "a"), (("a", "-n", "a"), "a")],
)
def test_a_namespace_is_an_argument_or_an_option(given: tuple[str, ...], namespace: str) -> None:
    assert read_namespace(_parsed(*given)) == namespace


def test_two_namespaces_are_refused() -> None:
    with pytest.raises(BadInput, match="two namespaces are given, a and b"):
        read_namespace(_parsed("a", "-n", "b"))


def test_a_selection_is_passed_on_as_it_was_given() -> None:
    given = ("-p", "web-*,api-0", "--pod", "x", "-c", "", "-l", "app in (web,api)", "--label", "!canary", "-w", "job/a")
    assert read_selection(_parsed(*given)) == {
        "pod": ["web-*,api-0", "x"],
        "container": [""],
        "label": ["app in (web,api)", "!canary"],
        "workload": ["job/a"],
    }


def test_a_scope_has_only_what_was_given() -> None:
    assert read_scope(_parsed("myapp")) == {"namespace": "myapp"}


def test_a_scope_has_all_values_of_an_option_in_one_text() -> None:
    given = ("-n", "myapp", "-p", "a,b", "-p", "c-*", "-l", "app in (web,api)", "-l", "!canary", "--expires-in", "10m")
    assert read_scope(_parsed(*given)) == {
        "namespace": "myapp",
        "pod": "a,b,c-*",
        "labels": "app in (web,api),!canary",
        "expires_in": 600,
    }


def test_a_scope_without_a_namespace_is_refused() -> None:
    with pytest.raises(BadInput, match="NAMESPACE is needed"):
        read_scope(_parsed())
