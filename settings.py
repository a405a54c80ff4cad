"""What can be set from outside: one frozen value, built once from a mapping of environment variables.

Each setting stands once, as a field of Settings: the variable has its name in capitals. A variable that is set to
nothing counts as unset, in the environment and in the .env file alike.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import msgspec
from msgspec import Meta

from setting_types import (
    Address,
    Ancestors,
    LogFormat,
    LogLevel,
    NatsUrls,
    Networks,
    Origins,
    Path,
    PublicUrl,
    Refused,
    Secret,
    SigningKey,
    StreamName,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, in the units of their names. "" stands for what is not set.

    `extra` has how a default is written where it is not the value itself.
    """

    api_secret: Annotated[Secret, Meta(description="signs tokens with `Authorization: Token ...`")]
    jwt_signing_key: Annotated[SigningKey, Meta(description="what tokens are signed with, HS256, at least 32 bytes")]
    jwt_expiration_minutes: Annotated[int, Meta(ge=1, le=525_600, description="how long a token lives, at most")] = 60
    port: Annotated[int, Meta(ge=0, le=65_535, description="where to listen; 0 takes any free port")] = 8080
    ingest_secret: Annotated[
        Secret,
        Meta(description="a credential for Fluent Bit that cannot sign", extra={"default": "API_SECRET"}),
    ] = ""
    api_secret_previous: Annotated[Secret, Meta(description="still accepted while API_SECRET is being changed")] = ""
    ingest_secret_previous: Annotated[
        Secret,
        Meta(description="still accepted while INGEST_SECRET is being changed"),
    ] = ""
    jwt_signing_key_previous: Annotated[SigningKey, Meta(description="tokens signed with it are still accepted")] = ""
    address: Annotated[
        Address,
        Meta(description="the IP address or host name to listen on", extra={"default": "all"}),
    ] = ""
    default_tail: Annotated[
        int,
        Meta(ge=0, le=100_000, description="lines of backlog where a reader does not say"),
    ] = 100
    buffer_namespace_mib: Annotated[
        int,
        Meta(ge=1, le=1_048_576, description="memory for the lines of one namespace"),
    ] = 16
    buffer_total_mib: Annotated[
        int,
        Meta(ge=1, le=1_048_576, description="memory for the lines of all namespaces"),
    ] = 256
    buffer_max_age_minutes: Annotated[int, Meta(ge=1, le=10_080, description="how long a line is kept, at most")] = 60
    data_dir: Annotated[
        Path,
        Meta(description="a directory to keep the backlog in, so that it and all cursors survive a restart"),
    ] = ""
    max_body_mib: Annotated[int, Meta(ge=1, le=1024, description="the largest request body, decompressed")] = 64
    duplicate_window_seconds: Annotated[
        int,
        Meta(ge=0, le=3600, description="a body that comes again within this time is not stored again; 0: off"),
    ] = 120
    max_line_kib: Annotated[int, Meta(ge=1, le=1024, description="a longer line is cut, and says so")] = 256
    max_readers: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="readers at one time; more are answered 503"),
    ] = 10_000
    flush_interval_ms: Annotated[
        int,
        Meta(ge=1, le=1000, description="time between writes to a reader, under load"),
    ] = 20
    stall_timeout_seconds: Annotated[int, Meta(ge=1, le=3600, description="a reader that takes nothing is closed")] = 60
    drain_seconds: Annotated[
        int,
        Meta(ge=0, le=600, description="the time over which readers are closed at shutdown"),
    ] = 10
    allowed_origins: Annotated[
        Origins,
        Meta(description="origins of browsers that may read, separated by commas", extra={"default": "*"}),
    ] = ("*",)
    frame_ancestors: Annotated[
        Ancestors,
        Meta(description="origins of pages that may frame the viewer; or none, or *", extra={"default": "self"}),
    ] = "'self'"
    public_url: Annotated[PublicUrl, Meta(description="what signed links begin with; without it, they are paths")] = ""
    trusted_proxies: Annotated[
        Networks,
        Meta(
            description="networks of proxies whose X-Forwarded-For is believed, separated by commas",
            extra={"default": ""},
        ),
    ] = ()
    nats_url: Annotated[
        NatsUrls,
        Meta(
            description="NATS servers, separated by commas: any number of replicas share a JetStream stream",
            extra={"default": ""},
        ),
    ] = ()
    nats_credentials: Annotated[Path, Meta(description="the path of a credentials file for NATS")] = ""
    nats_stream: Annotated[StreamName, Meta(description="the name of the stream; subjects begin with it")] = "LOGURT"
    nats_replicas: Annotated[int, Meta(ge=1, le=5, description="copies of the stream on servers of NATS")] = 1
    nats_max_gib: Annotated[
        int,
        Meta(ge=1, le=1_048_576, description="disk for the stream, reserved on each server when it is made"),
    ] = 10
    log_format: Annotated[
        LogFormat,
        Meta(description="how logurt writes its own log: text, or json for an object a line"),
    ] = "text"
    log_level: Annotated[
        LogLevel,
        Meta(description="how much logurt logs of itself: debug, info, warning, error"),
    ] = "info"

    def __post_init__(self) -> None:
        """Have Fluent Bit use the API secret where it has none of its own."""
        if not self.ingest_secret:
            msgspec.structs.force_setattr(self, "ingest_secret", self.api_secret)

    def __repr__(self) -> str:
        """Return all settings but the secrets."""
        shown = (f"{one.field}={getattr(self, one.field)!r}" for one in VARIABLES if not one.is_secret)
        return f"Settings({', '.join(shown)})"


class Variable(NamedTuple):
    """One environment variable: how it is read, and what documentation says of it."""

    field: str  # in Settings
    read: Callable[[str], object]
    meaning: str
    default: str  # as one would write it; empty where it has none
    bounds: tuple[int, int] | None  # of a whole number, both included
    required: bool  # there is no start without it
    is_secret: bool

    @property
    def name(self) -> str:
        """The name of the variable."""
        return self.field.upper()


def _variable(field: msgspec.structs.FieldInfo) -> Variable:
    notes = [note for note in get_args(field.type) if isinstance(note, Meta)]
    extra = {name: value for note in notes for name, value in (note.extra or {}).items()}
    last = notes[-1]
    bounds = None if last.ge is None or last.le is None else (int(last.ge), int(last.le))
    return Variable(
        field.name,
        partial(whole_number, *bounds) if bounds else extra["read"],
        last.description or "",
        extra.get("default", "" if field.required else str(field.default)),
        bounds,
        field.required,
        extra.get("is_secret", False),
    )


VARIABLES = tuple(map(_variable, msgspec.structs.fields(Settings)))


class SettingsError(Exception):
    """Settings that cannot be started with. `problems` has a clause each; none of them holds a value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return f"bad settings: {'; '.join(self.problems)}"


def from_mapping(variables: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables; others than those in VARIABLES are ignored.

    Raises SettingsError with every problem at once.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        text = variables.get(variable.name, "")
        if not text:
            if variable.required:
                problems.append(f"{variable.name} is missing")
            continue
        try:
            values[variable.field] = variable.read(text)
        except Refused as refused:
            problems.append(f"{variable.name} {refused}")
    if problems:
        raise SettingsError(tuple(problems))
    settings = Settings(**values)
    if settings.data_dir and settings.nats_url:
        raise SettingsError(("DATA_DIR and NATS_URL must not both be set: lines are kept in one place",))
    if settings.buffer_total_mib < settings.buffer_namespace_mib:
        raise SettingsError(("BUFFER_TOTAL_MIB must not be less than BUFFER_NAMESPACE_MIB",))
    return settings
