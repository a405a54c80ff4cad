from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.budget import Budget, Overloaded


def test_a_budget_is_taken_to_its_last_byte_and_no_further() -> None:
    budget = Budget(10)
    budget.take(4)
    budget.take(6)
    with pytest.raises(Overloaded) as refused:
        budget.take(1)
    assert refused.value.limit == 10


def test_what_was_refused_is_not_taken() -> None:
    budget = Budget(10)
    with pytest.raises(Overloaded):
        budget.take(11)
    budget.take(10)


def test_the_sentence_says_what_to_do() -> None:
    expected = "request bodies of more than 10 bytes are arriving at the same time: send this one again"
    assert str(Overloaded(10)) == expected


@given(st.integers(0, 100), st.lists(st.integers(0, 50)))
def test_as_much_is_taken_as_fits_whatever_has_come_and_gone(limit: int, sizes: list[int]) -> None:
    budget, held = Budget(limit), list[int]()
    for size in sizes:
        try:
            budget.take(size)
            held.append(size)
        except Overloaded:
            assert sum(held) + size > limit
            if held:
                budget.give_back(held.pop(0))
        assert sum(held) <= limit
