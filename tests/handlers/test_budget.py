from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.budget import Budget, Overloaded


def test_senders_together_take_a_budget_to_its_last_byte_and_no_further() -> None:
    budget = Budget(8)
    budget.take(6, "a")
    budget.take(2, "b")
    with pytest.raises(Overloaded) as refused:
        budget.take(1, "b")
    assert refused.value.limit == 8


def test_one_sender_leaves_a_quarter_to_the_others() -> None:
    budget = Budget(8)
    budget.take(6, "a")
    with pytest.raises(Overloaded):
        budget.take(1, "a")
    budget.take(1, "b")


def test_what_was_refused_is_not_taken() -> None:
    budget = Budget(8)
    with pytest.raises(Overloaded):
        budget.take(9, "a")
    budget.take(6, "a")
    assert budget.taken == 6


def test_nothing_is_kept_of_a_sender_that_has_given_everything_back() -> None:
    budget = Budget(8)
    budget.take(3, "a")
    budget.take(-3, "a")
    assert (budget.taken, len(budget)) == (0, 0)


def test_the_sentence_says_what_to_do() -> None:
    expected = "request bodies of more than 10 bytes are arriving at the same time: send this one again"
    assert str(Overloaded(10)) == expected


@given(st.integers(0, 100), st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ab"))))
def test_as_much_is_taken_as_fits_whatever_has_come_and_gone(limit: int, takings: list[tuple[int, str]]) -> None:
    budget, held = Budget(limit), list[tuple[int, str]]()
    for size, sender in takings:
        try:
            budget.take(size, sender)
            held.append((size, sender))
        except Overloaded:
            own = sum(one for one, by in held if by == sender) + size
            assert sum(one for one, _ in held) + size > limit or own > limit * 3 // 4
            if held:
                gone, by = held.pop(0)
                budget.take(-gone, by)
        assert budget.taken == sum(one for one, _ in held) <= limit
