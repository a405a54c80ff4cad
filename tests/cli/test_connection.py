from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cli.address import Address
from cli.connection import connect, keep_authorised
from cli.credential import Signer
from cli.errors import NoWebSocket, Redirected, Refused
from tests.cli.bystanders import answering, saying, serving
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from tests.conftest import LiveServer


@pytest.mark.parametrize("status", ["301 Moved Permanently", "308 Permanent Redirect"])
async def test_a_redirect_to_tls_names_the_right_url(status: str) -> None:
    async with serving(saying(answering(status, b"", "Location: https://x.example/logs?tail=0"))) as url:
        with pytest.raises(Redirected) as redirected:
            await connect(Address(url), "token", {"tail": ["0"]})
    assert redirected.value.right == "https://x.example"


async def test_an_answer_before_the_one_that_counts_is_skipped() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with serving(saying(early + answering("404 Not Found", b"<html>", "Content-Type: text/html; a=b"))) as url:
        with pytest.raises(NoWebSocket) as answer:
            await connect(Address(url), "token", {})
    assert (answer.value.status, answer.value.media_type) == (404, "text/html")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_other_refusals_have_a_status_and_a_sentence(status: int) -> None:
    async with serving(saying(answering(f"{status} x", b'{"error": "no"}'))) as url:
        with pytest.raises(Refused, match=rf"the server refuses this stream: no \({status}\)"):
            await connect(Address(url), "token", {})


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
