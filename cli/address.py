"""Where a server is, and what a link to it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_URL = "http://localhost:8080"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443}
# What a link has after the server's own URL.
_LINK_PATHS = ("/logs", "/view", "/api/sign")


class Address(NamedTuple):
    """A server, and what a link to it asks for.

    `url` has no slash at its end; `token` is empty if the link has none; `parameters` are the link's others.
    """

    url: str
    token: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a URL, or `host:port`, or a link that came with a token. Raises BadInput."""
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            has_port = parts.port is not None
        except ValueError:
            raise BadInput(f"the URL makes no sense: {text!r}") from None
        scheme, host = _SCHEMES.get(parts.scheme), parts.hostname
        if scheme is None or not host or not text.isprintable() or " " in text:
            raise BadInput(f"the URL must be like {DEFAULT_URL}, not {text!r}")
        if parts.username is not None:
            raise BadInput("the URL must not hold a user name or a password")
        host = f"[{host}]" if ":" in host else host
        path = parts.path.rstrip("/")
        for one in _LINK_PATHS:
            path = path.removesuffix(one)
        # A link to the page for browsers keeps everything in its fragment, which browsers never send.
        pairs = parse_qsl(f"{parts.query}&{parts.fragment}", keep_blank_values=True)
        tokens = [value for name, value in pairs if name == "token"]
        return cls(
            f"{scheme}://{host}{f':{parts.port}' if has_port else ''}{path}",
            tokens[0] if tokens else "",
            tuple((name, value) for name, value in pairs if name != "token"),
        )

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where a forwarded port would be."""
        return self.endpoint[0] in {"localhost", "127.0.0.1", "::1"}

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken there."""
        return self.url.startswith("https:")

    @property
    def endpoint(self) -> tuple[str, int]:
        """The host and the port to connect to."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]

    @property
    def other_scheme(self) -> str:
        """The URL of the same port with plain HTTP in place of TLS, or the other way round."""
        parts = urlsplit(self.url)
        netloc = parts.netloc if parts.port else f"{parts.netloc}:{self.endpoint[1]}"
        return parts._replace(scheme="http" if self.is_tls else "https", netloc=netloc).geturl()

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the link, each with all of its values."""
        query: dict[str, list[str]] = {}
        for name, value in self.parameters:
            query.setdefault(name, []).append(value)
        return query

    def logs(self, query: Mapping[str, Sequence[str]]) -> str:
        """Return the URL of a WebSocket of lines."""
        # http becomes ws, https becomes wss (RFC 6455, section 3).
        return f"ws{self.url[4:]}/logs?{urlencode(query, doseq=True)}"

    def resolve(self, reference: str) -> str:
        """Return the URL of a path on the server; a URL stays as it is."""
        return reference if "://" in reference else f"{self.url}{reference}"

    def link(self, token: str, **query: str) -> str:
        """Return the link that a token opens."""
        return self.resolve(f"/logs?{urlencode({'token': token, **query})}")
