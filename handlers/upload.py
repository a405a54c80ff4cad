"""Uploads: requests with logs, from their heads to their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from handlers.body import Body
from ingest.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from handlers.services import Services


class Peer(NamedTuple):
    """Who sends: its address, whether it has gone, and how many bytes have come of it that nobody has received yet."""

    address: str
    has_gone: Callable[[], bool]
    waiting: Callable[[], int]


class Upload:
    """A request with logs: what its head says, what has come of its body, and its place among those with its tag.

    `headers` are known by names spelled like `Content-Type`. It must be closed.
    """

    __slots__ = ("body", "headers", "peer", "tag", "turn")

    def __init__(self, services: Services, headers: Mapping[str, str], peer: Peer) -> None:
        self.headers = headers
        self.peer = peer
        self.tag = headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
        self.body = Body(services.bodies, services.settings.max_body_mib << 20, peer.address)
        self.turn = services.turns.take(self.tag and f"{peer.address} {self.tag}", self._received)

    def admit(self, services: Services, credentials: Sequence[str], length: int | None) -> None:
        """Authenticate the sender; refuse the body if that fails, if the server is stopping, or if it is too long.

        `length` is the body's, None if it is not known yet.
        """
        try:
            services.ingest_secrets.check(credentials)
            services.sessions.check_not_stopping()
            if length is not None and length > self.body.limit:
                raise BodyTooLarge(self.body.limit)  # noqa: TRY301 - refused like the others
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer once the body is over
            self.body.refuse(error)
            self.turn.end()

    def _received(self) -> int:
        return self.body.arrived + self.peer.waiting()

    def close(self) -> None:
        """Give back the memory of the body, and let the next request with this tag have its turn."""
        self.turn.end()
        self.body.release()
