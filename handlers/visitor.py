"""Visitors: whoever asks for lines, from the request to the session that writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from handlers.authorisation import token_of
from handlers.client import client_address
from handlers.query import PARAMETERS, decode_arguments, parse
from handlers.session import Visit

if TYPE_CHECKING:
    from delivery.deflate import Deflate
    from delivery.encoded import Coding
    from delivery.view import View
    from handlers.query import Query
    from handlers.request import Request
    from handlers.services import Services
    from handlers.session import Session
    from handlers.tokens import Grant
    from handlers.transport import Transport

# Characters of a query that the log repeats.
_MAX_ASKED = 1000


class Admission(NamedTuple):
    """What a visitor may read: what its token grants, what it asks for, and what it will see."""

    grant: Grant
    query: Query
    view: View
    is_doubtful: bool  # whether lines after its cursor may have gone without a trace


class Visitor:
    """Somebody who asks for lines. It must be let go in the end."""

    __slots__ = ("_followed", "_request", "_services")

    def __init__(self, services: Services, request: Request) -> None:
        self._services = services
        self._request = request
        self._followed = ""  # a namespace, until a session takes it over

    async def admit(self, transport: Transport, compression: Deflate | Coding | None) -> Admission:
        """Return what the visitor may read; its session must begin before anything is awaited. Raises what refuses it.

        `compression` is as `Query.view` says.
        """
        grant = self._services.tokens.verify(token_of(self._request))
        query = self._read_query()
        view = query.view(grant.selector, transport, compression)
        self._check_room(view)
        is_doubtful = await self._follow(view.selector.namespace, query)
        self._check_room(view)  # others may have taken it meanwhile
        return Admission(grant, query, view, is_doubtful)

    def visit(self, admission: Admission) -> Visit:
        """Return who reads what, for the log."""
        request = self._request
        asked = "&".join(
            f"{name}={value.decode()}"
            for name, values in request.query_arguments.items()
            if name != "token"
            for value in values
        )
        forwarded, trusted = request.headers.get("X-Forwarded-For", ""), self._services.settings.trusted_proxies
        client = client_address(request.remote_ip or "", forwarded, trusted)
        return Visit(admission.grant, client, asked[:_MAX_ASKED])

    def begin(self, session: Session, admission: Admission) -> None:
        """Have a session write the lines, which takes over from here."""
        query = admission.query
        session.begin(admission.view, query.start(is_doubtful=admission.is_doubtful), follow=query.follow)
        self._followed = ""

    def let_go(self) -> None:
        """Release what no session has taken over."""
        if self._followed:
            self._services.broker.release(self._followed)
            self._followed = ""

    def _read_query(self) -> Query:
        arguments = decode_arguments(self._request.query_arguments, PARAMETERS)
        # A browser comes back to the address it began with, cursor included: what it has seen since counts for more.
        if last := self._request.headers.get("Last-Event-Id", ""):
            arguments["cursor"] = [last]
        return parse(arguments, self._services.settings.default_tail, self._services.now())

    def _check_room(self, view: View) -> None:
        self._services.sessions.admit()
        self._services.hub.check(view)

    async def _follow(self, namespace: str, query: Query) -> bool:
        """Have the broker deliver a namespace, and wait for what the reader has seen already, here or elsewhere.

        Return whether lines after that may have gone without a trace.
        """
        cursor, seen, epoch = query.cursor, 0, ""
        whole = not query.start().is_everything
        if cursor is not None:
            seen, epoch = cursor.seq if cursor.line else cursor.seq - 1, cursor.epoch
        self._followed = namespace
        return await self._services.broker.follow(namespace, seen, epoch, whole=whole)
