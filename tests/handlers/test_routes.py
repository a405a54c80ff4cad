from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handlers.routes import ROUTES
from handlers.tokens import MAX_TOKEN_BYTES
from handlers.websocket import MAX_MESSAGE_BYTES
from tests.wire import connected, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

PATHS = [path for path, _ in ROUTES]


def test_no_path_stands_twice() -> None:
    assert len(set(PATHS)) == len(PATHS)


@pytest.mark.parametrize("path", PATHS)
async def test_every_route_answers_in_json_to_a_method_that_it_does_not_take(live: LiveServer, path: str) -> None:
    async with connected(live.port) as wire:
        await wire.send(request(path, method="DELETE"))
        answer = await wire.answer()
    assert (answer.status, answer.json) == (405, {"error": "this path does not take that method"})
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/"])
async def test_what_is_below_or_beside_a_route_is_not_found(live: LiveServer, path: str) -> None:
    for other in (f"{path}/", f"{path}/x", f"{path}x", path[:-1], f"/x{path}", path.upper()):
        assert (await live.fetch(other)).code == 404, other


def test_a_message_has_room_for_the_longest_token() -> None:
    assert len('{"token": ""}') + MAX_TOKEN_BYTES < MAX_MESSAGE_BYTES
