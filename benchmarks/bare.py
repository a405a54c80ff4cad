"""The least a Tornado server can do: the yardstick for logurt's own work.

It receives bodies and drops them (`/receive`), or decodes them (`/decode`), or writes each line to each reader with
`write_message`, the way a first attempt would (`/_ingest/fluentbit` and `/logs`). It asks for no secret.
With the argument `tuned`, the C library and the garbage collector are set up as logurt sets them up.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from typing import Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

import server

_GZIP_BITS = 16 + zlib.MAX_WBITS
_MAX_BODY = 256 << 20


class _Record(msgspec.Struct, gc=False):
    log: str
    time: str
    stream: str
    kubernetes: msgspec.Raw


_JSON = msgspec.json.Decoder(list[_Record])
_ENTRIES = msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, _Record]])


class ReceiveHandler(RequestHandler):
    """Receives a body and throws it away."""

    def post(self) -> None:
        """Answer."""
        self.finish(b"{}")


class DecodeHandler(RequestHandler):
    """Receives a body and decodes text, time, stream and raw metadata."""

    def post(self) -> None:
        """Decode, then answer. A header gives the number of MessagePack entries, which the body itself does not say."""
        _decode(self)
        self.finish(b"{}")


class LogsHandler(WebSocketHandler):
    """A reader."""

    readers: set[LogsHandler] = set()  # noqa: RUF012 - the one global of a first attempt

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - Tornado's signature
        """Allow every origin."""
        return True

    def open(self) -> None:
        """Join."""
        self.readers.add(self)

    def on_close(self) -> None:
        """Leave."""
        self.readers.discard(self)


class WriteEachHandler(RequestHandler):
    """Receives a body and writes each line to each reader."""

    def post(self) -> None:
        """Write, then answer."""
        for record in _decode(self):
            for reader in LogsHandler.readers:
                reader.write_message(record.log)
        self.finish(b"{}")


def _decode(handler: RequestHandler) -> list[_Record]:
    body: bytes = handler.request.body
    if handler.request.headers.get("Content-Encoding") == "gzip":
        body = zlib.decompress(body, _GZIP_BITS)
    count = handler.request.headers.get("X-Entries")
    if count is None:
        return _JSON.decode(body)
    entries: list[tuple[Any, _Record]] = _ENTRIES.decode(b"\xdd" + int(count).to_bytes(4) + body)
    return [record for _, record in entries]


async def _serve() -> None:
    routes = [
        ("/receive", ReceiveHandler),
        ("/decode", DecodeHandler),
        ("/logs", LogsHandler),
        ("/_ingest/fluentbit", WriteEachHandler),
    ]
    application = Application(routes, log_function=lambda handler: None)  # noqa: ARG005 - Tornado's signature
    server = HTTPServer(application, max_buffer_size=_MAX_BODY)
    sockets = bind_sockets(0, "127.0.0.1", backlog=1024)
    server.add_sockets(sockets)
    print(f"listening on http://127.0.0.1:{sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if "tuned" in sys.argv:
        server.tune_malloc()
        server.tune_gc()
    asyncio.run(_serve())
