"""The database of a disk broker: one file of SQLite, which holds what the rings hold.

Chunks are rows, compressed, and are deleted one by one as the rings let go of them: fair eviction leaves holes
everywhere. Beside them it keeps what must be known when a reader comes back with a cursor: how far each source has been
evicted, also when nothing of it is left, and which numbers were passed over.

What has been committed is in the kernel's hands, and survives this process. It is not forced onto the disk: after a
crash of the machine some of it may be missing. The file `complete` beside the database says when that cannot be.

Everything here blocks. Nothing is called by two threads at the same time.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import zstandard

from buffer.chunk import Chunk
from buffer.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE = "backlog.sqlite"
_COMPLETE = "complete"
_CLOSED = "closed"  # what it says once the database is closed; until then, the boot that it belongs to

# How far ahead of the last number the next start begins. So no number is used twice, even if the last ones were lost.
STRIDE = 1 << 20

# How many lots of passed-over numbers are remembered.
MAX_SKIPPED = 64

# So many more sources than are held are remembered before those that left first are forgotten.
MAX_GONE = 8192

# After so many requests, the keys that are too old are deleted.
_KEYS_A_SWEEP = 256

_LAYOUT = 1  # of the tables; a file of another one is refused
_SCHEMA = """
CREATE TABLE numbering (epoch TEXT NOT NULL);
CREATE TABLE sources (id INTEGER PRIMARY KEY, identity BLOB NOT NULL, evicted INTEGER NOT NULL);
CREATE TABLE chunks (seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE skipped (first INTEGER NOT NULL, until INTEGER NOT NULL);
CREATE TABLE keys (id INTEGER PRIMARY KEY, key BLOB NOT NULL, at REAL NOT NULL);
"""

_DAMAGED = f"{FILE} in it is damaged"
_PROBLEMS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: f"{FILE} cannot be opened in it",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "it is in use by another process",
    sqlite3.SQLITE_IOERR: "the disk does not take or give data",
}


class DatabaseFailed(Exception):
    """The database cannot be used, or not now. `problem` is a clause; `is_taken`: another process uses it."""

    def __init__(self, problem: str, *, is_taken: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_taken = is_taken

    @classmethod
    def because_of(cls, error: Exception) -> DatabaseFailed:
        """Return what an error of SQLite or of the system means."""
        if isinstance(error, OSError):
            return cls(f"it cannot be used: {(error.strerror or str(error)).lower()}")
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest tells variants apart
        return cls(_PROBLEMS.get(code, str(error) or type(error).__name__), is_taken=code == sqlite3.SQLITE_BUSY)


class Batch(NamedTuple):
    """What one transaction writes: chunks, keys of requests, and what has left the rings."""

    chunks: Sequence[Chunk]
    keys: Sequence[bytes]
    gone: Sequence[int]  # numbers of chunks
    evicted: Mapping[Source, int]  # the highest number that is gone, by source


class _Identity(msgspec.Struct, array_like=True):
    """A source as the database has it."""

    namespace: str
    pod: str
    container: str
    labels: tuple[tuple[str, str], ...]
    owner: str


class Database:
    """An open database. `epoch` names the numbering, which goes on with `next_seq`."""

    def __init__(self, folder: str) -> None:
        """Open the database in a folder, or make it. Raises DatabaseFailed."""
        self._marker = f"{folder}/{_COMPLETE}"
        self._rows: dict[Source, int] = {}
        self._forget_above = MAX_GONE  # rows
        self._unswept = 0  # keys written since the last sweep
        self._compress = zstandard.ZstdCompressor(level=1).compress
        self._decompress = zstandard.ZstdDecompressor().decompress
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - the core knows no paths but this one
            path = f"{folder}/{FILE}"
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))  # those beside it get the same mode
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise DatabaseFailed.because_of(error) from None
        try:
            self.epoch, self.next_seq = self._open()
        except (sqlite3.Error, OSError) as error:
            self._connection.close()
            raise DatabaseFailed.because_of(error) from None
        except DatabaseFailed:
            self._connection.close()
            raise

    def _open(self) -> tuple[str, int]:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("BEGIN IMMEDIATE")
        layout = execute("PRAGMA user_version").fetchone()[0]
        if layout not in (0, _LAYOUT):
            raise DatabaseFailed(f"{FILE} in it is of another version of logurt")
        if layout == 0:
            for statement in _SCHEMA.split(";\n"):
                execute(statement)
            execute("INSERT INTO numbering VALUES (?)", (secrets.token_hex(6),))
            execute(f"PRAGMA user_version = {_LAYOUT}")
        epoch: str = execute("SELECT epoch FROM numbering").fetchone()[0]
        next_seq = self._pass_over(is_complete=layout == 0 or self._is_complete())
        execute("COMMIT")
        self.mark(boot_id())
        execute("PRAGMA synchronous = OFF")  # until it is closed
        return epoch, next_seq

    def _pass_over(self, *, is_complete: bool) -> int:
        """Return the next number, and note which numbers are passed over."""
        chunk, source, skip = (
            int(self._connection.execute(f"SELECT ifnull(max({column}), 0) FROM {table}").fetchone()[0])  # noqa: S608 - constants
            for column, table in (("seq", "chunks"), ("evicted", "sources"), ("until", "skipped"))
        )
        last = max(chunk, source)
        if is_complete and last < max(skip, 1):  # nothing has been written since the last start
            return max(skip, 1)
        until = max(last + 1, skip) + STRIDE
        # Where some of what was written may be missing, all cursors are doubtful.
        self._skip(last + 1 if is_complete else 0, until)
        return until

    def _skip(self, first: int, until: int) -> None:
        self._connection.execute("DELETE FROM skipped WHERE first >= ? AND until <= ?", (first, until))
        self._connection.execute("INSERT INTO skipped VALUES (?, ?)", (first, until))
        self._connection.execute(
            "DELETE FROM skipped WHERE rowid <= (SELECT max(rowid) FROM skipped) - ?", (MAX_SKIPPED,)
        )

    def skipped(self) -> list[tuple[int, int]]:
        """Return which numbers were passed over: the first of each lot, and the one after the last."""
        return self._fetch("SELECT first, until FROM skipped")

    def keys(self, since: float) -> set[bytes]:
        """Return the keys of requests that were written since then, in Unix seconds."""
        return {key for (key,) in self._fetch("SELECT key FROM keys WHERE at >= ?", since)}

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks in the order of their numbers. Raises DatabaseFailed."""
        by_row = {row: source for row, source, _ in self._sources()}
        self._rows = {source: row for row, source in by_row.items()}
        try:
            for seq, row, data in self._connection.execute("SELECT seq, source, data FROM chunks ORDER BY seq"):
                chunk = Chunk.decode(by_row[row], self._decompress(data))
                chunk.seq = seq
                yield chunk
        except sqlite3.Error as error:
            raise DatabaseFailed.because_of(error) from None
        except (zstandard.ZstdError, ValueError, TypeError, KeyError):
            raise DatabaseFailed(_DAMAGED) from None

    def losses(self) -> list[tuple[Source, int]]:
        """Return the sources of which chunks are gone, and the number of the last of these, the lowest first."""
        return sorted(((source, seq) for _, source, seq in self._sources() if seq), key=itemgetter(1))

    def write(self, batch: Batch, now: float, key_seconds: float) -> None:
        """Write a batch in one transaction; keys are kept for so many seconds. Raises DatabaseFailed.

        Then `mark` is to be called once everything has been written that had not been.
        """
        execute, many, added = self._connection.execute, self._connection.executemany, list[Source]()
        try:
            execute("BEGIN")
            rows = [(chunk.seq, self._row(chunk.source, added), chunk) for chunk in batch.chunks]
            compressed = ((seq, row, self._compress(chunk.encode())) for seq, row, chunk in rows)
            many("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?)", compressed)
            if batch.keys:
                many("INSERT INTO keys (key, at) VALUES (?, ?)", [(key, now) for key in batch.keys])
                self._sweep(len(batch.keys), now - key_seconds)
            if batch.gone:
                many("DELETE FROM chunks WHERE seq = ?", [(seq,) for seq in batch.gone])
            if batch.evicted:
                evicted = [(seq, self._row(source, added)) for source, seq in batch.evicted.items()]
                many("UPDATE sources SET evicted = max(evicted, ?) WHERE id = ?", evicted)
            execute("COMMIT")
            if len(self._rows) > self._forget_above:
                self._forget()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
            for source in added:
                self._rows.pop(source, None)
            with suppress(sqlite3.Error):
                execute("ROLLBACK")
            self.unmark()
            raise DatabaseFailed.because_of(error) from None

    def unmark(self) -> None:
        """Note that not everything is written, in a way that works on a full disk, too. May be called by any thread."""
        with suppress(OSError):
            os.unlink(self._marker)  # noqa: PTH108 - as above

    def mark(self, what: str = "") -> None:
        """Note that everything is written so far; a crash of the machine, that is, a new boot, makes it doubtful."""
        with open(self._marker, "w") as marker:  # noqa: PTH123 - as above
            marker.write(what or boot_id())
            marker.flush()
            os.fsync(marker.fileno())

    def close(self) -> None:
        """Force everything onto the disk, and close the file. Raises nothing: what cannot be done is doubtful."""
        with suppress(sqlite3.Error, OSError):
            is_complete = self._is_complete()
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if is_complete:
                self.mark(_CLOSED)
        self._connection.close()

    def _is_complete(self) -> bool:
        try:
            with open(self._marker) as marker:  # noqa: PTH123 - as above
                return marker.read() in (_CLOSED, boot_id())
        except OSError:
            return False

    def _row(self, source: Source, added: list[Source]) -> int:
        """Return the row of a source. One that is new is appended to `added`."""
        row = self._rows.get(source)
        if row is None:
            identity = _Identity(source.namespace, source.pod, source.container, source.labels, source.owner)
            values = (msgspec.json.encode(identity),)
            row = self._connection.execute("INSERT INTO sources (identity, evicted) VALUES (?, 0)", values).lastrowid
            assert row is not None  # noqa: S101 - what has been inserted has a row
            self._rows[source] = row
            added.append(source)
        return row

    def _sources(self) -> list[tuple[int, Source, int]]:
        rows = self._fetch("SELECT id, identity, evicted FROM sources")
        decode = msgspec.json.Decoder(_Identity).decode
        try:
            return [(row, Source(*msgspec.structs.astuple(decode(identity))), seq) for row, identity, seq in rows]
        except msgspec.MsgspecError:
            raise DatabaseFailed(_DAMAGED) from None

    def _sweep(self, written: int, oldest: float) -> None:
        self._unswept += written
        if self._unswept >= _KEYS_A_SWEEP:
            self._unswept = 0
            # They are in the order of their times.
            statement = "DELETE FROM keys WHERE id < (SELECT id FROM keys WHERE at >= ? ORDER BY id LIMIT 1)"
            self._connection.execute(statement, (oldest,))

    def _forget(self) -> None:
        """Forget the sources that left first, and have all cursors from before that be doubtful."""
        gone = self._fetch(
            "SELECT id, evicted FROM sources WHERE id NOT IN (SELECT source FROM chunks) ORDER BY evicted DESC"
        )[MAX_GONE // 2 :]
        if gone:
            self._connection.execute("BEGIN")
            self._connection.executemany("DELETE FROM sources WHERE id = ?", [(row,) for row, _ in gone])
            self._skip(0, gone[0][1] + 1)
            self._connection.execute("COMMIT")
            rows = {row for row, _ in gone}
            self._rows = {source: row for source, row in self._rows.items() if row not in rows}
        self._forget_above = len(self._rows) + MAX_GONE // 2

    def _fetch(self, statement: str, *values: float) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise DatabaseFailed.because_of(error) from None


def boot_id() -> str:
    """Return what tells this run of the machine from others; a random text if the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123 - as above
            return file.read().strip()
    except OSError:
        return secrets.token_hex(16)
