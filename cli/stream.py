"""A stream of lines that outlives its connections: after each cut, it goes on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec

from cli.connection import connect, keep_authorised
from cli.diagnosis import diagnosed
from cli.errors import Ended, Failure, NotLogurt, Refused
from cli.message import parse
from cli.position import Position
from cli.sources import has_sources, selection
from protocol import DISCONNECTS, EXPIRED, FINISHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from tornado.websocket import WebSocketClientConnection

    from cli.address import Address
    from cli.credential import Credential
    from cli.message import Message

_FOR_GOOD = frozenset(disconnect.code for disconnect in DISCONNECTS if not disconnect.reconnect)
# How often an outage is reported while it lasts.
_REPORT_SECONDS = 5.0


class Show(Protocol):
    """Takes messages, and the text that they came as."""

    def __call__(self, text: str, messages: Sequence[Message], /) -> None:
        """Show them; when it returns, they count as read."""


class Pauses:
    """The seconds to wait before each try: doubling from `first` to `longest`, the second half of each by chance."""

    def __init__(self, first: float = 0.5, longest: float = 10.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def reset(self) -> None:
        """Begin with the first one again."""
        self._next = self._first

    def take(self) -> float:
        """Return the next one."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        # By chance, so that the readers of a server that is back do not all come at the same moment.
        return pause * random.uniform(0.5, 1)  # noqa: S311 - no secret


class Stream:
    """The lines that a query asks for, each exactly once and in order, however often the connection is cut.

    `query` has the parameters of GET /logs; `tell` takes sentences for the user; `now` returns Unix seconds.
    """

    def __init__(
        self,
        address: Address,
        credential: Credential,
        query: Mapping[str, Sequence[str]],
        *,
        tell: Callable[[str], None],
        pauses: Pauses | None = None,
        report_seconds: float = _REPORT_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._address = address
        self._credential = credential
        self._query = query
        self._position = Position({"format": ["json"], "batch": ["true"], **query}, now)
        self._tell = tell
        self._pauses = pauses or Pauses()
        self._report_seconds = report_seconds
        self._look: asyncio.Task[None] | None = None  # for sources; from when the backlog was over without lines

    async def token(self) -> str:
        """Return the token that opens the stream. Raises Failure."""
        return await diagnosed(self._address, self._credential.token())

    async def run(self, show: Show) -> None:
        """Show lines until the server has sent them all.

        Raises Failure when trying again cannot help; before the first connection, any failure counts as such.
        """
        connection = await diagnosed(self._address, self._connect())
        try:
            while not await self._is_read_to_the_end(connection, show):
                connection = await self._reconnect()
        finally:
            if self._look is not None:
                await self._look

    async def _connect(self) -> WebSocketClientConnection:
        return await connect(self._address, await self._credential.token(), self._position.query())

    async def _reconnect(self) -> WebSocketClientConnection:
        """Try until a connection is made, and report every few seconds while none is."""
        problem = f"no answer from {self._address.url} yet"

        async def report() -> None:
            while True:
                await asyncio.sleep(self._report_seconds)
                self._tell(f"{problem}; trying again")

        async with _beside(report()):
            while True:
                await asyncio.sleep(self._pauses.take())
                try:
                    connection = await self._connect()
                except Failure as failure:
                    if not self._may_pass(failure):
                        raise
                    problem = str(failure)
                else:
                    self._tell("back")
                    return connection

    def _may_pass(self, failure: Failure) -> bool:
        is_expired = isinstance(failure, Refused) and failure.status == HTTPStatus.UNAUTHORIZED
        return failure.passes or (is_expired and self._credential.forget())

    async def _is_read_to_the_end(self, connection: WebSocketClientConnection, show: Show) -> bool:
        """Read until the connection ends; return whether all is sent. Raises Ended."""
        try:
            async with _beside(keep_authorised(connection, self._credential)):
                await self._read(connection, show)
        finally:
            connection.close()
        code, reason = connection.close_code, connection.close_reason or ""
        if code == FINISHED.code:
            if not self._position.has_lines:
                await self._tell_if_empty()
            return True
        is_renewable = code == EXPIRED.code and self._credential.forget()
        if code in _FOR_GOOD and not is_renewable:
            raise Ended(code, reason)
        self._tell(f"the connection is cut ({reason or 'no goodbye'}); coming back for what follows")
        return False

    async def _read(self, connection: WebSocketClientConnection, show: Show) -> None:
        while (text := await connection.read_message()) is not None:
            if isinstance(text, bytes):
                raise NotLogurt(self._address.url)
            try:
                messages = parse(text)
            except msgspec.MsgspecError:
                raise NotLogurt(self._address.url) from None
            show(text, messages)
            self._pauses.reset()
            self._position.advance(messages)
            if self._position.is_live_without_lines and self._look is None:
                self._look = asyncio.create_task(self._tell_if_empty("; waiting"))

    async def _tell_if_empty(self, outlook: str = "") -> None:
        """Say so if nothing has come because the server has nothing."""
        with contextlib.suppress(Failure):
            token = await self._credential.token()
            is_empty = not await has_sources(self._address, token, self._query)
            if is_empty and not self._position.has_lines:
                self._tell(f"nothing yet from {selection(token, self._query)}{outlook}")


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run work while the block runs, and cancel it at the end. Raises what the work has raised."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Exception):
        raise result
