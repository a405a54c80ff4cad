"""The queries of GET /logs and GET /api/sources: text in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from buffer.selector import Names, Operator, Requirement, Selector, sorted_requirements
from delivery.cursor import Cursor
from delivery.deflate import Deflate, Deflated
from delivery.encoded import Encoded
from delivery.filter import MAX_PATTERNS, BadPattern, TextFilter
from delivery.format import Json, Text
from delivery.framing import Chunked, PlainLines, ServerSentEvents, WebSocketBatches, WebSocketMessages
from delivery.reader import Start
from delivery.view import ALL_TEXT, View
from handlers.selection import BadSelection, parse_labels, parse_names, parse_workloads, shown
from handlers.transport import Transport
from protocol import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from delivery.encoded import Coding
    from delivery.format import Format
    from delivery.framing import Framing

_A = TypeVar("_A")
_T = TypeVar("_T")

_MAX_TAIL = 10**9

# Parameters that narrow the scope of a token.
NARROWING = ("pod", "container", "label", "workload")

# Every parameter of GET /logs, in the order of docs/protocol.md.
PARAMETERS = (
    "token",
    "tail",
    "since",
    "cursor",
    "follow",
    *NARROWING,
    "stream",
    "include",
    "exclude",
    "format",
    "timestamps",
    "prefix",
    "batch",
    "heartbeat",
)
_REPEATABLE = frozenset({*NARROWING, "include", "exclude"})


class BadParameter(ValueError):
    """A query parameter that is unknown or has a bad value. `problem` is the rest of the sentence about it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = shown(name)
        self.problem = problem

    def __str__(self) -> str:
        return f"parameter {self.name} {self.problem}"


class OutOfScope(Exception):
    """A parameter asks for something that the token does not admit."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"parameter {self.name} asks for something outside the token's scope"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The part of a token's scope that a query asks for. None and () mean all of it."""

    pods: Names | None = None
    containers: Names | None = None
    labels: tuple[Requirement, ...] = ()
    workloads: Names | None = None

    def apply(self, scope: Selector) -> Selector:
        """Return the part of a scope that is asked for, which is never more than the scope. Raises OutOfScope."""
        if self is EVERYTHING and not scope.labels:  # like most
            return scope
        return Selector(
            scope.namespace,
            _narrowed("pod", scope.pods, self.pods),
            _narrowed("container", scope.containers, self.containers),
            _narrowed_labels(scope.labels, self.labels),
            # A pod belongs to several workloads, such as a ReplicaSet and its Deployment, so both conditions may hold.
            scope.workloads if self.workloads is None else tuple(dict.fromkeys((*scope.workloads, self.workloads))),
        )


EVERYTHING = Narrowing()


def _narrowed(name: str, admitted: Names | None, asked: Names | None) -> Names | None:
    if admitted is None or asked is None:
        return asked or admitted
    # Every name must be in the scope, or a reader would wait for lines that never come.
    if not all(Names.of(pattern) & admitted for pattern in asked.patterns):
        raise OutOfScope(name)
    return admitted & asked


def _narrowed_labels(admitted: tuple[Requirement, ...], asked: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
    """Return both sets of requirements in one. Raises OutOfScope if no pod can meet them all."""
    demanded: dict[str, Names] = {}
    for one in (*admitted, *asked):
        if one.operator is Operator.IN:
            demanded[one.key] = demanded[one.key] & one.values if one.key in demanded else one.values
    is_missing = {one.key for one in (*admitted, *asked) if one.operator is Operator.MISSING}
    if not all(demanded.values()) or is_missing & demanded.keys():
        raise OutOfScope("label")
    return sorted_requirements((*admitted, *asked))


@dataclass(frozen=True, slots=True)
class Query:
    """What a query of GET /logs asks for, whoever asks. None and empty values stand for what was not given."""

    tail: int | None = None  # None: as many as there are
    since: float | None = None  # Unix seconds
    cursor: Cursor | None = None
    follow: bool = True
    narrowing: Narrowing = EVERYTHING
    stream: str | None = None
    text: TextFilter = ALL_TEXT
    format: str = "text"
    timestamps: bool = False
    prefix: bool = False
    batch: bool = False
    heartbeat: bool = False

    def start(self, *, is_doubtful: bool = False) -> Start:
        """Return where the reader begins, and whether lines after its cursor may have gone without a trace."""
        return Start(self.tail, self.since, self.cursor, is_doubtful)

    def view(self, scope: Selector, transport: Transport, compression: Deflate | Coding | None = None) -> View:
        """Return what the reader sees, which is never more than the token's scope. Raises OutOfScope.

        `compression` is a Deflate for the messages of a WebSocket, and a content coding for the body of a response.
        """
        kind: Format = Json() if self.format == "json" else Text(self.timestamps, self.prefix)
        return View(self.narrowing.apply(scope), kind, self._framing(transport, compression), self.stream, self.text)

    def _framing(self, transport: Transport, compression: Deflate | Coding | None) -> Framing:
        if transport is Transport.WEBSOCKET:
            messages = WebSocketBatches() if self.batch else WebSocketMessages()
            return Deflated(messages, compression) if isinstance(compression, Deflate) else messages
        framing = ServerSentEvents() if transport.is_events else PlainLines()
        if not transport.is_chunked:
            return framing
        return Encoded(framing, compression) if isinstance(compression, str) else Chunked(framing)


def decode_arguments(arguments: Mapping[str, Sequence[bytes]], known: Sequence[str]) -> dict[str, list[str]]:
    """Return a query's arguments as text. Raises BadParameter, also for parameters that are not in `known`."""
    for name in arguments:
        if name not in known:
            raise BadParameter(name, "is not known")
    for name, values in arguments.items():
        if len(values) > 1 and name not in _REPEATABLE:
            raise BadParameter(name, "is given more than once")
    return {name: [decode_value(name, value) for value in values] for name, values in arguments.items()}


def decode_value(name: str, value: bytes) -> str:
    """Return the text of an argument. Raises BadParameter."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadParameter(name, "is not UTF-8") from None


def parse_narrowing(arguments: Mapping[str, Sequence[str]]) -> Narrowing:
    """Read the parameters that narrow a token's scope. Raises BadParameter."""
    if arguments.keys().isdisjoint(NARROWING):
        return EVERYTHING

    def given(name: str, parse: Callable[[str], Names]) -> Names | None:
        return parse_selected(name, parse, ",".join(arguments[name])) if name in arguments else None

    return Narrowing(
        given("pod", parse_names),
        given("container", parse_names),
        parse_selected("label", parse_labels, arguments.get("label", ())),
        given("workload", parse_workloads),
    )


def parse_selected(name: str, parse: Callable[[_A], _T], value: _A) -> _T:
    """Read a parameter that selects sources. Raises BadParameter."""
    try:
        return parse(value)
    except BadSelection as error:
        raise BadParameter(name, error.problem) from None


def parse(arguments: Mapping[str, Sequence[str]], default_tail: int, now: float) -> Query:
    """Read the arguments of GET /logs, each a list of values. `now` is in Unix seconds. Raises BadParameter."""
    given = {name: values[0] for name, values in arguments.items() if name not in _REPEATABLE}
    since = _since(given["since"], now) if "since" in given else None
    include, exclude = _patterns(arguments, "include"), _patterns(arguments, "exclude")
    return Query(
        # A time alone asks for all lines since then; with a number, both bounds hold.
        tail=_tail(given["tail"]) if "tail" in given else default_tail if since is None else None,
        since=since,
        cursor=Cursor.parse(given["cursor"]) if "cursor" in given else None,
        follow=_flag(given, "follow", default=True),
        narrowing=parse_narrowing(arguments),
        stream=_choice(given, "stream", ("stdout", "stderr"), None),
        text=TextFilter(include, exclude) if include or exclude else ALL_TEXT,
        format=_choice(given, "format", ("text", "json"), "text") or "text",
        timestamps=_flag(given, "timestamps"),
        prefix=_flag(given, "prefix"),
        batch=_flag(given, "batch"),
        heartbeat=_flag(given, "heartbeat"),
    )


def _tail(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadParameter("tail", f"must be all or a whole number below {_MAX_TAIL}")
    return int(text)


def _since(text: str, now: float) -> float:
    seconds = parse_duration(text)
    time = parse_time(text) if seconds is None else now - seconds
    if time is None:
        raise BadParameter("since", "must be a duration such as 90s, 5m or 1h30m, or an RFC 3339 time")
    return time


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


def _patterns(arguments: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    if name not in arguments:
        return ()
    patterns = tuple(arguments[name])
    if len(patterns) > MAX_PATTERNS:
        raise BadParameter(name, f"is given more than {MAX_PATTERNS} times")
    try:
        TextFilter(patterns)
    except BadPattern as error:
        raise BadParameter(name, f"is not a usable pattern: {error.problem}") from None
    return patterns
