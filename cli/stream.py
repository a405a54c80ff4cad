"""A stream of lines that outlives its connections: after each cut, it goes on where it was."""

from __future__ import annotations

import asyncio
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec

from cli.connection import connect, keep_authorised
from cli.errors import Ended, Failure, NotLogurt, Refused
from cli.message import parse
from cli.position import Position
from protocol import BAD_MESSAGE, EXPIRED, FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tornado.websocket import WebSocketClientConnection

    from cli.address import Address
    from cli.credential import Credential
    from cli.message import Message


class Show(Protocol):
    """Takes messages, and the text as which they came."""

    def __call__(self, text: str, messages: Sequence[Message], /) -> None:
        """Show them; when it returns, they count as read."""


class Pauses:
    """The seconds to wait before each try: doubling from `first` to `longest`, the second half of each by chance."""

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def reset(self) -> None:
        """Begin with the first one again."""
        self._next = self._first

    def take(self) -> float:
        """Return the next one."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        # By chance, so that all readers of a server that is back do not come at the same moment.
        return pause * random.uniform(0.5, 1)  # noqa: S311 - no secret


class Stream:
    """The lines that a query asks for, each once and in order, however often the connection is cut.

    `query` has the parameters of GET /logs; `tell` takes a sentence for each cut; `now` returns Unix seconds.
    """

    def __init__(
        self,
        address: Address,
        credential: Credential,
        query: Mapping[str, Sequence[str]],
        show: Show,
        *,
        tell: Callable[[str], None],
        pauses: Pauses | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._address = address
        self._credential = credential
        self._position = Position({**query, "format": ["json"], "batch": ["true"]}, now)
        self._show = show
        self._tell = tell
        self._pauses = pauses or Pauses()
        self._was_connected = False

    async def run(self) -> None:
        """Show lines until the server has sent all that it will.

        Raises Failure for what cannot be mended, which is everything until the first connection is made.
        """
        is_over = await self._visit()
        while not is_over:
            await asyncio.sleep(self._pauses.take())
            is_over = await self._visit()

    async def _visit(self) -> bool:
        """Connect, and read until the connection ends; return whether all is sent."""
        try:
            connection = await connect(self._address, await self._credential.token(), self._position.query())
        except Failure as failure:
            is_expired = isinstance(failure, Refused) and failure.status == HTTPStatus.UNAUTHORIZED
            may_pass = failure.passes or (is_expired and self._credential.forget())
            if may_pass and self._was_connected:
                return False
            raise
        self._was_connected = True
        renewal = asyncio.create_task(keep_authorised(connection, self._credential))
        try:
            await self._read(connection)
        finally:
            renewal.cancel()
            connection.close()
            await asyncio.gather(renewal, return_exceptions=True)
        return self._is_over(connection.close_code, connection.close_reason or "")

    def _is_over(self, code: int | None, reason: str) -> bool:
        """Tell what a closed connection means: True if all is sent, False to come back. Raises Ended."""
        if code == FINISHED.code:
            return True
        if code == BAD_MESSAGE.code or (code == EXPIRED.code and not self._credential.forget()):
            raise Ended(code, reason)
        self._tell(f"the connection is cut ({reason or 'no goodbye'}); coming back for what follows")
        return False

    async def _read(self, connection: WebSocketClientConnection) -> None:
        while (text := await connection.read_message()) is not None:
            if isinstance(text, bytes):
                raise NotLogurt(self._address.url)
            try:
                messages = parse(text)
            except msgspec.MsgspecError:
                raise NotLogurt(self._address.url) from None
            self._show(text, messages)
            self._pauses.reset()
            self._position.advance(messages)
