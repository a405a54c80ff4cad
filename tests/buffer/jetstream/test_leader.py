from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.jetstream.leader import Leader

if TYPE_CHECKING:
    import pytest

    from buffer.jetstream.connection import Connection
    from tests.buffer.jetstream.doubles import Replicas


async def test_the_leader_knows_the_last_message_of_a_subject_and_the_first_from_a_number_on(
    replicas: Replicas, connection: Connection
) -> None:
    await replicas.start()
    admin, subject = await replicas.admin(), f"{replicas.stream.lower()}.n"
    leader = Leader(connection, replicas.stream)
    numbers = []
    for other in ("n", "m", "n"):
        await admin.publish(f"{replicas.stream.lower()}.{other}", b"")
        numbers.append(await leader.last(subject))
    await admin.close()
    first, same, last = numbers
    assert first == same
    assert first is not None
    assert last is not None
    assert first < last
    assert await leader.first_from(first, subject) == first
    assert await leader.first_from(first + 1, subject) == last


async def test_where_there_is_no_message_its_number_is_zero(replicas: Replicas, connection: Connection) -> None:
    await replicas.start()
    leader, subject = Leader(connection, replicas.stream), f"{replicas.stream.lower()}.n"
    assert await leader.last(subject) == 0
    assert await leader.first_from(1, subject) == 0


async def test_of_a_stream_that_is_not_there_nothing_is_known(connection: Connection) -> None:
    assert await Leader(connection, "NOBODY").last("nobody.n") is None


async def test_a_leader_that_does_not_answer_in_time_says_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.leader._ASK_SECONDS", 0.01)
    connection.hear("$JS.API.STREAM.MSG.GET.MUTE", lambda _: None)
    await connection.ask("flush", b"", 5)
    assert await Leader(connection, "MUTE").last("mute.n") is None
