"""The broker that keeps a backlog on disk: what is its own beside what every broker does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from buffer.broker import BrokerUnavailable
from buffer.database import FILE, STRIDE, Database, DatabaseFailed
from buffer.disk import DiskBroker
from tests.buffer.factories import chunk, source
from tests.buffer.receivers import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from buffer.database import Batch

FULL = DatabaseFailed("the disk is full")
WEAK = "DATA_DIR takes no logs: the disk is full"


class Disk:
    """A folder, and brokers that use it one after the other. `said` is what they have reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_700_000_000.0
        self.said: list[str] = []
        self.broker: DiskBroker
        self.receiver: Recorder

    async def start(self, on_chunk: Callable[..., object] = lambda _: None) -> None:
        self.broker = DiskBroker(str(self.folder), key_seconds=120, now=lambda: self.now, report=self.said.append)
        self.receiver = Recorder(on_chunk)
        await self.broker.start(self.receiver)

    async def restart(self) -> None:
        await self.broker.close()
        await self.start()

    async def recovered(self) -> None:
        while self.broker.weakness:  # noqa: ASYNC110 - nothing tells the test
            await asyncio.sleep(0)

    async def publish(self, *texts: str, key: bytes = b"") -> None:
        await self.broker.publish([chunk(0, text) for text in texts], key)


class Trouble:
    """Has the database refuse to write for as long as there is an error."""

    def __init__(self) -> None:
        self.error: DatabaseFailed | None = FULL
        self.tries = 0
        self._write = Database.write

    def made(self) -> AbstractContextManager[object]:
        def write(database: Database, batch: Batch, now: float, key_seconds: float) -> None:
            self.tries += 1
            if self.error is not None:
                database.unmark()
                raise self.error
            self._write(database, batch, now, key_seconds)

        return patch.object(Database, "write", write)


async def test_the_backlog_the_epoch_and_the_order_of_numbers_survive(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a", "b")
    epoch, before = disk.broker.epoch, disk.receiver.seqs
    await disk.restart()
    await disk.publish("c")
    assert disk.receiver.texts == ["a", "b", "c"]
    assert disk.receiver.seqs == [*before, before[-1] + 1 + STRIDE]
    assert disk.receiver.epochs == [epoch] == [disk.broker.epoch]
    assert disk.receiver.skipped == [(before[-1] + 1, before[-1] + 1 + STRIDE)]
    await disk.broker.close()


async def test_what_the_rings_let_go_of_does_not_come_back_and_is_told_as_lost(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a", "b")
    disk.broker.let_go(disk.receiver.chunks[0])
    await disk.restart()
    assert disk.receiver.texts == ["b"]
    assert disk.receiver.losses == [(source(), 1, None)]
    await disk.broker.close()


async def test_what_the_rings_let_go_of_at_the_start_is_deleted(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a", "b")
    await disk.broker.close()
    await disk.start(lambda one: disk.broker.let_go(one) if one.seq == 1 else None)
    await disk.restart()
    assert disk.receiver.texts == ["b"]
    await disk.broker.close()


async def test_a_request_that_comes_again_after_a_restart_is_not_stored_twice(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a", key=b"k")
    await disk.restart()
    await disk.publish("a", key=b"k")
    await disk.publish("b", key=b"l")
    await disk.publish("c")
    assert disk.receiver.texts == ["a", "b", "c"]
    disk.now += 121
    await disk.publish("a", key=b"k")
    assert disk.receiver.texts == ["a", "b", "c", "a"]
    await disk.broker.close()


async def test_requests_that_come_together_or_while_others_are_written_share_a_transaction(tmp_path: Path) -> None:
    disk, sizes, begun, opened = Disk(tmp_path), list[int](), asyncio.Event(), threading.Event()
    await disk.start()
    loop, write = asyncio.get_running_loop(), Database.write

    def counting(database: Database, batch: Batch, now: float, key_seconds: float) -> None:
        sizes.append(len(batch.chunks))
        loop.call_soon_threadsafe(begun.set)
        opened.wait(10)
        write(database, batch, now, key_seconds)

    with patch.object(Database, "write", counting):
        together = asyncio.gather(*(disk.publish(str(number)) for number in range(3)))
        await begun.wait()
        meanwhile = [asyncio.ensure_future(disk.publish(str(number))) for number in range(3, 10)]
        for _ in range(10):
            await asyncio.sleep(0)
        opened.set()
        await asyncio.gather(together, *meanwhile)
    assert sizes == [3, 7]
    await disk.broker.close()


async def test_a_request_is_written_soon_although_others_keep_coming(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    requests = [first := asyncio.ensure_future(disk.publish("first"))]
    while not first.done():
        requests.append(asyncio.ensure_future(disk.publish("another")))
        await asyncio.sleep(0)
    await asyncio.gather(*requests)
    assert disk.receiver.texts[0] == "first"
    await disk.broker.close()


async def test_what_the_rings_let_go_of_while_something_is_written_is_deleted_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.disk._GONE_SECONDS", 0)
    disk, begun, opened, gone = Disk(tmp_path), asyncio.Event(), threading.Event(), list[int]()
    await disk.start()
    await disk.publish(*[str(number) for number in range(100)])
    loop, write = asyncio.get_running_loop(), Database.write

    def waiting(database: Database, batch: Batch, now: float, key_seconds: float) -> None:
        loop.call_soon_threadsafe(begun.set)
        opened.wait(10)
        gone.extend(batch.gone)
        write(database, batch, now, key_seconds)

    with patch.object(Database, "write", waiting):
        publishing = asyncio.ensure_future(disk.publish("another"))
        await begun.wait()
        for one in disk.receiver.chunks[:100]:
            disk.broker.let_go(one)
        for _ in range(10):  # until it would have been time for that
            await asyncio.sleep(0)
        opened.set()
        await publishing
        while len(gone) < 100:  # noqa: ASYNC110 - nothing tells the test
            await asyncio.sleep(0)
    await disk.broker.close()


async def test_a_broker_that_is_closed_while_requests_are_gathered_writes_them(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a")
    publishing = asyncio.ensure_future(disk.publish("b"))
    await asyncio.sleep(0)
    await disk.restart()
    await publishing
    assert disk.receiver.texts == ["a", "b"]
    await disk.broker.close()


async def test_nothing_is_delivered_before_it_is_written_and_the_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    disk, opened = Disk(tmp_path), threading.Event()
    await disk.start()
    write = Database.write

    def waiting(*given: object) -> None:
        opened.wait(10)
        write(*given)  # type: ignore[arg-type]

    with patch.object(Database, "write", waiting):
        publishing = asyncio.ensure_future(disk.publish("a"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not publishing.done()
        assert disk.receiver.texts == []
        opened.set()
        await publishing
    assert disk.receiver.texts == ["a"]
    await disk.broker.close()


async def test_what_is_written_while_others_are_delivered_in_slices_keeps_its_place(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start(lambda _: time.sleep(0.001))
    texts = [str(number) for number in range(60)]
    await asyncio.gather(*(disk.publish(*texts[first : first + 20]) for first in (0, 20, 40)))
    assert disk.receiver.texts == texts
    await disk.broker.close()


async def test_what_is_published_is_kept_even_if_nobody_waits_for_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    publishing = asyncio.ensure_future(disk.publish("a"))
    await asyncio.sleep(0)
    publishing.cancel()
    await disk.restart()
    assert disk.receiver.texts == ["a"]
    await disk.broker.close()


async def test_a_closed_broker_takes_nothing(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.broker.close()
    with pytest.raises(BrokerUnavailable) as raised:
        await disk.publish("a")
    assert raised.value.problem == "it is closed"


async def test_a_folder_in_use_is_refused_with_one_clear_sentence(tmp_path: Path) -> None:
    disk, second = Disk(tmp_path), Disk(tmp_path)
    await disk.start()
    with pytest.raises(BrokerUnavailable) as raised:
        await second.start()
    assert raised.value.problem == "DATA_DIR cannot be used: it is in use by another process"
    await disk.broker.close()


# Trouble


async def test_logs_are_taken_and_delivered_while_the_disk_is_full_and_written_once_it_is_not(tmp_path: Path) -> None:
    disk, trouble = Disk(tmp_path), Trouble()
    await disk.start()
    await disk.publish("a")
    with (
        trouble.made(),
        patch("buffer.disk.RETRY_SECONDS", 0.01),
    ):
        await asyncio.gather(disk.publish("b"), disk.publish("c", "d"))
        assert disk.receiver.texts == ["a", "b", "c", "d"]
        assert disk.broker.weakness == WEAK
        assert disk.broker.problem == ""
        disk.broker.let_go(disk.receiver.chunks[0])
        disk.broker.let_go(disk.receiver.chunks[2])
        trouble.error = None
        await disk.recovered()
    await disk.publish("e")
    assert disk.broker.weakness == ""
    assert [said.partition(";")[0] for said in disk.said] == [WEAK, "DATA_DIR takes logs again"]
    await disk.restart()
    assert disk.receiver.texts == ["b", "d", "e"]
    assert disk.receiver.losses == [(source(), 3, None)]
    assert disk.receiver.skipped == [(6, 6 + STRIDE)]
    await disk.broker.close()


async def test_a_disk_that_stays_full_is_reported_once_and_its_cursors_become_doubtful(tmp_path: Path) -> None:
    disk, trouble = Disk(tmp_path), Trouble()
    await disk.start()
    await disk.publish("a")
    with trouble.made(), patch("buffer.disk.RETRY_SECONDS", 0):
        await disk.publish("b")
        while trouble.tries < 3:
            await disk.publish("c")
            await asyncio.sleep(0)
    assert len(disk.said) == 1
    await disk.broker.close()
    with patch.object(Database, "write", side_effect=FULL):
        await disk.start()
        await disk.broker.close()
    assert disk.receiver.skipped[0][0] == 0


async def test_a_disk_that_does_not_answer_keeps_nobody_waiting_and_what_it_missed_is_written_later(
    tmp_path: Path,
) -> None:
    disk, opened, write = Disk(tmp_path), threading.Event(), Database.write
    await disk.start()

    def waiting(*given: object) -> None:
        opened.wait(10)
        write(*given)  # type: ignore[arg-type]

    with patch.object(Database, "write", waiting), patch("buffer.disk.PATIENCE_SECONDS", 0.01):
        await asyncio.gather(disk.publish("a"), disk.publish("b"))
        assert disk.broker.weakness == "DATA_DIR takes no logs: the disk does not answer"
        await disk.publish("c", "d")
        disk.broker.let_go(disk.receiver.chunks[0])
        disk.broker.let_go(disk.receiver.chunks[2])
        assert disk.receiver.texts == ["a", "b", "c", "d"]
        opened.set()
        await disk.recovered()
    await disk.publish("e")
    await disk.restart()
    assert disk.receiver.texts == ["b", "d", "e"]
    assert disk.receiver.losses == [(source(), 3, None)]
    assert disk.receiver.skipped == [(6, 6 + STRIDE)]
    await disk.broker.close()


async def test_a_disk_that_does_not_answer_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    disk, opened, write, stuck = Disk(tmp_path), threading.Event(), Database.write, list[Database]()
    await disk.start()

    def waiting(database: Database, batch: Batch, now: float, key_seconds: float) -> None:
        stuck.append(database)
        opened.wait(10)
        write(database, batch, now, key_seconds)

    with patch.object(Database, "write", waiting), patch("buffer.disk.PATIENCE_SECONDS", 0.01):
        await disk.publish("a")
    # It has shown that it does not answer, and is not waited for as long again.
    with patch.object(Database, "write", waiting), patch("buffer.disk._LITTLE_PATIENCE", 0.01):
        await asyncio.wait_for(disk.broker.close(), 5)
        assert [said.partition(":")[0] for said in disk.said] == ["DATA_DIR takes no logs", "DATA_DIR does not answer"]
        opened.set()
        while "disk" in [thread.name for thread in threading.enumerate()]:  # noqa: ASYNC110 - nothing tells the test
            await asyncio.sleep(0)
    stuck[0].close()


async def test_chunks_that_leave_while_the_disk_is_full_cost_no_memory(tmp_path: Path) -> None:
    disk, trouble = Disk(tmp_path), Trouble()
    await disk.start()
    with (
        trouble.made(),
        patch("buffer.disk._MAX_EVICTED", 10),
        patch("buffer.disk.RETRY_SECONDS", 0.01),
    ):
        for number in range(30):
            await disk.broker.publish([chunk(0, "x", writer=source(pod=str(number)))])
            disk.broker.let_go(disk.receiver.chunks[-1])
        trouble.error = None
        await disk.recovered()
    await disk.publish("a")
    assert disk.broker.weakness == ""
    await disk.restart()
    assert disk.receiver.texts == ["a"]
    assert len(disk.receiver.losses) <= 12


def be_damaged(folder: Path) -> None:
    (folder / FILE).write_bytes(b"nothing" * 1000)


def be_a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (be_damaged, "backlog.sqlite in it is damaged"),
        (be_a_file, "it cannot be used: file exists"),
    ],
)
async def test_a_folder_that_cannot_be_used_is_told_and_logs_are_kept_in_memory(
    tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    disk = Disk(tmp_path / "data")
    disk.folder.mkdir()
    spoil(disk.folder)
    await disk.start()
    await disk.publish("a", key=b"k")
    disk.broker.let_go(disk.receiver.chunks[0])
    assert disk.receiver.texts == ["a"]
    assert disk.broker.weakness == f"DATA_DIR takes no logs: {problem}"
    assert len(disk.said) == 1
    assert disk.receiver.epochs == [disk.broker.epoch]
    await disk.broker.close()


async def test_damage_that_shows_while_the_backlog_is_read_begins_a_new_numbering(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await disk.start()
    await disk.publish("a", "b")
    epoch = disk.broker.epoch
    await disk.broker.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE chunks SET data = x'00' WHERE seq = 2")
    connection.close()
    await disk.start()
    assert disk.receiver.epochs[0] == epoch != disk.receiver.epochs[1] == disk.broker.epoch
    assert disk.broker.weakness == "DATA_DIR takes no logs: backlog.sqlite in it is damaged"
    await disk.publish("c")
    assert disk.receiver.seqs[-1] == 1
    await disk.broker.close()
