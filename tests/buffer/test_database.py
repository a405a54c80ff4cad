"""The database of a disk broker: what is written is there when it is opened again, however the last process ended."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buffer.database import FILE, STRIDE, Batch, Database, DatabaseFailed
from buffer.source import Source
from tests.buffer.factories import chunk, source

if TYPE_CHECKING:
    from pathlib import Path

    from buffer.chunk import Chunk

NOW, WINDOW = 1_700_000_000.0, 120.0
NOTHING = Batch((), (), (), {})


def write(database: Database, *chunks: Chunk, now: float = NOW, **others: Any) -> None:
    database.write(NOTHING._replace(chunks=chunks, **others), now, WINDOW)


def crashed(database: Database) -> None:
    """Leave the database as a process does that is killed."""
    with patch.object(Database, "mark"), patch("buffer.database._CLOSED", "not closed"):
        database.close()


def boot_anew() -> Any:
    return patch("buffer.database.boot_id", return_value="another boot")


def described(found: Chunk) -> tuple[Any, ...]:
    return found.seq, found.source, found.lines(), found.times(), found.streams(), found.arrived, found.size


def test_chunks_come_back_as_they_were_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    labelled = source("n", "p", "c", "deployment/d", app="web", **{"k/x": '"'})
    written = [chunk(3, "a", "b\nc", streams=["stdout", "stderr"], writer=labelled), chunk(5, "d"), chunk(9, "", "ä")]
    write(database, *written)
    database.close()
    again = Database(str(tmp_path))
    assert list(map(described, again.chunks())) == list(map(described, written))
    again.close()


def test_a_number_is_never_used_twice_and_the_passed_over_ones_are_known(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    assert (database.next_seq, database.skipped()) == (1, [])
    write(database, chunk(1, "a"), chunk(2, "b"))
    database.close()
    for _ in range(2):  # starts after which nothing was written do not count
        database = Database(str(tmp_path))
        assert database.next_seq == 3 + STRIDE
        assert database.skipped() == [(3, 3 + STRIDE)]
        database.close()
    database = Database(str(tmp_path))
    write(database, chunk(3 + STRIDE, "c"))
    database.close()
    database = Database(str(tmp_path))
    assert database.skipped() == [(3, 3 + STRIDE), (4 + STRIDE, 4 + 2 * STRIDE)]
    database.close()


def test_numbers_of_what_has_been_deleted_are_not_used_again(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(7, "a"))
    write(database, gone=[7], evicted={source(): 7})
    database.close()
    database = Database(str(tmp_path))
    assert list(database.chunks()) == []
    assert database.losses() == [(source(), 7)]
    assert database.next_seq == 8 + STRIDE
    database.close()


def test_the_epoch_stays_with_the_folder(tmp_path: Path) -> None:
    epochs = []
    for folder in ("a", "a", "b"):
        database = Database(str(tmp_path / folder))
        epochs.append(database.epoch)
        database.close()
    assert epochs[0] == epochs[1] != epochs[2]


def test_a_process_that_is_killed_loses_nothing_and_makes_nothing_doubtful(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(1, "a"))
    crashed(database)
    database = Database(str(tmp_path))
    assert [one.seq for one in database.chunks()] == [1]
    assert database.skipped() == [(2, 2 + STRIDE)]
    database.close()


def test_after_a_crash_of_the_machine_all_cursors_are_doubtful(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(1, "a"))
    crashed(database)
    with boot_anew():
        database = Database(str(tmp_path))
        assert database.skipped() == [(0, 2 + STRIDE)]
        database.close()
        again = Database(str(tmp_path))
        assert again.skipped() == [(0, 2 + STRIDE)]
        again.close()


def test_a_reboot_after_a_stop_in_order_makes_nothing_doubtful(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(1, "a"))
    database.close()
    with boot_anew():
        database = Database(str(tmp_path))
    assert database.skipped() == [(2, 2 + STRIDE)]
    database.close()


def test_what_could_not_be_written_makes_all_cursors_doubtful_unless_it_is_written_later(tmp_path: Path) -> None:
    for is_written_later in (False, True):
        folder = str(tmp_path / str(is_written_later))
        database = Database(folder)
        write(database, chunk(1, "a"))
        with pytest.raises(DatabaseFailed):
            write(database, chunk(2, "b"), gone=[object()])
        if is_written_later:
            write(database, chunk(2, "b"))
            database.mark()
        database.close()
        database = Database(folder)
        assert database.skipped() == [(3, 3 + STRIDE) if is_written_later else (0, 2 + STRIDE)]
        database.close()


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    with pytest.raises(DatabaseFailed):
        write(database, chunk(1, "a"), keys=[b"k"], gone=[object()])
    write(database, chunk(2, "b"))
    database.close()
    database = Database(str(tmp_path))
    assert [(one.seq, one.source) for one in database.chunks()] == [(2, source())]
    assert database.keys(0) == set()
    database.close()


def test_keys_are_kept_for_their_time(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(1, "a"), keys=[b"a", b"b"], now=NOW)
    write(database, chunk(2, "a"), keys=[b"c"], now=NOW + 100)
    assert database.keys(NOW + 1) == {b"c"}
    with patch("buffer.database._KEYS_A_SWEEP", 1):
        write(database, chunk(3, "a"), keys=[b"d"], now=NOW + WINDOW + 1)
    assert database.keys(0) == {b"c", b"d"}
    database.close()


def test_a_second_process_is_told_that_the_folder_is_taken(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    with pytest.raises(DatabaseFailed) as failed:
        Database(str(tmp_path))
    assert failed.value.is_taken
    assert failed.value.problem == "it is in use by another process"
    database.close()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(b"no database" * 1000), "backlog.sqlite in it is damaged"),
        (lambda path: path.mkdir(), "backlog.sqlite cannot be opened in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, spoil: Any, problem: str) -> None:
    spoil(tmp_path / FILE)
    with pytest.raises(DatabaseFailed) as failed:
        Database(str(tmp_path))
    assert failed.value.problem == str(failed.value) == problem
    assert not failed.value.is_taken


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "data"))
    write(database, chunk(1, "a"))
    paths = [tmp_path / "data", *(path for path in (tmp_path / "data").iterdir() if path.name.startswith(FILE))]
    assert len(paths) == 3
    assert not any(path.stat().st_mode & 0o077 for path in paths)
    database.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseFailed, match=r"^it cannot be used: not a directory$"):
        Database(str(tmp_path / "file" / "folder"))


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseFailed, match=r"^backlog\.sqlite in it is of another version of logurt$"):
        Database(str(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


@pytest.mark.parametrize("statement", ["UPDATE chunks SET data = 'x'", "UPDATE sources SET identity = '[]'"])
def test_rows_that_cannot_be_read_are_damage(tmp_path: Path, statement: str) -> None:
    database = Database(str(tmp_path))
    write(database, chunk(1, "a"))
    database.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(statement)
    connection.close()
    database = Database(str(tmp_path))
    with pytest.raises(DatabaseFailed, match=r"^backlog\.sqlite in it is damaged$"):
        list(database.chunks())
    database.close()


def test_pages_that_cannot_be_read_are_damage(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    write(database, *(chunk(seq, os.urandom(2000).hex()) for seq in range(1, 100)))
    database.close()
    with (tmp_path / FILE).open("r+b") as file:
        for page in range(file.seek(0, os.SEEK_END) // 4096)[10:40]:
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    database = Database(str(tmp_path))
    with pytest.raises(DatabaseFailed, match=r"^backlog\.sqlite in it is damaged$"):
        list(database.chunks())
    database.close()


def test_a_closed_database_fails(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    database.close()
    with pytest.raises(DatabaseFailed, match="closed database"):
        database.skipped()
    with pytest.raises(DatabaseFailed, match="closed database"):
        write(database, chunk(1, "a"))


def test_sources_that_are_held_are_not_forgotten_however_many(tmp_path: Path) -> None:
    with patch("buffer.database.MAX_GONE", 10):
        database = Database(str(tmp_path))
        write(database, *(chunk(seq, "x", writer=source(pod=str(seq))) for seq in range(1, 30)))
    assert len(list(database.chunks())) == 29
    assert database.skipped() == []
    database.close()


def test_a_full_disk_is_told_and_everything_goes_on_once_there_is_room(tmp_path: Path) -> None:
    database = Database(str(tmp_path))
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with patch.object(Database, "_row", side_effect=full), pytest.raises(DatabaseFailed, match=r"^the disk is full$"):
        write(database, chunk(1, "a"))
    write(database, chunk(1, "a"))
    assert [one.seq for one in database.chunks()] == [1]
    database.close()


def test_sources_that_left_long_ago_are_forgotten_and_cursors_from_then_become_doubtful(tmp_path: Path) -> None:
    with patch("buffer.database.MAX_GONE", 10):
        database = Database(str(tmp_path))
        write(database, chunk(1000, "held", writer=source(pod="held")))
        for number in range(1, 41):
            gone = source(pod=f"job-{number}")
            write(database, chunk(number, "x", writer=gone))
            write(database, gone=[number], evicted={gone: number})
    known = dict(database.losses())
    forgotten = [number for number in range(1, 41) if source(pod=f"job-{number}") not in known]
    assert 20 <= len(forgotten) <= 35
    assert database.skipped() == [(0, max(forgotten) + 1)]
    write(database, chunk(1001, "again", writer=source(pod="job-1")))
    assert [one.source.pod for one in database.chunks()] == ["held", "job-1"]
    database.close()


def test_a_folder_of_which_the_system_tells_no_boot_is_doubtful_after_a_kill(tmp_path: Path) -> None:
    real = open

    def no_boot(path: Any, *mode: Any) -> Any:
        if str(path).startswith("/proc"):
            raise FileNotFoundError
        return real(path, *mode)

    with patch("builtins.open", no_boot):
        database = Database(str(tmp_path))
        write(database, chunk(1, "a"))
        crashed(database)
        database = Database(str(tmp_path))
        assert database.skipped() == [(0, 2 + STRIDE)]
        database.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.sampled_from("abc"), min_size=1, max_size=4)),
        st.tuples(st.just("evict"), st.integers(1, 3)),
        st.tuples(st.just("reopen"), st.booleans()),
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(STEPS)
def test_whatever_was_written_deleted_and_reopened_the_rest_is_there(
    tmp_path: Path, steps: list[tuple[str, Any]]
) -> None:
    folder = str(tmp_path / os.urandom(8).hex())
    database, held, evicted = Database(folder), dict[int, Source](), dict[Source, int]()
    for what, how in steps:
        if what == "write":
            numbered = list(enumerate(how, max([*held, *evicted.values(), database.next_seq - 1]) + 1))
            write(database, *(chunk(seq, "x", writer=source(pod=pod)) for seq, pod in numbered))
            held |= {seq: source(pod=pod) for seq, pod in numbered}
        elif what == "evict":
            gone = {seq: held.pop(seq) for seq in sorted(held)[:how]}
            marks = {writer: seq for seq, writer in gone.items()}
            evicted |= marks
            write(database, gone=list(gone), evicted=marks)
        else:
            (crashed if how else Database.close)(database)
            database = Database(folder)
            assert database.next_seq > max([0, *held, *evicted.values()])
        assert {one.seq: one.source for one in database.chunks()} == held
        assert dict(database.losses()) == evicted
    database.close()
