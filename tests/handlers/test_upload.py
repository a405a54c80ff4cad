from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from handlers.authorisation import Unauthorized
from handlers.sessions import ServerStopping
from handlers.upload import Peer, Upload
from ingest.errors import BodyTooLarge
from tests.conftest import INGEST_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer

TOKEN = [f"Token {INGEST_SECRET}"]
LIMIT = 1 << 20


@pytest.fixture
def options() -> dict[str, object]:
    return {"max_body_mib": 1}


def begun(live: LiveServer, *, tag: str = "t", sender: str = "10.0.0.1") -> Upload:
    return Upload(live.services, {"Fluent-Tag": tag}, Peer(sender, lambda: False, int))


@pytest.mark.parametrize(
    ("headers", "tag"),
    [
        ({}, ""),
        ({"Fluent-Tag": "one"}, "one"),
        ({"X-Fluent-Tag": "two"}, "two"),
        ({"Fluent-Tag": "one", "X-Fluent-Tag": "two"}, "one"),
        ({"Fluent-Tag": "", "X-Fluent-Tag": "two"}, "two"),
    ],
)
async def test_an_upload_has_the_tag_that_its_headers_name(live: LiveServer, headers: dict[str, str], tag: str) -> None:
    upload = Upload(live.services, headers, Peer("10.0.0.1", lambda: False, int))
    assert upload.tag == tag
    upload.close()


@pytest.mark.parametrize("length", [0, 5, LIMIT, None])
async def test_an_admitted_upload_keeps_its_body(live: LiveServer, length: int | None) -> None:
    upload = begun(live)
    upload.admit(live.services, TOKEN, length)
    upload.body.add(b"hello")
    assert (upload.body.whole(), live.services.bodies.taken) == (b"hello", 5)
    upload.close()
    assert live.services.bodies.taken == 0


@pytest.mark.parametrize(
    ("credentials", "length", "stopping", "error"),
    [
        ([], 5, False, Unauthorized),
        (["Token wrong"], 5, False, Unauthorized),
        (TOKEN, LIMIT + 1, False, BodyTooLarge),
        (TOKEN, 5, True, ServerStopping),
        ([], LIMIT + 1, True, Unauthorized),  # strangers learn nothing else
    ],
)
async def test_a_refused_upload_drops_its_body_and_tells_why_in_the_end(
    live: LiveServer,
    credentials: list[str],
    length: int,
    stopping: bool,  # noqa: FBT001
    error: type[Exception],
) -> None:
    live.services.sessions.stopping = stopping
    upload = begun(live)
    upload.admit(live.services, credentials, length)
    upload.body.add(b"hello")
    assert live.services.bodies.taken == 0
    with pytest.raises(error):
        upload.body.whole()
    upload.close()


async def test_a_body_whose_length_is_not_known_is_refused_once_it_is_too_long(live: LiveServer) -> None:
    upload = begun(live)
    upload.admit(live.services, TOKEN, None)
    for _ in range(2):
        upload.body.add(bytes(LIMIT // 2 + 1))
    with pytest.raises(BodyTooLarge):
        upload.body.whole()
    upload.close()


async def test_an_upload_waits_until_the_one_before_it_with_its_tag_is_closed(live: LiveServer) -> None:
    first, second = begun(live), begun(live)
    waiting = asyncio.create_task(second.turn.come())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.close()
    assert await waiting
    second.close()
    assert not len(live.services.turns)


async def test_an_upload_waits_for_none_that_is_refused_or_comes_from_elsewhere_or_has_another_tag_or_none(
    live: LiveServer,
) -> None:
    refused = begun(live)
    refused.admit(live.services, [], 5)
    others = [refused, begun(live, sender="10.0.0.2"), begun(live, tag="another"), begun(live, tag="")]
    for upload in (begun(live), begun(live, tag="")):
        assert not await upload.turn.come()
        upload.close()
    for upload in others:
        upload.close()


async def test_an_upload_may_be_closed_twice(live: LiveServer) -> None:
    first = begun(live)
    first.close()
    second = begun(live)
    second.body.add(b"hello")
    first.close()
    assert (live.services.bodies.taken, second.body.size, len(live.services.turns)) == (5, 5, 1)
    second.close()


async def test_an_upload_waits_for_one_whose_body_has_come_as_far_as_the_kernel(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.turns.MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr("handlers.turns.PACE_SECONDS", 0.001)
    asked, is_there = list[int](), asyncio.Event()

    def waiting() -> int:
        asked.append(1)
        if len(asked) == 100:
            first.turn.arrived()
            is_there.set()
        return len(asked) << 20

    first = Upload(live.services, {"Fluent-Tag": "t"}, Peer("10.0.0.1", lambda: False, waiting))
    second = begun(live)
    coming = asyncio.create_task(second.turn.come())
    await is_there.wait()
    assert not coming.done()
    first.close()
    assert await coming
    second.close()
