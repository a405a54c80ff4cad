"""GET /api/sources: the sources whose lines are held, and how many."""

from __future__ import annotations

import base64
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from buffer.selector import Selector
from buffer.source_log import SourceLog
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

PARAMETERS = ("token", "namespace", *NARROWING, "limit", "after")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


# A source's place in the order of the answer: namespace, pod, container, labels, owner.
_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...], str]


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
        page = list[SourceLog]()
        for selector in self._selectors(arguments, after[0] if after else ""):
            await self.services.gate.enter()
            page += self._logs(selector, after, limit + 1 - len(page))
            if len(page) > limit:
                break
        answer: dict[str, Any] = {"sources": [_described(log) for log in page[:limit]]}
        if len(page) > limit:
            answer["next"] = _encoded(_key(page[limit - 1]))
        self.answer(answer)

    head = get

    def _selectors(self, arguments: dict[str, list[str]], first: str) -> Iterator[Selector]:
        """Return a selector for each namespace from `first` on that is asked for. Raises what refuses the caller."""
        narrowing = parse_narrowing(arguments)
        wanted = parse_selected("namespace", parse_names, ",".join(arguments.get("namespace", ["*"])))
        if self.services.api_secrets.accepts(self.request.headers.get_list("Authorization")):
            namespaces = sorted(self.services.hub.store.rings)
            return (narrowing.apply(Selector(one)) for one in namespaces if one >= first and one in wanted)
        scope = self.services.tokens.verify(token_of(self.request)).selector
        if scope.namespace not in wanted:
            raise OutOfScope("namespace")
        return iter([narrowing.apply(scope)])

    def _logs(self, selector: Selector, after: _Key | None, count: int) -> list[SourceLog]:
        """Return the logs of the first so many sources that a selector admits, in order."""
        ring: Ring | None = self.services.hub.store.ring(selector.namespace)
        if ring is None:
            return []
        logs = (ring.logs[source] for source in ring.admitted(selector))
        return nsmallest(count, (log for log in logs if after is None or _key(log) > after), _key)


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
