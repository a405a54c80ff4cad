"""What can be set from outside: one frozen value, built once from a mapping of environment variables.

Each setting stands once, as a field of Settings: the variable has its name in capitals. A variable that is set to
nothing counts as unset, in the environment and in the .env file alike.
"""

from __future__ import annotations

import ipaddress
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, get_args

import jwt
import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A key of HS256 is at least as long as its hash (RFC 7518, section 3.2).
_JWT_KEY_BYTES = 32

# RFC 1123, section 2.1; underscores too, since service names of container networks have them.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# RFC 6454, section 6.2: scheme, host and port, and nothing else.
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?://[^/?#\s]+)(|/[A-Za-z0-9._~%/-]*)", re.IGNORECASE)

# int() alone takes "+5", "1_000" and the digits of other scripts, and has words of its own for 5000 of them.
_DIGITS = re.compile("[0-9]{1,20}")

_LOG_LEVELS = ("debug", "info", "warning", "error")


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Refused(Exception):
    """A value that cannot be used; the text goes after the name of the variable and never holds the value."""


def _whole_number(low: int, high: int, text: str) -> int:
    digits = text.strip()
    if _DIGITS.fullmatch(digits) and low <= int(digits) <= high:
        return int(digits)
    raise _Refused(f"must be a whole number from {low} to {high}")


def _secret(text: str) -> str:
    # It travels in a header field, whose ends are stripped and whose other bytes are read in many ways.
    if all("!" <= character <= "~" for character in text):
        return text
    raise _Refused("must be visible ASCII characters without spaces or line ends")


def _jwt_key(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _Refused("must be UTF-8 text") from None
    if size < _JWT_KEY_BYTES:
        raise _Refused(f"must be at least {_JWT_KEY_BYTES} bytes long")
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(text)
    except jwt.InvalidKeyError:
        # Better no start than a server that fails to sign every single token.
        raise _Refused("must be a plain secret, not a PEM, SSH or JSON key") from None
    return text


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    last = text.rstrip(".").rpartition(".")[2]
    # A name that ends with a number is a mistyped IPv4 address.
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not last.isdigit()


def _address(text: str) -> str:
    address = text.strip()
    if _is_ip_address(address) or _is_host_name(address.lower()):
        return address
    raise _Refused("must be an IP address or a host name")


def _origin(text: str) -> str:
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise _Refused("must be * or origins like https://example.com, separated by commas")
    scheme, host, port = match.groups()
    if not (_is_ip_address(host.strip("[]")) or _is_host_name(host)):
        raise _Refused("must name a host in every origin")
    if port is not None and not 1 <= int(port) <= 65535:
        raise _Refused("must have ports from 1 to 65535 in its origins")
    # Browsers leave a scheme's own port out of the Origin header field (RFC 6454, section 6.2).
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(dict.fromkeys(_origin(part.strip()) for part in text.split(",") if part.strip()))
    if not origins:
        raise _Refused("must name an origin, or * for all")
    return origins


def _url(text: str) -> str:
    match = _URL.fullmatch(text.strip())
    if match is None:
        raise _Refused("must be like https://example.com or https://example.com/logs")
    return f"{_origin(match[1])}{match[2]}".rstrip("/")


def _ancestors(text: str) -> str:
    # Shells take the quotes off the keywords of a policy (CSP Level 3, section 2.3.1).
    parts = [part.strip(" '") for part in text.split(",")]
    return " ".join(f"'{part}'" if part in {"self", "none"} else _origin(part) for part in parts)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise _Refused("must be networks like 10.0.0.0/8, separated by commas") from None


def _choice(choices: tuple[str, ...], text: str) -> str:
    choice = text.strip().lower()
    if choice in choices:
        return choice
    raise _Refused(f"must be one of {', '.join(choices)}")


# How text is read that is no number. Secrets are not shown.
Secret: TypeAlias = Annotated[str, Meta(extra={"read": _secret, "is_secret": True})]
SigningKey: TypeAlias = Annotated[str, Meta(extra={"read": _jwt_key, "is_secret": True})]
Address: TypeAlias = Annotated[str, Meta(extra={"read": _address})]
PublicUrl: TypeAlias = Annotated[str, Meta(extra={"read": _url})]
Ancestors: TypeAlias = Annotated[str, Meta(extra={"read": _ancestors})]
Origins: TypeAlias = Annotated[tuple[str, ...], Meta(extra={"read": _origins})]
Networks: TypeAlias = Annotated[tuple[Network, ...], Meta(extra={"read": _networks})]
LogFormat: TypeAlias = Annotated[str, Meta(extra={"read": partial(_choice, ("text", "json"))})]
LogLevel: TypeAlias = Annotated[str, Meta(extra={"read": partial(_choice, _LOG_LEVELS)})]


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
        partial(_whole_number, *bounds) if bounds else extra["read"],
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
        except _Refused as refused:
            problems.append(f"{variable.name} {refused}")
    if problems:
        raise SettingsError(tuple(problems))
    settings = Settings(**values)
    if settings.buffer_total_mib < settings.buffer_namespace_mib:
        raise SettingsError(("BUFFER_TOTAL_MIB must not be less than BUFFER_NAMESPACE_MIB",))
    return settings
