from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.sources import has_sources, selection
from tests.cli.bystanders import answering, saying, serving, silent

if TYPE_CHECKING:
    from tests.conftest import LiveServer


@pytest.mark.parametrize(
    ("query", "has_some"),
    [
        ({}, True),
        ({"pod": ["web-*"], "container": ["app"]}, True),
        ({"pod": ["api-0", "x"]}, False),
        ({"label": ["app in (web,api)", "!canary"]}, True),
        ({"label": ["canary"]}, False),
        ({"workload": ["deployment/web"]}, False),
        ({"tail": ["0"], "include": ["nothing like it"], "stream": ["stderr"]}, True),
    ],
)
async def test_sources_are_looked_for_as_lines_are_selected(
    live: LiveServer,
    query: dict[str, list[str]],
    has_some: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await live.write("one", labels={"app": "web"})
    assert await has_sources(Address(live.url("")), await live.sign(), query) is has_some


async def test_a_token_sees_its_own_scope_only(live: LiveServer) -> None:
    await live.write("one", namespace="other")
    assert not await has_sources(Address(live.url("")), await live.sign("myapp"), {})


async def test_a_server_that_refuses_to_say_is_not_taken_for_empty(live: LiveServer) -> None:
    assert await has_sources(Address(live.url("")), "no token", {})
    assert await has_sources(Address(live.url("")), await live.sign(pod="web-0"), {"pod": ["other"]})


@pytest.mark.parametrize("answer", [b"", answering("200 OK", b"<html>"), answering("200 OK", b"\xff")])
async def test_an_answer_that_says_nothing_is_not_taken_for_empty(answer: bytes) -> None:
    async with serving(saying(answer)) as url:
        assert await has_sources(Address(url), "token", {})


async def test_a_server_that_does_not_answer_is_not_taken_for_empty() -> None:
    async with serving(silent) as url:
        assert await has_sources(Address(url), "token", {}, seconds=0.1)


async def test_a_selection_has_a_phrase(live: LiveServer) -> None:
    token = await live.sign("myapp")
    assert selection(token, {"tail": ["5"]}) == "myapp"
    assert selection(token, {"pod": ["a", "b"], "label": ["app=web"]}) == "myapp (pod a,b; label app=web)"
    assert selection("a.b.c", {}) == "this namespace"
