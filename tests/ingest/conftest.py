"""What tests of ingest share."""

from __future__ import annotations

import pytest

from ingest.fluentbit.budget import PIECE


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no body tried as a whole, so that the pieces need not be of megabytes."""
    for module in ("jsontext", "messagepack"):
        monkeypatch.setattr(f"ingest.fluentbit.{module}.WHOLE", PIECE)
