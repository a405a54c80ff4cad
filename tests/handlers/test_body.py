from __future__ import annotations

import pytest

from handlers.body import Body
from handlers.budget import Budget, Overloaded
from ingest.errors import BodyTooLarge


def test_a_body_is_its_parts_in_order() -> None:
    budget = Budget(100)
    body = Body(budget, 100, "10.0.0.1")
    body.add(b"one ")
    body.add(b"two ")
    assert body.size == 8
    body.add(b"three")
    assert body.whole() == b"one two three"
    assert budget.taken == 13


def test_a_body_that_is_released_gives_its_room_back_once() -> None:
    budget = Budget(100)
    body = Body(budget, 100, "10.0.0.1")
    body.add(b"x" * 60)
    body.release()
    body.release()
    assert budget.taken == 0


def test_a_body_may_have_as_many_bytes_as_the_limit_and_no_more() -> None:
    body = Body(Budget(100), 10, "10.0.0.1")
    body.add(b"x" * 10)
    assert not body.refused
    body.add(b"x")
    with pytest.raises(BodyTooLarge):
        body.whole()


def test_a_body_for_which_there_is_no_room_is_refused_and_takes_none() -> None:
    budget = Budget(100)
    budget.take(50, "10.0.0.2")
    body = Body(budget, 100, "10.0.0.1")
    body.add(b"x" * 40)
    body.add(b"x" * 20)
    body.add(b"x")
    assert budget.taken == 50
    with pytest.raises(Overloaded):
        body.whole()


def test_the_first_refusal_counts() -> None:
    body = Body(Budget(1), 1, "10.0.0.1")
    body.refuse(ValueError("first"))
    body.add(b"too much")
    body.refuse(ValueError("last"))
    with pytest.raises(ValueError, match="first"):
        body.whole()
