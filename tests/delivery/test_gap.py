from __future__ import annotations

import pytest

from delivery.gap import Gap


@pytest.mark.parametrize(
    ("gap", "sentence"),
    [
        (Gap(123, "slow"), "[logurt] 123 lines lost: this reader was too slow"),
        (Gap(1, "slow"), "[logurt] 1 line lost: this reader was too slow"),
        (
            Gap(None, "evicted"),
            "[logurt] an unknown number of lines lost: they left the buffer before they could be sent",
        ),
        (
            Gap(None, "restarted"),
            "[logurt] an unknown number of lines lost: the server has started anew since this reader left",
        ),
    ],
)
def test_a_gap_reads_as_a_sentence(gap: Gap, sentence: str) -> None:
    assert str(gap) == sentence
