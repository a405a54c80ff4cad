"""Sessions: one reader's connection each, on any transport."""

from __future__ import annotations

import logging
import secrets
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.iostream import StreamClosedError

from handlers import tcp
from handlers.base import log
from log_format import log_event
from protocol import FINISHED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tornado.iostream import IOStream

    from buffer.selector import Selector
    from delivery.reader import Reader, Start
    from delivery.view import View
    from handlers.services import Services
    from handlers.tokens import Grant
    from handlers.transport import Transport
    from protocol import Disconnect

# What the kernel keeps for a client that takes nothing, beside what is on its way.
_MAX_UNSENT = 256 * 1024

# When an EventSource that was sent away comes back: not all of them at once.
_RETRY_MS = range(1000, 5001)


def retry(milliseconds: int) -> bytes:
    """Return the event that tells an EventSource how long to wait before it comes back (WHATWG HTML, 9.2.6)."""
    return b"retry: %d\n\n" % milliseconds


def retry_some_time() -> bytes:
    """Return such an event for a client that is sent away together with others."""
    return retry(secrets.choice(_RETRY_MS))


class Visit(NamedTuple):
    """Who reads, and what was asked for, as the log tells it."""

    grant: Grant
    client: str = ""  # the address
    asked: str = ""  # the query, without the token


class Session(ABC):
    """A reader of the hub on an IOStream: writes what the hub gives, and tells it when the socket has drained.

    `expires_at` is in Unix seconds, `heartbeat_at` on the monotonic clock.
    """

    def __init__(self, services: Services, stream: IOStream, transport: Transport, visit: Visit) -> None:
        self.expires_at: float = visit.grant.expires_at
        self.heartbeat_at = 0.0
        self._services = services
        self._stream = stream
        self.transport = transport
        self._visit = visit
        self._began_at = services.now()
        self.sent = 0  # of lines and notices that were written
        # Set while it is in the hub. The reader knows how to write to this session (see `tune_gc` on cycles).
        self._reader: Reader | None = None
        self._send: Callable[[bytes], int] = _send_nowhere
        self._waiting = 0  # bytes that the socket has not taken yet
        self._may_lag = stream.writing()  # Tornado has had to wait with a frame of its own, and may again
        self._unsent = -1  # bytes in the kernel's send queue when last looked at
        self._progress_at = 0.0  # when they last changed, on the monotonic clock
        if not stream.closed():  # the client may be gone before it was answered
            self._send = stream.socket.send
            stream.set_nodelay(True)
            tcp.keep_alive(stream.socket)
            tcp.limit_unsent(stream.socket, _MAX_UNSENT)

    @property
    def is_open(self) -> bool:
        """Whether the connection is still there."""
        return not self._stream.closed()

    @property
    def is_live(self) -> bool:
        """Whether the hub has written it everything that there is for it."""
        return self._reader is not None and self._reader.is_live

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for room in the socket, be it a frame of Tornado's own."""
        return self._stream.writing()

    @property
    def lines(self) -> int:
        """How many lines the hub has written to it; 0 once it has left."""
        return 0 if self._reader is None else self._reader.lines

    @property
    def waiting(self) -> int:
        """How many bytes of lines wait in this process for room in the socket."""
        return self._waiting

    def begin(self, view: View, start: Start, *, follow: bool) -> None:
        """Join the hub. The namespace is being followed, and is released when the reader leaves.

        Raises what `Hub.join` raises; then the namespace is left to the caller.
        """
        self._reader = self._services.hub.join(
            view, start, follow=follow, write=self.write, ended=lambda: self.end(FINISHED)
        )
        self._services.sessions.add(self)
        self._services.requests.readers[self.transport.value] += 1
        self._log("reader joined", view.selector, asked=self._visit.asked)

    def leave(self, why: str) -> None:
        """Leave the hub. Does nothing the second time."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        self._services.hub.leave(reader)
        self._services.broker.release(reader.group.view.selector.namespace)
        self._services.sessions.remove(self)
        self._services.requests.departures[why] += 1
        self._services.requests.lines += reader.lines
        self._services.requests.bytes += self.sent
        seconds = round(self._services.now() - self._began_at, 3)
        facts = {"why": why, "seconds": seconds, "lines": reader.lines, "bytes": self.sent}
        self._log("reader left", reader.group.view.selector, **facts)

    def end(self, disconnect: Disconnect) -> None:
        """Leave the hub and end the stream, saying why where the transport can. Does nothing the second time."""
        if self._reader is not None:
            self.leave(disconnect.reason)
            self._say_goodbye(disconnect)

    def abort(self) -> None:
        """Leave the hub and close the connection without a word."""
        self.leave("the client did not answer")
        self._stream.close()

    def _log(self, event: str, scope: Selector, **facts: Any) -> None:
        grant, client, _ = self._visit
        who = {"jti": grant.jti, "sub": grant.sub, "client": client, "transport": self.transport.value}
        readers = len(self._services.sessions)
        log_event(log, logging.INFO, event, **scope.facts, **facts, **who, readers=readers)

    @abstractmethod
    def heartbeat(self) -> bool:
        """Show that the stream is alive; False if the client seems dead."""

    @abstractmethod
    def _say_goodbye(self, disconnect: Disconnect) -> None:
        """End the stream after what has been written to it."""

    def stalled_for(self, now: float) -> float:
        """Return for how many seconds the client has taken nothing although there was something to take."""
        if not self._waiting or self._stream.closed():
            return 0.0
        # That Tornado waits to write more says little: the kernel wakes it only when much of its queue is free again.
        # A slow client differs from one that has stopped in that the queue shrinks at all.
        unsent = tcp.send_queue(self._stream.socket)
        if unsent != self._unsent:
            self._unsent, self._progress_at = unsent, now
        return now - self._progress_at

    def write(self, data: bytes) -> bool:
        """Write shared bytes, and tell whether the socket has taken all of them."""
        sent = 0
        self.sent += len(data)
        # Straight to the socket if nothing waits in front: `IOStream.write` makes a future for every write, which
        # costs a live reader about as much as the system call does, and asking Tornado each time a tenth of it.
        if not self._waiting and not (self._may_lag and self._stream.writing()):
            try:
                sent = self._send(data)
            except BlockingIOError:
                pass
            except ConnectionError:
                return False  # the event loop tells of it, too: of a few at a time, where thousands have gone
            except OSError:
                self._stream.close()
                return False
            if sent == len(data):
                return True
        self._write_later(memoryview(data)[sent:])
        return False

    def _write_later(self, data: memoryview) -> None:
        try:
            written = self._stream.write(data)
        except StreamClosedError:
            return
        self._waiting += len(data)
        self._unsent = -1
        written.add_done_callback(partial(self._on_written, len(data)))

    def _on_written(self, size: int, written: asyncio.Future[None]) -> None:
        self._waiting -= size
        has_drained = not self._waiting and not written.cancelled() and written.exception() is None
        if has_drained and self._reader is not None:
            self._services.hub.drained(self._reader)


def _send_nowhere(_: bytes) -> int:
    raise BrokenPipeError
