from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.peers import TEXT, backlog, until, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]


async def take(peer: Peer, count: int) -> list[str]:
    return [(await peer.frame()).payload.decode() for _ in range(count)]


async def everyone_is_live(live: LiveServer) -> None:
    hub = live.services.hub
    await until(lambda: hub.statistics().live == len(live.services.sessions) > 0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", "34"), ("tail=0", ""), ("tail=1", "4"), ("tail=3", "234"), ("tail=all", "01234"), ("tail=99", "01234")],
)
@with_settings(default_tail=2)
async def test_tail_says_how_many_lines_of_backlog_come(live: LiveServer, query: str, expected: str) -> None:
    await live.write("0", "1", "2")
    await live.write("3", "4")
    assert await backlog(live, query) == list(expected)


async def test_since_takes_lines_by_their_own_time(live: LiveServer) -> None:
    await live.write("old")
    record = {"log": "new", "time": "2100-01-01T00:00:00Z", "kubernetes": {"namespace": "myapp", "pod": "p"}}
    await live.ingest(json.dumps(record).encode())
    assert await backlog(live, "since=2025-11-22T08:15:01.1Z") == ["old", "new"]
    assert await backlog(live, "since=2025-11-22T08:15:02Z") == ["new"]
    assert await backlog(live, "since=1h&tail=5") == ["new"]


async def test_a_reader_who_does_not_follow_gets_all_of_a_long_backlog(live: LiveServer) -> None:
    lines = [f"{number} {'x' * 200}" for number in range(20_000)]
    await live.write(*lines)
    assert await backlog(live, "tail=all") == lines


async def test_every_line_s_cursor_goes_on_after_that_line(live: LiveServer) -> None:
    await live.write("0", "1", "2")
    await live.write("3")
    cursors = [json.loads(message)["cursor"] for message in await backlog(live, "format=json")]
    rests = [await backlog(live, f"cursor={cursor}&tail=1") for cursor in cursors]
    assert rests == [["1", "2", "3"], ["2", "3"], ["3"], []]


async def test_a_cursor_of_another_epoch_is_told_of_the_restart_and_gets_what_there_is(live: LiveServer) -> None:
    await live.write("0")
    assert await backlog(live, "cursor=0ther-1-0") == [
        "[logurt] an unknown number of lines lost: the server has started anew since this reader left",
        "0",
    ]
    gap, line = await backlog(live, "cursor=0ther-1-0&format=json")
    assert json.loads(gap) == {"type": "gap", "lost": None, "reason": "restarted"}
    assert json.loads(line)["log"] == "0"


async def test_a_cursor_that_could_never_be_given_out_is_refused(live: LiveServer) -> None:
    response = await live.fetch(f"/logs?token={await live.sign()}&cursor=nonsense")
    assert (response.code, b"cursor" in response.body) == (400, True)


@pytest.mark.parametrize("place", ["ffffff-0", "2-1"])
async def test_a_cursor_ahead_of_the_server_is_told_of_a_restart(live: LiveServer, place: str) -> None:
    await live.write("0")
    gap, line = await backlog(live, f"format=json&cursor={live.services.broker.epoch}-{place}")
    assert json.loads(gap) == {"type": "gap", "lost": None, "reason": "restarted"}
    assert json.loads(line)["log"] == "0"


async def test_a_cursor_right_behind_the_last_line_is_not_ahead(live: LiveServer) -> None:
    await live.write("0")
    assert await backlog(live, f"cursor={live.services.broker.epoch}-2-0") == []


async def test_joining_while_lines_pour_in_loses_and_repeats_nothing(live: LiveServer, connect: Connect) -> None:
    token, total, peers = await live.sign(), 300, []

    async def pour() -> None:
        for number in range(0, total, 3):
            await live.write(*map(str, range(number, number + 3)))

    pouring = asyncio.ensure_future(pour())
    for query in ["tail=all", "tail=all&format=json", "tail=7", "tail=0"] * 4:
        peers.append(connect())
        await peers[-1].upgrade(token, query)
    await pouring
    for peer in peers:
        seen = list[int]()
        while not seen or seen[-1] != total - 1:
            message = json.loads((await peer.frame()).payload)
            if isinstance(message, int) or message["type"] == "line":
                seen.append(message if isinstance(message, int) else int(message["log"]))
        assert seen == list(range(seen[0], total))


async def test_coming_back_by_cursor_while_lines_pour_in_loses_and_repeats_nothing(
    live: LiveServer, connect: Connect
) -> None:
    token, total, seen, cursor = await live.sign(), 200, list[int](), ""

    async def pour() -> None:
        for number in range(0, total, 4):
            await live.write(*map(str, range(number, number + 4)))

    pouring = asyncio.ensure_future(pour())
    while len(seen) < total:
        peer = connect()
        await peer.upgrade(token, f"format=json&tail=all&cursor={cursor}".removesuffix("&cursor="))
        for _ in range(3):
            (message,) = map(json.loads, await take(peer, 1))
            if message["type"] == "line":
                seen.append(int(message["log"]))
                cursor = message["cursor"]
            if len(seen) == total:
                break  # nothing else may come
        peer.reset()
    await pouring
    assert seen == list(range(total))


async def test_json_has_all_that_is_known_of_a_line_and_says_when_it_is_live(
    live: LiveServer, connect: Connect
) -> None:
    await live.write('say "hi"\n\té\x00')
    peer = connect()
    await peer.upgrade(await live.sign(), "format=json")
    line, notice = map(json.loads, await take(peer, 2))
    assert line.pop("cursor").startswith(live.services.broker.epoch)
    assert line == {
        "type": "line",
        "timestamp": "2025-11-22T08:15:01.123457790Z",
        "pod": "web-0",
        "container": "app",
        "stream": "stdout",
        "log": 'say "hi"\n\té\x00',
    }
    assert notice == {"type": "live"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("timestamps=true", ["2025-11-22T08:15:01.123457790Z a", "2025-11-22T08:15:01.123457790Z b"]),
        ("prefix=true", ["web-0/app a", "web-0/app b"]),
        ("prefix=true&timestamps=true&tail=1", ["2025-11-22T08:15:01.123457790Z web-0/app b"]),
        ("batch=true", ["a\nb"]),
        ("batch=true&prefix=true", ["web-0/app a\nweb-0/app b"]),
        ("include=A", []),
        ("include=(?i)A", ["a"]),
        ("include=a&include=b", ["a", "b"]),
        ("include=[ab]&exclude=b", ["a"]),
        ("exclude=a&tail=1", ["b"]),
        ("include=a&tail=1", ["a"]),
        ("stream=stdout", ["a", "b"]),
        ("stream=stderr", []),
    ],
)
async def test_the_query_says_which_lines_come_and_how(live: LiveServer, query: str, expected: list[str]) -> None:
    await live.write("a", "b")
    assert await backlog(live, query) == expected


@pytest.mark.parametrize("batch", ["false", "true"])
async def test_odd_lines_arrive_as_they_were_written(live: LiveServer, connect: Connect, batch: str) -> None:
    lines = [
        "",
        "two\nlines",
        "x" * 125,
        "x" * 126,
        "x" * 65_535,
        "x" * 65_536,
        "日本\N{GRINNING FACE}\x00",
        "\n\n",
        "",
    ]
    peer = connect()
    await peer.upgrade(await live.sign(), f"tail=0&batch={batch}")
    await everyone_is_live(live)
    for line in lines:
        await live.write(line + "\n")
        assert await peer.frame() == (TEXT, line.encode())


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, ["web", "db", "sidecar"]),
        ({"pod": "web-0"}, ["web", "sidecar"]),
        ({"container": "app"}, ["web", "db"]),
        ({"labels": {"app": "web"}}, ["web"]),
        ({"pod": "db-0", "container": "proxy"}, []),
        ({"namespace": "other"}, ["secret"]),
    ],
)
@pytest.mark.parametrize("is_early", [True, False])
async def test_a_token_shows_its_scope_and_nothing_else(
    live: LiveServer, scope: dict[str, Any], expected: list[str], *, is_early: bool
) -> None:
    token = await live.sign(**scope)
    reader = await live.read(token) if is_early else None
    if is_early:
        await everyone_is_live(live)
    pods = [("myapp", "web-0", "app", "web"), ("other", "web-0", "app", "secret"), ("myapp", "db-0", "app", "db")]
    records = [
        {"log": log, "kubernetes": {"namespace": space, "pod": pod, "container": container, "labels": {"app": log}}}
        for space, pod, container, log in [*pods, ("myapp", "web-0", "proxy", "sidecar")]
    ]
    await live.ingest(json.dumps(records).encode())
    assert await backlog(live, "", token) == expected
    if reader is not None:
        assert [await reader.read_message() for _ in expected] == expected
        reader.close()
        assert await reader.read_message() is None


async def test_a_pod_is_seen_from_the_moment_it_carries_the_label_until_it_does_not(
    live: LiveServer, connect: Connect
) -> None:
    token = await live.sign(labels={"shown": "yes"})
    peer = connect()
    await peer.upgrade(token)
    for line, labels in [("0", {}), ("1", {"shown": "yes"}), ("2", {"shown": "no"}), ("3", {"shown": "yes", "x": ""})]:
        await live.write(line, labels=labels)
    assert await take(peer, 2) == ["1", "3"]
    assert await backlog(live, "", token) == ["1", "3"]


async def test_a_narrowed_view_counts_its_tail_in_its_own_lines(live: LiveServer) -> None:
    await live.write("quiet", pod="quiet", labels={"k": "v"})
    for number in range(50):
        await live.write(str(number))
    assert await backlog(live, "pod=quiet&tail=1") == ["quiet"]
    assert await backlog(live, "label=k%3Dv&tail=1") == ["quiet"]
    assert await backlog(live, "tail=1&exclude=.") == []


@with_settings(buffer_namespace_mib=1)
async def test_a_cursor_that_comes_back_too_late_is_told(live: LiveServer) -> None:
    await live.write("first", "second")
    cursor = json.loads((await backlog(live, "format=json"))[0])["cursor"]
    for number in range(30):
        await live.write(*(f"{number} {'x' * 1000}" for _ in range(60)))
    gap, *lines = await backlog(live, f"cursor={cursor}")
    assert gap == "[logurt] an unknown number of lines lost: they left the buffer before they could be sent"
    assert lines[-1].startswith("29 ")
