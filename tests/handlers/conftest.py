"""What tests of the handlers share: connections that end with the test, and a look at what they leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handlers.upgrades import Upgrades
from tests.handlers.peers import Peer, dial, nobody_is_left, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tornado.ioloop import IOLoop

    from tests.conftest import LiveServer


@pytest.fixture(params=["direct", "tornado"])
def way_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have WebSockets opened in both ways."""
    if request.param == "tornado":
        monkeypatch.setattr(Upgrades, "may_be_ours", lambda *_: False)


@pytest.fixture
def connect(io_loop: IOLoop, live: LiveServer) -> Iterator[Callable[..., Peer]]:
    """Make connections to `live`. Once they are closed, no trace of a reader may be left."""
    peers: list[Peer] = []

    def connect(receive_buffer: int | None = None) -> Peer:
        peers.append(dial(live, receive_buffer))
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()
    io_loop.run_sync(lambda: until(lambda: nobody_is_left(live)))
