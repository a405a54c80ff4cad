"""What ends a command, or makes it wait and try again. The text of each is the sentence that its user reads."""

from __future__ import annotations

from http import HTTPStatus

from cli.ansi import harmless
from protocol import EXPIRED

# Answers that say "not now": a server that stops or has too many readers, or a proxy that finds no server.
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

_FROM_GATEWAYS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class Failure(Exception):
    """Something that keeps a command from going on."""

    passes = False  # whether another try may succeed
    exit_code = 1

    @property
    def hint(self) -> str:
        """What the user can do about it, or empty."""
        return ""


class BadInput(Failure):
    """An argument or a variable that cannot be used."""

    exit_code = 2

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class Unreachable(Failure):
    """No HTTP answer came from `url`."""

    passes = True

    def __init__(self, url: str, problem: str, *, is_local: bool) -> None:
        super().__init__(url, problem)
        self.url = url
        self.problem = problem
        self.is_local = is_local

    def __str__(self) -> str:
        return f"cannot reach {self.url}: {harmless(self.problem)}"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        if not self.is_local:
            return "Is it the right --url?"
        return "Is the server running, or forwarded with `kubectl port-forward service/logurt 8080`?"


class Untrusted(Unreachable):
    """A server whose certificate is not trusted here."""

    def __str__(self) -> str:
        return f"the certificate of {self.url} is not trusted: {harmless(self.problem)}"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        return "Is it the right --url? SSL_CERT_FILE can name a file of certificates to trust."


class WrongScheme(Failure):
    """Plain HTTP was spoken to a server that wants TLS, or TLS to one that wants plain HTTP. `right` is the URL."""

    def __init__(self, url: str, right: str) -> None:
        super().__init__(url, right)
        self.url = url
        self.right = right

    def __str__(self) -> str:
        wanted = "TLS" if self.right.startswith("https:") else "plain HTTP, not TLS"
        return f"the server at {self.url} speaks {wanted}"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        return f"Use --url {self.right}"


class Redirected(Failure):
    """A redirect to another URL. `location` has no query; `right` is the server's URL there if it is known."""

    def __init__(self, url: str, location: str, right: str = "") -> None:
        super().__init__(url, location, right)
        self.url = url
        self.location = location
        self.right = right

    def __str__(self) -> str:
        return f"{self.url} redirects to {harmless(self.location)}"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        return f"Use --url {harmless(self.right)}" if self.right else "Is it the right --url?"


class NoWebSocket(Failure):
    """An HTTP answer in place of a WebSocket. `is_logurt`: the answer of /healthz is logurt's nevertheless."""

    def __init__(self, url: str, status: int, media_type: str = "", *, is_logurt: bool = False) -> None:
        super().__init__(url, status, media_type)
        self.url = url
        self.status = status
        self.media_type = media_type
        self.is_logurt = is_logurt

    def __str__(self) -> str:
        answer = f"HTTP status {self.status}{f', {harmless(self.media_type)}' if self.media_type else ''}"
        if self.is_logurt:
            return f"{self.url} is logurt, but behind something that does not let WebSockets through ({answer})"
        return f"{self.url} does not open a WebSocket ({answer})"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        enable = (
            "Enable WebSocket upgrades in that proxy; nginx wants proxy_http_version 1.1 and the headers Upgrade and "
            "Connection passed on."
        )
        return enable if self.is_logurt else f"Is it the right --url, and is a proxy in front of logurt? {enable}"


class Refused(Failure):
    """An HTTP answer other than the one hoped for. `reason` is the server's sentence, or empty."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(what, status, reason)
        self.what = what
        self.status = status
        self.reason = reason

    @property
    def passes(self) -> bool:  # type: ignore[override]  # a fact of the status
        """Whether the same request may succeed later."""
        return self.status in _PASSING or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    def __str__(self) -> str:
        if self.reason:
            return f"the server refuses {self.what}: {harmless(self.reason)} ({self.status})"
        return f"the server refuses {self.what} with HTTP status {self.status}"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        if self.reason:
            return ""
        if self.status in _FROM_GATEWAYS:
            return "It comes from a proxy that has no logurt to pass the request on to."
        return "Is it logurt, and is the --url right?"


class Ended(Failure):
    """A WebSocket that the server has closed for good (RFC 6455, section 7.4)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        if self.code == EXPIRED.code:
            return "the token has expired: ask for a new one"
        return f"the server has ended the stream: {harmless(self.reason) or 'no reason given'} ({self.code})"


class NotLogurt(Failure):
    """An answer that makes no sense: something else listens there."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return f"what answers at {self.url} does not speak as a logurt server does"

    @property
    def hint(self) -> str:
        """What the user can do about it."""
        return "Is it the right --url?"
