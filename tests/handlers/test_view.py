"""The page for browsers over the wire: what it is served with, and who is led to it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import cramjam
import pytest

from handlers.assets import viewer_assets
from handlers.view import view_of
from tests.handlers.peers import received, with_settings
from tests.wire import Answer, connected, head

if TYPE_CHECKING:
    from tests.conftest import LiveServer

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'"
)
HTML = "Accept: text/html,application/xhtml+xml"
NAVIGATION = "Sec-Fetch-Dest: document"


async def asked(live: LiveServer, path: str, *fields: str, method: str = "GET") -> Answer:
    async with connected(live.port) as wire:
        await wire.send(head(path, *fields, method=method))
        return await wire.answer(has_body=method != "HEAD")


def lasting(name: str) -> str:
    return f"/view/{viewer_assets().digest}/{name}"


@pytest.mark.parametrize("path", ["/", "/view", "/view/client.js", lasting("client.js")])
async def test_everything_comes_with_the_policy_and_no_referrer(live: LiveServer, path: str) -> None:
    headers = (await asked(live, path)).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@with_settings(frame_ancestors="'self' https://grafana.example.com")
async def test_the_pages_that_may_frame_it_are_in_the_policy(live: LiveServer) -> None:
    policy = (await asked(live, "/view")).headers["content-security-policy"]
    assert "; frame-ancestors 'self' https://grafana.example.com; " in policy


@pytest.mark.parametrize(
    ("path", "media_type", "cache"),
    [
        ("/", "text/html", "no-cache"),
        ("/view", "text/html", "no-cache"),
        ("/view/client.js", "text/javascript", "no-cache"),
        ("/view/client/token.js", "text/javascript", "no-cache"),
        (lasting("client/token.js"), "text/javascript", "public, max-age=31536000, immutable"),
        ("/view/0123456789abcdef/client/token.js", "text/javascript", "no-store"),
    ],
)
async def test_only_what_has_the_digest_in_its_path_is_kept(
    live: LiveServer, path: str, media_type: str, cache: str
) -> None:
    answer = await asked(live, path)
    assert (answer.status, answer.headers["content-type"]) == (200, f"{media_type}; charset=utf-8")
    assert answer.headers["cache-control"] == cache


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, GZIP;q=0.5", "gzip"),
        ("*", "br"),
        ("*, br; q=0.000", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_a_client_gets_the_smallest_that_it_takes(live: LiveServer, accepted: str, coding: str | None) -> None:
    answer = await asked(live, "/view/client.js", f"Accept-Encoding: {accepted}")
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    inflate = {"br": lambda body: bytes(cramjam.brotli.decompress(body)), "gzip": gzip.decompress, None: bytes}[coding]
    assert inflate(answer.body) == viewer_assets().files["client.js"].bodies["identity"]


async def test_what_a_client_has_already_is_not_sent_again(live: LiveServer) -> None:
    first = await asked(live, "/view", "Accept-Encoding: br")
    etag = first.headers["etag"]
    assert not etag.startswith("W/")
    again = await asked(live, "/view", "Accept-Encoding: br", f"If-None-Match: {etag}")
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["content-security-policy"] == POLICY
    other = await asked(live, "/view", "Accept-Encoding: gzip", f"If-None-Match: {etag}")
    assert (other.status, other.headers["etag"] != etag) == (200, True)


async def test_head_has_the_length_and_no_body(live: LiveServer) -> None:
    for path in ("/", "/view", "/view/client.js"):
        whole, bare = await asked(live, path), await asked(live, path, method="HEAD")
        assert (bare.status, bare.headers["content-length"]) == (200, str(len(whole.body)))


@pytest.mark.parametrize(
    "path",
    [
        "/view/",
        "/view/nothing.js",
        "/view/package.json",
        "/view/../server.py",
        "/view/%2e%2e/server.py",
        "/viewer",
        "/view//client.js/",
    ],
)
async def test_nothing_else_is_there(live: LiveServer, path: str) -> None:
    answer = await asked(live, path)
    assert (answer.status, answer.json) == (404, {"error": "there is nothing at this path"})


async def test_other_pages_may_import_the_client(live: LiveServer) -> None:
    headers = (await asked(live, "/view/client.js", "Origin: https://a.example")).headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert "access-control-allow-origin" not in (await asked(live, "/view")).headers


async def test_only_get_and_head_are_taken(live: LiveServer) -> None:
    answer = await asked(live, "/view", "Content-Length: 0", method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("fields", [(NAVIGATION, "Accept: */*"), (HTML,)])
async def test_a_browser_that_opens_a_link_is_led_to_the_page(live: LiveServer, fields: tuple[str, ...]) -> None:
    answer = await asked(live, "/logs?pod=web-*&token=a.b.c&include=a%26b", *fields)
    assert (answer.status, answer.body) == (303, b"")
    # Relative: behind a proxy that puts a path in front, it is the page behind that path.
    assert answer.headers["location"] == "view#pod=web-*&token=a.b.c&include=a%26b"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("/logs?token=a", []),
        ("/logs?token=a", ["Accept: */*"]),
        ("/logs?token=a", [HTML, "Sec-Fetch-Dest: empty"]),
        ("/logs?token=a", ["Accept: text/event-stream"]),
        ("/logs?token=a", [NAVIGATION, "Upgrade: websocket"]),
        ("/logs", [NAVIGATION]),
    ],
)
def test_nobody_else_is_led_anywhere(uri: str, fields: list[str]) -> None:
    pairs = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
    assert view_of(received(uri, *pairs)) is None
