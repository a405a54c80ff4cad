from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.sessions import HEARTBEAT_SECONDS, ServerStopping, Sessions, TooManyReaders
from protocol import EXPIRED, STALLED, STOPPING

if TYPE_CHECKING:
    from handlers.session import Session
    from protocol import Disconnect


class Watched:
    """A session that notes what is done to it."""

    def __init__(self, expires_at: float = 1e9, stalled: float = 0.0, *, is_alive: bool = True) -> None:
        self.expires_at = expires_at
        self.heartbeat_at = 0.0
        self.stalled = stalled
        self.is_alive = is_alive
        self.is_open = False
        self.beats = 0
        self.fate: Disconnect | str | None = None

    def stalled_for(self, now: float) -> float:  # noqa: ARG002 - the protocol's signature
        return self.stalled

    def heartbeat(self) -> bool:
        self.beats += 1
        return self.is_alive

    def end(self, disconnect: Disconnect) -> None:
        self.fate = disconnect

    def abort(self) -> None:
        self.fate = "aborted"


class Watch:
    """Sessions whose clocks are set by hand; readers stall after 60 seconds."""

    def __init__(self, limit: int = 10) -> None:
        self.now = self.monotonic = 1000.0
        self.sessions = Sessions(limit, 60, now=lambda: self.now, monotonic=lambda: self.monotonic)

    def add(self, session: Watched) -> Watched:
        self.sessions.admit()
        self.sessions.add(cast("Session", session))
        return session


def test_the_last_place_is_given_and_no_more() -> None:
    watch = Watch(limit=2)
    first, second = watch.add(Watched()), watch.add(Watched())
    with pytest.raises(TooManyReaders, match="there are 2 readers already"):
        watch.sessions.admit()
    for _ in range(2):
        watch.sessions.remove(cast("Session", first))
    watch.sessions.admit()
    assert [id(session) for session in watch.sessions] == [id(second)]


def test_a_session_of_which_the_system_tells_nothing_is_aborted_and_the_others_are_looked_after() -> None:
    watch = Watch()
    broken, expired = watch.add(Watched()), watch.add(Watched(expires_at=0.0))
    with patch.object(broken, "stalled_for", side_effect=OSError):
        watch.sessions.sweep()
    assert (broken.fate, expired.fate) == ("aborted", EXPIRED)


@given(st.floats(0, 2000), st.floats(0, 2000))
def test_a_session_ends_in_the_very_second_in_which_its_token_expires(expires_at: float, now: float) -> None:
    watch = Watch()
    session = watch.add(Watched(expires_at))
    watch.now = now
    watch.sessions.sweep()
    assert session.fate == (EXPIRED if now >= expires_at else None)


@pytest.mark.parametrize(("stalled", "fate"), [(0.0, None), (59.9, None), (60.0, STALLED), (1e6, STALLED)])
def test_a_session_ends_once_it_has_stalled_long_enough(stalled: float, fate: Disconnect | None) -> None:
    watch = Watch()
    session = watch.add(Watched(stalled=stalled))
    watch.sessions.sweep()
    assert session.fate == fate


def test_the_first_heartbeat_comes_after_its_time_and_the_next_after_as_long_again() -> None:
    watch = Watch()
    session = watch.add(Watched())
    beats = []
    for _ in range(3 * HEARTBEAT_SECONDS):
        watch.monotonic += 1
        watch.sessions.sweep()
        beats.append(session.beats)
    assert beats == [second // HEARTBEAT_SECONDS for second in range(1, 3 * HEARTBEAT_SECONDS + 1)]


def test_who_does_not_answer_a_heartbeat_is_cut_and_the_others_are_not() -> None:
    watch = Watch()
    dead, alive = watch.add(Watched(is_alive=False)), watch.add(Watched())
    watch.monotonic += HEARTBEAT_SECONDS
    watch.sessions.sweep()
    assert (dead.fate, alive.fate, alive.beats) == ("aborted", None, 1)


def test_an_expired_session_gets_no_heartbeat() -> None:
    watch = Watch()
    session = watch.add(Watched(expires_at=0))
    watch.monotonic += HEARTBEAT_SECONDS
    watch.sessions.sweep()
    assert (session.fate, session.beats) == (EXPIRED, 0)


async def test_draining_ends_all_and_lets_nobody_in() -> None:
    watch = Watch()
    sessions = [watch.add(Watched()) for _ in range(3)]
    await watch.sessions.drain(0)
    assert [session.fate for session in sessions] == [STOPPING] * 3
    with pytest.raises(ServerStopping, match="the server is stopping"):
        watch.sessions.admit()


async def test_draining_spreads_the_ends_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    sessions = [watch.add(Watched()) for _ in range(4)]
    ended = []

    async def sleep(seconds: float) -> None:
        watch.monotonic += seconds
        ended.append((watch.monotonic - 1000, sum(session.fate is STOPPING for session in sessions)))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await watch.sessions.drain(10)
    assert ended == [(2.5, 1), (5.0, 2), (7.5, 3), (10.0, 4)]


async def test_draining_nobody_takes_no_time() -> None:
    watch = Watch()
    await asyncio.wait_for(watch.sessions.drain(600), 1)
    assert watch.sessions.stopping
