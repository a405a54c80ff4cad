from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.credential import Signer
from cli.errors import Ended, NotLogurt, Refused, Unreachable
from cli.stream import Pauses
from handlers.sessions import BAD_MESSAGE, EXPIRED, STALLED, STOPPING, Disconnect
from handlers.tokens import Grant, Tokens
from tests.cli.bystanders import Cutter, NoPauses, Watcher, running, saying, serving, stream
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer


def _end_all(live: LiveServer, ending: Disconnect) -> None:
    for session in list(live.services.sessions._sessions):
        session.end(ending)


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


@pytest.mark.parametrize("ending", [STOPPING, STALLED])
async def test_a_stream_goes_on_where_it_was_after_a_goodbye(live: LiveServer, ending: Disconnect) -> None:
    await live.write("one", "two")
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, tail="1")):
        await watcher.until_live()
        _end_all(live, ending)
        await live.write("three")
        await watcher.until(lambda: len(watcher.lines) == 2)
    assert watcher.lines == ["two", "three"]
    assert watcher.told == [f"the connection is cut ({ending.reason}); coming back for what follows"]


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
        await watcher.until(lambda: len(watcher.lines) >= len(sent))
    assert watcher.lines == sent
    assert cutter.connections > 10
    assert {message.type for message in watcher.messages} <= {"line", "live"}


async def test_a_stream_without_lines_misses_none_after_a_cut(live: LiveServer) -> None:
    watcher = Watcher()
    pauses = NoPauses()
    following = stream(live.url(""), await live.sign(), watcher, pauses, tail="0")
    async with running(following):
        await watcher.until_live()
        live.services.sessions.stopping = True
        _end_all(live, STOPPING)
        await live.ingest(b'[{"log": "meanwhile", "kubernetes": {"namespace_name": "myapp", "pod_name": "p"}}]')
        live.services.sessions.stopping = False
        await watcher.until(lambda: len(watcher.lines) == 1)
    assert watcher.lines == ["meanwhile"]


async def test_a_stream_whose_backlog_was_empty_asks_for_all_lines_however_old_they_say_they_are(
    live: LiveServer,
) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, NoPauses(), tail="5")):
        await watcher.until_live()
        live.services.sessions.stopping = True
        _end_all(live, STOPPING)
        await live.write(*map(str, range(7)))
        live.services.sessions.stopping = False
        await watcher.until(lambda: len(watcher.lines) == 7)
    assert watcher.lines == list(map(str, range(7)))


async def test_a_stream_that_was_never_live_asks_the_same_again(live: LiveServer) -> None:
    following = stream(live.url(""), "token", Watcher(), tail="0", include="x")
    assert following._query() == {"tail": ["0"], "include": ["x"], "format": ["json"], "batch": ["true"]}


async def test_a_cut_is_told_once_however_long_the_server_is_away(live: LiveServer) -> None:
    def taken(count: int) -> None:
        live.services.sessions.stopping = count < 5

    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher, NoPauses(taken))):
        await watcher.until_live()
        live.services.sessions.stopping = True
        _end_all(live, STOPPING)
        await watcher.until_live(times=2)
    assert len(watcher.told) == 1


async def test_a_gap_is_shown_when_the_lines_have_left_meanwhile(live: LiveServer) -> None:
    await live.write("one")
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)):
        await watcher.until_live()
        hub = live.services.hub
        await live.write("two")
        await watcher.until(lambda: len(watcher.lines) == 2)
        live.services.sessions.stopping = True
        _end_all(live, STOPPING)
        await live.write("three")
        hub.expire(1e12)
        live.services.sessions.stopping = False
        await watcher.until_live(times=2)
    assert [message.type for message in watcher.messages][-2:] == ["gap", "live"]


async def test_an_expired_token_that_was_given_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        _end_all(live, EXPIRED)
        with pytest.raises(Ended, match="the token has expired"):
            await task


async def test_a_given_token_that_is_not_taken_after_a_cut_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        live.services.tokens._now = lambda: 4_000_000_000
        _end_all(live, STOPPING)
        with pytest.raises(Refused, match="the token has expired"):
            await task


@pytest.mark.parametrize("ending", [EXPIRED, STOPPING])
async def test_an_expired_token_is_signed_again_by_who_has_the_secret(live: LiveServer, ending: Disconnect) -> None:
    signer = Signer(Address(live.url("")), API_SECRET, {"namespace": "myapp"})
    watcher = Watcher()
    async with running(stream(live.url(""), signer, watcher)):
        await watcher.until_live()
        live.services.tokens._now = lambda: 4_000_000_000
        _end_all(live, ending)
        await watcher.until_live(times=2)
        await live.write("after")
        await watcher.until(lambda: watcher.lines == ["after"])
    assert len(watcher.told) == 1


class _Renewing(Signer):
    """Renews at once, three times; the first time it fails."""

    def __init__(self, live: LiveServer) -> None:
        super().__init__(Address(live.url("")), API_SECRET, {"namespace": "myapp"})
        self._pauses = iter((0.0, 0.0, 0.0))
        self.attempts = 0

    def renew_in(self) -> float | None:
        return next(self._pauses, None)

    async def renew(self) -> str:
        self.attempts += 1
        if self.attempts == 2:
            raise Refused("to sign a token", 503, "not now")
        return await super().renew()


async def test_a_token_is_renewed_in_place(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, grants = Watcher(), []
    verify = Tokens.verify

    def noting(tokens: Tokens, token: str) -> Grant:
        grants.append(verify(tokens, token))
        watcher.changed.set()
        return grants[-1]

    monkeypatch.setattr(Tokens, "verify", noting)
    clock = itertools.count(4_000_000_000, 100)
    live.services.tokens._now = lambda: next(clock)
    async with running(stream(live.url(""), _Renewing(live), watcher)):
        await watcher.until(lambda: len(grants) == 3)
        (session,) = live.services.sessions._sessions
        assert grants[0].expires_at < session.expires_at == grants[-1].expires_at
    assert watcher.told == []


async def test_a_renewal_that_comes_after_the_end_is_let_go(live: LiveServer) -> None:
    watcher = Watcher()
    following = stream(live.url(""), await live.sign(), watcher)
    connection = await following._connect()
    connection.close()
    following._credential = _Renewing(live)
    await following._keep_authorised(connection)
    assert await connection.read_message() is not None


async def test_a_message_that_the_server_does_not_understand_ends_the_stream(live: LiveServer) -> None:
    watcher = Watcher()
    async with running(stream(live.url(""), await live.sign(), watcher)) as task:
        await watcher.until_live()
        _end_all(live, BAD_MESSAGE)
        with pytest.raises(Ended, match="the message makes no sense"):
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
