"""Why a server cannot be read: TLS on one side only, or a proxy that does not pass WebSockets on.

The usual answer in either case is silence, or a sentence that helps nobody, so ask again in other ways. All of it takes
less than two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from cli.errors import Failure, NoWebSocket, Refused, Unreachable, WrongScheme
from cli.request import fetch

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cli.address import Address

_T = TypeVar("_T")

# How long an attempt may take before it is looked into, and how long that may take.
_PATIENCE_SECONDS = 0.8
_PROBE_SECONDS = 0.7


async def diagnosed(address: Address, attempt: Coroutine[None, None, _T]) -> _T:
    """Return what an attempt to talk to a server returns, or raise what it raises, or a Failure that says more."""
    task = asyncio.ensure_future(attempt)
    try:
        await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
        if not task.done() and (reason := await _reason(address, None)):
            raise reason
        try:
            return await task
        except Failure as failure:
            if reason := await _reason(address, failure):
                raise reason from None
            raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _reason(address: Address, failure: Failure | None) -> Failure | None:
    """Return what causes a failure, or holds an attempt up; None if that is unknown."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            if isinstance(failure, NoWebSocket) and await _is_logurt(address):
                return NoWebSocket(failure.url, failure.status, failure.media_type, is_logurt=True)
            if failure is None or _may_be_scheme(failure):
                return await _wrong_scheme(address)
    return None


def _may_be_scheme(failure: Failure) -> bool:
    """Tell whether TLS on one side only can cause such a failure."""
    if isinstance(failure, Refused) and failure.reason:
        return False
    is_bad_request = isinstance(failure, NoWebSocket | Refused) and failure.status == HTTPStatus.BAD_REQUEST
    return isinstance(failure, Unreachable) or is_bad_request


async def _is_logurt(address: Address) -> bool:
    try:
        response = await fetch(address, "/healthz", "", seconds=_PROBE_SECONDS)
        return bool(json.loads(response.body) == {"status": "alive"})
    except (Failure, ValueError):
        return False


async def _wrong_scheme(address: Address) -> WrongScheme | None:
    is_wrong = await (_speaks_http(address) if address.is_tls else _speaks_tls(address))
    return WrongScheme(address.url, address.other_scheme) if is_wrong else None


async def _speaks_tls(address: Address) -> bool:
    host, port = address.endpoint
    context = ssl.create_default_context()
    # No secret is sent, so any server may answer.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it refuses this handshake, in TLS
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _speaks_http(address: Address) -> bool:
    host, port = address.endpoint
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        status_line = await reader.readline()
    except (OSError, ValueError):
        return False
    finally:
        writer.transport.abort()
    # Web servers answer plain HTTP with 400 where they want TLS.
    return status_line.startswith(b"HTTP/1.") and status_line.split()[1:2] != [b"400"]
