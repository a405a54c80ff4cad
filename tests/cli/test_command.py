from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from cli import command
from cli.command import finish
from cli.errors import NotLogurt

if TYPE_CHECKING:
    import pytest


def test_a_failure_prints_its_sentence_and_hint_and_exits_with_1(capfd: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise NotLogurt("http://x")

    assert finish(fail()) == 1
    sentence = "logurt: what answers at http://x does not speak as a logurt server does\nIs it the right --url?\n"
    assert capfd.readouterr() == ("", sentence)


def test_a_full_disk_is_one_line_and_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        with open("/dev/full", "wb") as out:  # noqa: ASYNC230, PTH123 - a device
            out.write(b"x")

    assert finish(fail()) == 1
    assert capfd.readouterr() == ("", "logurt: cannot write: No space left on device\n")


def test_a_broken_pipe_ends_the_process_by_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise BrokenPipeError

    died: list[int] = []
    monkeypatch.setattr(command, "die_of", died.append)
    finish(fail())
    assert died == [signal.SIGPIPE]
