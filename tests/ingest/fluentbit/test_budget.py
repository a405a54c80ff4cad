from __future__ import annotations

from ingest.fluentbit.budget import STEPS_A_TURN, Budget


def test_a_budget_is_exhausted_once_all_steps_are_spent() -> None:
    budget = Budget(10)
    budget.spend(9)
    assert not budget.exhausted
    budget.spend(1)
    assert budget.exhausted


def test_others_get_their_turn_each_time_so_many_steps_are_spent() -> None:
    budget = Budget()
    turns = [budget.spend(STEPS_A_TURN // 4) for _ in range(9)]
    assert turns == [False, False, False, True, False, False, False, True, False]


def test_work_that_is_larger_than_a_turn_ends_it() -> None:
    budget = Budget()
    assert budget.spend(10 * STEPS_A_TURN)
    assert not budget.spend(1)
