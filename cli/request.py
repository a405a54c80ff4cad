"""Single requests to a server, and what their answers mean."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from cli.address import Address
from cli.errors import BadInput, Redirected, Unreachable, Untrusted

if TYPE_CHECKING:
    from tornado.httpclient import HTTPResponse

_SECONDS = 20
REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


async def fetch(
    address: Address, path: str, authorization: str, *, body: str | None = None, seconds: float = _SECONDS
) -> HTTPResponse:
    """Ask for a path of the server, by POST if there is a JSON body; return the answer whatever its status.

    Raises Unreachable, or Redirected.
    """
    headers = {"Authorization": authorization} if authorization else {}
    request = HTTPRequest(
        address.resolve(path),
        method="GET" if body is None else "POST",
        headers=headers if body is None else {**headers, "Content-Type": "application/json"},
        body=body,
        follow_redirects=False,
        connect_timeout=seconds,
        request_timeout=seconds,
    )
    client = AsyncHTTPClient(force_instance=True)
    answer = client.fetch(request, raise_error=False)
    # Tornado logs the end of a request whose future was cancelled, so cancel the waiting alone.
    answer.add_done_callback(lambda future: future.exception())
    try:
        await asyncio.wait({answer})
        response = answer.result()
    except (OSError, HTTPClientError) as error:
        raise unreachable(address, error) from None
    finally:
        client.close()
    if response.code in REDIRECTS:
        raise redirected(address, path, response.headers.get("Location", ""))
    return response


def unreachable(address: Address, error: Exception) -> Unreachable:
    """Return the failure for an error of a connection."""
    if isinstance(error, SSLCertVerificationError):
        return Untrusted(address.url, error.verify_message, is_local=address.is_local)
    problem = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return Unreachable(address.url, problem or "the connection was closed", is_local=address.is_local)


def redirected(address: Address, path: str, location: str) -> Redirected:
    """Return the failure for a redirect of a path of the server."""
    shown = location.partition("?")[0].partition("#")[0]  # the rest may repeat the request, secrets included
    wanted = urlsplit(address.resolve(path)).path
    try:
        there = Address.parse(shown)
    except BadInput:
        return Redirected(address.url, shown)
    return Redirected(address.url, shown, there.url if urlsplit(shown).path == wanted else "")


def error_of(response: HTTPResponse | None) -> str:
    """Return the sentence of a refusal by logurt; empty if something else refuses."""
    try:
        answer = json.loads(response.body) if response is not None else None
    except ValueError:
        return ""
    sentence = answer.get("error") if isinstance(answer, dict) else None
    return sentence if isinstance(sentence, str) else ""
