"""WebSockets once they are open (RFC 6455): what a client sends is read, and its pings and its close are answered.

wsproto knows the protocol. Frames with lines go past it: they are ready, and shared by many.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, Protocol, cast

from tornado.iostream import StreamClosedError
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Opcode, RsvBits

from handlers.pass_budget import PassBudget

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Generator

    from tornado.iostream import IOStream
    from wsproto.events import Event
    from wsproto.frame_protocol import FrameDecoder, FrameProtocol

# The one message that clients may send holds a token of at most 8 KiB.
MAX_MESSAGE_BYTES = 16 * 1024
# What is read in a pass of the event loop: less than a millisecond's worth of frames, however small they are. Dozens of
# clients may send nothing but such frames.
_READ_BYTES = 256
# How long a client may take to answer a close.
CLOSE_SECONDS = 5

_NO_BITS, _MAY_BE_COMPRESSED = RsvBits(rsv1=False, rsv2=False, rsv3=False), RsvBits(rsv1=True, rsv2=False, rsv3=False)
_FLUSHED = b"\x00\x00\xff\xff"
_LONGEST_END = 1 + len(_FLUSHED)


def _nothing() -> Generator[Any, None, None]:
    yield from ()


_OVER = _nothing()


def frame_budget() -> PassBudget:
    """Return what all WebSockets share: a few reads, each of dozens of frames maybe, go without a look at the clock."""
    return PassBudget(free=16 * _READ_BYTES, each=2 * _READ_BYTES)


class Owner(Protocol):
    """Whom a WebSocket tells of what its client does."""

    def received(self, message: str | bytes | bytearray) -> None:
        """Take a message."""

    def ponged(self) -> None:
        """Note that the client has answered a ping."""

    def answered(self) -> None:
        """Note that a frame has been written to answer the client."""

    def gone(self) -> None:
        """Note that the connection has ended. Nothing is told after that."""


class WebSocket:
    """An open WebSocket on a stream of its own. `inflates` is whether messages may come compressed (RFC 7692).

    All that share a `budget` are read a little in each pass of the event loop.
    """

    __slots__ = (
        "_budget",
        "_is_over",
        "_last_call",
        "_message",
        "_owner",
        "_ping",
        "_protocol",
        "_size",
        "_stream",
        "_waits",
    )

    def __init__(self, stream: IOStream, owner: Owner | None, budget: PassBudget, *, inflates: bool = False) -> None:
        self._stream = stream
        self._owner = owner
        self._budget = budget
        self._protocol = Connection(ConnectionType.SERVER, [Inflate(MAX_MESSAGE_BYTES)] if inflates else [])
        self._message: list[Any] = []  # parts of a message that has begun
        self._size = 0  # of these
        self._waits = False  # whether the answer to a ping has not been written yet
        self._ping: Ping | None = None  # the last one that came meanwhile
        self._last_call: asyncio.TimerHandle | None = None  # once the client has been told to close
        self._is_over = False  # nothing is read any more

    def begin(self) -> None:
        """Read what the client sends from now on."""
        try:
            read = cast("Future[bytes]", self._stream.read_bytes(_READ_BYTES, partial=True))
            read.add_done_callback(self._read)
        except StreamClosedError:
            self._end()

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        if self._protocol.state is ConnectionState.OPEN:
            self._send(Ping())

    def close(self, code: int, reason: str) -> None:
        """Begin to close the connection. Does nothing if that has begun."""
        if self._protocol.state is ConnectionState.OPEN:
            self._send(CloseConnection(code, reason))
            self._last_call = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._stream.close)

    def _read(self, read: Future[bytes]) -> None:
        if read.cancelled() or read.exception() is not None:
            self._end()
            return
        data = read.result()
        if not self._budget.may_handle(len(data)):
            asyncio.get_running_loop().call_soon(self._read, read)
            return
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._handle(event)
        except BaseException:
            self._stream.close()
            raise
        finally:
            if self._stream.closed():
                self._end()
        if not self._is_over:
            self.begin()

    def _handle(self, event: Event) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            self._add(event)
        elif isinstance(event, Ping):
            self._answer(event)
        elif isinstance(event, Pong) and self._owner is not None:
            self._owner.ponged()
        elif isinstance(event, CloseConnection):
            self._finish(event)

    def _add(self, event: TextMessage | BytesMessage) -> None:
        """Put a message together, of which this is a part."""
        self._size += len(event.data.encode() if isinstance(event, TextMessage) else event.data)
        if self._size > MAX_MESSAGE_BYTES:
            self._finish(CloseConnection(CloseReason.MESSAGE_TOO_BIG, "message too big"))
            return
        if event.data:  # or parts of nothing would add up
            self._message.append(event.data)
        if event.message_finished:
            message, self._message, self._size = type(event.data)().join(self._message), [], 0
            if self._owner is not None and self._protocol.state is ConnectionState.OPEN:
                self._owner.received(message)

    def _answer(self, ping: Ping) -> None:
        """Answer a ping, unless the answer to another has to wait: then only the last one counts (section 5.5.3)."""
        if self._protocol.state is not ConnectionState.OPEN:
            return
        if self._waits:
            self._ping = ping
        elif (written := self._send(ping.response())) is not None:
            if not written.done():
                self._waits = True
                written.add_done_callback(self._has_answered)
            if self._owner is not None:
                self._owner.answered()

    def _has_answered(self, _written: Future[None]) -> None:
        ping, self._ping, self._waits = self._ping, None, False
        if ping is not None:
            self._answer(ping)

    def _finish(self, close: CloseConnection) -> None:
        """Answer the client's close, or say what is wrong with what it sends; then close the connection."""
        written = None
        if self._protocol.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            written = self._send(close)
        if written is None or written.done():
            self._stream.close()
        else:
            written.add_done_callback(lambda _: self._stream.close())
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._stream.close)
        self._end()

    def _send(self, event: Event) -> Future[None] | None:
        """Write a frame; return what is done once it has been written, None if the connection is closed."""
        try:
            return self._stream.write(self._protocol.send(event))
        except StreamClosedError:
            return None

    def _end(self) -> None:
        self._is_over = True
        # wsproto's parser is a generator that knows itself, and the owner knows this object (see `tune_gc` on cycles).
        parser = self._protocol._proto  # noqa: SLF001 - what else ends it
        parser._parse_more.close()  # noqa: SLF001
        parser._parse_more = _OVER  # noqa: SLF001 - which Python 3.13.0 needs as well
        if self._last_call is not None:
            self._last_call.cancel()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.gone()


class Inflate(Extension):
    """Messages that the client has compressed, each by itself, none of which becomes more than `limit` bytes."""

    name = "permessage-deflate"

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflater: zlib._Decompress | None = None
        self._is_control = False  # the present frame, which may stand amid a message (RFC 6455, section 5.4)

    def enabled(self) -> bool:
        """Tell that it has been agreed on."""
        return True

    def offer(self) -> bool:
        """Offer nothing: that is for clients to do."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002 - wsproto's signature
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,  # noqa: ARG002
    ) -> RsvBits:
        """Begin a frame; return which bits it may have set. The first frame of a message says how it has come."""
        self._is_control = opcode.iscontrol()
        if self._is_control or opcode is Opcode.CONTINUATION:
            return _NO_BITS
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if rsv.rsv1 else None
        return _MAY_BE_COMPRESSED

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:  # noqa: ARG002
        """Inflate a part of a frame."""
        return data if self._is_control or self._inflater is None else self._inflated(self._inflater, data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:  # noqa: ARG002, FBT001
        """Inflate what is left of a message once it is over."""
        if self._is_control or self._inflater is None or not fin:
            return None
        inflater, self._inflater = self._inflater, None
        return self._inflated(inflater, _FLUSHED)

    def _inflated(self, inflater: zlib._Decompress, data: bytes) -> bytes | CloseReason:
        try:
            inflated = inflater.decompress(data, self._limit)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        if inflater.unconsumed_tail:
            return CloseReason.MESSAGE_TOO_BIG
        # After a final block (RFC 7692, section 7.2.3.4) comes nothing but what ends a message.
        return CloseReason.INVALID_FRAME_PAYLOAD_DATA if len(inflater.unused_data) > _LONGEST_END else inflated
