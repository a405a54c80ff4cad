from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines
from delivery.reader import Start
from delivery.render_cache import RenderCaches
from delivery.view import Rendered
from tests.buffer.factories import chunk, source
from tests.delivery.doubles import JSON, Client, Rig, view

if TYPE_CHECKING:
    from delivery.view import View

ALIKE = [view(), view(pod="web-0"), view(container="app"), view(pod="web-0", container="app")]
UNLIKE = [view(), view(format=JSON), view(framing=PlainLines()), view(stream="stderr"), view(text=TextFilter(("2",)))]
WHOLE = [view(), view(stream="stdout"), view(text=TextFilter(("1",))), view(text=TextFilter((), ("2",)))]


def settled(rig: Rig, clients: list[Client]) -> None:
    """Have all clients live, with nothing written to them yet."""
    rig.settle()
    for client in clients:
        client.socket.writes.clear()


def kept(rig: Rig) -> int:
    return rig.hub.feeds["n"].statistics().rendered_chunks


@pytest.mark.parametrize(
    ("views", "text", "times"),
    [(ALIKE, "1", 1), (WHOLE, "1", 1), (UNLIKE, "2", len(UNLIKE))],
    ids=["alike", "whole", "unlike"],
)
def test_a_chunk_is_rendered_once_for_views_that_show_the_same_of_it(views: list[View], text: str, times: int) -> None:
    rig = Rig()
    clients = [rig.join(seen) for seen in views]
    settled(rig, clients)
    with patch(
        "delivery.view.View.render", autospec=True, side_effect=lambda *_: Rendered(bytes(bytearray(b"line")), 1)
    ) as render:
        rig.publish("1", text, streams=["stdout", "stdout" if text == "1" else "stderr"])
        rig.settle()
    assert render.call_count == times
    assert len({id(client.socket.writes[0]) for client in clients}) == times


def test_each_view_gets_the_chunks_of_its_own_sources() -> None:
    rig = Rig()
    one, other, every = rig.join(view(pod="a")), rig.join(view(pod="b")), rig.join()
    settled(rig, [one, other, every])
    for pod in "abba":
        rig.publish(pod, writer=source(pod=pod))
    rig.settle()
    assert [client.texts() for client in (one, other, every)] == [["a", "a"], ["b", "b"], ["a", "b", "b", "a"]]


@pytest.mark.parametrize("way", ["a flush", "a large chunk", "an eviction"])
def test_what_is_rendered_is_let_go_at_once(way: str) -> None:
    rig = Rig()
    clients = [rig.join(seen) for seen in ALIKE]
    settled(rig, clients)
    rig.publish("x" * 300_000 if way == "a large chunk" else "x")
    if way == "a flush":
        rig.settle()
    elif way == "an eviction":
        rig.hub.expire(float("inf"))
    assert any(client.socket.writes for client in clients)
    assert kept(rig) == 0


def test_views_that_look_alike_share_what_is_rendered_of_the_backlog_in_one_turn() -> None:
    rig = Rig()
    for number in range(3):
        rig.publish(str(number))
    with patch("delivery.view.View.render", autospec=True, return_value=Rendered(b"rendered", 1)) as render:
        clients = [rig.join(seen) for seen in ALIKE]
        rig.clock.run_one()
        assert render.call_count == 3
        assert kept(rig) == 0
        rig.settle()
    assert {client.socket.received for client in clients} == {b"rendered" * 3}


def test_a_reader_who_begins_within_a_chunk_gets_the_rest_of_it_only() -> None:
    rig = Rig()
    rig.publish("1", "2", "3")
    whole, rest = rig.join(view()), rig.join(view(pod="web-0"), Start(tail=2))
    rig.settle()
    assert (whole.texts(), rest.texts()) == (["1", "2", "3"], ["2", "3"])


def test_a_cache_goes_with_the_last_group_that_shares_it() -> None:
    caches = RenderCaches()
    assert caches.acquire(ALIKE[0]) is caches.acquire(ALIKE[1])
    caches.release(ALIKE[0])
    assert len(caches) == 1
    caches.release(ALIKE[1])
    assert len(caches) == 0


def test_views_that_show_lines_otherwise_have_caches_of_their_own() -> None:
    caches = RenderCaches()
    assert len({id(caches.acquire(seen)) for seen in UNLIKE}) == len(caches) == len(UNLIKE)


@pytest.mark.parametrize(("groups", "kept"), [(1, 0), (2, 1)])
def test_a_rendered_chunk_is_kept_only_where_another_group_may_want_it(groups: int, kept: int) -> None:
    caches = RenderCaches()
    for seen in ALIKE[:groups]:
        cache = caches.acquire(seen)
    assert cache.render_part(chunk(1, "x"), 0, 1) == ALIKE[0].render(chunk(1, "x"), None)
    assert (len(cache), caches.kept) == (kept, kept)


def test_parts_of_a_chunk_are_kept_apart_from_each_other_and_from_the_whole() -> None:
    caches, made = RenderCaches(), chunk(1, "a", "b", "c")
    for seen in ALIKE:
        cache = caches.acquire(seen)
    parts = [(0, 1), (0, 2), (1, 2), (0, 3)]
    for _ in range(2):
        assert [cache.render_part(made, *part) for part in parts] == [
            ALIKE[0].render(made, range(*part)) for part in parts
        ]
    assert len(cache) == len(parts)


def test_groups_that_flush_the_same_chunks_share_what_is_sealed() -> None:
    rig = Rig()
    clients = [rig.join(view(framing=Chunked(PlainLines()), **narrowed)) for narrowed in ({}, {"pod": "web-0"})]
    other = rig.join(view(framing=Chunked(PlainLines()), pod="web-1"))
    settled(rig, [*clients, other])
    for pod in ("web-0", "web-1", "web-0"):
        rig.publish(pod, writer=source(pod=pod))
    rig.publish("web-0 again")
    rig.settle()
    every, first = clients
    assert (first.texts(), other.texts()) == (["web-0", "web-0", "web-0 again"], ["web-1"])
    assert len(every.texts()) == 4
    for number in range(2):
        rig.publish(f"shared {number}")
    rig.settle()
    assert every.socket.writes[-1] is first.socket.writes[-1]


def test_a_flush_is_kept_only_where_another_group_may_want_it_and_until_it_is_cleared() -> None:
    caches, chunks = RenderCaches(), [chunk(1, "a"), chunk(2, "b", "c")]
    alone = caches.acquire(ALIKE[0])
    assert alone.render_flush(chunks) is not alone.render_flush(chunks)
    shared = caches.acquire(ALIKE[1])
    first = shared.render_flush(chunks)
    assert shared.render_flush(list(chunks)) is first
    assert shared.render_flush(chunks[:1]) != first
    first = shared.render_flush(chunks)
    caches.clear()
    again = shared.render_flush(chunks)
    assert again is not first
    assert (again.lines, again) == (3, first)


def test_a_cache_that_has_been_cleared_renders_anew() -> None:
    caches = RenderCaches()
    for seen in ALIKE:
        cache = caches.acquire(seen)
    before = cache.render_part(chunk(1, "before"), 0, 1)
    caches.clear()
    assert (caches.kept, len(cache)) == (0, 0)
    assert cache.render_part(chunk(1, "after"), 0, 1) != before
