"""Connections: one WebSocket of lines, and the tokens that keep it open."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketError, websocket_connect

from cli.credential import error_of, unreachable
from cli.errors import Failure, NotLogurt, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tornado.websocket import WebSocketClientConnection

    from cli.address import Address
    from cli.credential import Credential

# A dead server is noticed after both at the latest.
_PING_INTERVAL = 30
_PING_TIMEOUT = 20
_CONNECT_SECONDS = 20
# The lines of one request to the server may come as one message.
_MAX_MESSAGE = 1 << 30


async def connect(address: Address, token: str, query: Mapping[str, Sequence[str]]) -> WebSocketClientConnection:
    """Open a WebSocket of the lines that a query asks for. Raises Failure."""
    request = HTTPRequest(
        address.logs(query),
        headers={"Authorization": f"Bearer {token}"},
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
        raise unreachable(address, error) from None
    except OSError as error:
        raise unreachable(address, error) from None
    except WebSocketError:
        raise NotLogurt(address.url) from None


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
