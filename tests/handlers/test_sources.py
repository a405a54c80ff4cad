"""GET /api/sources: whose lines are held, to whom that is told, and page by page."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from buffer.workload import KINDS
from tests.conftest import API_SECRET, INGEST_SECRET
from tests.handlers.peers import with_settings
from tests.wire import connected, request

if TYPE_CHECKING:
    from tornado.httpclient import HTTPResponse

    from tests.conftest import LiveServer

SECRET = {"Authorization": f"Token {API_SECRET}"}
FIRST, LAST = "2025-11-22T08:15:01.000000001Z", "2025-11-22T08:16:00Z"


def record(
    namespace: str, pod: str, container: str = "app", labels: dict[str, str] | None = None, time: str = FIRST
) -> dict[str, Any]:
    kubernetes = {"namespace_name": namespace, "pod_name": pod, "container_name": container, "labels": labels or {}}
    return {"log": "hello", "time": time, "kubernetes": kubernetes}


async def write(live: LiveServer, *records: dict[str, Any]) -> None:
    assert await live.ingest(json.dumps(records).encode()) == {"accepted": len(records), "skipped": 0}


async def asked(live: LiveServer, query: str = "", headers: dict[str, str] = SECRET, **options: Any) -> HTTPResponse:
    return await live.fetch(f"/api/sources?{query}".rstrip("?"), headers=headers, **options)


async def listed(live: LiveServer, query: str = "", headers: dict[str, str] = SECRET) -> list[str]:
    """The sources of an answer, each as namespace/pod/container."""
    response = await asked(live, query, headers)
    assert response.code == 200, response.body
    return [named(one) for one in json.loads(response.body)["sources"]]


def named(one: dict[str, Any]) -> str:
    return "/".join((one["namespace"], one["pod"], one["container"]))


async def refusal(live: LiveServer, query: str, headers: dict[str, str] = SECRET) -> tuple[int, str]:
    response = await asked(live, query, headers)
    return response.code, json.loads(response.body)["error"]


async def bearing(live: LiveServer, **scope: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {await live.sign(**scope)}"}


async def write_some(live: LiveServer) -> None:
    await write(
        live,
        record("shop", "web-7d4b-x2k9p", labels={"app": "web", "pod-template-hash": "7d4b"}),
        record("shop", "web-7d4b-x2k9p", "side", labels={"app": "web", "pod-template-hash": "7d4b"}),
        record("shop", "db-0", labels={"app": "db", "statefulset.kubernetes.io/pod-name": "db-0"}),
        record("bank", "api-0"),
    )


ALL = ["bank/api-0/app", "shop/db-0/app", "shop/web-7d4b-x2k9p/app", "shop/web-7d4b-x2k9p/side"]


# What is told


async def test_a_source_is_described_by_who_it_is_and_what_is_held_of_it(live: LiveServer) -> None:
    labels = {"app": "web", "pod-template-hash": "7d4b"}
    await write(live, record("shop", "web-7d4b-x2k9p", labels=labels))
    await write(live, record("shop", "web-7d4b-x2k9p", labels=labels, time=LAST))
    answer = json.loads((await asked(live)).body)
    (found,) = answer["sources"]
    assert "next" not in answer
    assert 0 < found.pop("bytes") < 4000
    assert found == {
        "namespace": "shop",
        "pod": "web-7d4b-x2k9p",
        "container": "app",
        "labels": labels,
        "workloads": ["replicaset/web-7d4b", "deployment/web"],
        "lines": 2,
        "first": FIRST,
        "last": LAST,
    }


async def test_where_nothing_is_held_the_list_is_empty(live: LiveServer) -> None:
    assert json.loads((await asked(live)).body) == {"sources": []}
    assert json.loads((await asked(live, "", await bearing(live))).body) == {"sources": []}


async def test_sources_come_in_order_of_namespace_pod_and_container(live: LiveServer) -> None:
    await write_some(live)
    assert await listed(live) == ALL


async def test_a_pod_whose_labels_have_changed_is_two_sources(live: LiveServer) -> None:
    await write(live, record("shop", "web-0", labels={"v": "2"}), record("shop", "web-0", labels={"v": "1"}))
    answer = json.loads((await asked(live)).body)
    assert [one["labels"] for one in answer["sources"]] == [{"v": "1"}, {"v": "2"}]


@with_settings(buffer_max_age_minutes=1)
async def test_a_source_leaves_the_list_with_its_last_line(live: LiveServer) -> None:
    await write_some(live)
    live.clock.advance(61)
    live.services.hub.expire(live.clock.now())
    assert await listed(live) == []


# Who is told


@with_settings(api_secret_previous="the-secret-of-yesterday")
@pytest.mark.parametrize("secret", [API_SECRET, "the-secret-of-yesterday"])
async def test_the_api_secret_lists_every_namespace(live: LiveServer, secret: str) -> None:
    await write_some(live)
    assert await listed(live, "", {"Authorization": f"Token {secret}"}) == ALL


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"namespace": "shop"}, ALL[1:]),
        ({"namespace": "shop", "pod": "db-0"}, ALL[1:2]),
        ({"namespace": "shop", "pod": "web-*"}, ALL[2:]),
        ({"namespace": "shop", "container": "side"}, ALL[3:]),
        ({"namespace": "shop", "labels": {"app": "web"}}, ALL[2:]),
        ({"namespace": "shop", "labels": "app!=web"}, ALL[1:2]),
        ({"namespace": "shop", "workload": "deployment/web"}, ALL[2:]),
        ({"namespace": "elsewhere"}, []),
    ],
)
async def test_a_token_lists_its_scope_and_nothing_else(
    live: LiveServer, scope: dict[str, Any], expected: list[str]
) -> None:
    await write_some(live)
    assert await listed(live, "", await bearing(live, **scope)) == expected
    assert await listed(live, f"token={await live.sign(**scope)}", {}) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Token wrong"},
        {"Authorization": f"Token {INGEST_SECRET}"},
        {"Authorization": f"Bearer {API_SECRET}"},
        {"Authorization": "Bearer nonsense"},
    ],
)
async def test_whoever_has_neither_is_told_what_is_taken(live: LiveServer, headers: dict[str, str]) -> None:
    await write_some(live)
    response = await asked(live, "", headers)
    assert (response.code, set(json.loads(response.body))) == (401, {"error"})
    assert response.headers["WWW-Authenticate"] == "Token, Bearer"


async def test_a_token_that_has_expired_lists_nothing(live: LiveServer) -> None:
    headers = await bearing(live, expires_in=60)
    live.clock.advance(61)
    assert await refusal(live, "", headers) == (401, "the token has expired")


async def test_a_secret_in_the_query_is_no_credential(live: LiveServer) -> None:
    assert (await refusal(live, f"token={API_SECRET}", {}))[0] == 401


# Narrowing


NARROWED = [
    ("namespace=shop", ALL[1:]),
    ("namespace=shop,bank", ALL),
    ("namespace=b*", ALL[:1]),
    ("namespace=none", []),
    ("pod=db-0", ALL[1:2]),
    ("pod=db-0&pod=api-*", ALL[:2]),
    ("container=side", ALL[3:]),
    ("label=app", ALL[1:]),
    ("label=!app", ALL[:1]),
    ("label=app+in+(web,db)&label=app!=db", ALL[2:]),
    ("workload=statefulset/db", ALL[1:2]),
    ("workload=replicaset/*&container=app", ALL[2:3]),
]


@pytest.mark.parametrize(("query", "expected"), NARROWED)
async def test_parameters_narrow_what_the_secret_lists(live: LiveServer, query: str, expected: list[str]) -> None:
    await write_some(live)
    assert await listed(live, query) == expected


@pytest.mark.parametrize(("query", "expected"), NARROWED[4:])
async def test_parameters_narrow_what_a_token_lists(live: LiveServer, query: str, expected: list[str]) -> None:
    await write_some(live)
    assert await listed(live, query, await bearing(live, namespace="shop")) == [
        one for one in expected if one.startswith("shop")
    ]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("namespace=bank", "namespace"),
        ("namespace=b*", "namespace"),
        ("pod=other", "pod"),
        ("pod=web-0,other", "pod"),
        ("label=app%3Ddb", "label"),
        ("label=!app", "label"),
    ],
)
async def test_what_is_outside_the_scope_of_a_token_is_refused_by_name(
    live: LiveServer, query: str, named: str
) -> None:
    headers = await bearing(live, namespace="shop", pod="web-*", labels={"app": "web"})
    expected = f"parameter {named} asks for something outside the token's scope"
    assert await refusal(live, query, headers) == (403, expected)


@pytest.mark.parametrize("query", ["namespace=shop", "namespace=s*", "namespace=*", "namespace=bank,shop", "after={}"])
async def test_no_parameter_shows_a_token_more_than_its_scope(live: LiveServer, query: str) -> None:
    await write_some(live)
    headers = await bearing(live, namespace="shop", pod="db-0")
    start = base64.urlsafe_b64encode(b'["","","",[],""]').decode()
    assert await listed(live, query.format(start), headers) == ["shop/db-0/app"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("nonsense=1", "parameter nonsense is not known"),
        ("tail=1", "parameter tail is not known"),
        ("namespace=", "parameter namespace must have names of 1 to 253 characters"),
        ("namespace=a&namespace=b", "parameter namespace is given more than once"),
        ("pod=a*b", "parameter pod may have * only at the end of a name"),
        ("pod=%FF", "parameter pod is not UTF-8"),
        (
            "label==",
            "parameter label must be like app=web, app!=web, app in (web,api), app notin (web,api), app or !app",
        ),
        (
            "workload=web",
            f"parameter workload must be like deployment/web, with one of {', '.join(KINDS)}",
        ),
    ],
)
@pytest.mark.parametrize("by", ["secret", "token"])
async def test_a_bad_parameter_is_named(live: LiveServer, query: str, sentence: str, by: str) -> None:
    headers = SECRET if by == "secret" else await bearing(live)
    assert await refusal(live, query, headers) == (400, sentence)


# Paging


async def pages(live: LiveServer, query: str, headers: dict[str, str] = SECRET) -> list[list[str]]:
    """All pages of a query, each with the sources on it."""
    found, after = [], ""
    while True:
        response = await asked(live, f"{query}&{after}".strip("&"), headers)
        answer = json.loads(response.body)
        found.append([named(one) for one in answer["sources"]])
        if "next" not in answer:
            return found
        after = urlencode({"after": answer["next"]})


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_pages_together_are_the_whole_list(live: LiveServer, limit: int) -> None:
    await write_some(live)
    assert await pages(live, f"limit={limit}") == [ALL[start : start + limit] for start in range(0, 4, limit)]


async def test_a_token_turns_pages_too(live: LiveServer) -> None:
    await write_some(live)
    assert await pages(live, "limit=2", await bearing(live, namespace="shop")) == [ALL[1:3], ALL[3:]]


async def test_100_sources_come_where_no_limit_is_given(live: LiveServer) -> None:
    await write(live, *[record("shop", f"web-{number:03}") for number in range(250)])
    assert [len(page) for page in await pages(live, "")] == [100, 100, 50]


async def test_every_source_is_listed_exactly_once_while_new_ones_come(live: LiveServer) -> None:
    old = [(f"ns-{number % 7}", f"pod-{number:04}") for number in range(0, 2000, 2)]
    await write(live, *[record(*one, labels={"n": "x" * (index % 3)}) for index, one in enumerate(old)])
    seen, after, new = [], "", iter(range(1, 2000, 2))
    while True:
        answer = json.loads((await asked(live, f"limit=37{after}")).body)
        seen += [(one["namespace"], one["pod"]) for one in answer["sources"]]
        if "next" not in answer:
            break
        after = "&" + urlencode({"after": answer["next"]})
        await write(
            live, *[record(f"ns-{number % 7}", f"pod-{number:04}") for _, number in zip(range(20), new, strict=False)]
        )
    assert seen == sorted(set(seen))
    assert set(old) <= set(seen)


@with_settings(buffer_max_age_minutes=1)
async def test_a_page_goes_on_where_the_source_that_ended_the_last_one_has_gone(live: LiveServer) -> None:
    await write(live, record("shop", "web-0"))
    live.clock.advance(50)
    await write(live, record("shop", "web-1"))
    answer = json.loads((await asked(live, "limit=1")).body)
    live.clock.advance(20)
    live.services.hub.expire(live.clock.now())
    assert await listed(live, urlencode({"after": answer["next"]})) == ["shop/web-1/app"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "", "x", "1.5", "+1", "1e2", "00001", "²", "9" * 20])
async def test_a_limit_out_of_bounds_is_refused(live: LiveServer, limit: str) -> None:
    expected = "parameter limit must be a whole number from 1 to 1000"
    assert await refusal(live, urlencode({"limit": limit})) == (400, expected)


@pytest.mark.parametrize("limit", ["1", "1000", "0001"])
async def test_a_limit_is_taken_at_its_bounds(live: LiveServer, limit: str) -> None:
    await write(live, record("shop", "web-0"))
    assert await listed(live, f"limit={limit}") == ["shop/web-0/app"]


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "é",
        "====",
        encoded(b""),
        encoded(b"[]"),
        encoded(b"{}"),
        encoded(b"null"),
        encoded(b'["a","b","c"]'),
        encoded(b'["a","b","c",[],7]'),
        encoded(b'["a","b","c",[["d"]],""]'),
        encoded(b'["a","b","c",[],""]x'),
        encoded(b'["\xff","b","c",[],""]'),
        encoded(b"[" * 10_000),
    ],
    ids=lambda after: after[:20],
)
async def test_a_page_that_nobody_was_given_is_refused(live: LiveServer, after: str) -> None:
    expected = "parameter after must be what an earlier answer gave as next"
    assert await refusal(live, urlencode({"after": after})) == (400, expected)


# Browsers and other clients


@with_settings(allowed_origins=("https://good.example",))
async def test_a_page_of_an_allowed_origin_may_read_the_list_and_no_other(live: LiveServer) -> None:
    good = await asked(live, "", SECRET | {"Origin": "https://good.example"})
    bad = await asked(live, "", SECRET | {"Origin": "https://evil.example"})
    assert (good.code, good.headers["Access-Control-Allow-Origin"]) == (200, "https://good.example")
    assert (bad.code, "Access-Control-Allow-Origin" in bad.headers) == (403, False)
    assert json.loads(bad.body) == {"error": "this origin is not allowed"}


async def test_a_page_may_read_why_it_is_refused(live: LiveServer) -> None:
    response = await asked(live, "limit=0", SECRET | {"Origin": "https://any.example"})
    assert (response.code, response.headers["Access-Control-Allow-Origin"]) == (400, "*")


async def test_a_preflight_lets_a_page_send_its_token(live: LiveServer) -> None:
    response = await asked(live, "", {"Origin": "https://any.example"}, method="OPTIONS")
    assert (response.code, response.body) == (204, b"")
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


async def test_head_is_answered_without_a_body(live: LiveServer) -> None:
    await write_some(live)
    response = await asked(live, method="HEAD")
    assert (response.code, response.body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_are_refused(live: LiveServer, method: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(request("/api/sources", f"Authorization: Token {API_SECRET}", method=method, body=b"x" * 1000))
        answer = await wire.answer()
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_a_list_is_not_kept_by_anything_on_its_way(live: LiveServer) -> None:
    response = await asked(live)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
