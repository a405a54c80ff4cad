"""The stream: made if there is none, checked if there is one; what does not fit is one clear sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from buffer.broker import BrokerUnavailable

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from buffer.jetstream.connection import Connection
    from buffer.jetstream.subjects import Subjects

_ASK_SECONDS = 2.0
_MAKE_SECONDS = 10.0

# How long the server knows a message again, in seconds: Fluent Bit sends a body again for some minutes.
_DUPLICATE_SECONDS = 600
# Consumers that others may make of the stream, to look at it; logurt makes none.
_MAX_CONSUMERS = 64
# A ring of a namespace does not hold more chunks than this many bytes each.
_SMALL_CHUNK_BYTES = 512

_NANOSECONDS = 1_000_000_000


class StreamSettings(NamedTuple):
    """What the stream is to be like."""

    name: str
    replicas: int
    max_bytes: int
    max_age: int  # seconds
    namespace_bytes: int  # what a replica holds of a namespace
    max_message_bytes: int  # the largest message that is ever sent, headers included


class StreamState(msgspec.Struct):
    """How far the stream's numbers reach."""

    last_seq: int = 0
    first_seq: int = 0
    last_ts: str = ""  # when the last message was stored
    bytes: int = 0


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Config(msgspec.Struct):
    subjects: list[str] = []
    max_age: int = 0
    allow_direct: bool = False
    allow_msg_ttl: bool = False
    allow_rollup_hdrs: bool = False
    republish: dict[str, Any] | None = None
    max_msg_size: int = -1
    discard: str = "old"
    retention: str = "limits"
    sealed: bool = False


class _Answer(msgspec.Struct):
    error: _Error | None = None
    config: _Config | None = None
    state: StreamState | None = None


_STREAM_NOT_FOUND = 10059
_NAME_IN_USE = 10058


class Stream:
    """The stream as its leader answers for it."""

    def __init__(self, connection: Connection, settings: StreamSettings, subjects: Subjects) -> None:
        self.settings = settings
        self._connection = connection
        self._subjects = subjects

    async def state(self) -> StreamState | None:
        """Return the state of the stream; None if no leader answers. Raises StreamMissing."""
        answer = await self._ask("INFO", None, _ASK_SECONDS)
        if answer is None:
            return None
        if answer.error is not None:
            if answer.error.err_code == _STREAM_NOT_FOUND:
                raise StreamMissing
            return None
        return answer.state

    async def ensure(self, first_seq: int) -> None:
        """Make the stream, numbered from `first_seq`, or check the one that there is. Raises BrokerUnavailable."""
        self._check_payload()
        for _ in range(2):  # another replica may make it between two steps
            answer = await self._ask("INFO", None, _ASK_SECONDS)
            if answer is not None and answer.error is not None and answer.error.err_code == _STREAM_NOT_FOUND:
                answer = await self._ask("CREATE", self._config(first_seq), _MAKE_SECONDS)
                if answer is not None and answer.error is not None and answer.error.err_code == _NAME_IN_USE:
                    continue
            break
        if answer is None:
            raise BrokerUnavailable("NATS does not answer for JetStream: is it enabled, and has it a leader?")
        if answer.error is not None:
            raise StreamRefused(
                f"NATS refuses the stream {self.settings.name}: {answer.error.description} ({answer.error.err_code})"
            )
        if answer.config is not None:
            self._check(answer.config)

    def _check_payload(self) -> None:
        limit, needed = self._connection.max_payload, self.settings.max_message_bytes
        if limit < needed:
            raise StreamRefused(f"max_payload of NATS is {limit} bytes, and a line of MAX_LINE_KIB may take {needed}")

    def _check(self, config: _Config) -> None:
        """Raise StreamRefused unless a stream that there is already does what it is needed for."""
        name, wanted = self.settings.name, self._config(0)
        for field in ("subjects", "republish", "allow_direct", "allow_msg_ttl", "allow_rollup_hdrs", "retention"):
            found = getattr(config, field)
            if found != wanted[field]:
                raise StreamRefused(f"the stream {name} has {field} {found!r}, and needs {wanted[field]!r}")
        if config.sealed or config.discard != "old":
            raise StreamRefused(f"the stream {name} does not discard old messages for new ones")
        if 0 < config.max_msg_size < self.settings.max_message_bytes:
            raise StreamRefused(
                f"max_msg_size of the stream {name} is {config.max_msg_size} bytes, and a line of MAX_LINE_KIB may "
                f"take {self.settings.max_message_bytes}"
            )
        if 0 < config.max_age < self.settings.max_age * _NANOSECONDS:
            raise StreamRefused(
                f"max_age of the stream {name} is {config.max_age // _NANOSECONDS} seconds, less than "
                "BUFFER_MAX_AGE_MINUTES"
            )

    def _config(self, first_seq: int) -> dict[str, Any]:
        settings, subjects = self.settings, self._subjects
        return {
            "name": settings.name,
            "description": "lines of logurt",
            "subjects": [subjects.stored],
            "storage": "file",
            "num_replicas": settings.replicas,
            "retention": "limits",
            "discard": "old",
            "max_age": settings.max_age * _NANOSECONDS,
            "max_bytes": settings.max_bytes,
            "max_msgs_per_subject": max(16_384, settings.namespace_bytes // _SMALL_CHUNK_BYTES),
            "max_consumers": _MAX_CONSUMERS,
            "duplicate_window": min(_DUPLICATE_SECONDS, settings.max_age) * _NANOSECONDS,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "allow_rollup_hdrs": True,
            "republish": {"src": subjects.stored, "dest": subjects.live_template},
            "first_seq": first_seq,
        }

    async def _ask(self, verb: str, request: object, seconds: float) -> _Answer | None:
        payload = b"" if request is None else msgspec.json.encode(request)
        subject = f"$JS.API.STREAM.{verb}.{self.settings.name}"
        msg = await self._connection.ask(subject, payload, seconds, is_question=verb == "INFO")
        return _decoded(msg)


class StreamMissing(Exception):
    """There is no stream."""


class StreamRefused(BrokerUnavailable):
    """The stream cannot be what it has to be: that does not pass by itself."""


def _decoded(msg: Msg | None) -> _Answer | None:
    if msg is None or not msg.data:
        return None
    try:
        return msgspec.json.decode(msg.data, type=_Answer)
    except msgspec.MsgspecError:
        return None
