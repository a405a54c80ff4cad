from __future__ import annotations

from unittest.mock import patch

import pytest

from delivery.filter import TextFilter
from delivery.patterns import PatternBudget, TooManyPatterns


def test_patterns_are_counted_while_they_are_in_use_and_views_without_any_always_fit() -> None:
    budget, text = PatternBudget(), TextFilter(("a",), ("b",))
    with patch("delivery.patterns.MAX_PATTERNS_IN_USE", 3):
        budget.check(text)
        budget.take(text)
        with pytest.raises(TooManyPatterns, match=r"^the views of all readers use 3 patterns already$"):
            budget.check(text)
        budget.check(TextFilter())
        budget.give_back(text)
        budget.check(text)
    assert budget.used == 0
