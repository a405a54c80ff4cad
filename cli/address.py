"""Addresses: where a server is, and what it is asked there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_URL = "http://localhost:8080"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Address(NamedTuple):
    """A server: its URL without a slash at the end, and the token if the URL came with one, else empty."""

    url: str
    token: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a URL, or `host:port`, or the link to /logs that came with a token. Raises BadInput."""
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
        path = parts.path.rstrip("/").removesuffix("/logs")
        token = parse_qs(parts.query).get("token", [""])[0]
        return cls(f"{scheme}://{host}{f':{parts.port}' if has_port else ''}{path}", token)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where a forwarded port would be."""
        return urlsplit(self.url).hostname in {"localhost", "127.0.0.1", "::1"}

    def sign(self) -> str:
        """Return the URL that signs tokens."""
        return f"{self.url}/api/sign"

    def logs(self, query: Mapping[str, Sequence[str]]) -> str:
        """Return the URL of a WebSocket of lines."""
        # http becomes ws, https becomes wss (RFC 6455, section 3).
        return f"ws{self.url[4:]}/logs?{urlencode(query, doseq=True)}"

    def link(self, token: str, **query: str) -> str:
        """Return the link that a token opens."""
        return f"{self.url}/logs?{urlencode({'token': token, **query})}"
