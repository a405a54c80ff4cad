from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buffer.ring import Ring
from delivery.feed import Feed, FeedStatistics
from delivery.slice import Slice
from tests.buffer.factories import ARRIVED, chunk, selector, source
from tests.delivery.doubles import JSON, Clock, Rig, view

if TYPE_CHECKING:
    from buffer.chunk import Chunk
    from buffer.source import Source
    from delivery.group import Group

A, B = source(pod="a"), source(pod="b")


def made() -> Feed:
    clock = Clock()
    return Feed(lambda _: None, lambda: Slice(clock.monotonic, 1))


def gathered(feed: Feed, group: Group) -> set[Source]:
    assert feed.gather(group, lambda: False)
    return group.sources


def ring_of(*chunks: Chunk) -> Ring:
    ring = Ring("n")
    for one in chunks:
        ring.append(one)
    return ring


def test_an_empty_feed_keeps_nothing() -> None:
    assert made().statistics() == FeedStatistics(0, 0, 0, 0, 0, 0, 0, 0)


def test_groups_of_one_selector_share_a_scope() -> None:
    feed = made()
    for seen in (view(pod="a"), view(pod="a", format=JSON), view()):
        feed.add(seen, None)
    assert (feed.statistics().groups, feed.statistics().scopes) == (3, 2)


def test_a_group_begins_with_the_sources_of_the_ring() -> None:
    feed, ring = made(), ring_of(chunk(1, "x", writer=A), chunk(2, "y", writer=B))
    assert gathered(feed, feed.add(view(pod="a"), ring)) == {A} == feed.sources(selector(pod="a"))
    assert gathered(feed, feed.add(view(pod="a,b"), ring)) == {A, B}


def test_nobody_sees_sources_through_a_selector_that_no_reader_has() -> None:
    assert made().sources(selector()) == frozenset()


@pytest.mark.parametrize("pod", ["a", "a,z", "a*", "*"])
def test_a_source_is_added_for_those_who_may_see_it_with_its_first_chunk(pod: str) -> None:
    feed = made()
    seeing, other = feed.add(view(pod=pod), None), feed.add(view(pod="b"), None)
    feed.offer(chunk(1, "x", writer=A))
    assert (seeing.sources, other.sources) == ({A}, set())
    assert feed.statistics().admissions == 1


def test_a_feed_without_live_readers_needs_no_flush() -> None:
    feed = made()
    feed.add(view(), None)
    feed.offer(chunk(1, "x"))
    assert not feed.needs_flush


def test_a_reader_sees_the_sources_that_were_there_before_it_and_those_that_come_later() -> None:
    rig = Rig()
    for pod in "ab":
        rig.publish(f"early {pod}", writer=source(pod=pod))
    some, every = rig.join(view(pod="a")), rig.join(view())
    rig.settle()
    for pod, container in (("a", "app"), ("a", "side"), ("b", "app"), ("c", "app")):
        rig.publish(f"late {pod} {container}", writer=source(pod=pod, container=container))
    rig.settle()
    assert some.texts() == ["early a", "late a app", "late a side"]
    assert len(every.texts()) == 6


def test_a_view_that_comes_later_sees_sources_that_have_been_offered_to_others() -> None:
    rig = Rig()
    first = rig.join()
    rig.settle()
    rig.publish("1", writer=source(pod="a"))
    second = rig.join(view(pod="a"))
    rig.settle()
    rig.publish("2", writer=source(pod="a"))
    rig.settle()
    assert [client.texts() for client in (first, second)] == [["1", "2"]] * 2


def test_a_feed_keeps_nothing_of_what_has_gone() -> None:
    rig, seen = Rig(max_age=10), [view(pod="a"), view(), view(container="app"), view(pod="a,b")]
    clients = [rig.join(one) for one in seen]
    feed = rig.hub.feeds["n"]
    rig.publish("1", writer=A)
    rig.publish("2", writer=B)
    assert (feed.statistics().sources, feed.statistics().admissions) == (2, 7)
    rig.hub.expire(ARRIVED + 20)
    assert (feed.statistics().sources, feed.statistics().admissions) == (0, 0)
    assert [group.sources for group in feed.groups.values()] == [set()] * len(seen)
    rig.publish("3", writer=A)
    for client in clients:
        client.leave()
    assert feed.statistics() == FeedStatistics(0, 0, 0, 1, admissions=0, pending=0, render_caches=0, rendered_chunks=0)


def test_a_source_that_left_and_came_back_is_seen_by_a_reader_that_is_behind() -> None:
    rig = Rig()
    client = rig.join(room=0)
    rig.settle()
    rig.publish("1")
    rig.settle()
    rig.hub.expire(float("inf"))
    assert rig.hub.feeds["n"].statistics().sources == 0
    rig.publish("2")
    client.drain()
    rig.settle()
    assert client.texts() == ["1", "2"]
