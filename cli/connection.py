"""Connections: one WebSocket of lines, and the tokens that keep it open."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPInputError
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, websocket_connect

from cli.errors import Failure, NoWebSocket, Refused
from cli.request import REDIRECTS, error_of, redirected, unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tornado.httpclient import HTTPResponse
    from tornado.websocket import WebSocketClientConnection

    from cli.address import Address
    from cli.credential import Credential

# A dead server is noticed after both at the latest.
_PING_INTERVAL = 30
_PING_TIMEOUT = 20
_CONNECT_SECONDS = 20
# The lines of one request to the server may come as one message.
_MAX_MESSAGE = 1 << 30

# How web servers and proxies answer an upgrade that they do not support.
_NO_UPGRADE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UPGRADE_REQUIRED,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)


class _Head:
    """The head of an answer that opens no WebSocket. A successful one is cut off, since its body may never end."""

    def __init__(self) -> None:
        self.status = 0  # 0: none has come
        self.media_type = ""

    def read(self, line: str) -> None:
        """Take a line of the head, the empty one at its end included. Raises HTTPInputError to end the connection."""
        name, _, value = line.partition(":")
        if not self.status:
            self.status = int(line.split()[1])
        elif name.lower() == "content-type":
            self.media_type = value.partition(";")[0].strip()
        elif not line.strip() and self.status < HTTPStatus.OK:
            self.status = 0  # the one that counts is yet to come (RFC 9110, section 15.2)
        elif not line.strip() and self.status < HTTPStatus.MULTIPLE_CHOICES:
            raise HTTPInputError("not a WebSocket")


async def connect(address: Address, token: str, query: Mapping[str, Sequence[str]]) -> WebSocketClientConnection:
    """Open a WebSocket of the lines that a query asks for. Raises Failure."""
    head = _Head()
    request = HTTPRequest(
        address.logs(query),
        headers={"Authorization": f"Bearer {token}"},
        header_callback=head.read,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_CONNECT_SECONDS,
    )
    try:
        return await websocket_connect(
            request,
            ping_interval=_PING_INTERVAL,
            ping_timeout=_PING_TIMEOUT,
            max_message_size=_MAX_MESSAGE,
            compression_options={},  # lines come in a third of the bytes
        )
    except HTTPClientError as error:
        raise _failure(address, head, error) from None
    except OSError as error:
        if head.status:
            raise NoWebSocket(address.url, head.status, head.media_type) from None
        raise unreachable(address, error) from None


def _failure(address: Address, head: _Head, error: HTTPClientError) -> Failure:
    response: HTTPResponse | None = error.response
    if response is None:
        return unreachable(address, error)
    if error.code in REDIRECTS:
        return redirected(address, "/logs", response.headers.get("Location", ""))
    reason = error_of(response)
    # logurt would have taken the request as it was sent: if it objects to the upgrade, a proxy has changed it.
    if error.code in _NO_UPGRADE and (not reason or "WebSocket" in reason):
        return NoWebSocket(address.url, error.code, head.media_type)
    return Refused("this stream", error.code, reason)


async def keep_authorised(connection: WebSocketClientConnection, credential: Credential) -> None:
    """Send a new token whenever the last one is about to expire."""
    while (pause := credential.renew_in()) is not None:
        await asyncio.sleep(pause)
        try:
            token = await credential.renew()
            await connection.write_message(json.dumps({"token": token}))
        except Failure:
            continue  # if it keeps failing, the server closes the stream and says why
        except (WebSocketClosedError, StreamClosedError):
            return
