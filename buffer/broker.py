"""Brokers: where chunks get their sequence numbers, and come back from."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buffer.chunk import Chunk


class BrokerUnavailable(Exception):
    """The broker cannot take chunks now; they must come again."""

    def __str__(self) -> str:
        return "the broker cannot take logs now"


class Broker(Protocol):
    """Numbers chunks and delivers them.

    Numbers grow, and may have holes. Chunks of one namespace are delivered in the order of their numbers; those of
    one call of `publish` in the order given.
    """

    @property
    def epoch(self) -> str:
        """Name of the numbering; another one means that numbers have started anew."""

    def subscribe(self, deliver: Callable[[Chunk], None]) -> None:
        """Have all chunks delivered to this callable, which must not raise. To be called once, before anything else."""

    async def publish(self, chunks: Iterable[Chunk]) -> None:
        """Store chunks; once this returns they will be delivered. Raises BrokerUnavailable if not all were taken."""


class MemoryBroker:
    """The broker of a single process: numbers chunks and delivers them at once."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(6)
        self._seq = 0

    def subscribe(self, deliver: Callable[[Chunk], None]) -> None:
        """Have all chunks delivered to this callable."""
        self._deliver = deliver

    async def publish(self, chunks: Iterable[Chunk]) -> None:
        """Deliver chunks before this returns."""
        for chunk in chunks:
            self._seq += 1
            chunk.seq = self._seq
            self._deliver(chunk)
