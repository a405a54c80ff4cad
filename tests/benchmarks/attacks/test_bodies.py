from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.attacks import bodies
from ingest.compression import decompress

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 500_000


@pytest.mark.parametrize("build", bodies.ODD.values(), ids=bodies.ODD)
def test_an_odd_body_is_about_as_large_as_it_should_be(build: Callable[[int], bytes]) -> None:
    assert SIZE * 0.6 < len(build(SIZE)) <= SIZE + 200


@pytest.mark.parametrize("coding", bodies.BOMBS)
def test_a_bomb_inflates_to_its_size(coding: str) -> None:
    bomb = bodies.BOMBS[coding](SIZE)
    assert len(bomb) < SIZE / 10
    for one in coding.split(", "):
        bomb = decompress(bomb, one, 2 * SIZE)
    assert len(bomb) == SIZE + len("[]")
