from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.claims import claims, described, duration, lifetime, namespace_of

if TYPE_CHECKING:
    from tests.conftest import LiveServer


def _token(held: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "a.%.c", "a.é.c", "a.W10.c", _token([])])
def test_a_token_that_says_nothing_has_no_claims(token: str) -> None:
    assert claims(token) == {}


def test_a_token_that_is_nested_without_end_has_no_claims() -> None:
    nested = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    assert claims(f"a.{nested}.c") == {}


async def test_a_token_says_what_it_opens(live: LiveServer) -> None:
    token = await live.sign(
        "myapp", pod="web-*,api-0", container="app", labels="app in (web,api),!canary", workload="deployment/web"
    )
    assert described(claims(token))[:-1] == [
        ("namespace", "myapp"),
        ("pod", "api-0,web-*"),
        ("container", "app"),
        ("labels", "app in (api,web),!canary"),
        ("workload", "deployment/web"),
    ]


async def test_labels_may_be_an_object(live: LiveServer) -> None:
    held = claims(await live.sign(labels={"app": "web", "tier": "front"}))
    assert ("labels", "app=web,tier=front") in described(held)


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        ({"exp": 1_800_000_000, "iat": 1_799_999_400}, "2027-01-15 08:00:00 UTC (10m)"),
        ({"exp": 1_800_000_000}, "2027-01-15 08:00:00 UTC"),
        ({"exp": 10**30, "iat": 10**31}, str(10**30)),
    ],
)
def test_a_token_says_until_when(held: dict[str, Any], shown: str) -> None:
    assert described(held) == [("until", shown)]


def test_hostile_claims_are_shown_harmlessly() -> None:
    held = {"namespace": "a\x1b[2J", "pod": ["\x07"], "exp": "soon"}
    assert described(held) == [("namespace", "a␛[2J"), ("pod", "['\\x07']")]
    assert (namespace_of(held), namespace_of({"namespace": 5}), lifetime(held)) == ("a␛[2J", "", None)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (90, "1m30s"), (3600, "1h"), (90_061, "1d1h1m1s")])
def test_a_duration_is_written_as_options_take_it(seconds: int, text: str) -> None:
    assert duration(seconds) == text
