from __future__ import annotations

import pytest

from handlers.duplicates import MAX_REMEMBERED, Duplicates, StillStoring


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def stored() -> None:
    pass


def test_a_body_is_known_again_by_its_bytes_and_its_tag() -> None:
    duplicates = Duplicates(120, "secret", Time())
    assert duplicates.key(b"x", "tag") == duplicates.key(b"x", "tag")
    assert len({duplicates.key(b"x", "tag"), duplicates.key(b"y", "tag"), duplicates.key(b"x", "another")}) == 3


def test_servers_know_a_body_by_the_same_key_if_they_share_a_secret() -> None:
    keys = [Duplicates(120, secret, Time()).key(b"x", "tag") for secret in ("secret", "secret", "another")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(("seconds", "known"), [(0, True), (119, True), (241, False), (10_000, False)])
async def test_a_stored_body_is_remembered_for_the_window_and_not_for_ever(seconds: float, known: bool) -> None:  # noqa: FBT001 - a parameter of the test
    time = Time()
    duplicates = Duplicates(120, "secret", time)
    await duplicates.remember(1, stored())
    time.now += seconds
    assert duplicates.has_stored(1) is known


async def test_a_body_that_could_not_be_stored_is_not_remembered() -> None:
    async def full() -> None:
        raise OSError("full")

    duplicates = Duplicates(120, "secret", Time())
    with pytest.raises(OSError, match="full"):
        await duplicates.remember(1, full())
    assert not duplicates.has_stored(1)


async def test_a_body_that_is_being_stored_has_to_come_again() -> None:
    async def store() -> None:
        with pytest.raises(StillStoring):
            duplicates.has_stored(1)

    duplicates = Duplicates(120, "secret", Time())
    await duplicates.remember(1, store())
    assert duplicates.has_stored(1)


async def test_a_window_of_nothing_remembers_nothing() -> None:
    async def store() -> None:
        assert not duplicates.has_stored(1)

    duplicates = Duplicates(0, "secret", Time())
    await duplicates.remember(1, store())
    assert not duplicates.has_stored(1)


async def test_memory_is_bounded_and_the_latest_are_kept() -> None:
    duplicates = Duplicates(120, "secret", Time())
    for key in range(2 * MAX_REMEMBERED):
        await duplicates.remember(key, stored())
    assert len(duplicates) <= MAX_REMEMBERED
    assert duplicates.has_stored(2 * MAX_REMEMBERED - 1)
