from __future__ import annotations

import pytest

from handlers.duplicates import MAX_REMEMBERED, Duplicates, StillStoring


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def remember(duplicates: Duplicates, key: int) -> None:
    with duplicates.storing(key):
        pass


def test_a_body_is_known_again_by_its_bytes_and_its_tag() -> None:
    duplicates = Duplicates(120, "secret", Time())
    assert duplicates.key(b"x", "tag") == duplicates.key(b"x", "tag")
    assert len({duplicates.key(b"x", "tag"), duplicates.key(b"y", "tag"), duplicates.key(b"x", "another")}) == 3


def test_servers_know_a_body_by_the_same_key_if_they_share_a_secret() -> None:
    keys = [Duplicates(120, secret, Time()).key(b"x", "tag") for secret in ("secret", "secret", "another")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(("seconds", "known"), [(0, True), (119, True), (241, False), (10_000, False)])
def test_a_stored_body_is_remembered_for_the_window_and_not_for_ever(seconds: float, known: bool) -> None:  # noqa: FBT001 - a parameter of the test
    time = Time()
    duplicates = Duplicates(120, "secret", time)
    remember(duplicates, 1)
    time.now += seconds
    assert duplicates.has_stored(1) is known


def test_a_body_that_could_not_be_stored_is_not_remembered() -> None:
    duplicates = Duplicates(120, "secret", Time())
    with pytest.raises(OSError, match="full"), duplicates.storing(1):
        raise OSError("full")
    assert not duplicates.has_stored(1)


def test_a_body_that_is_being_stored_has_to_come_again() -> None:
    duplicates = Duplicates(120, "secret", Time())
    with duplicates.storing(1), pytest.raises(StillStoring):
        duplicates.has_stored(1)


def test_a_body_without_a_key_is_not_remembered() -> None:
    duplicates = Duplicates(120, "secret", Time())
    with duplicates.storing(None):
        pass
    assert len(duplicates) == 0


def test_a_window_of_nothing_remembers_nothing() -> None:
    duplicates = Duplicates(0, "secret", Time())
    with duplicates.storing(1):
        assert not duplicates.has_stored(1)
    assert not duplicates.has_stored(1)


def test_memory_is_bounded_and_the_latest_are_kept() -> None:
    duplicates = Duplicates(120, "secret", Time())
    for key in range(2 * MAX_REMEMBERED):
        remember(duplicates, key)
    assert len(duplicates) <= MAX_REMEMBERED
    assert duplicates.has_stored(2 * MAX_REMEMBERED - 1)
