"""GET /logs and GET /api/sources: namespaces are followed while somebody reads them, and released in every case."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from delivery.cursor import Cursor
from tests.conftest import API_SECRET
from tests.handlers.peers import UPGRADE, nobody_is_left, request, until, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

pytestmark = pytest.mark.usefixtures("way_in")

EVENTS = {"Accept": "text/event-stream"}
WAYS = pytest.mark.parametrize("headers", [{}, EVENTS, UPGRADE], ids=["plain", "events", "websocket"])
PAGE = {"Origin": "http://localhost"}


class Following:
    """Counts who follows what. `opened` lets those go on who wait to be let in."""

    def __init__(self) -> None:
        self.namespaces: Counter[str] = Counter()
        self.asked: list[tuple[str, int, str]] = []
        self.whole: list[bool] = []
        self.opened = asyncio.Event()
        self.opened.set()

    async def follow(self, namespace: str, seq: int = 0, epoch: str = "", *, whole: bool = True) -> None:
        self.namespaces[namespace] += 1
        self.asked.append((namespace, seq, epoch))
        self.whole.append(whole)
        await self.opened.wait()

    def release(self, namespace: str) -> None:
        self.namespaces[namespace] -= 1
        assert self.namespaces[namespace] >= 0, "released more often than followed"

    @property
    def count(self) -> int:
        return self.namespaces.total()


@pytest.fixture
def following(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    following = Following()
    monkeypatch.setattr(live.services.broker, "follow", following.follow)
    monkeypatch.setattr(live.services.broker, "release", following.release)
    yield following
    following.opened.set()


async def path(live: LiveServer, **query: str) -> str:
    return "&".join([f"/logs?token={await live.sign()}", *(f"{name}={value}" for name, value in query.items())])


@WAYS
async def test_a_namespace_is_followed_until_its_reader_leaves(
    live: LiveServer, connect: Connect, following: Following, headers: dict[str, str]
) -> None:
    peer = connect()
    await peer.send(request(await path(live), headers))
    await peer.head()
    await until(lambda: len(live.services.sessions) == 1)
    assert following.namespaces == {"myapp": 1}
    peer.close()
    await until(lambda: following.count == 0)


@WAYS
async def test_a_reader_that_the_server_sends_away_releases_its_namespace(
    live: LiveServer, connect: Connect, following: Following, headers: dict[str, str]
) -> None:
    peer = connect()
    await peer.send(request(await path(live, follow="false"), headers))
    await peer.head()
    await until(lambda: following.asked == [("myapp", 0, "")] and following.count == 0)


@pytest.mark.parametrize(
    ("place", "seen"), [("{epoch}-7-0", 6), ("{epoch}-7-1", 7), ("{epoch}-1-0", 0), ("another-7-1", 7)]
)
async def test_what_a_cursor_has_seen_is_waited_for(
    live: LiveServer, following: Following, place: str, seen: int
) -> None:
    cursor = place.format(epoch=live.services.broker.epoch)
    assert (await live.fetch(await path(live, follow="false", cursor=cursor))).code == 200
    assert following.asked == [("myapp", seen, cursor.partition("-")[0])]


async def test_a_reader_joins_only_once_its_namespace_is_here(
    live: LiveServer, connect: Connect, following: Following
) -> None:
    following.opened.clear()
    peer, epoch = connect(), live.services.broker.epoch
    await peer.send(request(await path(live, cursor=Cursor(epoch, 2, 0).encode().decode())))
    await until(lambda: following.count == 1)
    assert not live.services.hub.feeds
    await live.write("seen")
    await live.write("new")
    following.opened.set()
    assert (await peer.head()).startswith("HTTP/1.1 200")
    assert await peer.read(len(b"4\r\nnew\n\r\n")) == b"4\r\nnew\n\r\n"


@WAYS
async def test_a_client_that_leaves_before_its_namespace_is_here_leaves_nothing(
    live: LiveServer, connect: Connect, following: Following, headers: dict[str, str]
) -> None:
    following.opened.clear()
    peer = connect()
    await peer.send(request(await path(live), headers))
    await until(lambda: following.count == 1)
    peer.close()
    await live.write("later")  # by then the server has noticed
    following.opened.set()
    await until(lambda: following.count == 0 and nobody_is_left(live))


@WAYS
@with_settings(max_readers=1)
async def test_a_reader_whose_place_was_taken_meanwhile_is_refused_and_releases_its_namespace(
    live: LiveServer, connect: Connect, following: Following, headers: dict[str, str]
) -> None:
    following.opened.clear()
    first, second = connect(), connect()
    for peer in (first, second):
        await peer.send(request(await path(live), headers))
    await until(lambda: following.count == 2)
    following.opened.set()
    heads = [await first.head(), await second.head()]
    assert sorted("503" in head or "event-stream" in head for head in heads) in ([False, True], [True, True])
    await until(lambda: following.count == 1)
    assert len(live.services.sessions) == 1


async def test_a_refused_upgrade_releases_the_namespace(live: LiveServer, following: Following) -> None:
    answer = await live.fetch(await path(live), headers=UPGRADE | {"Sec-WebSocket-Version": "7"})
    assert answer.code == 400
    assert following.asked
    assert following.count == 0


@pytest.mark.parametrize("headers", [UPGRADE, UPGRADE | PAGE], ids=["client", "page"])
async def test_who_is_refused_at_once_follows_nothing(
    connect: Connect, following: Following, headers: dict[str, str]
) -> None:
    peer = connect()
    await peer.send(request("/logs?token=nonsense", headers))
    await peer.head()
    assert not following.asked


async def test_listing_sources_follows_each_namespace_for_as_long_as_it_takes(
    live: LiveServer, following: Following
) -> None:
    for namespace in ("a", "b"):
        await live.write("x", namespace=namespace)
    answer = await live.fetch("/api/sources", headers={"Authorization": f"Token {API_SECRET}"})
    assert [one["namespace"] for one in json.loads(answer.body)["sources"]] == ["a", "b"]
    assert following.asked == [("a", 0, ""), ("b", 0, "")]
    assert following.count == 0


async def test_a_token_lists_the_sources_of_a_namespace_that_is_not_here_yet(
    live: LiveServer, following: Following
) -> None:
    following.opened.clear()
    headers = {"Authorization": f"Bearer {await live.sign()}"}
    asking = asyncio.ensure_future(live.fetch("/api/sources", headers=headers))
    await until(lambda: following.count == 1)
    await live.write("x")
    following.opened.set()
    assert len(json.loads((await asking).body)["sources"]) == 1
    assert following.count == 0


async def test_a_reader_is_told_if_lines_after_its_cursor_may_have_gone_without_a_trace(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow(*_: object, **__: object) -> bool:
        return True

    await live.write("one")
    await live.write("two")
    path = f"/logs?format=json&follow=false&token={await live.sign()}"
    first = json.loads((await live.fetch(f"{path}&tail=all")).body.splitlines()[0])
    monkeypatch.setattr(live.services.broker, "follow", follow)
    events = (await live.fetch(f"{path}&cursor={first['cursor']}")).body.splitlines()
    assert json.loads(events[0]) == {"type": "gap", "lost": None, "reason": "evicted"}
    assert [json.loads(line)["log"] for line in events[1:]] == ["two"]


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ({"tail": "all"}, False),
        ({"tail": "100"}, True),
        ({"since": "5m"}, True),
        ({"tail": "all", "cursor": "abc-1-0"}, True),
    ],
)
async def test_only_a_reader_of_everything_does_not_wait_for_the_whole(
    live: LiveServer, following: Following, query: dict[str, str], *, whole: bool
) -> None:
    assert (await live.fetch(await path(live, follow="false", **query))).code == 200
    assert following.whole == [whole]


async def test_the_api_secret_lists_the_sources_of_a_namespace_by_its_name_although_it_is_not_here_yet(
    live: LiveServer, following: Following
) -> None:
    await live.write("x", namespace="held")
    await live.write("x", namespace="other")
    following.opened.clear()
    headers = {"Authorization": f"Token {API_SECRET}"}
    asking = asyncio.ensure_future(live.fetch("/api/sources?namespace=myapp,h*,none", headers=headers))
    await until(lambda: following.count == 1)
    await live.write("x")
    following.opened.set()
    assert [one["namespace"] for one in json.loads((await asking).body)["sources"]] == ["held", "myapp"]
    assert [namespace for namespace, *_ in following.asked] == ["held", "myapp", "none"]
    assert following.count == 0
