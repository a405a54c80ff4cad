"""A stream of lines that outlives its connections: after each cut, it goes on where it was."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketError, websocket_connect

from cli.credential import error_of, unreachable
from cli.errors import Ended, Failure, NotLogurt, Refused
from cli.message import parse
from protocol import BAD_MESSAGE, EXPIRED, FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tornado.websocket import WebSocketClientConnection

    from cli.address import Address
    from cli.credential import Credential
    from cli.message import Message

# A dead server is noticed after both at the latest.
_PING_INTERVAL = 30
_PING_TIMEOUT = 20
_CONNECT_SECONDS = 20
# The lines of one request to the server may come as one message.
_MAX_MESSAGE = 1 << 30

# How far back to look for lines that were written, but had not arrived, when a stream without lines was cut.
_ARRIVAL_SECONDS = 10


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
        self._asked: dict[str, Sequence[str]] = {**query, "format": ["json"], "batch": ["true"]}
        self._show = show
        self._tell = tell
        self._pauses = pauses or Pauses()
        self._now = now
        self._was_connected = False
        self._cursor = ""  # after the last line that was shown; empty: there was none
        self._live_since: float | None = None  # when the server said that there is no backlog, in Unix seconds

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
            connection = await self._connect()
        except Failure as failure:
            is_expired = isinstance(failure, Refused) and failure.status == HTTPStatus.UNAUTHORIZED
            may_pass = failure.passes or (is_expired and self._credential.forget())
            if may_pass and self._was_connected:
                return False
            raise
        self._was_connected = True
        renewal = asyncio.create_task(self._keep_authorised(connection))
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

    async def _connect(self) -> WebSocketClientConnection:
        request = HTTPRequest(
            self._address.logs(self._query()),
            headers={"Authorization": f"Bearer {await self._credential.token()}"},
            connect_timeout=_CONNECT_SECONDS,
            request_timeout=_CONNECT_SECONDS,
        )
        try:
            return await websocket_connect(
                request, ping_interval=_PING_INTERVAL, ping_timeout=_PING_TIMEOUT, max_message_size=_MAX_MESSAGE
            )
        except HTTPClientError as error:
            if error.response is not None:
                raise Refused("this stream", error.code, error_of(error.response)) from None
            raise unreachable(self._address, error) from None
        except OSError as error:
            raise unreachable(self._address, error) from None
        except WebSocketError:
            raise NotLogurt(self._address.url) from None

    def _query(self) -> dict[str, Sequence[str]]:
        """Return what to ask for now."""
        elsewhere = {name: values for name, values in self._asked.items() if name not in {"tail", "since"}}
        if self._cursor:
            return {**elsewhere, "cursor": [self._cursor]}
        if self._live_since is None:
            return self._asked
        if self._asked.get("tail") != ["0"] and "since" not in self._asked:
            # There was no backlog at all: whatever there is now has come since.
            return {**elsewhere, "tail": ["all"]}
        # Without a line there is no cursor. As nothing was shown, what is a little older shows nothing twice.
        seconds = math.ceil(max(0.0, self._now() - self._live_since)) + _ARRIVAL_SECONDS
        return {**elsewhere, "tail": ["all"], "since": [f"{seconds}s"]}

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
            for message in reversed(messages):
                if message.type == "line":
                    self._cursor = message.cursor
                    break
                if message.type == "live" and self._live_since is None:
                    self._live_since = self._now()

    async def _keep_authorised(self, connection: WebSocketClientConnection) -> None:
        """Send a new token whenever the last one is about to expire."""
        while (pause := self._credential.renew_in()) is not None:
            await asyncio.sleep(pause)
            try:
                token = await self._credential.renew()
                await connection.write_message(json.dumps({"token": token}))
            except Failure:
                continue  # should it fail until the end, the server closes and says why
            except (WebSocketClosedError, StreamClosedError):
                return
