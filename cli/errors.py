"""What ends a client, or makes it wait and come back. The text of each is the sentence that its user reads."""

from __future__ import annotations

from http import HTTPStatus

from cli.ansi import harmless
from protocol import EXPIRED

# Answers that say "not now": a server that stops or has too many readers, or a proxy that finds none.
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Failure(Exception):
    """Something that a client cannot go on after."""

    passes = False  # whether it may be gone when the client tries again
    exit_code = 1


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
        sentence = f"cannot reach {self.url}: {self.problem}"
        if not self.is_local:
            return f"{sentence}\nIs it the right --url?"
        return f"{sentence}\nIs the server running, or forwarded with `kubectl port-forward service/logurt 8080`?"


class Refused(Failure):
    """An HTTP answer other than the one hoped for. `told` is the server's sentence, or empty."""

    def __init__(self, what: str, status: int, told: str) -> None:
        super().__init__(what, status, told)
        self.what = what
        self.status = status
        self.told = told

    @property
    def passes(self) -> bool:  # type: ignore[override]  # a fact of the status
        """Whether the same request may succeed later."""
        return self.status in _PASSING or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    def __str__(self) -> str:
        if self.told:
            return f"the server refuses {self.what}: {harmless(self.told)} ({self.status})"
        return f"the server refuses {self.what} with HTTP status {self.status}: is it logurt, and is the --url right?"


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
