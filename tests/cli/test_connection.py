from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.address import Address
from cli.connection import connect, keep_authorised
from cli.credential import Signer
from cli.errors import Refused
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer


class _Renewing(Signer):
    """Renews at once, as often as `times`; the first time it fails."""

    def __init__(self, live: LiveServer, times: int = 2) -> None:
        super().__init__(Address(live.url("")), API_SECRET, {"namespace": "myapp", "expires_in": 100})
        self._left = times
        self._has_failed = False

    def renew_in(self) -> float | None:
        self._left -= 1
        return 0 if self._left >= 0 else None

    async def renew(self) -> str:
        if not self._has_failed:
            self._has_failed = True
            raise Refused("to sign a token", 503, "not now")
        return await super().renew()


async def test_a_token_is_renewed_in_place_after_a_failure(live: LiveServer) -> None:
    connection = await connect(Address(live.url("")), await live.sign(expires_in=100), {"tail": ["0"]})
    live.clock.advance(60)
    await keep_authorised(connection, _Renewing(live))
    await live.write("the server has read the new token by now")
    assert await connection.read_message() is not None
    live.clock.advance(60)
    live.services.sessions.sweep()
    await live.write("and the first one has expired")
    assert await connection.read_message() == "and the first one has expired"
    connection.close()
    assert await connection.read_message() is None


async def test_a_renewal_that_comes_after_the_end_is_let_go(live: LiveServer) -> None:
    connection = await connect(Address(live.url("")), await live.sign(), {"tail": ["0"]})
    connection.close()
    await asyncio.wait_for(keep_authorised(connection, _Renewing(live)), 10)
    assert await connection.read_message() is None
