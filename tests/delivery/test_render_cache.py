from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from delivery.filter import TextFilter
from delivery.hub import Start
from tests.delivery.doubles import JSON, Client, House, source, view

if TYPE_CHECKING:
    from delivery.view import View

ALIKE = [view(), view(pod="web-0"), view(container="app"), view(pod="web-0", container="app")]
UNLIKE = [view(), view(format=JSON), view(stream="stdout"), view(text=TextFilter(("1",)))]


def settled(house: House, clients: list[Client]) -> None:
    """Have all clients live, with nothing written to them yet."""
    house.settle()
    for client in clients:
        client.socket.writes.clear()


def renderings(house: House) -> list[object]:
    feed = house.hub._feeds["n"]
    return [feed._caches._warm, *(one._kept for one in feed._caches._by_key.values())]


@pytest.mark.parametrize(("views", "times"), [(ALIKE, 1), (UNLIKE, len(UNLIKE))], ids=["alike", "unlike"])
def test_a_chunk_is_rendered_once_for_views_that_differ_only_in_whom_they_select(views: list[View], times: int) -> None:
    house = House()
    clients = [house.join(seen) for seen in views]
    settled(house, clients)
    with patch("delivery.view.View.render", autospec=True, side_effect=lambda *_: bytes(bytearray(b"line"))) as render:
        house.publish("1")
        house.settle()
    assert render.call_count == times
    assert len({id(client.socket.writes[0]) for client in clients}) == times


def test_each_view_gets_the_chunks_of_its_own_sources() -> None:
    house = House()
    one, other, every = house.join(view(pod="a")), house.join(view(pod="b")), house.join()
    settled(house, [one, other, every])
    for pod in "abba":
        house.publish(pod, writer=source(pod=pod))
    house.settle()
    assert [client.texts() for client in (one, other, every)] == [["a", "a"], ["b", "b"], ["a", "b", "b", "a"]]


@pytest.mark.parametrize("way", ["a flush", "a large chunk", "an eviction", "a reader who joins"])
def test_what_is_rendered_is_let_go_at_once(way: str) -> None:
    house = House()
    clients = [house.join(seen) for seen in ALIKE]
    settled(house, clients)
    house.publish("x" * 300_000 if way == "a large chunk" else "x")
    if way == "a flush":
        house.settle()
    elif way == "an eviction":
        house.hub._evict(house.hub.rings["n"])
    elif way == "a reader who joins":
        house.join()
    assert any(client.socket.writes for client in clients)
    assert not any(renderings(house))


def test_views_that_look_alike_share_what_is_rendered_of_the_backlog_in_one_turn() -> None:
    house = House()
    for number in range(3):
        house.publish(str(number))
    with patch("delivery.view.View.render", autospec=True, return_value=b"rendered") as render:
        clients = [house.join(seen) for seen in ALIKE]
        house.clock.run_one()
        assert render.call_count == 3
        assert not any(renderings(house))
        house.settle()
    assert {client.socket.received for client in clients} == {b"rendered" * 3}


def test_a_reader_who_begins_within_a_chunk_gets_the_rest_of_it_only() -> None:
    house = House()
    house.publish("1", "2", "3")
    whole, rest = house.join(view()), house.join(view(pod="web-0"), Start(tail=2))
    house.settle()
    assert (whole.texts(), rest.texts()) == (["1", "2", "3"], ["2", "3"])


def test_the_last_audience_of_a_look_takes_its_rendering_along() -> None:
    house = House()
    clients = [house.join(seen) for seen in ALIKE]
    for client in clients[1:]:
        client.leave()
    looks = house.hub._feeds["n"]._caches._by_key
    assert [one.groups for one in looks.values()] == [1]
    clients[0].leave()
    assert not looks
