"""The query of GET /logs: pure, text in, values out."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buffer.cursor import Cursor
from buffer.encoding import (
    Chunked,
    Json,
    PlainLines,
    ServerSentEvents,
    Text,
    WebSocketBatches,
    WebSocketMessages,
)
from buffer.hub import Start
from buffer.pattern import MAX_PATTERNS, BadPattern, TextFilter
from buffer.source import Selector, sorted_labels
from buffer.timestamp import TIMESTAMP
from buffer.view import ALL_TEXT, View
from handlers.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buffer.encoding import Format, Framing

_MAX_TAIL = 10**9
_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)

# Every parameter, in the order in which the protocol's page names them; those that may be given more than once.
PARAMETERS = (
    "token",
    "tail",
    "since",
    "cursor",
    "follow",
    "pod",
    "container",
    "label",
    "stream",
    "include",
    "exclude",
    "format",
    "timestamps",
    "prefix",
    "batch",
)
_REPEATABLE = frozenset({"label", "include", "exclude"})


class BadParameter(ValueError):
    """A query parameter that is not known or has a value that cannot be. `problem` is what the sentence says of it."""

    def __init__(self, name: str, problem: str) -> None:
        # The name came from the client and goes into the answer: keep it short and printable.
        shown = "".join(character if character.isprintable() else "?" for character in name)[:64]
        super().__init__(shown, problem)
        self.name = shown
        self.problem = problem

    def __str__(self) -> str:
        return f"parameter {self.name} {self.problem}"


class OutOfScope(Exception):
    """A parameter that asks for more than the token admits."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"parameter {self.name} asks for something outside the token's scope"


@dataclass(frozen=True, slots=True)
class Query:
    """What the query asks for, apart from who asks. None and empty stand for what was not given."""

    tail: int | None = None  # None: as many as there are
    since: float | None = None  # Unix seconds
    cursor: Cursor | None = None
    follow: bool = True
    pod: str | None = None
    container: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    stream: str | None = None
    text: TextFilter = ALL_TEXT
    format: str = "text"
    timestamps: bool = False
    prefix: bool = False
    batch: bool = False

    def start(self) -> Start:
        """Return where the reader begins."""
        return Start(self.tail, self.since, self.cursor)

    def view(self, scope: Selector, epoch: str, transport: Transport) -> View:
        """Return what the reader sees: never more than the token's scope. Raises OutOfScope."""
        kind: Format = Json(epoch) if self.format == "json" else Text(self.timestamps, self.prefix)
        return View(self._narrow(scope), kind, self._framing(epoch, transport), self.stream, self.text)

    def _framing(self, epoch: str, transport: Transport) -> Framing:
        if transport is Transport.WEBSOCKET:
            return WebSocketBatches() if self.batch else WebSocketMessages()
        framing: Framing = ServerSentEvents(epoch) if transport.is_events else PlainLines()
        return Chunked(framing) if transport.is_chunked else framing

    def _narrow(self, scope: Selector) -> Selector:
        if self.pod is not None and scope.pod not in {None, self.pod}:
            raise OutOfScope("pod")
        if self.container is not None and scope.container not in {None, self.container}:
            raise OutOfScope("container")
        labels = dict(scope.labels)
        for key, value in self.labels:
            # A label has one value: asking for another one than the token's could only show what it does not admit.
            if labels.setdefault(key, value) != value:
                raise OutOfScope("label")
        return Selector(
            scope.namespace, self.pod or scope.pod, self.container or scope.container, sorted_labels(labels)
        )


def parse(arguments: Mapping[str, Sequence[str]], default_tail: int, now: float) -> Query:
    """Read the query's arguments, each with all of its values. `now` is in Unix seconds. Raises BadParameter."""
    for name, values in arguments.items():
        if name not in PARAMETERS:
            raise BadParameter(name, "is not known")
        if len(values) > 1 and name not in _REPEATABLE:
            raise BadParameter(name, "is given more than once")
    given = {name: values[0] for name, values in arguments.items() if name not in _REPEATABLE}
    since = _since(given["since"], now) if "since" in given else None
    return Query(
        # Who names a time wants all lines since then, unless a number is named too.
        tail=_tail(given["tail"]) if "tail" in given else default_tail if since is None else None,
        since=since,
        cursor=Cursor.parse(given["cursor"]) if "cursor" in given else None,
        follow=_flag(given, "follow", default=True),
        pod=_name(given, "pod"),
        container=_name(given, "container"),
        labels=tuple(_label(text) for text in arguments.get("label", ())),
        stream=_choice(given, "stream", ("stdout", "stderr"), None),
        text=TextFilter(_patterns(arguments, "include"), _patterns(arguments, "exclude")),
        format=_choice(given, "format", ("text", "json"), "text") or "text",
        timestamps=_flag(given, "timestamps"),
        prefix=_flag(given, "prefix"),
        batch=_flag(given, "batch"),
    )


def _tail(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadParameter("tail", f"must be all or a whole number below {_MAX_TAIL}")
    return int(text)


def _since(text: str, now: float) -> float:
    match = _DURATION.fullmatch(text)
    if match is not None and text:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return now - (((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    time = text.upper()  # RFC 3339, section 5.6: T and Z may be small
    if TIMESTAMP.fullmatch(time.encode()):
        try:
            return dt.datetime.fromisoformat(time).timestamp()
        except (ValueError, OverflowError):
            pass  # such a day or time does not exist
    raise BadParameter("since", "must be a duration such as 90s, 5m or 1h30m, or an RFC 3339 time")


def _flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    if name not in given:
        return default
    if given[name] not in {"true", "false"}:
        raise BadParameter(name, "must be true or false")
    return given[name] == "true"


def _choice(given: Mapping[str, str], name: str, choices: Sequence[str], default: str | None) -> str | None:
    value = given.get(name, default)
    if value is not None and value not in choices:
        raise BadParameter(name, f"must be {' or '.join(choices)}")
    return value


def _name(given: Mapping[str, str], name: str) -> str | None:
    if given.get(name) == "":
        raise BadParameter(name, "must not be empty")
    return given.get(name)


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise BadParameter("label", "must be of the form key=value")
    return key, value


def _patterns(arguments: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    patterns = tuple(arguments.get(name, ()))
    if len(patterns) > MAX_PATTERNS:
        raise BadParameter(name, f"is given more than {MAX_PATTERNS} times")
    try:
        TextFilter(patterns)
    except BadPattern as error:
        raise BadParameter(name, f"is not a usable pattern: {error.problem}") from None
    return patterns
