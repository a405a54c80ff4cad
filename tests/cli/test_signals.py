from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from cli import signals
from cli.signals import die_if_broken, die_of, die_quietly, until_signal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_process_dies_of_its_signal_even_as_process_1(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[object] = []
    monkeypatch.setattr(os, "kill", lambda *process_and_signal: died.append(process_and_signal))
    monkeypatch.setattr(os, "_exit", died.append)
    die_of(signal.SIGUSR1)
    assert died == [(os.getpid(), signal.SIGUSR1), 128 + signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_interruptions_and_requests_to_end_are_handled() -> None:
    die_quietly()
    assert signal.getsignal(signal.SIGINT) is die_of
    assert signal.getsignal(signal.SIGTERM) is die_of


@pytest.mark.parametrize("is_broken", [True, False])
def test_only_a_pipe_that_is_broken_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
    is_broken: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    died: list[int] = []
    monkeypatch.setattr(signals, "die_of", died.append)
    reading, writing = os.pipe()
    if is_broken:
        os.close(reading)
    die_if_broken(writing)
    assert died == ([signal.SIGPIPE] if is_broken else [])


async def test_the_first_signal_cancels_the_work_and_later_ones_let_it_clean_up() -> None:
    cleaned = []

    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    assert await until_signal(work()) is signal.SIGTERM
    assert cleaned


async def test_work_that_ends_by_itself_had_no_signal() -> None:
    assert await until_signal(asyncio.sleep(0)) is None
