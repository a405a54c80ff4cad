from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING

import pytest

from handlers.body import Body
from tests.conftest import API_SECRET, INGEST_SECRET
from tests.wire import connected, head, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

INGEST = f"Authorization: Token {INGEST_SECRET}"
NOTHING = {"error": "there is nothing at this path"}
WRONG_METHOD = {"error": "this path does not take that method"}
HEALTHZ = request("/healthz", method="GET")


# Paths and methods


@pytest.mark.parametrize("target", ["//", "/nope", "/api", "/api/sign/", "/_ingest", "/LOGS", "//healthz", "/%00", "*"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
async def test_an_unknown_path_is_told_so(live: LiveServer, method: str, target: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(target, method=method, body=b"abc"))
        answer = await wire.answer()
        assert (answer.status, answer.json) == (404, NOTHING)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_path_of_18_kilobytes_is_unknown_too(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(request("/" + "a" * 18_000, method="GET") + HEALTHZ)
        assert [(await wire.answer()).status, (await wire.answer()).status] == [404, 200]


@pytest.mark.parametrize(
    ("target", "method", "allowed"),
    [
        ("/api/sign", "GET", "POST"),
        ("/api/sign", "PUT", "POST"),
        ("/_ingest/fluentbit", "PUT", "POST"),
        ("/_ingest/fluentbit", "OPTIONS", "POST"),
        ("/_ingest/fluentbit", "PATCH", "POST"),
        ("/healthz", "POST", "GET, HEAD"),
        ("/readyz", "DELETE", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_which_are_right(live: LiveServer, target: str, method: str, allowed: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(target, INGEST, method=method, body=b"abc") + HEALTHZ)
        answer = await wire.answer()
        assert (answer.status, answer.headers.get("allow")) == (405, allowed)
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize("method", ["PROPFIND", "FOO", "get", "post", "CONNECT"])
@pytest.mark.parametrize("target", ["/api/sign", "/healthz", "/nope", "/_ingest/fluentbit"])
async def test_a_method_that_http_does_not_have_is_answered(live: LiveServer, method: str, target: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(target, INGEST, method=method))
        answer = await wire.answer()
        assert (answer.status, answer.json) == (405, WRONG_METHOD)
        # Its body is not waited for, so the connection is no good for another request.
        assert await wire.rest() == b""


@pytest.mark.parametrize(("target", "status"), [("/healthz", 200), ("/nope", 404), ("/_ingest/fluentbit", 405)])
async def test_head_is_answered_without_a_body(live: LiveServer, target: str, status: int) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(target, INGEST, method="HEAD") + HEALTHZ)
        assert (await wire.answer(has_body=False)).status == status
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize("target", ["/nope", "/healthz", "/api/sign"])
async def test_a_body_of_5_megabytes_is_read_to_its_end_wherever_it_is_sent(live: LiveServer, target: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(target, "Content-Length: 5000000"), *[b"x" * 100_000] * 49)
        assert await wire.is_silent()
        await wire.send(b"x" * 100_000 + HEALTHZ)
        answer = await wire.answer()
        assert (answer.status, set(answer.json)) == (
            {"/nope": 404, "/healthz": 405, "/api/sign": 401}[target],
            {"error"},
        )
        assert (await wire.answer()).status == 200


async def test_a_body_that_is_thrown_away_takes_no_memory_of_the_budget(live: LiveServer) -> None:
    for part in range(2):
        live.services.bodies.take(live.services.bodies.limit // 2, f"10.0.0.{part}")
    async with connected(live.port) as wire:
        await wire.send(request("/nope", body=b"x" * 200_000) + request("/api/sign", body=b"x" * 200_000))
        assert [(await wire.answer()).status, (await wire.answer()).status] == [404, 401]


@pytest.mark.parametrize("target", ["/nope", "/api/sign", "/_ingest/fluentbit"])
async def test_a_refused_request_is_gone_without_the_garbage_collector(live: LiveServer, target: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(HEALTHZ)
        await wire.answer()
        gc.collect()
        gc.disable()
        try:
            await wire.send(request(target, body=b"[]") * 3 + HEALTHZ)
            for _ in range(4):
                await wire.answer()
            assert not [one for one in gc.get_objects() if isinstance(one, Body)]
        finally:
            gc.enable()


# What HTTP itself does not allow


@pytest.mark.parametrize(
    "sent",
    [
        head("/_ingest/fluentbit", INGEST, f"Content-Length: {2**62 + 1}"),
        head("/_ingest/fluentbit", INGEST, "Content-Length: -1"),
        head("/_ingest/fluentbit", INGEST, "Content-Length: " + "9" * 5000),
        head("/_ingest/fluentbit", INGEST, "Content-Length: \xb2"),
        head("/_ingest/fluentbit", INGEST, "Content-Length: 5", "Content-Length: 6") + b"000000",
        head("/_ingest/fluentbit", INGEST, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head("/_ingest/fluentbit", INGEST, "Transfer-Encoding: chunked") + b"zz\r\n",
        b"GET /logs?token=hush HTTP/3.1\r\nHost: x\r\n\r\n",
        b"GET /logs?token=hush spaces HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /_ingest/fluentbit HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_malformed_request_is_refused_and_the_connection_closed(live: LiveServer, sent: bytes) -> None:
    async with connected(live.port) as wire:
        await wire.send(sent)
        assert await wire.rest() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert (live.services.bodies.taken, len(live.services.inflight)) == (0, 0)


async def test_a_head_of_more_than_20_kib_closes_the_connection(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(head("/_ingest/fluentbit", INGEST, "X: " + "x" * 20_480))
        assert await wire.rest() == b""


async def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(head("/_ingest/fluentbit", INGEST, "Expect: 100-continue", "Content-Length: 2"))
        assert (await wire.answer()).status == 100
        await wire.send(b"[]")
        assert (await wire.answer()).json == {"accepted": 0, "skipped": 0}


async def test_requests_sent_all_at_once_are_answered_in_order(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(HEALTHZ + request("/nope") + request("/_ingest/fluentbit", INGEST, body=b"[]") + HEALTHZ)
        assert [(await wire.answer()).status for _ in range(4)] == [200, 404, 200, 200]


# What is our fault


@pytest.mark.logs
async def test_an_error_of_ours_is_answered_without_details(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("a detail of ours")

    monkeypatch.setattr(live.services.broker, "publish", fail)
    async with connected(live.port) as wire:
        body = b'{"log": "text", "kubernetes": {"namespace_name": "myapp"}}'
        await wire.send(request("/_ingest/fluentbit?token=hush", INGEST, body=body) + HEALTHZ)
        answer = await wire.answer()
        assert (answer.status, answer.json) == (500, {"error": "internal server error"})
        assert (await wire.answer()).status == 200
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged == ["POST /_ingest/fluentbit failed"]
    assert "a detail of ours" in caplog.text
    assert "hush" not in caplog.text
    assert INGEST_SECRET not in caplog.text


@pytest.mark.logs
async def test_no_request_leaves_its_credentials_in_the_log(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with connected(live.port) as wire:
        for target in ("/healthz", "/nope", "/api/sign", "/_ingest/fluentbit", "/logs"):
            for method in ("GET", "POST", "DELETE"):
                credentials = ("Authorization: Token hush", "Authorization: Bearer hush")
                await wire.send(request(f"{target}?token=hush&token=%ff", *credentials, method=method))
                await wire.answer()
    assert "hush" not in caplog.text


async def test_answers_do_not_name_the_software_behind_them(live: LiveServer) -> None:
    response = await live.fetch("/healthz", headers={"Authorization": f"Token {API_SECRET}"})
    assert "Server" not in response.headers
