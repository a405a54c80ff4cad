from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from cli.signals import die_of, die_quietly

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_who_dies_of_a_signal_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
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
