"""Peers: how many replicas publish. Each sees its part of what a source writes, and none of them sees all."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

    from buffer.jetstream.connection import Connection

# A replica that has said nothing for so long, in seconds, publishes no longer.
_SILENT_SECONDS = 15
_MAX_PEERS = 1000


class Peers:
    """The replicas that have published lately, this one among them if it has."""

    def __init__(self, connection: Connection, subject: str, monotonic: Callable[[], float]) -> None:
        self._name = secrets.token_bytes(8)
        self._connection = connection
        self._subject = subject
        self._monotonic = monotonic
        self._heard: dict[bytes, float] = {}
        connection.hear(subject, self._hear)

    def count(self) -> int:
        """Return how many there are, at least 1."""
        oldest = self._monotonic() - _SILENT_SECONDS
        self._heard = {name: when for name, when in self._heard.items() if when > oldest}
        return max(1, len(self._heard))

    def announce(self) -> None:
        """Tell the others that this one publishes."""
        self._connection.tell(self._subject, self._name)

    def _hear(self, msg: Msg) -> None:
        name = msg.data[:8]
        if name in self._heard or len(self._heard) < _MAX_PEERS:
            self._heard[name] = self._monotonic()
