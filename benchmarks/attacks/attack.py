"""What an attack is, and what it works with: a server and sizes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks.connection import INGEST, Connection, upgrade
from benchmarks.server import LOGURT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.server import Server

NAMESPACE = "attack"


class Sizes(NamedTuple):
    """How much there is of everything in the attacks, each of which lasts at most `seconds`."""

    seconds: float = 0.6
    body_bytes: int = 4 << 20
    searched_bytes: int = 2 << 20
    empty_bytes: int = 16 << 20
    chunks: int = 40_000
    expiring: int = 320_000
    heads: int = 40
    header_lines: int = 12_000
    stalled: int = 200
    joining: int = 500
    leaving: int = 4_000
    flooding: int = 100
    idle: int = 2_000
    sources: int = 20_000
    selecting: int = 200
    replaying: int = 20


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an attack takes place, and the requests it is made of."""

    server: Server
    sizes: Sizes

    @property
    def port(self) -> int:
        """The server's port."""
        return self.server.port

    def fill(self, bodies: Iterable[bytes]) -> None:
        """Post bodies one after the other, in preparation. Raises BadAnswer."""
        with Connection(self.server) as connection:
            for body in bodies:
                connection.post(body)

    def post(self, body: bytes, *fields: str, tag: str = "attack") -> bytes:
        """Return a request that posts a body and has the connection closed after its answer."""
        lines = [f"POST {INGEST} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Token {self.server.secret}"]
        lines += [*fields, f"Fluent-Tag: {tag}", "Connection: close", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def get(self, path: str, *fields: str) -> bytes:
        """Return a request for a path that has the connection closed after its answer."""
        return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *fields, "Connection: close", "", ""]).encode()

    def logs(self, **query: str) -> bytes:
        """Return a request for lines of the attacked namespace."""
        return self.get(self.server.path(NAMESPACE, labels=None, **query))

    def reader(self, **query: str) -> bytes:
        """Return a request for such lines on a WebSocket."""
        return upgrade(self.server.path(NAMESPACE, labels=None, **query))


# A generator that prepares the attack, yields, and attacks; while it holds connections it yields once more, to be
# looked at, and closes them when it is closed itself.
Course: TypeAlias = Generator[None, None, None]


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack, and the server it is aimed at: its settings, and the command that runs it."""

    name: str
    begin: Callable[[Ground], Course]
    settings: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = LOGURT
