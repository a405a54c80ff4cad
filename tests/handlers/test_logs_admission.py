"""GET /logs: who is let in, and how those are told who are not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import jwt
import pytest
from websockets.asyncio.client import connect as dial_websocket

from tests.handlers.peers import (
    ACCEPT,
    CLOSE,
    TEXT,
    UPGRADE,
    client_frame,
    error,
    nobody_is_left,
    request,
    until,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

pytestmark = pytest.mark.usefixtures("way_in")

FOREIGN_KEY = "a-key-that-is-not-this-server-s-but-long-enough"
EVENTS = {"Accept": "text/event-stream"}


async def answer(peer: Peer, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str, bytes]:
    """Status, head and body of an answer that has a length."""
    await peer.send(request(path, headers, method=method))
    head = await peer.head()
    size = int(head.lower().partition("content-length: ")[2].split("\r\n")[0] or 0)
    return int(head.split(" ")[1]), head, await peer.read(size)


@pytest.mark.parametrize("headers", [{}, EVENTS, UPGRADE], ids=["plain", "events", "websocket"])
@pytest.mark.parametrize("by", ["header", "query", "subprotocol"])
async def test_a_token_is_taken_in_each_of_three_ways(
    live: LiveServer, connect: Connect, headers: dict[str, str], by: str
) -> None:
    token, peer = await live.sign(), connect()
    ways = {
        "header": {"Authorization": f"bearer  {token}"},
        "subprotocol": {"Sec-WebSocket-Protocol": f"bearer.{token}"},
    }
    path = f"/logs?token={token}" if by == "query" else "/logs"
    await peer.send(request(path, headers | ways.get(by, {})))
    head = await peer.head()
    assert head.startswith("HTTP/1.1 101" if headers == UPGRADE else "HTTP/1.1 200")
    assert token not in head
    assert "sec-websocket-protocol" not in head.lower()


async def test_the_server_selects_its_own_subprotocol_and_never_echoes_the_token(live: LiveServer) -> None:
    await live.write("hello")
    token = await live.sign()
    async with dial_websocket(live.url("/logs", "ws"), subprotocols=[f"bearer.{token}", "logurt"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "logurt"
        assert await client.recv() == "hello"
        assert client.response is not None
        assert token not in str(client.response.headers)


@pytest.mark.parametrize("headers", [{}, EVENTS, UPGRADE], ids=["plain", "events", "websocket"])
@pytest.mark.parametrize(
    ("query", "code", "sentence"),
    [
        ("", 401, "a token is needed: Authorization: Bearer <token>, or ?token=<token>"),
        ("token=", 401, "a token is needed: Authorization: Bearer <token>, or ?token=<token>"),
        ("token=nonsense", 401, "the token is not a JWT signed with HS256"),
        ("token={token}x", 401, "the token is not a JWT signed with HS256"),
        ("token={foreign}", 401, "the token's signature is wrong"),
        ("token={expired}", 401, "the token has expired"),
        ("token={token}&pod=web-1", 403, "parameter pod asks for something outside the token's scope"),
        ("token={token}&nonsense=1", 400, "parameter nonsense is not known"),
        ("token={token}&tail=-1", 400, "parameter tail must be all or a whole number below 1000000000"),
        ("token={token}&token={token}", 400, "parameter token is given more than once"),
        ("token={token}&pod=%FF", 400, "parameter pod is not UTF-8"),
        ("token={token}&cursor=x", 400, "cursor is not one that this server has given out"),
        ("token={token}&include=(", 400, "parameter include is not a usable pattern: missing ): ("),
        ("token=%FF", 400, "parameter token is not UTF-8"),
    ],
)
async def test_a_refusal_is_a_status_and_a_sentence_before_any_upgrade(
    live: LiveServer, connect: Connect, headers: dict[str, str], query: str, *, code: int, sentence: str
) -> None:
    claims = {"exp": 1, "namespace": "myapp"}
    tokens = {
        "token": await live.sign(pod="web-0"),
        "expired": jwt.encode(claims, live.services.settings.jwt_signing_key, "HS256"),
        "foreign": jwt.encode(claims, FOREIGN_KEY, "HS256"),
    }
    status, head, body = await answer(connect(), f"/logs?{query.format(**tokens)}", headers)
    assert (status, error(body)) == (code, sentence)
    assert ("www-authenticate: bearer" in head.lower()) == (code == 401)


@with_settings(max_readers=1)
@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["plain", "websocket"])
async def test_one_reader_too_many_is_refused_until_another_has_gone(
    live: LiveServer, connect: Connect, headers: dict[str, str]
) -> None:
    token, first = await live.sign(), connect()
    await first.upgrade(token)
    code, _, body = await answer(connect(), f"/logs?token={token}", headers)
    assert (code, error(body)) == (503, "there are 1 readers already")
    await live.services.sessions.drain(0)
    live.services.sessions.stopping = False
    assert "101" in await connect().upgrade(token)


@with_settings(max_readers=3)
async def test_readers_that_come_at_once_get_no_more_places_than_there_are(live: LiveServer, connect: Connect) -> None:
    token, peers = await live.sign(), [connect() for _ in range(8)]
    for number, peer in enumerate(peers):
        await peer.send(request(f"/logs?token={token}", UPGRADE if number % 2 else {}))
    codes = [(await peer.head()).split(" ")[1] for peer in peers]
    assert sorted(code == "503" for code in codes) == [False] * 3 + [True] * 5


@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["plain", "websocket"])
async def test_a_server_that_is_stopping_takes_no_readers(
    live: LiveServer, connect: Connect, headers: dict[str, str]
) -> None:
    token = await live.sign()
    live.services.sessions.stopping = True
    code, _, body = await answer(connect(), f"/logs?token={token}", headers)
    assert (code, error(body)) == (503, "the server is stopping")


# Refusals that a page can see


PAGE = UPGRADE | {"Origin": "https://any.example"}


async def closed(peer: Peer, path: str, headers: dict[str, str] = PAGE) -> tuple[int, str]:
    """Close code and reason of a WebSocket that is closed as soon as it is open."""
    await peer.send(request(path, headers))
    assert (await peer.head()).startswith("HTTP/1.1 101")
    frame = await peer.frame()
    return frame.close_code, frame.payload[2:].decode()


@pytest.mark.parametrize(
    ("query", "code", "sentence"),
    [
        ("", 4401, "a token is needed: Authorization: Bearer <token>, or ?token=<token>"),
        ("token=nonsense", 4401, "the token is not a JWT signed with HS256"),
        ("token={token}&pod=web-1", 4403, "parameter pod asks for something outside the token's scope"),
        ("token={token}&nonsense=1", 4400, "parameter nonsense is not known"),
        ("token={token}&cursor=x", 4400, "cursor is not one that this server has given out"),
    ],
)
async def test_a_page_is_told_by_close_code_why_its_websocket_is_refused(
    live: LiveServer, connect: Connect, query: str, code: int, sentence: str
) -> None:
    token = await live.sign(pod="web-0")
    assert await closed(connect(), f"/logs?{query.format(token=token)}") == (code, sentence)


@with_settings(max_readers=1)
async def test_a_page_is_told_by_close_code_that_it_may_come_back(live: LiveServer, connect: Connect) -> None:
    path, first = f"/logs?token={await live.sign()}", connect()
    await first.send(request(path, PAGE))
    await first.head()
    assert await closed(connect(), path) == (4503, "there are 1 readers already")
    live.services.sessions.stopping = True
    assert await closed(connect(), path) == (4503, "the server is stopping")


async def test_a_reason_that_is_too_long_for_a_close_frame_is_cut(live: LiveServer, connect: Connect) -> None:
    code, reason = await closed(connect(), f"/logs?token={await live.sign()}&include=({'%C3%A9' * 100}")
    assert (code, reason[:45]) == (4400, "parameter include is not a usable pattern: mi")
    assert 120 < len(reason.encode()) <= 123


async def test_a_refused_page_gets_its_subprotocol_and_no_lines(live: LiveServer, connect: Connect) -> None:
    await live.write("secret")
    peer = connect()
    await peer.send(request("/logs", PAGE | {"Sec-WebSocket-Protocol": "logurt, bearer.nonsense"}))
    assert "sec-websocket-protocol: logurt" in (await peer.head()).lower()
    assert (await peer.frame()).close_code == 4401
    await peer.send(client_frame(TEXT, b"is anybody there?") + client_frame(CLOSE, b"\x11\x31"))
    assert await peer.rest() == b""


async def test_a_page_s_handshake_that_cannot_be_is_refused_with_a_status(connect: Connect) -> None:
    code, _, body = await answer(connect(), "/logs", PAGE | {"Sec-WebSocket-Version": "8"})
    assert (code, error(body)) == (400, "only version 13 of the WebSocket protocol is spoken here")


@with_settings(max_readers=1)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(
    ("is_stopping", "why"), [(False, "there are 1 readers already"), (True, "the server is stopping")]
)
async def test_an_event_source_is_put_off_and_not_sent_away_for_good(
    live: LiveServer, connect: Connect, version: str, *, is_stopping: bool, why: str
) -> None:
    token, first, waits = await live.sign(), connect(), set[int]()
    await first.get(token)
    live.services.sessions.stopping = is_stopping
    for _ in range(5):
        peer = connect()
        head = await peer.get(token, version=version, Accept="text/event-stream", Connection="close")
        assert head.startswith("HTTP/1.1 200")
        assert "Content-Type: text/event-stream; charset=utf-8" in head
        comment, retry, end = (await peer.rest()).decode().split("\n", 2)
        assert (comment, end) == (f": {why}", "\n")
        waits.add(int(retry.removeprefix("retry: ")))
    assert len(waits) > 1
    assert all(1000 <= wait <= 5000 for wait in waits)


async def test_an_event_source_is_refused_for_good_where_coming_back_is_of_no_use(
    live: LiveServer, connect: Connect
) -> None:
    live.services.sessions.stopping = True
    code, _, _ = await answer(connect(), "/logs?token=nonsense", EVENTS)
    assert code == 401


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"Sec-WebSocket-Version": "8"}, "only version 13 of the WebSocket protocol is spoken here"),
        ({"Sec-WebSocket-Version": ""}, "only version 13 of the WebSocket protocol is spoken here"),
        ({"Sec-WebSocket-Key": ""}, "a WebSocket request must have the header Sec-WebSocket-Key"),
        ({"Connection": "close"}, "a WebSocket request must have the header Connection: Upgrade"),
    ],
)
async def test_a_handshake_that_cannot_be_is_refused_with_the_version_that_can(
    live: LiveServer, connect: Connect, changed: dict[str, str], sentence: str
) -> None:
    code, head, body = await answer(connect(), f"/logs?token={await live.sign()}", UPGRADE | changed)
    assert (code, error(body)) == (400, sentence)
    assert "sec-websocket-version: 13" in head.lower()


async def test_an_upgrade_of_http_1_0_is_refused(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE, version="1.0"))
    assert (await peer.head()).startswith("HTTP/1.1 400")
    assert error(await peer.rest()) == "a WebSocket request must be of HTTP/1.1"


@pytest.mark.parametrize(
    "odd",
    [
        {"Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade"},
        {"Upgrade": "WEBSOCKET", "Connection": "upgrade,keep-alive"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; bits=9, x-webkit-deflate-frame"},
        {"Sec-WebSocket-Extensions": ';;=,"'},
        {"Sec-WebSocket-Protocol": ",, ,chat"},
        {"Origin": "http://["},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_an_odd_handshake_is_taken_and_nothing_is_negotiated(
    live: LiveServer, connect: Connect, odd: dict[str, str]
) -> None:
    await live.write("hello")
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE | odd))
    head = await peer.head()
    assert f"sec-websocket-accept: {ACCEPT}".lower() in head.lower()
    assert "extensions" not in head.lower()
    assert (await peer.frame()).payload == b"hello"


@with_settings(allowed_origins=("https://good.example",))
@pytest.mark.parametrize("headers", [{}, EVENTS, UPGRADE], ids=["plain", "events", "websocket"])
@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://good.example", True),
        ("HTTPS://Good.Example", True),
        ("http://127.0.0.1", True),
        ("http://good.example", False),
        ("https://good.example.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
        ("//127.0.0.1@evil.example", False),
    ],
)
async def test_a_page_is_let_in_by_its_origin(
    live: LiveServer, connect: Connect, headers: dict[str, str], origin: str, *, is_allowed: bool
) -> None:
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", headers | {"Origin": origin}))
    head = await peer.head()
    if headers == UPGRADE:
        assert head.startswith("HTTP/1.1 101")
        await live.write("hello")
        frame = await peer.frame()
        assert frame == ((TEXT, b"hello") if is_allowed else (CLOSE, b"\x11\x33this origin is not allowed"))
    else:
        assert head.split(" ")[1] == ("200" if is_allowed else "403")
    assert (f"Access-Control-Allow-Origin: {origin}\r\n" in head) == is_allowed
    assert ("Vary: Origin" in head) == is_allowed


async def test_any_origin_may_read_by_default_and_see_why_it_may_not(live: LiveServer, connect: Connect) -> None:
    for path in (f"/logs?token={await live.sign()}&tail=x", "/logs"):
        _, head, _ = await answer(connect(), path, {"Origin": "https://any.example"})
        assert "Access-Control-Allow-Origin: *" in head


@with_settings(allowed_origins=("https://good.example",))
async def test_a_preflight_is_answered_by_origin(connect: Connect) -> None:
    asked = {"Origin": "https://good.example", "Access-Control-Request-Headers": "authorization"}
    code, head, body = await answer(connect(), "/logs", asked, "OPTIONS")
    assert (code, body) == (204, b"")
    assert "Access-Control-Allow-Origin: https://good.example" in head
    assert "Access-Control-Allow-Headers: Authorization, Last-Event-ID" in head
    code, head, _ = await answer(connect(), "/logs", asked | {"Origin": "https://evil.example"}, "OPTIONS")
    assert (code, "Access-Control" in head) == (403, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
async def test_other_methods_are_refused(live: LiveServer, method: str) -> None:
    options = {"body": ""} if method in {"POST", "PUT"} else {}
    response = await live.fetch("/logs", method=method, **options)
    assert (response.code, response.headers["Allow"]) == (405, "GET, OPTIONS")


async def test_the_log_tells_of_readers_and_of_no_token(
    live: LiveServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await live.sign(pod="web-0", labels={"app": "web"})
    first, second, refused = connect(), connect(), connect()
    await live.write("one", "two", labels={"app": "web"})
    await first.upgrade(token)
    assert [(await first.frame()).payload for _ in range(2)] == [b"one", b"two"]
    await second.get(token, "container=app&tail=1")
    await refused.get(token, "pod=other")
    for peer in (first, second):
        peer.close()
        count = len(live.services.sessions)
        await until(lambda: len(live.services.sessions) < count)  # noqa: B023 - awaited at once
    events = [(one.getMessage(), vars(one)["fields"]) for one in caplog.records if one.name == "logurt"]
    told = [[facts.get(name) for name in ("pod", "container", "labels", "transport", "readers")] for _, facts in events]
    assert [event for event, _ in events] == [
        "token signed",
        "reader joined",
        "reader joined",
        "/logs refused with 403",
        "reader left",
        "reader left",
    ]
    assert told == [
        ["web-0", None, "app=web", None, None],
        ["web-0", None, "app=web", "WebSocket", 1],
        ["web-0", "app", "app=web", "http", 2],
        [None, None, None, None, None],
        ["web-0", None, "app=web", "WebSocket", 1],
        ["web-0", "app", "app=web", "http", 0],
    ]
    assert [facts["lines"] for event, facts in events if event == "reader left"] == [2, 1]
    assert {facts["client"] for _, facts in events} == {"127.0.0.1"}
    assert len({facts["jti"] for event, facts in events if "reader" in event or "signed" in event}) == 1
    assert token[:20] not in caplog.text
    assert nobody_is_left(live)
