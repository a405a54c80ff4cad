from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from buffer.jetstream.batch import Batch, Fetched
from tests.buffer.jetstream.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.jetstream.connection import Connection
    from tests.buffer.jetstream.doubles import Replicas


async def filled(replicas: Replicas, *namespaces: str) -> str:
    """Store a message of each of these namespaces; return where batches of them are asked for."""
    await replicas.start()
    admin = await replicas.admin()
    for number, namespace in enumerate(namespaces):
        await admin.publish(f"{replicas.stream.lower()}.{namespace}", str(number).encode())
    await admin.close()
    return f"$JS.API.DIRECT.GET.{replicas.stream}"


async def read(connection: Connection, subject: str, **request: Any) -> tuple[list[Fetched], bool]:
    batch, messages = Batch(connection, subject, json.dumps(request).encode()), list[Fetched]()
    while (message := await batch.next(5)) is not None:
        messages.append(message)
    batch.end()
    return messages, batch.was_last


async def test_a_batch_has_the_messages_of_a_subject_in_order(replicas: Replicas, connection: Connection) -> None:
    direct, subject = await filled(replicas, *"nmnmn"), f"{replicas.stream.lower()}.n"
    messages, was_last = await read(connection, direct, seq=1, next_by_subj=subject, batch=9)
    assert [message.data for message in messages] == [b"0", b"2", b"4"]
    assert was_last
    number = messages[1].number
    assert (await read(connection, direct, seq=number, next_by_subj=subject, batch=9))[0] == messages[1:]


async def test_a_batch_that_is_full_is_not_the_last(replicas: Replicas, connection: Connection) -> None:
    direct, subject = await filled(replicas, *"nnn"), f"{replicas.stream.lower()}.n"
    messages, was_last = await read(connection, direct, seq=1, next_by_subj=subject, batch=2)
    assert [message.data for message in messages] == [b"0", b"1"]
    assert not was_last


async def test_where_there_is_nothing_a_batch_is_empty_and_the_last(replicas: Replicas, connection: Connection) -> None:
    direct, subject = await filled(replicas, "n"), f"{replicas.stream.lower()}.other"
    assert await read(connection, direct, seq=1, next_by_subj=subject, batch=2) == ([], True)


async def test_a_stream_that_nobody_has_gives_no_last_batch(connection: Connection) -> None:
    assert await read(connection, "$JS.API.DIRECT.GET.NOBODY", seq=1, batch=2) == ([], False)


class Silent:
    """A connection on which a test answers itself."""

    answer: Callable[[Answer], None]
    has_forgotten = False

    def expect(self, answered: Callable[[Answer], None]) -> str:
        self.answer = answered
        return "token"

    def send(self, *_: object) -> None:
        pass

    def forget(self, _: str) -> None:
        self.has_forgotten = True


def message(number: int, previous: int) -> Answer:
    return Answer({"Nats-Sequence": str(number), "Nats-Last-Sequence": str(previous)})


@pytest.mark.parametrize(
    ("answers", "numbers"),
    [
        ([message(7, 3)], []),
        ([message(3, 0), message(9, 7)], [3]),
        ([message(3, 0), Answer({"Status": "204", "Nats-Num-Pending": "0", "Nats-Last-Sequence": "7"})], [3]),
    ],
)
async def test_a_batch_ends_where_a_message_got_lost(answers: list[Answer], numbers: list[int]) -> None:
    silent = Silent()
    batch = Batch(cast("Any", silent), "subject", b"")
    for answer in answers:
        silent.answer(answer)
    fetched = [await batch.next(1) for _ in range(len(numbers) + 1)]
    assert [one.number for one in fetched if one is not None] == numbers
    assert fetched[-1] is None
    assert not batch.was_last


async def test_a_batch_ends_where_no_answer_comes_in_time() -> None:
    silent = Silent()
    batch = Batch(cast("Any", silent), "subject", b"")
    assert await batch.next(0.01) is None
    assert not batch.was_last
    batch.end()
    assert silent.has_forgotten


async def test_an_answer_that_comes_later_is_waited_for() -> None:
    silent = Silent()
    batch = Batch(cast("Any", silent), "subject", b"")
    asyncio.get_running_loop().call_later(0.01, lambda: silent.answer(message(3, 0)))
    assert await batch.next(5) == (3, b"")
