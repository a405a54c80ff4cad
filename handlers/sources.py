"""GET /api/sources: the sources whose lines are held, and how many."""

from __future__ import annotations

import base64
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from buffer.selector import Selector
from buffer.workload import workloads
from handlers.authorisation import token_of
from handlers.base import CrossOriginHandler, Handler
from handlers.query import (
    NARROWING,
    BadParameter,
    OutOfScope,
    decode_arguments,
    parse_narrowing,
    parse_selected,
)
from handlers.selection import parse_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buffer.ring import Ring
    from buffer.source_log import SourceLog

PARAMETERS = ("token", "namespace", *NARROWING, "limit", "after")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


# A source's place in the order of the answer: namespace, pod, container, labels, owner.
_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...], str]


class _Listed(NamedTuple):
    """A source as it is now, and its place."""

    key: _Key
    description: dict[str, Any]


def _key(log: SourceLog) -> _Key:
    source = log.source
    return source.namespace, source.pod, source.container, source.labels, source.owner


class SourcesHandler(CrossOriginHandler, Handler):
    """Lists sources: all of them for the API secret, those in its scope for a token."""

    scheme = "Token, Bearer"

    async def get(self) -> None:
        """Answer with a page of sources, ordered by namespace, pod, container and labels."""
        self.admit_origin()
        self.body.whole()
        arguments = decode_arguments(self.request.query_arguments, PARAMETERS)
        limit, after = _limit(arguments), _after(arguments)
        page = list[_Listed]()
        for selector in self._selectors(arguments, after[0] if after else ""):
            page += await self._listed(selector, after, limit + 1 - len(page))
            if len(page) > limit:
                break
        answer: dict[str, Any] = {"sources": [listed.description for listed in page[:limit]]}
        if len(page) > limit:
            answer["next"] = _encoded(page[limit - 1].key)
        self.answer(answer)

    head = get

    def _selectors(self, arguments: dict[str, list[str]], first: str) -> Iterator[Selector]:
        """Return a selector for each namespace from `first` on that is asked for. Raises what refuses the caller."""
        narrowing = parse_narrowing(arguments)
        wanted = parse_selected("namespace", parse_names, ",".join(arguments.get("namespace", ["*"])))
        if self.services.api_secrets.accepts(self.request.headers.get_list("Authorization")):
            # Those asked for by name may not be here yet; of others it is not known that they are anywhere.
            namespaces = sorted(self.services.hub.store.rings.keys() | wanted.exact)
            return (narrowing.apply(Selector(one)) for one in namespaces if one >= first and one in wanted)
        scope = self.services.tokens.verify(token_of(self.request)).selector
        if scope.namespace not in wanted:
            raise OutOfScope("namespace")
        return iter([narrowing.apply(scope)])

    async def _listed(self, selector: Selector, after: _Key | None, count: int) -> list[_Listed]:
        """Return the first so many sources that a selector admits, in order."""
        namespace, broker = selector.namespace, self.services.broker
        try:
            await broker.follow(namespace)
            await self.services.gate.enter()
            ring = self.services.hub.store.ring(namespace)
            return [] if ring is None else _first(ring, selector, after, count)
        finally:
            broker.release(namespace)


def _first(ring: Ring, selector: Selector, after: _Key | None, count: int) -> list[_Listed]:
    logs = (ring.logs[source] for source in ring.admitted(selector))
    first = nsmallest(count, (log for log in logs if after is None or _key(log) > after), _key)
    return [_Listed(_key(log), _described(log)) for log in first]


def _described(log: SourceLog) -> dict[str, Any]:
    source = log.source
    return {
        "namespace": source.namespace,
        "pod": source.pod,
        "container": source.container,
        "labels": dict(source.labels),
        "workloads": list(workloads(source)),
        "lines": log.lines,
        "bytes": log.bytes,
        "first": log.chunks.first().first_time.decode(),
        "last": log.chunks.last().last_time.decode(),
    }


def _limit(arguments: dict[str, list[str]]) -> int:
    text = arguments.get("limit", [str(DEFAULT_LIMIT)])[0]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise BadParameter("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _after(arguments: dict[str, list[str]]) -> _Key | None:
    if "after" not in arguments:
        return None
    try:
        key: _Key = msgspec.json.decode(base64.urlsafe_b64decode(arguments["after"][0]), type=_Key)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise BadParameter("after", "must be what an earlier answer gave as next") from None
    return key


def _encoded(key: _Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()
