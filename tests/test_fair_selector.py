from __future__ import annotations

import asyncio
import os
import selectors
import socket
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fair_selector import MOST_EVENTS, FairSelector, new_event_loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def selector() -> Iterator[FairSelector]:
    with FairSelector() as made:
        yield made


def pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    stack.enter_context(theirs)
    return ours, theirs


def test_of_many_that_are_ready_each_has_its_turn(selector: FairSelector) -> None:
    with ExitStack() as stack:
        for _ in range(3 * MOST_EVENTS):
            ours, theirs = pair(stack)
            theirs.send(b"x")
            selector.register(ours, selectors.EVENT_READ)
        told = [selector.select(0) for _ in range(5)]  # the first is for as many files, the others for half
        assert {len(events) for events in told} == {MOST_EVENTS}
        assert len({key.fd for events in told for key, _ in events}) == 3 * MOST_EVENTS


def test_a_busy_file_is_told_of_at_once_however_many_others_become_ready(selector: FairSelector) -> None:
    with ExitStack() as stack:
        pairs = [pair(stack) for _ in range(3 * MOST_EVENTS)]
        for ours, _ in pairs:
            selector.register(ours, selectors.EVENT_READ)
        busy, other = pairs[-1]
        for _ in range(3):
            other.send(b"x")
            assert [key.fileobj for key, _ in selector.select(0)] == [busy]
            busy.recv(1)
        for _, theirs in pairs:  # it is the last one to become ready
            theirs.send(b"x")
        assert busy in [key.fileobj for key, _ in selector.select(0)]


def test_files_that_are_always_ready_leave_half_of_the_room_to_others(selector: FairSelector) -> None:
    with ExitStack() as stack:
        busy = [pair(stack) for _ in range(2 * MOST_EVENTS)]
        for ours, theirs in busy:
            theirs.send(b"x")
            selector.register(ours, selectors.EVENT_READ)
        for _ in range(4):
            assert len(selector.select(0)) == MOST_EVENTS
        quiet = {pair(stack) for _ in range(MOST_EVENTS // 2)}
        for ours, theirs in quiet:
            selector.register(ours, selectors.EVENT_READ)
            theirs.send(b"x")
        told = {key.fileobj for _ in range(4) for key, _ in selector.select(0)}
        assert {ours for ours, _ in quiet} <= told


def test_no_file_waits_for_long_however_many_are_always_ready_or_new(selector: FairSelector) -> None:
    with ExitStack() as stack:
        ours, theirs = pair(stack)
        selector.register(ours, selectors.EVENT_READ)
        others = [pair(stack) for _ in range(3 * MOST_EVENTS)]
        for other, peer in others:
            peer.send(b"x")
            selector.register(other, selectors.EVENT_READ)
        new = [other for other, _ in others[MOST_EVENTS:]]
        waits, since, sent_at = list[int](), 0, 0
        theirs.send(b"x")
        for call in range(100):
            if call == sent_at and call:
                theirs.send(b"x")
                since = call
            told = [key.fileobj for key, _ in selector.select(0)]
            if ours in told:
                ours.recv(1)
                waits.append(call - since)
                sent_at = call + 3
            for other in new:
                if other in told:
                    selector.unregister(other)
                    selector.register(other, selectors.EVENT_READ)
        assert len(waits) > 5
        assert max(waits) < 10


def test_it_tells_what_the_usual_one_tells(selector: FairSelector) -> None:
    with ExitStack() as stack, selectors.EpollSelector() as usual:
        for number in range(8):
            ours, theirs = pair(stack)
            for one in (selector, usual):
                one.register(ours, 1 + number % 3, data=number)
            if number % 2:
                theirs.send(b"x")
            if number > 4:
                theirs.close()
        found, expected = (sorted((key.data, events) for key, events in one.select(0)) for one in (selector, usual))
        assert found == expected != []


def test_a_file_is_told_of_for_what_it_is_watched_for_last_and_no_longer_than_that(selector: FairSelector) -> None:
    with ExitStack() as stack:
        ours, theirs = pair(stack)
        theirs.send(b"x")
        selector.register(ours, selectors.EVENT_READ, "first")
        key = selector.modify(ours, selectors.EVENT_WRITE, "second")
        assert selector.select(0) == [(key, selectors.EVENT_WRITE)]
        selector.unregister(ours)
        assert selector.select(0) == []
        key = selector.register(ours, selectors.EVENT_READ)
        assert selector.select(0) == [(key, selectors.EVENT_READ)]


class Data:
    """What is kept beside a file."""


@pytest.mark.parametrize("end", ["unregister", "modify", "close"])
def test_nothing_is_kept_of_a_file_that_is_not_watched_any_more(selector: FairSelector, end: str) -> None:
    ours, theirs = os.pipe()
    data = Data()
    gone = weakref.ref(data)
    selector.register(ours, selectors.EVENT_READ, data)
    del data
    os.close(ours)
    os.close(theirs)
    if end == "unregister":
        selector.unregister(ours)
    elif end == "modify":
        with pytest.raises(OSError, match="Bad file descriptor"):
            selector.modify(ours, selectors.EVENT_WRITE)
    else:
        selector.close()
    assert gone() is None


@pytest.mark.parametrize("timeout", [0, -1, 0.0001, 0.002])
def test_it_waits_no_longer_than_told_where_nothing_is_ready(selector: FairSelector, timeout: float) -> None:
    assert selector.select(timeout) == []


def test_both_descriptors_are_closed() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    made = FairSelector()
    made.close()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_an_event_loop_works_on_it() -> None:
    async def echo() -> bytes:
        loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
            loop.call_later(0.01, theirs.send, b"hello")
            return await loop.sock_recv(ours, 5)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(echo()) == b"hello"
