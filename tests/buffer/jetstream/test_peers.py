from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from buffer.jetstream.peers import Peers

if TYPE_CHECKING:
    import pytest

    from buffer.jetstream.connection import Connection

SUBJECT = "peers-of-a-test"


class Time:
    """A clock that goes on when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def announced(connection: Connection, *peers: Peers) -> None:
    """Have these say that they publish; return once everybody has heard it."""
    heard = asyncio.Event()
    await connection.ask("flush", b"", 5)
    for one in peers:
        one.announce()
    connection.hear(f"{SUBJECT}-end", lambda _: heard.set())
    await connection.ask("flush", b"", 5)
    connection.tell(f"{SUBJECT}-end", b"")
    await heard.wait()


async def test_nobody_but_this_one_is_counted_before_anybody_has_said_anything(connection: Connection) -> None:
    assert Peers(connection, SUBJECT, Time()).count() == 1


async def test_those_that_have_said_so_are_counted_once_each(connection: Connection) -> None:
    listener = Peers(connection, SUBJECT, Time())
    await announced(connection, listener, listener)
    assert listener.count() == 1
    for name in (b"another-", b"another-", b"a third-"):
        connection.tell(SUBJECT, name)
    await announced(connection)
    assert listener.count() == 3


async def test_one_that_has_been_silent_for_too_long_counts_no_more(connection: Connection) -> None:
    time = Time()
    listener = Peers(connection, SUBJECT, time)
    await announced(connection, listener)
    connection.tell(SUBJECT, b"another-")
    await announced(connection)
    time.now += 14
    await announced(connection, listener)
    assert listener.count() == 2
    time.now += 2
    assert listener.count() == 1


async def test_strangers_cannot_be_counted_without_bounds(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.peers._MAX_PEERS", 5)
    time = Time()
    listener = Peers(connection, SUBJECT, time)
    await announced(connection, listener)
    connection.tell(SUBJECT, b"another-")
    for number in range(20):
        connection.tell(SUBJECT, b"%8d" % number)
    await announced(connection)
    assert listener.count() == 5
    time.now += 10
    connection.tell(SUBJECT, b"another-")
    await announced(connection, listener)
    time.now += 10
    assert listener.count() == 2
