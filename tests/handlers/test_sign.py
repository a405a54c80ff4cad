from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from buffer.selector import Names, Selector
from handlers.selection import parse_labels
from tests.conftest import API_SECRET, INGEST_SECRET, JWT_SIGNING_KEY
from tests.handlers.peers import with_settings
from tests.wire import Answer, connected, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

TOKEN = f"Authorization: Token {API_SECRET}"
MYAPP = b'{"namespace": "myapp"}'
PREVIOUS = "the-api-secret-of-yesterday"


@pytest.fixture
def options() -> dict[str, Any]:
    return {"api_secret_previous": PREVIOUS, "jwt_expiration_minutes": 10}


async def signed(live: LiveServer, *fields: str, body: bytes = MYAPP) -> Answer:
    async with connected(live.port) as wire:
        await wire.send(request("/api/sign", *fields, body=body))
        return await wire.answer()


async def asked(live: LiveServer, **members: Any) -> Answer:
    return await signed(live, TOKEN, body=json.dumps(members).encode())


async def test_an_answer_has_a_token_a_url_and_when_it_expires(live: LiveServer) -> None:
    answer = await asked(live, namespace="myapp", expires_in=60)
    assert (answer.status, set(answer.json)) == (200, {"token", "url", "view", "expires_at"})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_token_grants_what_was_asked_for(live: LiveServer) -> None:
    answer = await asked(live, namespace="myapp", pod="web-0", container="app", labels={"b": "2", "a": "1"})
    grant = live.services.tokens.verify(answer.json["token"])
    assert grant.selector == Selector("myapp", Names.of("web-0"), Names.of("app"), parse_labels(["a=1,b=2"]))


async def test_the_token_grants_sets_prefixes_and_workloads(live: LiveServer) -> None:
    scope = {"pod": "web-*,api-0", "labels": "app in (web,api),!canary", "workload": "Deployment/web"}
    answer = await asked(live, namespace="myapp", **scope)
    grant = live.services.tokens.verify(answer.json["token"])
    assert grant.selector == Selector(
        "myapp",
        Names.of("web-*", "api-0"),
        labels=parse_labels(["app in (api,web)", "!canary"]),
        workloads=(Names.of("deployment/web"),),
    )


async def test_the_url_of_an_answer_reads_the_lines_of_its_namespace(live: LiveServer) -> None:
    await live.write("hello")
    answer = await asked(live, namespace="myapp")
    response = await live.fetch(answer.json["url"] + "&follow=false")
    assert (response.code, response.body) == (200, b"hello\n")


async def test_the_link_for_browsers_keeps_the_token_out_of_requests(live: LiveServer) -> None:
    answer = await asked(live, namespace="myapp")
    assert answer.json["view"] == f"/view#token={answer.json['token']}"


@with_settings(public_url="https://example.com/prefix")
async def test_links_are_whole_where_the_public_url_is_known(live: LiveServer) -> None:
    answer = await asked(live, namespace="myapp")
    token = answer.json["token"]
    assert answer.json["url"] == f"https://example.com/prefix/logs?token={token}"
    assert answer.json["view"] == f"https://example.com/prefix/view#token={token}"


@pytest.mark.parametrize(("members", "seconds"), [({}, 600), ({"expires_in": 60}, 60), ({"expires_in": 600}, 600)])
async def test_expires_at_is_the_end_of_the_token_in_utc(
    live: LiveServer, members: dict[str, Any], seconds: int
) -> None:
    answer = await asked(live, namespace="myapp", **members)
    claims = jwt.decode(answer.json["token"], JWT_SIGNING_KEY, ["HS256"])
    assert claims["exp"] == claims["iat"] + seconds
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.json["expires_at"])
    assert dt.datetime.fromisoformat(answer.json["expires_at"]).timestamp() == claims["exp"]


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": 7}, "namespace"),
        ({"namespace": "a", "pod": ["web-0"]}, "pod"),
        ({"namespace": "a", "container": None}, "container"),
        ({"namespace": "a", "labels": "app=a=b"}, "labels"),
        ({"namespace": "a", "labels": ["app=web"]}, "labels"),
        ({"namespace": "a", "workload": "web"}, "workload"),
        ({"namespace": "a", "pod": "Web_0"}, "pod"),
        ({"namespace": "a*"}, "namespace"),
        ({"namespace": "a", "labels": {"app": 1}}, "labels.app"),
        ({"namespace": "a", "expires_in": 601}, "expires_in"),
        ({"namespace": "a", "expires_in": "60"}, "expires_in"),
        ({"namespace": "a", "expires_in": 0}, "expires_in"),
        ({"namespace": "a", "exp": 60}, "exp"),
        ({"namespace": "a", "Pod": "web-0"}, "Pod"),
    ],
)
async def test_a_wrong_member_is_named(live: LiveServer, members: dict[str, Any], named: str) -> None:
    answer = await asked(live, **members)
    assert answer.status == 400
    assert answer.json["error"].startswith(f"{named} ")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"namespace=myapp", b"[" * 60_000])
async def test_a_body_that_is_no_json_object_is_refused(live: LiveServer, body: bytes) -> None:
    answer = await signed(live, TOKEN, body=body)
    assert (answer.status, answer.json) == (400, {"error": "the request body must be a JSON object"})


async def test_a_body_of_more_than_64_kib_is_refused_once_it_is_over(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(
            request("/api/sign", TOKEN, body=MYAPP.ljust(300_000)) + request("/api/sign", TOKEN, body=MYAPP)
        )
        assert [(await wire.answer()).status, (await wire.answer()).status] == [413, 200]


@pytest.mark.parametrize("secret", [API_SECRET, PREVIOUS])
@pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN"])
async def test_the_secret_and_the_previous_one_sign(live: LiveServer, scheme: str, secret: str) -> None:
    assert (await signed(live, f"Authorization: {scheme} {secret}")).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Authorization: Token wrong",),
        ("Authorization: Token",),
        ("Authorization:",),
        (f"Authorization: {API_SECRET}",),
        (f"Authorization: Bearer {API_SECRET}",),
        (f"Authorization: Basic {API_SECRET}",),
        (f"Authorization: Token {INGEST_SECRET}",),
        (f"Authorization: Token {JWT_SIGNING_KEY}",),
        (f"X-Authorization: Token {API_SECRET}",),
        (f"Cookie: Authorization=Token {API_SECRET}",),
        ("Authorization: Token \xff\xfe",),
    ],
)
async def test_whoever_does_not_hold_the_secret_is_refused(live: LiveServer, fields: tuple[str, ...]) -> None:
    answer = await signed(live, *fields)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Token")
    assert answer.json == {"error": "the Authorization header must be: Token <API_SECRET>"}


async def test_a_secret_in_the_query_is_no_credential(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(f"/api/sign?token={API_SECRET}&Authorization=Token+{API_SECRET}", body=MYAPP))
        assert (await wire.answer()).status == 401


async def test_a_token_does_not_sign_another(live: LiveServer) -> None:
    token = await live.sign()
    for scheme in ("Bearer", "Token"):
        assert (await signed(live, f"Authorization: {scheme} {token}")).status == 401


@pytest.mark.parametrize("first", ["Basic dXNlcjpwYXNz", "Token wrong", ""])
async def test_the_secret_may_be_in_any_of_two_headers(live: LiveServer, first: str) -> None:
    assert (await signed(live, f"Authorization: {first}", TOKEN)).status == 200
    assert (await signed(live, TOKEN, f"Authorization: {first}")).status == 200


@pytest.mark.parametrize(
    "member",
    [
        "x" * 5000,
        "\x00\r\nSet-Cookie: a=b",
        "<script>alert(1)</script>" * 50,
        "\U0001f600" * 400,
        "\u202e\u2028",
        "%s{0}",
    ],
)
async def test_a_refusal_of_a_hostile_member_is_short_json(live: LiveServer, member: str) -> None:
    answer = await asked(live, namespace="myapp", **{member: "hush"})
    assert (answer.status, set(answer.json)) == (400, {"error"})
    assert len(answer.body) < 1024
    assert answer.json["error"].isprintable()
    assert "hush" not in answer.json["error"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (TOKEN, b'{"namespace": ["hush-hush"]}'),
        (TOKEN, b'{"namespace": "a", "expires_in": "hush-hush"}'),
        (TOKEN, b'{"namespace": "a", "labels": {"app": ["hush-hush"]}}'),
        (TOKEN, b"hush-hush"),
        ("Authorization: Token hush-hush", MYAPP),
        ("Authorization: Bearer hush-hush", MYAPP),
    ],
)
async def test_a_refusal_never_echoes_a_secret_or_a_value(live: LiveServer, field: str, body: bytes) -> None:
    answer = await signed(live, field, body=body)
    assert answer.status in (400, 401)
    assert b"hush" not in answer.body
    assert API_SECRET.encode() not in answer.body


async def test_a_page_of_another_origin_needs_the_secret_like_anyone(live: LiveServer) -> None:
    foreign = ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
    refused, signed_for = await signed(live, *foreign), await signed(live, TOKEN, *foreign)
    assert (refused.status, signed_for.status) == (401, 200)
    assert "access-control-allow-origin" not in signed_for.headers
