"""What can be set from outside: one frozen value, built once from a mapping of environment variables.

A variable that is set to nothing counts as unset, in the environment and in the .env file alike.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A key of HS256 is at least as long as its hash (RFC 7518, 3.2).
_JWT_KEY_BYTES = 32

# RFC 1123, 2.1; underscores too, since service names of container networks have them.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# RFC 6454, 6.2: scheme, host and port, and nothing else.
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}

# int() alone takes "+5", "1_000" and the digits of other scripts, and has words of its own for 5000 of them.
_DIGITS = re.compile("[0-9]{1,20}")

_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, in the units of their names. An empty ingest_secret becomes api_secret."""

    api_secret: str = field(repr=False)
    jwt_signing_key: str = field(repr=False)
    ingest_secret: str = field(default="", repr=False)
    api_secret_previous: str | None = field(default=None, repr=False)
    ingest_secret_previous: str | None = field(default=None, repr=False)
    jwt_signing_key_previous: str | None = field(default=None, repr=False)
    jwt_expiration_minutes: int = 60
    port: int = 8080
    address: str = ""
    default_tail: int = 100
    buffer_namespace_mib: int = 16
    buffer_total_mib: int = 256
    buffer_max_age_minutes: int = 60
    max_body_mib: int = 64
    max_line_kib: int = 256
    max_readers: int = 10_000
    flush_interval_ms: int = 20
    stall_timeout_seconds: int = 60
    drain_seconds: int = 10
    allowed_origins: tuple[str, ...] = ("*",)
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not self.ingest_secret:
            object.__setattr__(self, "ingest_secret", self.api_secret)


class SettingsError(Exception):
    """Settings that cannot be started with. `problems` has a clause each; none of them holds a value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return f"bad settings: {'; '.join(self.problems)}"


class _RefusedError(Exception):
    """A value that cannot be used; the text goes after the name of the variable and never holds the value."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Reads a whole number of ASCII digits from low to high, both included."""

    low: int
    high: int

    def __call__(self, text: str) -> int:
        """Return the number. Raises an error that does not hold the text."""
        digits = text.strip()
        if _DIGITS.fullmatch(digits) and self.low <= int(digits) <= self.high:
            return int(digits)
        raise _RefusedError(f"must be a whole number from {self.low} to {self.high}")


def _secret(text: str) -> str:
    # It travels in a header field, whose ends are stripped and whose other bytes are read in many ways.
    if all("!" <= character <= "~" for character in text):
        return text
    raise _RefusedError("must be visible ASCII characters without spaces or line ends")


def _jwt_key(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _RefusedError("must be UTF-8 text") from None
    if size < _JWT_KEY_BYTES:
        raise _RefusedError(f"must be at least {_JWT_KEY_BYTES} bytes long")
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(text)
    except jwt.InvalidKeyError:
        # Said at the start, since otherwise every single token would fail.
        raise _RefusedError("must be a plain secret, not a PEM, SSH or JSON key") from None
    return text


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    last = text.rstrip(".").rpartition(".")[2]
    # A name that ends with a number is an IPv4 address that went wrong.
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not last.isdigit()


def _address(text: str) -> str:
    address = text.strip()
    if _is_ip_address(address) or _is_host_name(address.lower()):
        return address
    raise _RefusedError("must be an IP address or a host name")


def _origin(text: str) -> str:
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise _RefusedError("must be * or origins like https://example.com, separated by commas")
    scheme, host, port = match.groups()
    if not (_is_ip_address(host.strip("[]")) or _is_host_name(host)):
        raise _RefusedError("must name a host in every origin")
    if port is not None and not 1 <= int(port) <= 65535:
        raise _RefusedError("must have ports from 1 to 65535 in its origins")
    # Browsers leave a scheme's own port out of the Origin header field (RFC 6454, 6.2).
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(dict.fromkeys(_origin(part.strip()) for part in text.split(",") if part.strip()))
    if not origins:
        raise _RefusedError("must name an origin, or * for all")
    return origins


def _log_level(text: str) -> str:
    level = text.strip().lower()
    if level in _LOG_LEVELS:
        return level
    raise _RefusedError(f"must be one of {', '.join(_LOG_LEVELS)}")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how it is read, and what documentation says of it."""

    name: str
    read: Callable[[str], object]
    meaning: str
    shown_default: str = ""

    @property
    def field(self) -> str:
        """The name of its field in Settings."""
        return self.name.lower()

    @property
    def required(self) -> bool:
        """Whether there is no start without it."""
        return self.field in _REQUIRED

    @property
    def default(self) -> str:
        """Its default as one would write it, or empty where it has none."""
        return self.shown_default or _DEFAULTS.get(self.field, "")


_REQUIRED = {one.name for one in fields(Settings) if one.default is MISSING}
_DEFAULTS = {one.name: str(one.default) for one in fields(Settings) if type(one.default) in {int, str}}

VARIABLES: tuple[Variable, ...] = (
    Variable("API_SECRET", _secret, "signs tokens with `Authorization: Token ...`"),
    Variable("JWT_SIGNING_KEY", _jwt_key, "what tokens are signed with, HS256, at least 32 bytes"),
    Variable("JWT_EXPIRATION_MINUTES", WholeNumber(1, 525_600), "how long a token lives, at most"),
    Variable("PORT", WholeNumber(0, 65_535), "where to listen; 0 takes any free port"),
    Variable("INGEST_SECRET", _secret, "a credential for Fluent Bit that cannot sign", "API_SECRET"),
    Variable("API_SECRET_PREVIOUS", _secret, "still accepted while API_SECRET is being changed"),
    Variable("INGEST_SECRET_PREVIOUS", _secret, "still accepted while INGEST_SECRET is being changed"),
    Variable("JWT_SIGNING_KEY_PREVIOUS", _jwt_key, "tokens signed with it are still accepted"),
    Variable("ADDRESS", _address, "the IP address or host name to listen on", "all"),
    Variable("DEFAULT_TAIL", WholeNumber(0, 100_000), "lines of backlog where a reader does not say"),
    Variable("BUFFER_NAMESPACE_MIB", WholeNumber(1, 1_048_576), "memory for the lines of one namespace"),
    Variable("BUFFER_TOTAL_MIB", WholeNumber(1, 1_048_576), "memory for the lines of all namespaces"),
    Variable("BUFFER_MAX_AGE_MINUTES", WholeNumber(1, 10_080), "how long a line is kept, at most"),
    Variable("MAX_BODY_MIB", WholeNumber(1, 1024), "the largest request body, decompressed"),
    Variable("MAX_LINE_KIB", WholeNumber(1, 1024), "a longer line is cut, and says so"),
    Variable("MAX_READERS", WholeNumber(1, 1_000_000), "readers at one time; more are answered 503"),
    Variable("FLUSH_INTERVAL_MS", WholeNumber(1, 1000), "time between writes to a reader, under load"),
    Variable("STALL_TIMEOUT_SECONDS", WholeNumber(1, 3600), "a reader that takes nothing is closed"),
    Variable("DRAIN_SECONDS", WholeNumber(0, 600), "the time over which readers are closed at shutdown"),
    Variable("ALLOWED_ORIGINS", _origins, "origins of browsers that may read, separated by commas", "*"),
    Variable("LOG_LEVEL", _log_level, "how much logurt logs of itself: debug, info, warning, error"),
)


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
        except _RefusedError as refused:
            problems.append(f"{variable.name} {refused}")
    if problems:
        raise SettingsError(tuple(problems))
    settings = Settings(**values)
    if settings.buffer_total_mib < settings.buffer_namespace_mib:
        raise SettingsError(("BUFFER_TOTAL_MIB must not be less than BUFFER_NAMESPACE_MIB",))
    return settings
