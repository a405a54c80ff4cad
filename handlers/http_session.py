"""Sessions on HTTP responses: server-sent events, and lines for curl."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tornado.iostream import StreamClosedError

from delivery.framing import http_chunk
from handlers.session import Session, retry, retry_some_time
from protocol import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.iostream import IOStream

    from delivery.encoded import Content
    from delivery.framing import HttpFraming
    from delivery.reader import Start
    from delivery.view import View
    from handlers.services import Services
    from handlers.session import Visit
    from handlers.transport import Transport
    from protocol import Disconnect

# How long a client may take to read the end of its stream; Tornado gives a WebSocket's closing handshake as long.
GOODBYE_SECONDS = 5

# How much unexpected input is read at a time.
_INPUT_BYTES = 4096
# How soon an EventSource comes back after a cut.
_FIRST_RETRY_MS = 2000


class HttpSession(Session):
    """A reader on an HTTP response whose head has been sent, and whose stream is detached."""

    def __init__(self, services: Services, stream: IOStream, transport: Transport, visit: Visit) -> None:
        super().__init__(services, stream, transport, visit)
        self._follows = True
        self._wrap: Callable[[bytes], bytes] = bytes  # a part of the body for the transport

    def begin(self, view: View, start: Start, *, follow: bool) -> None:
        """Join the hub. Raises what `Hub.join` raises."""
        self._follows = follow
        self._wrap = cast("HttpFraming", view.framing).wrap
        if self.transport.is_events:
            self.write(self._wrap(retry(_FIRST_RETRY_MS)))
        super().begin(view, start, follow=follow)
        self._ignore_input()

    def heartbeat(self) -> bool:
        """Send a comment if the transport has such a thing (server-sent events)."""
        if self.transport.is_events and not self._stream.writing():
            self.write(self._wrap(b": \n\n"))
        return True

    def _ignore_input(self, read: asyncio.Future[bytes] | None = None) -> None:
        """Read whatever the client sends after its request: without a pending read we would never notice it leave."""
        if read is None or not (read.cancelled() or read.exception()):
            with suppress(StreamClosedError):
                asyncio.ensure_future(self._stream.read_bytes(_INPUT_BYTES, partial=True)).add_done_callback(
                    self._ignore_input
                )
                return
        self.leave("the client has gone")

    def _say_goodbye(self, disconnect: Disconnect) -> None:
        stream = self._stream
        if stream.closed():
            return
        last = self._wrap(retry_some_time()) if self.transport.is_events and disconnect.reconnect else b""
        # An empty chunk ends a body that is complete (RFC 9112, section 7.1): a backlog must not end so before all of
        # it has been sent. HTTP/1.0 ends bodies with the connection, and has no way to tell.
        if self.transport.is_chunked and (self._follows or disconnect is FINISHED):
            last += self._end(last) + http_chunk(b"")
        stream.write(last).add_done_callback(lambda _: stream.close())
        # A client that takes nothing would keep its connection for ever.
        stream.io_loop.call_later(GOODBYE_SECONDS, stream.close)

    def _end(self, last: bytes) -> bytes:  # noqa: ARG002 - what others count
        """Return what ends the body, after a last part of it."""
        return b""


class EncodedSession(HttpSession):
    """A reader on an HTTP response in a content coding."""

    def __init__(
        self, services: Services, stream: IOStream, transport: Transport, visit: Visit, content: Content
    ) -> None:
        super().__init__(services, stream, transport, visit)
        self._content = content
        super().write(http_chunk(content.begin))

    def write(self, data: bytes) -> bool:
        """Write shared bytes, and tell whether the socket has taken all of them."""
        self._content.add(data)
        return super().write(data)

    def _end(self, last: bytes) -> bytes:
        self._content.add(last)
        return http_chunk(self._content.end())
