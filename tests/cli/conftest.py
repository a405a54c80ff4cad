"""What tests of the clients share: an environment that says nothing, and a log that is as it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide variables and a .env file of whoever runs the tests."""
    for name in ("API_SECRET", "LOGURT_URL", "LOGURT_TOKEN", "NO_COLOR", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _same_log() -> Iterator[None]:
    """Let Tornado log again what a command has silenced."""
    logger = logging.getLogger("tornado")
    level = logger.level
    yield
    logger.setLevel(level)
