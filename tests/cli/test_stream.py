from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.credential import GivenToken, Signer
from cli.errors import Ended, NotLogurt, Refused, Unreachable
from cli.stream import Pauses
from protocol import STALLED, STOPPING
from tests.cli.bystanders import Cutter, NoPauses, Visit, Watcher, running, saying, scripted, serving, stream
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from protocol import Disconnect
    from tests.conftest import LiveServer


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
    async with running(stream(live.url(""), await live.sign(), watcher, tail="2")):
        await watcher.until_live()
        await live.write("four")
        await watcher.until(lambda: len(watcher.lines) == 3)
    assert (watcher.lines, watcher.told) == (["two", "three", "four"], [])


async def test_a_stream_that_does_not_follow_ends(live: LiveServer) -> None:
    await live.write("one", "two")
    watcher = Watcher()
    await stream(live.url(""), await live.sign(), watcher, follow="false").run()
    assert watcher.lines == ["one", "two"]


async def test_a_stream_goes_on_where_it_was_when_the_server_is_back(live: LiveServer) -> None:
    await live.write("one", "two")
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, tail="1")):
        await watcher.until_live()
        await _stop(live)
        _start(live)
        await live.write("three")
        await watcher.until(lambda: len(watcher.lines) == 2)
    assert watcher.lines == ["two", "three"]
    assert watcher.told[0] == "the connection is cut (the server is stopping); coming back for what follows"


@pytest.mark.parametrize("goodbye", [STOPPING, STALLED])
async def test_a_stream_comes_back_with_the_cursor_of_its_last_line(goodbye: Disconnect) -> None:
    watcher = Watcher()
    first = Visit((f"{_line(1)}\n{_line(2)}",), goodbye.code, goodbye.reason)
    async with scripted(first, Visit((_line(3),))) as (url, script), running(stream(url, "token", watcher)):
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
    sent = [f"line {number} {'x' * chance.randrange(200)}" for number in range(1000)]
    watcher = Watcher()
    async with serving(cutter) as url, running(stream(url, await live.sign(), watcher, tail="all")):
        for start in range(0, len(sent), 20):
            await live.write(*sent[start : start + 20], pod=f"web-{chance.randrange(3)}")
            # A backlog comes in large messages, none of which a connection may live long enough for.
            await watcher.until(lambda: len(watcher.lines) >= start + 20)  # noqa: B023 - called at once
    assert watcher.lines == sent
    assert cutter.connections > 10
    assert {message.type for message in watcher.messages} <= {"line", "live"}


async def test_a_stream_without_lines_misses_none_after_a_cut(live: LiveServer) -> None:
    watcher = Watcher()
    pauses = NoPauses()
    following = stream(live.url(""), await live.sign(), watcher, pauses, tail="0")
    async with running(following):
        await watcher.until_live()
        await _stop(live)
        await live.ingest(b'[{"log": "meanwhile", "kubernetes": {"namespace_name": "myapp", "pod_name": "p"}}]')
        _start(live)
        await watcher.until(lambda: len(watcher.lines) == 1)
    assert watcher.lines == ["meanwhile"]


async def test_a_stream_whose_backlog_was_empty_asks_for_all_lines_however_old_they_say_they_are(
    live: LiveServer,
) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, NoPauses(), tail="5")):
        await watcher.until_live()
        await _stop(live)
        await live.write(*map(str, range(7)))
        _start(live)
        await watcher.until(lambda: len(watcher.lines) == 7)
    assert watcher.lines == list(map(str, range(7)))


async def test_a_stream_that_was_never_live_asks_the_same_again() -> None:
    watcher = Watcher()
    visits = (Visit(code=1001), Visit((_LIVE,)))
    async with scripted(*visits) as (url, script), running(stream(url, "token", watcher, tail="0", include="x")):
        await watcher.until_live()
    assert script.asked == [{"tail": ["0"], "include": ["x"], "format": ["json"], "batch": ["true"]}] * 2


async def test_a_cut_is_told_once_however_long_the_server_is_away(live: LiveServer) -> None:
    def taken(count: int) -> None:
        live.services.sessions.stopping = count < 5

    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, NoPauses(taken))):
        await watcher.until_live()
        await _stop(live)
        await watcher.until_live(times=2)
    assert len(watcher.told) == 1


async def test_a_gap_is_shown_when_the_lines_have_left_meanwhile(live: LiveServer) -> None:
    await live.write("one")
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)):
        await watcher.until_live()
        await live.write("two")
        await watcher.until(lambda: len(watcher.lines) == 2)
        await _stop(live)
        await live.write("three")
        live.services.hub.expire(1e12)
        _start(live)
        await watcher.until_live(times=2)
    assert [message.type for message in watcher.messages][-2:] == ["gap", "live"]


async def test_an_expired_token_that_was_given_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        _expire(live)
        with pytest.raises(Ended, match="the token has expired"):
            await task


async def test_a_given_token_that_is_not_taken_after_a_cut_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        await _stop(live)
        live.clock.advance(1_000_000)
        _start(live)
        with pytest.raises(Refused, match="the token has expired"):
            await task


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_an_expired_token_is_signed_again_by_who_has_the_secret(
    live: LiveServer,
    is_stopped: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    signer = Signer(Address(live.url("")), API_SECRET, {"namespace": "myapp"})
    watcher = Watcher()
    async with running(stream(live.url(""), signer, watcher)):
        await watcher.until_live()
        if is_stopped:
            await _stop(live)
        _expire(live)
        _start(live)
        await watcher.until_live(times=2)
        await live.write("after")
        await watcher.until(lambda: watcher.lines == ["after"])
    assert [sentence for sentence in watcher.told if "cut" in sentence] == watcher.told[:1]


class _Nonsense(GivenToken):
    """Sends a message that no server understands."""

    def renew_in(self) -> float | None:
        return 0

    async def renew(self) -> str:
        return "nonsense"


async def test_a_message_that_the_server_does_not_understand_ends_the_stream(live: LiveServer) -> None:
    with pytest.raises(Ended, match="the message makes no sense"):
        await stream(live.url(""), _Nonsense(await live.sign()), Watcher()).run()


@pytest.mark.parametrize(
    ("token", "query", "sentence"),
    [("", {"tail": "x"}, "parameter tail must be"), ("", {"pod": "other"}, "outside the token's"), ("a.b", {}, "JWT")],
)
async def test_what_is_refused_at_the_first_try_ends_the_stream(
    live: LiveServer, token: str, query: dict[str, str], sentence: str
) -> None:
    token = token or await live.sign(pod="web-0")
    with pytest.raises(Refused, match=sentence):
        await stream(live.url(""), token, Watcher(), None, **query).run()


async def test_a_server_that_is_stopping_at_the_first_try_ends_the_stream(live: LiveServer) -> None:
    token = await live.sign()
    live.services.sessions.stopping = True
    with pytest.raises(Refused, match="the server is stopping"):
        await stream(live.url(""), token, Watcher()).run()


async def test_nobody_listening_at_the_first_try_ends_the_stream() -> None:
    async with serving(saying(b"")) as url:
        pass
    with pytest.raises(Unreachable, match="Connection refused"):
        await stream(url, "token", Watcher()).run()


async def test_a_connection_that_ends_in_the_handshake_is_no_connection() -> None:
    async with serving(saying(b"")) as url:
        with pytest.raises(Unreachable, match="cannot reach"):
            await stream(url, "token", Watcher()).run()


async def test_an_answer_that_is_no_websocket_is_not_logurts() -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url:
        with pytest.raises(NotLogurt):
            await stream(url, "token", Watcher()).run()


@pytest.mark.parametrize("frame", [b"\x81\x02hi", b"\x82\x02{}"])
async def test_messages_that_make_no_sense_are_not_logurts(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: b"\0" * count)
    # The answer to a key of 16 zero bytes (RFC 6455, section 4.2.2).
    accepted = b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI="
    head = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n\r\n" % accepted
    async with serving(saying(head + frame)) as url:
        with pytest.raises(NotLogurt):
            await stream(url, "token", Watcher()).run()


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    pauses = Pauses(0.5, 30)
    taken = [pauses.take() for _ in range(9)]
    for pause, most in zip(taken, (0.5, 1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert most / 2 <= pause <= most
    pauses.reset()
    assert pauses.take() <= 0.5
