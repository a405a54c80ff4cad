from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import random
import re
import zlib
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
import zstandard

from buffer.broker import BrokerUnavailable
from handlers.upload import Upload
from server import StopBounds
from tests.conftest import API_SECRET, INGEST_SECRET
from tests.handlers.peers import until
from tests.wire import Answer, Wire, connected, head, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from tornado.websocket import WebSocketClientConnection

    from buffer.broker import Broker
    from buffer.chunk import Chunk
    from tests.conftest import LiveServer

PATH = ""  # see `path`
TOKEN = f"Authorization: Token {INGEST_SECRET}"
CAPTURES = Path(__file__).parents[1] / "data" / "fluentbit"
TAG = "kube.var.log.containers.web-0.x_myapp_app-" + "0" * 64 + ".log"
# What Fluent Bit reads of an answer, head and body; a longer one has it send the same body again.
ANSWER_BYTES = 4096
MIB = 1 << 20


@pytest.fixture(autouse=True, params=["/_ingest/fluentbit", "/_ingest/fluentbit?by=tornado"], ids=["lane", "tornado"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all of this hold for both ways in: a query is for Tornado to read."""
    monkeypatch.setattr(f"{__name__}.PATH", request.param)


@pytest.fixture
def options() -> dict[str, Any]:
    return {"max_body_mib": 1, "max_line_kib": 64, "ingest_secret_previous": "the-secret-of-yesterday"}


# Have `live` know a body that comes again.
remembering = pytest.mark.parametrize("options", [{"duplicate_window_seconds": 120}], ids=["remembering"])


def with_room_for_bodies(size: int) -> pytest.MarkDecorator:
    """Have `live` take request bodies of so many bytes at the same time."""
    return pytest.mark.parametrize("bodies_bytes", [size], ids=["bodies_bytes"])


def record(
    text: str, namespace: str = "myapp", pod: str = "web-0", container: str = "app", **more: Any
) -> dict[str, Any]:
    kubernetes = {"namespace_name": namespace, "pod_name": pod, "container_name": container, **more}
    return {"time": "2025-11-22T08:15:01.123457790Z", "stream": "stdout", "log": text, "kubernetes": kubernetes}


def batch(*texts: str) -> bytes:
    return json.dumps([record(text) for text in texts]).encode()


def chunked(body: bytes, size: int) -> Iterable[bytes]:
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


async def posted(live: LiveServer, body: bytes, *fields: str) -> Answer:
    async with connected(live.port) as wire:
        await wire.send(request(PATH, *(fields or (TOKEN,)), body=body))
        return await wire.answer()


async def counts(live: LiveServer, body: bytes, *fields: str) -> Any:
    answer = await posted(live, body, TOKEN, *fields)
    assert answer.status == 200, answer
    return answer.json


@asynccontextmanager
async def following(
    live: LiveServer, *, exclude: str = "^no line is like this$", **scope: Any
) -> AsyncIterator[WebSocketClientConnection]:
    """Read new lines on a WebSocket, and expect no more of them in the end."""
    reader = await live.read(await live.sign(**scope), f"tail=0&exclude={exclude.replace(' ', '+')}")
    try:
        yield reader
    finally:
        reader.close()
        left = [message async for message in _rest(reader)]
    assert left == []


async def _rest(reader: WebSocketClientConnection) -> AsyncIterator[str | bytes]:
    while (message := await reader.read_message()) is not None:
        yield message


async def backlog(live: LiveServer, query: str = "", **scope: Any) -> list[str]:
    token = await live.sign(**scope)
    response = await live.fetch(f"/logs?token={token}&follow=false&tail=all&{query}".rstrip("&"))
    assert response.code == 200
    return response.body.decode().split("\n")[:-1]


# Captures


def captured(name: str) -> tuple[bytes, list[str]]:
    """Return the body of a capture, and its header fields but those that every client writes itself."""
    lines = (CAPTURES / f"{name}.head").read_text().split("\n")[1:]
    own = ("Host", "Content-Length", "Authorization", "Connection")
    return (CAPTURES / f"{name}.body").read_bytes(), [
        line.strip() for line in lines if line.strip() and not line.startswith(own)
    ]


def texts_of(body: bytes) -> list[str]:
    return [item["log"].removesuffix("\n") for item in json.loads(body)]


@pytest.mark.parametrize(
    ("name", "accepted", "skipped"),
    [
        ("default", 39, 0),
        ("readme-json", 39, 0),
        ("json_lines", 39, 0),
        ("json_stream", 39, 0),
        ("msgpack", 39, 0),
        ("msgpack.gzip", 39, 0),
        ("json.gzip", 39, 0),
        ("json.snappy", 39, 0),
        ("json.zstd", 39, 0),
        ("json.docker-parser", 10, 0),
        ("json.header-tag", 5, 0),
        ("json.helm-keeplog-off-root", 39, 0),
        ("json.parser-cri-message", 46, 0),
        ("json.kube-api-down", 0, 39),
        ("json.no-kubernetes-key", 0, 1),
    ],
)
async def test_a_captured_body_is_accepted_as_fluent_bit_sent_it(
    live: LiveServer, name: str, accepted: int, skipped: int
) -> None:
    body, fields = captured(name)
    answer = await posted(live, body, TOKEN, *fields, "Connection: keep-alive")
    assert (answer.status, answer.json) == (200, {"accepted": accepted, "skipped": skipped})
    assert answer.size < ANSWER_BYTES


@pytest.mark.parametrize(
    "name",
    ["readme-json", "json_lines", "json_stream", "msgpack", "msgpack.gzip", "json.gzip", "json.snappy", "json.zstd"],
)
async def test_whatever_the_format_the_same_texts_come_out_once_and_in_order(live: LiveServer, name: str) -> None:
    body, fields = captured(name)
    # In MessagePack Fluent Bit leaves invalid UTF-8 as it is, in JSON it puts private characters in its place.
    expected = [text for text in texts_of(captured("readme-json")[0]) if not re.search(" utf8|bad .* byte", text)]
    async with following(live, exclude=" utf8|bad .* byte") as reader:
        await counts(live, body, *fields)
        assert [await reader.read_message() for _ in expected] == expected
        await live.write("the next line")
        assert await reader.read_message() == "the next line"


@pytest.mark.parametrize("field", ["Fluent-Tag", "X-Fluent-Tag", "fluent-tag"])
async def test_the_tag_stands_in_for_missing_metadata(live: LiveServer, field: str) -> None:
    assert await counts(live, b'[{"log": "hello"}]', f"{field}: {TAG}") == {"accepted": 1, "skipped": 0}
    assert await backlog(live, "prefix=true", pod="web-0.x") == ["web-0.x/app hello"]


async def test_of_two_tags_that_of_fluent_bit_counts(live: LiveServer) -> None:
    await counts(live, b'[{"log": "hello"}]', f"Fluent-Tag: {TAG}", f"X-Fluent-Tag: {TAG.replace('web', 'db')}")
    assert (await backlog(live, pod="web-0.x"), await backlog(live, pod="db-0.x")) == (["hello"], [])


async def test_the_tag_counts_for_more_than_metadata_that_contradicts_it_and_that_is_logged(
    live: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "logurt")
    await counts(live, batch("hello"), f"Fluent-Tag: {TAG.replace('myapp', 'other')}")
    assert (await backlog(live), await backlog(live, namespace="other")) == ([], ["hello"])
    assert "metadata contradicts their tag" in caplog.text


@pytest.mark.parametrize("tag", ["", "kube", "\xff\xfe", "_" * 300, "../../etc/passwd", "a_b_c.log" * 500])
async def test_a_tag_that_names_no_container_costs_nothing(live: LiveServer, tag: str) -> None:
    assert await counts(live, batch("hello"), f"Fluent-Tag: {tag}") == {"accepted": 1, "skipped": 0}


# Who may post


@pytest.mark.parametrize(
    "fields",
    [
        (f"Authorization: Token {INGEST_SECRET}",),
        (f"Authorization: token {INGEST_SECRET}",),
        (f"Authorization: Token {API_SECRET}",),
        ("Authorization: Token the-secret-of-yesterday",),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Token {INGEST_SECRET}"),
        (f"Authorization: Token {INGEST_SECRET}", "Authorization: Basic dXNlcjpwYXNz"),
        (TOKEN, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
    ],
)
async def test_whoever_holds_a_secret_may_post(live: LiveServer, fields: tuple[str, ...]) -> None:
    assert (await posted(live, batch("hello"), *fields)).status == 200
    assert await backlog(live) == ["hello"]


@pytest.mark.parametrize(
    "field",
    ["X-None: 1", "Authorization: Token wrong", f"Authorization: Bearer {INGEST_SECRET}", "Authorization: Token"],
)
async def test_who_holds_none_is_refused_and_nothing_is_stored(live: LiveServer, field: str) -> None:
    answer = await posted(live, batch("hello"), field)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Token")
    assert answer.json == {"error": "the Authorization header must be: Token <INGEST_SECRET>"}
    assert await backlog(live) == []


async def test_the_secret_of_ingest_does_not_sign(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(request("/api/sign", TOKEN, body=b'{"namespace": "myapp"}'))
        assert (await wire.answer()).status == 401


# Refusals, once the body is over


REFUSALS: dict[str, tuple[list[str], bytes, int]] = {
    "no secret": ([], batch("hello"), 401),
    "too large": ([TOKEN], b"[%b]" % (b" " * MIB), 413),
    "too large inside": ([TOKEN, "Content-Encoding: gzip"], gzip.compress(b" " * 2 * MIB), 413),
    "unknown encoding": ([TOKEN, "Content-Encoding: br"], batch("hello"), 415),
    "two encodings": ([TOKEN, "Content-Encoding: gzip, gzip"], gzip.compress(gzip.compress(batch("hello"))), 415),
    "two fields": ([TOKEN, *["Content-Encoding: gzip"] * 2], gzip.compress(gzip.compress(batch("hello"))), 415),
    "no records": ([TOKEN], b"no records at all", 400),
    "broken gzip": ([TOKEN, "Content-Encoding: gzip"], gzip.compress(batch("hello"))[:-20], 400),
}


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: {}"])
@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_comes_after_the_last_byte_and_the_connection_goes_on(
    live: LiveServer, kind: str, framing: str
) -> None:
    fields, body, status = REFUSALS[kind]
    framing = framing.format(len(body))
    sent = b"".join(chunked(body, 300_000)) if "chunked" in framing else body
    step = len(sent) // 5
    async with connected(live.port) as wire:
        await wire.send(
            head(PATH, *fields, framing), *[sent[start : start + step] for start in range(0, 4 * step, step)]
        )
        await wire.send(sent[4 * step : -1])
        assert await wire.is_silent()
        await wire.send(sent[-1:])
        answer = await wire.answer()
        assert (answer.status, set(answer.json)) == (status, {"error"})
        assert answer.size < ANSWER_BYTES
        await wire.send(request(PATH, TOKEN, body=batch("the next one")))
        assert (await wire.answer()).json == {"accepted": 1, "skipped": 0}


async def test_a_broker_that_cannot_take_logs_has_them_sent_again(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise BrokerUnavailable

    monkeypatch.setattr(live.services.broker, "publish", refuse)
    answer = await posted(live, batch("hello"))
    assert (answer.status, answer.json) == (503, {"error": "the broker cannot take logs now"})


async def test_an_endless_body_without_a_secret_takes_no_memory(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(PATH, "Transfer-Encoding: chunked"), *[b"10000\r\n%b\r\n" % (b"x" * 65536)] * 200)
        assert live.services.bodies.taken == 0
        assert await wire.is_silent()
        wire.vanish()


# Bodies of any kind


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_body_in_chunks_is_taken_like_any_other(live: LiveServer, size: int) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN, "Transfer-Encoding: chunked"), *chunked(batch("one", "two"), size))
        assert (await wire.answer()).json == {"accepted": 2, "skipped": 0}
    assert await backlog(live) == ["one", "two"]


async def test_a_body_in_pieces_of_a_byte_is_taken_like_any_other(live: LiveServer) -> None:
    body = batch("one")
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN, f"Content-Length: {len(body)}"), *[bytes([byte]) for byte in body])
        assert (await wire.answer()).json == {"accepted": 1, "skipped": 0}


@pytest.mark.parametrize("size", [1000, 262_144, 262_145, 300_000, 900_000])
async def test_what_follows_a_body_of_any_size_is_the_next_request(live: LiveServer, size: int) -> None:
    body = batch("x" * 30_000) + b" " * size
    async with connected(live.port) as wire:
        await wire.send((request(PATH, TOKEN, body=body) + request("/healthz", method="GET")) * 2)
        for _ in range(2):
            assert (await wire.answer()).json == {"accepted": 1, "skipped": 0}
            assert (await wire.answer()).json == {"status": "alive"}
    assert [len(line) for line in await backlog(live)] == [30_000] * 2


@pytest.mark.parametrize("body_seconds", [0.05])
@pytest.mark.parametrize("sent", [b"", b"[" * 100, b"[" * 300_000])
@pytest.mark.parametrize("framing", ["Content-Length: {}", "Expect: nothing\r\nContent-Length: {}"])
async def test_a_body_that_does_not_come_closes_the_connection(live: LiveServer, sent: bytes, framing: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN, framing.format(len(sent) + 1)), sent)
        assert await wire.rest() == b""
    assert (live.services.bodies.taken, len(live.services.inflight)) == (0, 0)


async def test_what_came_of_a_body_before_its_client_left_is_no_request(live: LiveServer) -> None:
    hidden = request(PATH, TOKEN, body=batch("hidden"))
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN, "Content-Length: 100000"), hidden * 3)
        await until(lambda: live.services.bodies.taken >= len(hidden) * 3)
    await taken(live, 0)
    assert await backlog(live) == []


@pytest.mark.parametrize("body", [b"", b" \n", b"[]"])
async def test_a_body_without_records_is_fine(live: LiveServer, body: bytes) -> None:
    assert await counts(live, body) == {"accepted": 0, "skipped": 0}


async def test_a_request_without_a_length_has_no_body(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN) + request("/healthz", method="GET"))
        assert (await wire.answer()).json == {"accepted": 0, "skipped": 0}
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    "record",
    [{"log": "text"}, {"log": "text", "kubernetes": None}, {"kubernetes": {"namespace_name": "a"}}, {}],
)
async def test_unusable_records_are_counted_and_do_not_fail_the_batch(live: LiveServer, record: object) -> None:
    assert await counts(live, json.dumps([record] * 3).encode()) == {"accepted": 0, "skipped": 3}


async def test_a_broken_record_that_says_where_it_ends_costs_no_other(live: LiveServer) -> None:
    good = [json.dumps(record(f"line {number}")) for number in range(600)]
    body = f"[{', '.join([*good[:300], '{broken}', *good[300:]])}]".encode()
    assert await counts(live, body) == {"accepted": 600, "skipped": 1}
    assert await backlog(live) == [f"line {number}" for number in range(600)]


async def test_in_a_body_of_lines_a_broken_record_costs_no_other_line(live: LiveServer) -> None:
    good = [json.dumps(record(f"line {number}")) for number in range(600)]
    body = "\n".join([*good[:300], "{broken", *good[300:]]).encode()
    assert (await counts(live, body))["accepted"] == 600
    assert await backlog(live) == [f"line {number}" for number in range(600)]


async def test_where_nobody_knows_where_a_record_ends_the_rest_is_lost_and_counted(live: LiveServer) -> None:
    good = [json.dumps(record(f"line {number}")) for number in range(600)]
    body = f"[{', '.join([*good[:300], '{broken', *good[300:]])}]".encode()
    answer = await counts(live, body)
    assert (answer["accepted"], answer["skipped"] >= 300) == (300, True)


async def test_order_is_kept_among_and_within_sources(live: LiveServer) -> None:
    records = [record(f"line {number}", pod=f"web-{number * 7 % 3}") for number in range(900)]
    assert await counts(live, json.dumps(records).encode()) == {"accepted": 900, "skipped": 0}
    assert await backlog(live) == [f"line {number}" for number in range(900)]


async def test_a_line_above_the_limit_is_cut_and_says_so(live: LiveServer) -> None:
    assert await counts(live, batch("short", "x" * 70_000, "é" * 32_768)) == {"accepted": 3, "skipped": 0}
    short, cut, whole = await backlog(live)
    assert (short, whole) == ("short", "é" * 32_768)
    assert len(cut) <= 65_536
    assert cut.endswith(" bytes cut: the line was too long")


# Scope


PODS = [("myapp", "web-0", "app"), ("myapp", "web-1", "app"), ("myapp", "web-0", "side"), ("other", "web-0", "app")]
SCOPES: list[dict[str, Any]] = [
    {"namespace": "myapp"},
    {"namespace": "other"},
    {"namespace": "my"},
    {"namespace": "myapp", "pod": "web-0"},
    {"namespace": "myapp", "container": "side"},
    {"namespace": "myapp", "pod": "web-0", "container": "app"},
    {"namespace": "myapp", "labels": {"app": "myapp.web-1.app"}},
    {"namespace": "other", "labels": {"app": "myapp.web-1.app"}},
]


def expected_in(scope: dict[str, Any]) -> list[str]:
    named = [(dict(zip(("namespace", "pod", "container"), pod, strict=True)), ".".join(pod)) for pod in PODS]
    wanted = scope.get("labels", {}).get("app")
    return [
        name
        for scopes, name in named
        if all(scopes[key] == value for key, value in scope.items() if key != "labels") and wanted in (None, name)
    ]


@pytest.mark.parametrize("scope", SCOPES)
async def test_nothing_of_a_mixed_batch_reaches_a_reader_out_of_its_scope(
    live: LiveServer, scope: dict[str, Any]
) -> None:
    records = [record(".".join(pod), *pod, labels={"app": ".".join(pod)}) for pod in PODS]
    expected = expected_in(scope) * 2
    async with following(live, **scope) as reader:
        assert await counts(live, json.dumps(records * 2).encode()) == {"accepted": 8, "skipped": 0}
        assert [await reader.read_message() for _ in expected] == expected
        # Whatever is on its way comes before the answer to another request on the same event loop.
        assert await backlog(live, **scope) == expected


# Bombs


def bombs() -> dict[str, bytes]:
    spaces = b" " * (16 * MIB)
    return {
        "gzip": gzip.compress(spaces),
        "deflate": zlib.compress(spaces),
        "zstd": zstandard.ZstdCompressor(write_content_size=False).compress(spaces),
        "snappy": bytes(cramjam.snappy.compress_raw(spaces)),
    }


BOMBS = bombs()


@pytest.mark.parametrize("encoding", BOMBS)
async def test_a_bomb_is_refused(live: LiveServer, encoding: str) -> None:
    bomb = BOMBS[encoding]
    assert len(bomb) < MIB
    answer = await posted(live, bomb, TOKEN, f"Content-Encoding: {encoding}")
    assert (answer.status, answer.json) == (
        413,
        {"error": "the body is larger than 1048576 bytes, after decompression if there is any"},
    )
    assert live.services.bodies.taken == 0


async def test_a_body_that_is_compressed_twice_is_refused(live: LiveServer) -> None:
    bomb = gzip.compress(BOMBS["gzip"])
    assert (await posted(live, bomb, TOKEN, "Content-Encoding: gzip, gzip")).status == 415


# Bodies that arrive at the same time


@asynccontextmanager
async def half_sent(live: LiveServer) -> AsyncIterator[list[Wire]]:
    """Send all but ten bytes of each of three bodies of a mebibyte, and vanish in the end."""
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(live.port)) for _ in range(3)]
        for wire in wires:
            await wire.send(head(PATH, TOKEN, f"Content-Length: {MIB}"), b"[" + b" " * (MIB - 11))
        await until(lambda: live.services.bodies.taken >= 3 * (MIB - 10))
        yield wires
        for wire in wires:
            wire.vanish()


async def taken(live: LiveServer, size: int) -> None:
    """Wait until the budget has so many bytes taken."""
    for _ in range(2000):
        if live.services.bodies.taken == size:
            return
        await asyncio.sleep(0.001)
    assert live.services.bodies.taken == size


async def inflight(live: LiveServer, count: int) -> None:
    """Wait until so many requests have begun and are not over."""
    await until(lambda: len(live.services.inflight) == count)


@with_room_for_bodies(4 * MIB)
async def test_more_bodies_at_the_same_time_than_fit_are_to_come_again(live: LiveServer) -> None:
    async with half_sent(live) as wires:
        answer = await posted(live, batch("hello"))
        assert (answer.status, set(answer.json)) == (503, {"error"})
        await wires[0].send(b" " * 9 + b"]")
        assert (await wires[0].answer()).status == 200
        assert (await posted(live, batch("hello"))).status == 200
    await taken(live, 0)


@with_room_for_bodies(1000)
async def test_a_body_that_says_it_is_too_large_takes_no_room_of_others(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(head(PATH, TOKEN, f"Content-Length: {2 * MIB}"), b" " * MIB)
        assert await counts(live, batch("hello")) == {"accepted": 1, "skipped": 0}
        await wire.send(b" " * MIB)
        assert (await wire.answer()).status == 413


@with_room_for_bodies(400_000)
async def test_a_body_that_runs_out_of_room_midway_is_read_to_its_end(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(PATH, TOKEN, body=b" " * 900_000) + request(PATH, TOKEN, body=batch("hello")))
        assert (await wire.answer()).status == 503
        assert (await wire.answer()).json == {"accepted": 1, "skipped": 0}


async def test_a_client_that_vanishes_amid_a_body_gives_its_memory_back(live: LiveServer) -> None:
    for _ in range(3):
        async with half_sent(live):
            pass
        await taken(live, 0)
    assert await counts(live, batch("hello")) == {"accepted": 1, "skipped": 0}
    assert not len(live.services.inflight)


async def test_a_refused_request_is_gone_without_the_garbage_collector(live: LiveServer) -> None:
    await posted(live, batch("hello"))
    gc.collect()
    gc.disable()
    try:
        for fields, body, _ in REFUSALS.values():
            await posted(live, body, *fields, "X-Any: 1")
        assert not [one for one in gc.get_objects() if isinstance(one, Upload)]
    finally:
        gc.enable()


async def test_the_memory_of_an_answered_body_is_given_back(live: LiveServer) -> None:
    for fields, body, _ in REFUSALS.values():
        await posted(live, body, *fields, "X-Any: 1")
    for _ in range(10):
        await counts(live, batch("x" * 900_000))
    assert live.services.bodies.taken == 0


# A broker that takes its time


class Gate:
    """Has a broker wait before it stores anything."""

    def __init__(self, broker: Broker) -> None:
        self._publish = broker.publish
        self.reached = asyncio.Event()
        self.requests = 0
        self.opened = asyncio.Event()

    async def publish(self, chunks: Sequence[Chunk], key: bytes) -> None:
        self.requests += 1
        self.reached.set()
        await self.opened.wait()
        await self._publish(chunks, key)


@pytest.fixture
def gate(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(live.services.broker)
    monkeypatch.setattr(live.services.broker, "publish", gate.publish)
    yield gate
    gate.opened.set()


async def end_tasks() -> None:
    """Do what `asyncio.run` does in the end."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def framed(framing: str) -> bytes:
    if framing == "fixed":
        return request(PATH, TOKEN, body=batch("hello"))
    return b"".join([head(PATH, TOKEN, "Transfer-Encoding: chunked"), *chunked(batch("hello"), 50)])


both_framings = pytest.mark.parametrize("framing", ["fixed", "chunked"])


@both_framings
async def test_what_is_being_stored_when_its_client_leaves_is_stored_once(
    live: LiveServer, gate: Gate, framing: str
) -> None:
    async with connected(live.port) as wire:
        await wire.send(framed(framing))
        await gate.reached.wait()
        wire.vanish()
    gate.opened.set()
    await taken(live, 0)
    assert await backlog(live) == ["hello"]
    assert not len(live.services.inflight)


@both_framings
async def test_what_follows_a_request_that_is_being_stored_waits_for_it(
    live: LiveServer, gate: Gate, framing: str
) -> None:
    async with connected(live.port) as wire:
        await wire.send(framed(framing) + request("/healthz", method="GET"))
        await gate.reached.wait()
        assert (await live.fetch("/healthz")).code == 200
        assert await wire.is_silent()
    async with connected(live.port) as wire:
        await wire.send(framed(framing) + request("/healthz", method="GET"))
        gate.opened.set()
        assert [(await wire.answer()).json for _ in range(2)] == [{"accepted": 1, "skipped": 0}, {"status": "alive"}]


@both_framings
async def test_a_stop_waits_for_what_is_being_stored(live: LiveServer, gate: Gate, framing: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(framed(framing))
        await gate.reached.wait()
        stop = asyncio.create_task(live.server.stop())
        assert await wire.is_silent()
        gate.opened.set()
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await stop


@both_framings
async def test_a_stop_does_not_wait_for_ever_for_what_is_being_stored(
    live: LiveServer, gate: Gate, framing: str
) -> None:
    async with connected(live.port) as first, connected(live.port) as second:
        for wire in (first, second):
            await wire.send(framed(framing))
        await until(lambda: gate.requests == 2)
        await asyncio.wait_for(live.server.stop(StopBounds(flush=0, drain=0, answers=0.05, close=0.05)), 5)
        await end_tasks()
        assert (await first.rest(), await second.rest()) == (b"", b"")
    assert (live.services.bodies.taken, len(live.services.inflight)) == (0, 0)


@both_framings
async def test_a_body_that_arrives_while_the_server_is_stopping_is_to_come_again(
    live: LiveServer, framing: str
) -> None:
    async with connected(live.port) as wire:
        await wire.send(framed(framing)[:-10])
        await until(lambda: len(live.services.inflight))
        live.services.sessions.stopping = True
        await wire.send(framed(framing)[-10:])
        answer = await wire.answer()
        assert (answer.status, answer.json) == (503, {"error": "the server is stopping"})
        assert answer.headers["connection"] == "close"
    assert live.services.hub.store.statistics().lines == 0


async def test_a_stop_closes_a_connection_once_its_request_has_been_answered(live: LiveServer, gate: Gate) -> None:
    async with connected(live.port) as busy, connected(live.port) as idle:
        await idle.send(request("/healthz", method="GET"))
        await idle.answer()
        await busy.send(framed("fixed"))
        await gate.reached.wait()
        stop = asyncio.create_task(live.server.stop())
        assert await idle.rest() == b""
        gate.opened.set()
        assert (await busy.answer()).json == {"accepted": 1, "skipped": 0}
        assert await busy.rest() == b""
        await stop


def broken(records: int, text: str) -> bytes:
    """Return a body of which each record is to be read by itself."""
    return b"[" + b", ".join([b'{"log": "%b", "load": nan}' % text.encode()] * records) + b"]"


async def test_a_broken_body_lets_others_be_served_meanwhile(live: LiveServer) -> None:
    body = broken(30_000, "x")
    async with connected(live.port) as slow, connected(live.port) as quick:
        await slow.send(request(PATH, TOKEN, body=body))
        await taken(live, len(body))
        await quick.send(request(PATH, TOKEN, body=batch("hello")))
        assert (await quick.answer()).json == {"accepted": 1, "skipped": 0}
        assert live.services.bodies.taken == len(body)
        assert (await slow.answer()).status == 200


@with_room_for_bodies(4 * MIB)
async def test_broken_bodies_count_for_what_they_are_when_inflated(live: LiveServer) -> None:
    body = gzip.compress(broken(2000, "x" * 400))
    assert len(body) * 12 < MIB
    answers = await asyncio.gather(*[posted(live, body, TOKEN, "Content-Encoding: gzip") for _ in range(12)])
    assert {answer.status for answer in answers} == {200, 503}
    assert live.services.bodies.taken == 0


async def test_what_a_client_leaves_behind_is_not_stored_since_it_will_come_again(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        wire.send_at_once(request(PATH, TOKEN, body=batch("hello")))
    await taken(live, 0)
    assert await backlog(live) == []


@remembering
async def test_a_body_that_comes_again_is_answered_and_not_stored_again(live: LiveServer) -> None:
    body = batch("once")
    answers = [(await posted(live, body, TOKEN)).json for _ in range(3)]
    assert answers == [{"accepted": 1, "skipped": 0}] + [{"accepted": 0, "skipped": 0, "duplicate": True}] * 2
    assert await backlog(live) == ["once"]


@remembering
async def test_a_body_that_comes_again_after_the_window_or_with_another_tag_is_another(live: LiveServer) -> None:
    body = batch("often")
    await posted(live, body, TOKEN)
    await posted(live, body, TOKEN, "Fluent-Tag: another")
    live.clock.advance(300)
    await posted(live, body, TOKEN)
    assert await backlog(live) == ["often"] * 3


@remembering
async def test_equal_records_without_a_time_of_their_own_are_different_records(live: LiveServer) -> None:
    untimed = json.dumps([{name: value for name, value in record("tick").items() if name != "time"}]).encode()
    for _ in range(2):
        assert (await posted(live, untimed, TOKEN)).json == {"accepted": 1, "skipped": 0}
    assert await backlog(live) == ["tick"] * 2


@remembering
async def test_a_body_that_comes_again_while_it_is_being_stored_is_sent_away(live: LiveServer, gate: Gate) -> None:
    body = batch("once")
    first = asyncio.create_task(posted(live, body, TOKEN))
    await gate.reached.wait()
    assert (await posted(live, body, TOKEN)).status == 503
    gate.opened.set()
    assert (await first).json == {"accepted": 1, "skipped": 0}


@remembering
@pytest.mark.parametrize("fields", [[], ["Fluent-Tag: t"]], ids=["no tag", "tag"])
async def test_equal_bodies_that_are_inflated_and_read_at_the_same_time_are_stored_once(
    live: LiveServer, fields: list[str]
) -> None:
    noise = random.Random(1)
    texts = [f"{number} {noise.getrandbits(400):x}" for number in range(400)]
    sent = request(PATH, TOKEN, "Content-Encoding: gzip", *fields, body=gzip.compress(batch(*texts)))
    async with connected(live.port) as first, connected(live.port) as second, connected(live.port) as third:
        for wire in (first, second, third):
            wire.send_at_once(sent)
        answers = [await wire.answer() for wire in (first, second, third)]
    assert sorted(answer.json.get("accepted", 0) for answer in answers) == [0, 0, 400]
    assert live.services.hub.store.statistics().lines == 400


async def test_bodies_of_one_tag_are_stored_in_the_order_of_their_heads(live: LiveServer) -> None:
    large, small = batch(*[f"first {number}" for number in range(2000)]), batch("second")
    async with connected(live.port) as first:
        await first.send(head(PATH, TOKEN, "Fluent-Tag: t", f"Content-Length: {len(large)}"), large[:1000])
        await inflight(live, 1)
        second = asyncio.create_task(posted(live, small, TOKEN, "Fluent-Tag: t"))
        await inflight(live, 2)
        await first.send(large[1000:])
        assert [(await first.answer()).status, (await second).status] == [200, 200]
    assert (await backlog(live))[-1] == "second"


async def test_a_body_that_comes_slowly_but_steadily_is_stored_before_a_later_one(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.turns.PACE_SECONDS", 0.15)
    monkeypatch.setattr("handlers.turns.MAX_WAIT_SECONDS", 60)
    large, step = batch("first", "x" * 300_000), 24 << 10
    async with connected(live.port) as first:
        await first.send(head(PATH, TOKEN, "Fluent-Tag: t", f"Content-Length: {len(large)}"))
        await inflight(live, 1)
        second = asyncio.create_task(posted(live, batch("second"), TOKEN, "Fluent-Tag: t"))
        for start in range(0, len(large), step):
            await asyncio.wait([second], timeout=0.04)
            await first.send(large[start : start + step])
        assert [(await first.answer()).status, (await second).status] == [200, 200]
    assert (await backlog(live))[0::2] == ["first", "second"]


# The log


async def test_nothing_is_logged_of_what_comes_in(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "logurt")
    caplog.set_level(logging.DEBUG, "tornado")
    await counts(live, batch("hello"))
    assert [record.getMessage() for record in caplog.records if record.name.startswith(("logurt", "tornado"))] == []
