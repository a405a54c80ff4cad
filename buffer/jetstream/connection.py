"""The connection to NATS, and what is asked and answered on it.

nats-py connects, encrypts, authenticates, and connects again when a connection is lost. Two things are added. Answers
of all kinds come to one inbox, and each is handed to the callable that waits for it. And the connection can be cut and
made to another server, because one that was isolated from its peers still answers pings.

What is sent while there is no connection is dropped: every sender has a timeout of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import nats.errors

from buffer.broker import BrokerUnavailable
from buffer.jetstream.client import DirectClient, end_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nats.aio.client import Server
    from nats.aio.msg import Msg

# How soon a server that does not answer is given up, in seconds, and how long to wait between attempts.
_CONNECT_SECONDS = 1
_WAIT_SECONDS = 0.1
# How soon a question is asked again, in seconds: a server that was killed may have taken it along.
_AGAIN_SECONDS = 0.25
# What nats-py may hold of what has not been sent yet, in bytes.
_PENDING_BYTES = 64 * 1024 * 1024
_CREDENTIALS_BYTES = 64 * 1024


class Servers(NamedTuple):
    """Where NATS is, and the path of a file with credentials (empty: none)."""

    urls: Sequence[str]
    credentials: str = ""


def check_credentials(path: str) -> None:
    """Raise BrokerUnavailable unless a file has credentials: in any other, nats-py would search for ever."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - paths are not known here otherwise
            text = file.read(_CREDENTIALS_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BrokerUnavailable(f"the file that NATS_CREDENTIALS names cannot be read: {why}") from None
    if "BEGIN NATS USER JWT" not in text or "BEGIN USER NKEY SEED" not in text:
        raise BrokerUnavailable("the file that NATS_CREDENTIALS names holds no credentials of a NATS user")


class Connection:
    """A connection that is always wanted. `connected()` is called whenever it is there anew."""

    def __init__(self, servers: Servers, connected: Callable[[], None]) -> None:
        self.connects = 0  # how often it was made
        self.last_error = ""
        self._servers = servers
        self._connected = connected
        self._handlers: dict[str, Callable[[Msg], None]] = {}  # by subject
        self._client = DirectClient(self._handlers)
        self._is_up = False
        self._url = ""  # of the last connection
        self._closed = asyncio.Event()  # the client has given up: there has to be another one
        self._stopping = False
        self._first = asyncio.Event()  # the first connection is there
        self._waiting: dict[str, Callable[[Msg], None]] = {}  # by token
        self._tokens = 0
        self._inbox = self._client.new_inbox()
        self._outbox: list[bytes] = []  # until the next turn of the event loop
        self._changes: set[str] = set()  # subjects that are to be heard, or no longer
        self._has_changes = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: dict[str, Any] = {}  # by subject; those of the present client

    @property
    def is_up(self) -> bool:
        """Whether there is a connection."""
        return self._is_up and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes that a message may have, headers included."""
        return self._client.max_payload

    async def open(self, seconds: float) -> None:
        """Begin to connect; return when there is a connection, or after so many seconds. Raises BrokerUnavailable."""
        if self._servers.credentials:
            check_credentials(self._servers.credentials)
        self.hear(f"{self._inbox}.*", self._answer)
        self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._keep_subscriptions())]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._first.wait()

    async def close(self) -> None:
        """Close the connection; what has been sent gets through, as far as that takes less than a second."""
        self._stopping = True
        if self.is_up:
            with suppress(nats.errors.Error, OSError):
                await self._client.flush(1)
        for task in self._tasks:
            await end_task(task)
        await self._drop()

    def hear(self, subject: str, handler: Callable[[Msg], None]) -> None:
        """Call the handler with each message of a subject from now on, whatever becomes of the connection."""
        self._handlers[subject] = handler
        self._change(subject)

    def unhear(self, subject: str) -> None:
        """Hear no more of a subject."""
        self._handlers.pop(subject, None)
        self._change(subject)

    def expect(self, answered: Callable[[Msg], None]) -> str:
        """Return a token to send messages with: answers go to the callable until the token is forgotten."""
        self._tokens += 1
        token = f"{self._tokens:x}"
        self._waiting[token] = answered
        return token

    def send(self, subject: str, payload: bytes, token: str, headers: dict[str, str] | None = None) -> None:
        """Send a message that is answered with this token."""
        self._put(_command(subject, f"{self._inbox}.{token}", headers, payload))

    def forget(self, token: str) -> None:
        """Ignore what is still answered."""
        self._waiting.pop(token, None)

    def tell(self, subject: str, payload: bytes) -> None:
        """Send a message that is not answered."""
        self._put(_command(subject, "", None, payload))

    async def ask(
        self,
        subject: str,
        payload: bytes,
        seconds: float,
        headers: dict[str, str] | None = None,
        *,
        is_question: bool = False,
    ) -> Msg | None:
        """Send a message and return its first answer; None if there is none within so many seconds.

        A mere question, which changes nothing, is asked again and again meanwhile.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        until = loop.time() + seconds
        token = self.expect(lambda msg: None if answer.done() else answer.set_result(msg))
        try:
            while not answer.done() and (left := until - loop.time()) > 0:
                self.send(subject, payload, token, headers)
                await asyncio.wait({answer}, timeout=min(left, _AGAIN_SECONDS) if is_question else left)
        finally:
            self.forget(token)
        return answer.result() if answer.done() else None

    def cut(self) -> None:
        """Leave the server that there is a connection to; connect to another one, if there are several."""
        if self.is_up:
            self._is_up = False
            self._client.abort()

    def _change(self, subject: str) -> None:
        self._changes.add(subject)
        self._has_changes.set()

    def _put(self, command: bytes) -> None:
        if self._is_up:
            self._outbox.append(command)
            if len(self._outbox) == 1:
                asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        """Send what has been put down since the last turn in one go, once all is heard that answers may come to."""
        if self._changes:
            return  # it is done when these are
        commands, self._outbox = self._outbox, []
        if self.is_up and commands:
            self._client.write(commands)

    def _answer(self, msg: Msg) -> None:
        handler = self._waiting.get(msg.subject.rpartition(".")[2])
        if handler is not None:
            handler(msg)

    async def _keep_subscriptions(self) -> None:
        while True:
            await self._has_changes.wait()
            self._has_changes.clear()
            try:
                while self._changes and self.is_up:
                    await self._subscribe(next(iter(self._changes)))
            except (nats.errors.Error, OSError) as error:
                self.last_error = str(error)
                self._has_changes.set()  # it is tried again
                await asyncio.sleep(_WAIT_SECONDS)
            self._send()

    async def _subscribe(self, subject: str) -> None:
        """Subscribe to a subject if it is to be heard, or no longer if it is not."""
        if subject in self._handlers and subject not in self._subscriptions:
            self._subscriptions[subject] = await self._client.subscribe(subject)
        elif subject not in self._handlers and subject in self._subscriptions:
            await self._subscriptions.pop(subject).unsubscribe()
        if (subject in self._handlers) == (subject in self._subscriptions):
            self._changes.discard(subject)

    async def _keep(self) -> None:
        """Have a client, and another one whenever it gives up."""
        while not self._stopping:
            self._client, self._closed = DirectClient(self._handlers), asyncio.Event()
            self._subscriptions.clear()
            self._changes = set(self._handlers)
            try:
                await self._client.connect(**self._options())
            except Exception as error:  # noqa: BLE001 - whatever it is, there must be another attempt
                self.last_error = str(error)
                await self._drop()
                await asyncio.sleep(_WAIT_SECONDS)
                continue
            await self._note_connected()
            await self._closed.wait()
            self._is_up = False
            await self._drop()
            await asyncio.sleep(_WAIT_SECONDS)

    def _options(self) -> Mapping[str, Any]:
        return {
            "servers": list(self._servers.urls),
            "user_credentials": self._servers.credentials or None,
            "name": "logurt",
            "error_cb": self._note_error,
            "disconnected_cb": self._note_disconnected,
            "reconnected_cb": self._note_connected,
            "closed_cb": self._note_closed,
            "reconnect_to_server_handler": self._choose,
            "connect_timeout": _CONNECT_SECONDS,
            "reconnect_time_wait": _WAIT_SECONDS,
            "max_reconnect_attempts": -1,
            "ping_interval": 1,
            "max_outstanding_pings": 2,
            "pending_size": _PENDING_BYTES,
            "flusher_queue_size": 64 * 1024,
        }

    def _choose(self, servers: Sequence[Server], _: Mapping[str, Any]) -> tuple[Server | None, float]:
        """Choose the server to connect to next: one that has failed the least, and others before the last one."""
        self._client.abort()  # nats-py forgets to close what it has given up
        chosen = min(servers, key=lambda server: server.reconnects + (server.uri.netloc == self._url))
        return chosen, _WAIT_SECONDS if chosen.reconnects else 0.0

    async def _drop(self) -> None:
        client, self._client = self._client, DirectClient(self._handlers)
        await client.end()

    async def _note_error(self, error: Exception) -> None:
        if isinstance(error, ConnectionResetError | BrokenPipeError) and self.last_error:
            return  # a server that refuses us resets the connection too, and its reason is what helps
        self.last_error = str(error)

    async def _note_disconnected(self) -> None:
        self._is_up = False

    async def _note_connected(self) -> None:
        self._is_up = True
        url = self._client.connected_url
        self._url = "" if url is None else url.netloc
        self.connects += 1
        self._first.set()
        self.last_error = ""
        self._outbox.clear()  # it was meant for the last connection
        self._has_changes.set()
        self._connected()

    async def _note_closed(self) -> None:
        self._closed.set()


def _command(subject: str, reply: str, headers: Mapping[str, str] | None, payload: bytes) -> bytes:
    """Return a message as it is sent: https://docs.nats.io/reference/reference-protocols/nats-protocol, HPUB."""
    head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()) + "\r\n"
    line = f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}\r\n"
    return b"".join((line.encode(), head.encode(), payload, b"\r\n"))
