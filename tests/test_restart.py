"""The server with DATA_DIR, ended in every way, and started again on the same folder."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from buffer.database import FILE
from tests.handlers.peers import until
from tests.process import READYZ, SETTINGS, asked, command, lines_of, posted, token
from tests.wire import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.process import Process

KILL, TERM = signal.SIGKILL, signal.SIGTERM
TIME = "2025-11-22T08:15:01.123457790Z"


def body(*texts: str, pod: str = "web-0") -> bytes:
    kubernetes = {"namespace_name": "myapp", "pod_name": pod, "container_name": "app"}
    records = [{"log": text, "time": TIME, "stream": "stdout", "kubernetes": kubernetes} for text in texts]
    return json.dumps(records).encode()


async def write(process: Process, *texts: str, pod: str = "web-0") -> None:
    answer = await posted(process, body(*texts, pod=pod))
    assert answer.json == {"accepted": len(texts), "skipped": 0}


async def end(process: Process, number: signal.Signals) -> None:
    process.signal(number)
    assert await asyncio.to_thread(process.ended) == (0 if number == TERM else -number)


class Reader:
    """A client that keeps its last cursor, and comes back with it. `seen` is what it has been sent, gaps included."""

    def __init__(self, **query: str) -> None:
        self.seen: list[str] = []
        self._query = query
        self._cursor = ""
        self._connection: WebSocketClientConnection | None = None

    async def come(self, process: Process) -> None:
        given = self._query | ({"cursor": self._cursor} if self._cursor else {"tail": "all"})
        asked = "".join(f"&{name}={value}" for name, value in given.items())
        url = f"ws://127.0.0.1:{process.port}/logs?format=json&token={await token(process, 'myapp')}{asked}"
        self._connection = await websocket_connect(url)

    async def read(self, until: str) -> None:
        """Read up to and including this line, gap or notice."""
        while await self._next() != until:
            pass

    async def read_lines(self, count: int) -> None:
        """Read until so many lines and gaps have been seen in all."""
        while len(self.seen) < count:
            assert await self._next()

    async def read_rest(self) -> None:
        """Read what there is before the cut."""
        while await self._next():
            pass
        assert self._connection is not None
        self._connection.close()

    async def leave(self) -> None:
        """Close the connection, and wait until the server has done so."""
        assert self._connection is not None
        self._connection.close()
        while await self._connection.read_message() is not None:
            pass

    async def _next(self) -> str:
        """Read a line, gap or notice; "" at the end."""
        assert self._connection is not None
        message = await self._connection.read_message()
        if message is None:
            return ""
        event: dict[str, Any] = json.loads(message)
        self._cursor = event.get("cursor", self._cursor)
        what: str = event.get("log") or (f"gap: {event['reason']}" if event["type"] == "gap" else event["type"])
        self.seen += [] if what == "live" else [what]
        return what


@pytest.mark.parametrize("number", [KILL, TERM])
async def test_a_reader_goes_on_with_the_next_line_over_a_restart_and_is_told_no_gap(
    start: Callable[..., Process], tmp_path: Path, number: signal.Signals
) -> None:
    reader, data = Reader(), str(tmp_path / "data")
    process = start(DATA_DIR=data)
    await write(process, "a", "b")
    await reader.come(process)
    await reader.read("live")
    await write(process, "c")
    await reader.read("c")
    await end(process, number)
    await reader.read_rest()
    process = start(DATA_DIR=data)
    await write(process, "d")
    await reader.come(process)
    await reader.read("d")
    assert reader.seen == ["a", "b", "c", "d"]
    assert await lines_of(process, "myapp") == ["a", "b", "c", "d"]
    await reader.leave()


async def test_killed_again_and_again_no_line_is_lost_doubled_or_out_of_order(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process, reader, lines = start(DATA_DIR=str(tmp_path)), Reader(), 0
    await reader.come(process)

    async def send_until_answered(text: str) -> None:
        """Send the same bytes until they are acknowledged, as Fluent Bit does."""
        while True:
            try:
                answer = await posted(process, body(text))
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await started.wait()
                continue
            assert answer.status == 200
            return

    async def writing() -> None:
        nonlocal lines
        while not ending.is_set():
            await asyncio.gather(*(send_until_answered(f"{lines + at}") for at in range(4)))
            lines += 4

    started, ending = asyncio.Event(), asyncio.Event()
    started.set()
    writer = asyncio.ensure_future(writing())
    for round_ in range(3):
        await reader.read_lines(40 * (round_ + 1))
        started.clear()
        await end(process, KILL)
        await reader.read_rest()
        process = start(DATA_DIR=str(tmp_path))
        started.set()
        await reader.come(process)
    ending.set()
    await writer
    await write(process, "end")
    await reader.read("end")
    assert sorted(map(int, reader.seen[:-1])) == list(range(lines))
    assert [one // 4 for one in map(int, reader.seen[:-1])] == sorted(number // 4 for number in range(lines))
    await reader.leave()


@pytest.mark.parametrize("number", [KILL, TERM])  # what has left is noted a second later, or in the end
async def test_what_left_the_ring_before_a_restart_is_a_gap_after_it_to_those_who_had_not_read_it(
    start: Callable[..., Process], tmp_path: Path, number: signal.Signals
) -> None:
    settings = {"DATA_DIR": str(tmp_path), "BUFFER_NAMESPACE_MIB": "1", "BUFFER_TOTAL_MIB": "1"}
    process = start(**settings)
    everything, quiet = Reader(), Reader(pod="quiet")
    await write(process, "a", pod="quiet")
    await write(process, "0")
    for reader in (everything, quiet):
        await reader.come(process)
        await reader.read("live")
        await reader.leave()
    for digit in range(8):
        await write(process, f"{digit}" * 200_000)
    await end(process, number)
    process = start(**settings)
    await write(process, "b", pod="quiet")
    for reader in (everything, quiet):
        await reader.come(process)
        await reader.read("b")
        await reader.leave()
    assert quiet.seen == ["a", "b"]
    assert everything.seen[:3] == ["a", "0", "gap: evicted"]
    assert [text[:1] for text in everything.seen[3:]] == ["3", "4", "5", "6", "7", "b"]


async def test_a_body_that_comes_again_after_a_restart_is_stored_once(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start(DATA_DIR=str(tmp_path))
    await write(process, "a")
    await end(process, KILL)
    process = start(DATA_DIR=str(tmp_path))
    assert (await posted(process, body("a"))).status == 200
    assert await lines_of(process, "myapp") == ["a"]


def test_a_second_process_on_the_folder_ends_with_one_sentence(start: Callable[..., Process], tmp_path: Path) -> None:
    start(DATA_DIR=str(tmp_path))
    arguments, environment, cwd = command(SETTINGS | {"DATA_DIR": str(tmp_path)}, tmp_path)
    ended = subprocess.run(arguments, env=environment, cwd=cwd, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "logurt: cannot start: DATA_DIR cannot be used: it is in use by another process\n"


# Trouble


async def is_weak(process: Process, problem: str) -> None:
    """Assert that the server serves, and says in every place what is wrong."""
    weakness = f"DATA_DIR takes no logs: {problem}"
    assert (await asked(process, READYZ)).json == {"status": "ready", "weakness": weakness}
    metrics = (await asked(process, request("/metrics", method="GET"))).body.decode()
    assert "\nlogurt_broker_weak 1.0\n" in metrics
    await until(lambda: any(weakness in line for line in process.log))
    assert len([line for line in process.log if weakness in line]) == 1


async def test_a_damaged_file_is_told_and_logs_are_taken_all_the_same(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / FILE).write_bytes(os.urandom(100_000))
    process = start(DATA_DIR=str(tmp_path))
    await write(process, "a")
    assert await lines_of(process, "myapp") == ["a"]
    await is_weak(process, "backlog.sqlite in it is damaged")


def without_privilege() -> None:
    """Have the bits of files count for root as well (capabilities(7): CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


async def test_a_read_only_folder_is_told_and_logs_are_taken_all_the_same(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    process = start(without_privilege, DATA_DIR=str(folder))
    await write(process, "a")
    assert await lines_of(process, "myapp") == ["a"]
    await is_weak(process, "it cannot be used: permission denied")


def with_small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


async def test_a_disk_that_takes_no_more_is_told_and_cursors_from_then_are_told_of_a_gap_after_a_restart(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process, reader = start(with_small_files, DATA_DIR=str(tmp_path)), Reader()
    await reader.come(process)
    for number in range(40):
        await write(process, os.urandom(8000).hex())
        await write(process, str(number))
    await reader.read("39")
    await is_weak(process, "the disk does not take or give data")
    await end(process, KILL)
    before = len(reader.seen)
    process = start(DATA_DIR=str(tmp_path))
    assert (await asked(process, READYZ)).json == {"status": "ready"}
    await reader.read_rest()
    await reader.come(process)
    await write(process, "new")
    await reader.read("new")
    assert reader.seen[before:] == ["gap: restarted", "new"]
    await reader.leave()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "data"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_told_and_everything_is_written_once_there_is_room(
    start: Callable[..., Process], small_disk: Path
) -> None:
    process = start(DATA_DIR=str(small_disk))
    (small_disk / "other").write_bytes(b"x" * 600_000)
    for number in range(40):
        await write(process, os.urandom(8000).hex())
        await write(process, str(number))
    await is_weak(process, "the disk is full")
    (small_disk / "other").unlink()
    await asyncio.to_thread(process.logged, "takes logs again")
    assert (await asked(process, READYZ)).json == {"status": "ready"}
    written = await lines_of(process, "myapp")
    await end(process, KILL)
    process = start(DATA_DIR=str(small_disk))
    assert await lines_of(process, "myapp") == written
