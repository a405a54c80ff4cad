from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import Ended, NotLogurt, Refused, Unreachable
from cli.stream import Pauses
from protocol import DISCONNECTS, FINISHED
from tests.cli.bystanders import (
    Cutter,
    Gate,
    NoPauses,
    Visit,
    Watcher,
    answering,
    follow,
    running,
    saying,
    scripted,
    serving,
    silent,
)
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from protocol import Disconnect
    from tests.conftest import LiveServer


_POD = {"kubernetes": {"namespace_name": "myapp", "pod_name": "p"}}
_LIVE = '{"type":"live"}'


def _line(number: int) -> str:
    return f'{{"type":"line","cursor":"c{number}","log":"line {number}"}}'


async def _stop(live: LiveServer) -> None:
    """Send all readers away, and let none come back."""
    await live.services.sessions.drain(0)


def _start(live: LiveServer) -> None:
    live.services.sessions.stopping = False


def _expire(live: LiveServer) -> None:
    """Let all tokens expire."""
    live.clock.advance(1_000_000)
    live.services.sessions.sweep()


async def test_backlog_and_live_lines_are_shown_in_order(live: LiveServer) -> None:
    await live.write("one", "two", "three")
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher, tail="2")):
        await watcher.until_live()
        await live.write("four")
        await watcher.until(lambda: len(watcher.lines) == 3)
    assert (watcher.lines, watcher.told) == (["two", "three", "four"], [])


async def test_a_stream_that_does_not_follow_ends(live: LiveServer) -> None:
    await live.write("one", "two")
    watcher = Watcher()
    await follow(live.url(""), await live.sign(), watcher, follow="false")
    assert watcher.lines == ["one", "two"]


async def test_a_stream_goes_on_where_it_was_when_the_server_is_back(live: LiveServer) -> None:
    await live.write("one", "two")
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher, tail="1")):
        await watcher.until_live()
        await _stop(live)
        _start(live)
        await live.write("three")
        await watcher.until(lambda: len(watcher.lines) == 2)
    assert watcher.lines == ["two", "three"]
    assert watcher.told[0] == "the connection is cut (the server is stopping); coming back for what follows"


@pytest.mark.parametrize("goodbye", [one for one in DISCONNECTS if one.reconnect])
async def test_a_stream_comes_back_with_the_cursor_of_its_last_line(goodbye: Disconnect) -> None:
    watcher = Watcher()
    first = Visit((f"{_line(1)}\n{_line(2)}",), goodbye.code, goodbye.reason)
    async with scripted(first, Visit((_line(3),))) as (url, script), running(follow(url, "token", watcher)):
        await watcher.until(lambda: len(watcher.lines) == 3)
    assert script.asked[1] == {"cursor": ["c2"], "format": ["json"], "batch": ["true"]}
    assert goodbye.reason in watcher.told[0]


@pytest.mark.parametrize("seed", range(2))
async def test_every_line_comes_once_and_in_order_however_often_the_connection_is_cut(
    live: LiveServer, seed: int
) -> None:
    chance = random.Random(seed)
    # The first is long enough for a connection to be made; later ones may be cut in the handshake or a frame's head.
    budgets = itertools.chain([1000], (chance.choice((1, 200, 300, 3000, 20_000)) for _ in itertools.count()))
    cutter = Cutter(live.port, budgets)
    # It can hardly be compressed, or there would be little to cut.
    sent = [f"line {number} {chance.randbytes(chance.randrange(100)).hex()}" for number in range(1000)]
    watcher = Watcher()
    async with serving(cutter) as url, running(follow(url, await live.sign(), watcher, tail="all")):
        for start in range(0, len(sent), 20):
            await live.write(*sent[start : start + 20], pod=f"web-{chance.randrange(3)}")
            # A backlog comes in large messages, none of which a connection may live long enough for.
            await watcher.until(lambda: len(watcher.lines) >= start + 20)  # noqa: B023 - called at once
    assert watcher.lines == sent
    assert cutter.connections > 10
    assert {message.type for message in watcher.messages} <= {"line", "live"}


# Without a backlog, lines of now are asked for; after an empty one all, however old they say they are.
@pytest.mark.parametrize(("tail", "count", "time"), [("0", 1, {}), ("5", 7, {"time": "2025-11-22T08:15:01Z"})])
async def test_a_stream_without_lines_misses_none_after_a_cut(
    live: LiveServer, tail: str, count: int, time: dict[str, str]
) -> None:
    watcher, gate = Watcher(), Gate(live.port)
    async with serving(gate) as url, running(follow(url, await live.sign(), watcher, tail=tail)):
        await watcher.until_live()
        gate.shut()
        await live.ingest(json.dumps([{"log": f"{number}", **time, **_POD} for number in range(count)]).encode())
        gate.open()
        await watcher.until(lambda: len(watcher.lines) >= count)
    assert watcher.lines == [f"{number}" for number in range(count)]


async def test_a_stream_that_was_never_live_asks_the_same_again() -> None:
    watcher = Watcher()
    visits = (Visit(code=1001), Visit((_LIVE,)))
    async with scripted(*visits) as (url, script), running(follow(url, "token", watcher, tail="0", include="x")):
        await watcher.until_live()
    assert script.asked == [{"tail": ["0"], "include": ["x"], "format": ["json"], "batch": ["true"]}] * 2


async def test_a_cut_and_the_return_are_reported_once_however_many_tries_it_takes(live: LiveServer) -> None:
    def taken(count: int) -> None:
        live.services.sessions.stopping = count < 5

    await live.write("one")
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher, NoPauses(taken))):
        await watcher.until_live()
        await _stop(live)
        await watcher.until_live(times=2)
    assert [sentence.partition(" (")[0] for sentence in watcher.told] == ["the connection is cut", "back"]


async def test_an_outage_is_reported_again_and_again_until_it_is_over(live: LiveServer) -> None:
    await live.write("one")
    watcher = Watcher()
    refused = "the server refuses this stream: the server is stopping (503); trying again"
    async with running(follow(live.url(""), await live.sign(), watcher, Pauses(0.01, 0.01), report_seconds=0.05)):
        await watcher.until_live()
        await _stop(live)
        await watcher.until(lambda: watcher.told.count(refused) >= 3)
        _start(live)
        await watcher.until_live(times=2)
    assert watcher.told[-1] == "back"
    assert watcher.told.count("back") == 1
    assert "the connection is cut" in watcher.told[0]


async def test_a_server_that_has_gone_is_reported_by_what_keeps_it_from_being_reached() -> None:
    watcher = Watcher()
    async with contextlib.AsyncExitStack() as stack:
        scripted_url, _ = await stack.enter_async_context(scripted(Visit((_line(1),))))
        server = serving(Cutter(int(scripted_url.rpartition(":")[2]), itertools.repeat(0)))
        url = await server.__aenter__()
        following = follow(url, "token", watcher, Pauses(0.01, 60), report_seconds=0.05)
        await stack.enter_async_context(running(following))
        await watcher.until(lambda: bool(watcher.lines))
        await server.__aexit__(None, None, None)
        await watcher.until(lambda: len(watcher.told) >= 3)
    assert watcher.told[1:3] == [f"cannot reach {url}: Connection refused; trying again"] * 2


async def test_a_server_that_does_not_answer_any_more_is_reported_too() -> None:
    watcher = Watcher()
    is_first = iter((True,))
    async with scripted(Visit((_line(1),), 1001)) as (scripted_url, _):
        relay = Cutter(int(scripted_url.rpartition(":")[2]), itertools.repeat(0))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await (relay if next(is_first, False) else silent)(reader, writer)

        async with serving(answer) as url, running(follow(url, "token", watcher, report_seconds=0.05)):
            await watcher.until(lambda: len(watcher.told) >= 3)
    assert watcher.told[1:3] == [f"no answer from {url} yet; trying again"] * 2


async def test_an_empty_namespace_is_reported_once(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher)):
        await watcher.until(lambda: bool(watcher.told))
        await _stop(live)
        _start(live)
        await watcher.until_live(times=2)
        await live.write("one")
        await watcher.until(lambda: watcher.lines == ["one"])
    assert watcher.told[0] == "nothing yet from myapp; waiting"
    assert watcher.told[-1] == "back"


async def test_a_selection_that_matches_nothing_is_reported(live: LiveServer) -> None:
    await live.write("one", pod="web-0")
    watcher = Watcher()
    await follow(live.url(""), await live.sign(), watcher, pod="api-*", follow="false")
    assert watcher.told == ["nothing yet from myapp (pod api-*)"]


@pytest.mark.parametrize("query", [{"tail": "0"}, {"include": "two"}, {"stream": "stderr"}, {}])
async def test_pods_whose_lines_are_all_filtered_out_are_not_reported_as_missing(
    live: LiveServer, query: dict[str, str]
) -> None:
    await live.write("one")
    watcher = Watcher()
    await follow(live.url(""), await live.sign(), watcher, follow="false", **query)  # type: ignore[arg-type]
    assert watcher.told == []


async def test_a_first_line_that_comes_while_sources_are_looked_for_is_not_taken_for_none() -> None:
    watcher = Watcher()
    has_line = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay /logs, and answer /api/sources when the line has come."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /api/sources"):
            await has_line.wait()
            writer.write(answering("200 OK", b'{"sources":[]}'))
            return
        await relay(_refilled(head), writer)

    async with scripted(Visit((_LIVE, _line(1)))) as (scripted_url, _):
        relay = Cutter(int(scripted_url.rpartition(":")[2]), itertools.repeat(0))
        async with serving(late) as url, running(follow(url, "token", watcher)):
            await watcher.until(lambda: bool(watcher.lines))
            has_line.set()
    assert watcher.told == []


def _refilled(head: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(head)
    return reader


async def test_a_gap_is_shown_when_the_lines_have_left_meanwhile(live: LiveServer) -> None:
    await live.write("one")
    watcher, gate = Watcher(), Gate(live.port)
    async with serving(gate) as url, running(follow(url, await live.sign(), watcher)):
        await watcher.until_live()
        gate.shut()
        await live.write("two")
        live.services.hub.expire(1e12)
        gate.open()
        await watcher.until_live(times=2)
    assert [message.type for message in watcher.messages][-2:] == ["gap", "live"]


async def test_an_expired_token_that_was_given_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        _expire(live)
        with pytest.raises(Ended, match="the token has expired"):
            await task


async def test_a_given_token_that_is_not_taken_after_a_cut_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(follow(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        await _stop(live)
        live.clock.advance(1_000_000)
        _start(live)
        with pytest.raises(Refused, match="the token has expired"):
            await task


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_an_expired_token_is_signed_again_where_the_secret_is_known(
    live: LiveServer,
    is_stopped: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    signer = Signer(Address(live.url("")), API_SECRET, {"namespace": "myapp"})
    watcher = Watcher()
    async with running(follow(live.url(""), signer, watcher)):
        await watcher.until_live()
        if is_stopped:
            await _stop(live)
        _expire(live)
        _start(live)
        await watcher.until_live(times=2)
        await live.write("after")
        await watcher.until(lambda: watcher.lines == ["after"])
    assert [sentence for sentence in watcher.told if "cut" in sentence] == watcher.told[:1]


@pytest.mark.parametrize("disconnect", [one for one in DISCONNECTS if not one.reconnect and one is not FINISHED])
async def test_a_stream_that_the_server_closes_for_good_ends(disconnect: Disconnect) -> None:
    async with scripted(Visit((_line(1),), disconnect.code, disconnect.reason)) as (url, _):
        with pytest.raises(Ended) as ended:
            await follow(url, "token", Watcher())
    assert (ended.value.code, ended.value.reason) == (disconnect.code, disconnect.reason)


class _Nonsense(GivenToken):
    """Sends a message that no server understands."""

    def renew_in(self) -> float | None:
        return 0

    async def renew(self) -> str:
        return "nonsense"


async def test_a_message_that_the_server_does_not_understand_ends_the_stream(live: LiveServer) -> None:
    with pytest.raises(Ended, match="the message makes no sense"):
        await follow(live.url(""), _Nonsense(await live.sign()), Watcher())


class _Broken(GivenToken):
    def renew_in(self) -> float | None:
        raise RuntimeError("a mistake of ours")


async def test_a_mistake_in_the_background_is_not_lost(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(follow(live.url(""), _Broken(await live.sign()), watcher)) as task:
        await watcher.until_live()
        await _stop(live)
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            await task


@pytest.mark.parametrize(
    ("token", "query", "sentence"),
    [("", {"tail": "x"}, "parameter tail must be"), ("", {"pod": "other"}, "outside the token's"), ("a.b", {}, "JWT")],
)
async def test_what_is_refused_at_the_first_try_ends_the_stream(
    live: LiveServer, token: str, query: dict[str, str], sentence: str
) -> None:
    token = token or await live.sign(pod="web-0")
    with pytest.raises(Refused, match=sentence):
        await follow(live.url(""), token, Watcher(), **query)  # type: ignore[arg-type]  # parameters only


async def test_a_server_that_is_stopping_at_the_first_try_ends_the_stream(live: LiveServer) -> None:
    token = await live.sign()
    live.services.sessions.stopping = True
    with pytest.raises(Refused, match="the server is stopping"):
        await follow(live.url(""), token, Watcher())


async def test_nobody_listening_at_the_first_try_ends_the_stream() -> None:
    async with serving(saying(b"")) as url:
        pass
    with pytest.raises(Unreachable, match="Connection refused"):
        await follow(url, "token", Watcher())


async def test_a_connection_that_ends_in_the_handshake_is_no_connection() -> None:
    async with serving(saying(b"")) as url:
        with pytest.raises(Unreachable, match="cannot reach"):
            await follow(url, "token", Watcher())


@pytest.mark.parametrize("frame", [b"\x81\x02hi", b"\x82\x02{}"])
async def test_messages_that_make_no_sense_are_not_from_logurt(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: b"\0" * count)
    # The answer to a key of 16 zero bytes (RFC 6455, section 4.2.2).
    accepted = b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI="
    head = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n\r\n" % accepted
    async with serving(saying(head + frame)) as url:
        with pytest.raises(NotLogurt):
            await follow(url, "token", Watcher())


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    pauses = Pauses(0.5, 30)
    taken = [pauses.take() for _ in range(9)]
    for pause, most in zip(taken, (0.5, 1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert most / 2 <= pause <= most
    pauses.reset()
    assert pauses.take() <= 0.5
