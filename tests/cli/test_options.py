from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

_SERVER = Address("http://x")


def _options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**({"namespace": None, "token": None, "url": None} | given))


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("\ufeffAPI_SECRET=file${HOME}\nLOGURT_URL=file\nLOGURT_TOKEN=\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGURT_URL", "environment")
    monkeypatch.setenv("API_SECRET", "")
    known = arguments.variables()
    assert (known["API_SECRET"], known["LOGURT_URL"], known.get("LOGURT_TOKEN")) == ("file${HOME}", "environment", None)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_folder: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    (tmp_path / ".env").mkdir() if is_folder else (tmp_path / ".env").write_bytes(b"\xff")
    monkeypatch.chdir(tmp_path)
    if is_folder:
        assert "PATH" in arguments.variables()  # a folder is no file
    else:
        with pytest.raises(BadInput, match=r"\.env cannot be read"):
            arguments.variables()


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
    assert arguments.labels(texts) == read


@pytest.mark.parametrize("text", ["app", "=web", "app!=web", "app in (a,b)", "app=a,app=b", ""])
def test_other_selectors_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="label"):
        arguments.labels([text])


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("1m5", 65)]
)
def test_a_duration_is_seconds(text: str, seconds: int) -> None:
    assert arguments.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-5", "5m1h", "1.5h", "٣"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="duration"):
        arguments.seconds(text)


@pytest.mark.parametrize(
    ("option", "variable", "url"),
    [("http://a", "http://b", "http://a"), (None, "http://b", "http://b"), (None, "", "http://localhost:8080")],
)
def test_the_option_names_the_server_before_the_variable(option: str | None, variable: str, url: str) -> None:
    assert arguments.address(_options(url=option), {"LOGURT_URL": variable}).url == url


@pytest.mark.parametrize(
    ("option", "link", "variable", "token"),
    [("a", "b", "c", "a"), (None, "b", "c", "b"), (None, "", "c", "c"), (" a\n", "", "", "a")],
)
async def test_the_nearest_token_counts(option: str | None, link: str, variable: str, token: str) -> None:
    server = Address("http://x", link)
    known = {"LOGURT_TOKEN": variable, "API_SECRET": "secret"}
    credential = arguments.credential(_options(token=option), known, server)
    assert isinstance(credential, GivenToken)
    assert await credential.token() == token


def test_a_secret_signs_for_a_namespace() -> None:
    assert isinstance(arguments.credential(_options(namespace="myapp"), {"API_SECRET": "s"}, _SERVER), Signer)


@pytest.mark.parametrize(
    ("given", "known", "problem"),
    [
        ({"namespace": "myapp"}, {}, "a token is needed"),
        ({}, {"API_SECRET": "s"}, "NAMESPACE is needed"),
        ({"namespace": "myapp"}, {"API_SECRET": "a\nb"}, "API_SECRET must be visible"),
        ({"token": "a b"}, {}, "the token must be visible"),
    ],
)
def test_a_credential_that_cannot_be_is_explained(given: dict[str, str], known: dict[str, str], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        arguments.credential(_options(**given), known, _SERVER)


def test_signing_without_a_secret_is_refused() -> None:
    with pytest.raises(BadInput, match="API_SECRET is missing"):
        arguments.api_secret({"API_SECRET": ""})


def test_a_scope_has_only_what_was_given() -> None:
    given = _options(namespace="myapp", pod=None, container=None, labels=[], expires_in=None)
    assert arguments.scope(given) == {"namespace": "myapp"}
    given = _options(namespace="myapp", pod="p", container="c", labels=["a=b"], expires_in="10m")
    assert arguments.scope(given) == {
        "namespace": "myapp",
        "pod": "p",
        "container": "c",
        "labels": {"a": "b"},
        "expires_in": 600,
    }
