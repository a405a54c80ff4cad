from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from delivery.feeds import Feeds
from delivery.filter import TextFilter
from delivery.patterns import TooManyPatterns
from delivery.slice import Slice
from tests.delivery.doubles import view

if TYPE_CHECKING:
    from delivery.view import View

FILTERED = view(text=TextFilter(("a", "b")))


@pytest.fixture
def feeds() -> Feeds:
    return Feeds(lambda _: None, lambda: Slice(lambda: 0.0, 1.0))


@pytest.mark.parametrize("seen", [view(), FILTERED])
def test_equal_views_share_a_group(feeds: Feeds, seen: View) -> None:
    group = feeds.add(seen, None)
    assert feeds.add(seen, None) is group
    assert feeds.groups() == [group]
    assert feeds.patterns == seen.text.patterns


def test_a_namespace_has_a_feed_for_as_long_as_it_has_groups(feeds: Feeds) -> None:
    groups = [feeds.add(view(), None), feeds.add(view(pod="a"), None), feeds.add(view("other"), None)]
    assert set(feeds.by_namespace) == {"n", "other"}
    feeds.remove(groups[0])
    assert set(feeds.by_namespace) == {"n", "other"}
    feeds.remove(groups[1])
    assert set(feeds.by_namespace) == {"other"}


def test_a_view_with_too_many_patterns_gets_no_group(feeds: Feeds) -> None:
    with patch("delivery.patterns.MAX_PATTERNS_IN_USE", 1):
        for refuse in (feeds.check, lambda seen: feeds.add(seen, None)):
            with pytest.raises(TooManyPatterns):
                refuse(FILTERED)
    assert not feeds.by_namespace


def test_patterns_are_given_back(feeds: Feeds) -> None:
    feeds.remove(feeds.add(FILTERED, None))
    assert feeds.patterns == 0
