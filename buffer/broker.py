"""Brokers: they give chunks their sequence numbers, and deliver them to the hub."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk


class BrokerUnavailable(Exception):
    """The broker cannot take chunks now; the sender must try again. `problem` is a clause for the log and /readyz."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return "the broker cannot take logs now"


class Broker(Protocol):
    """Numbers chunks and delivers them, including those that this process has published.

    Numbers grow, and may have holes. The chunks of a namespace are delivered in the order of their numbers; those of
    one call of `publish` are numbered in the order given.
    """

    @property
    def epoch(self) -> str:
        """The name of the numbering. A new epoch means that the numbers have started anew."""

    @property
    def problem(self) -> str:
        """What keeps the broker from taking chunks now, as a clause; empty if it is well."""

    async def start(self, deliver: Callable[[Chunk], None]) -> None:
        """From now on, deliver chunks to this callable, which must not raise. Raises BrokerUnavailable."""

    async def publish(self, chunks: Sequence[Chunk]) -> None:
        """Store all chunks of a request. Once this returns, they will be delivered.

        Raises BrokerUnavailable unless all of them were stored; then all of them must be published again.
        """

    async def close(self) -> None:
        """Close connections and files. Nothing is delivered after that."""


# How long chunks are delivered before others get a turn, in seconds: a body may have many, and each may have many
# readers.
_TURN_SECONDS = 0.005


class MemoryBroker:
    """The broker of a single process: numbers chunks and delivers them at once."""

    problem = ""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(6)
        self._seq = 0
        self._deliver: Callable[[Chunk], None] | None = None  # once started

    async def start(self, deliver: Callable[[Chunk], None]) -> None:
        """From now on, deliver chunks to this callable."""
        self._deliver = deliver

    async def publish(self, chunks: Sequence[Chunk]) -> None:
        """Deliver all chunks before returning. Raises BrokerUnavailable before the start."""
        if self._deliver is None:
            raise BrokerUnavailable("it has not been started")
        time = asyncio.get_running_loop().time
        until = time() + _TURN_SECONDS
        for chunk in chunks:
            if time() > until:
                await asyncio.sleep(0)
                until = time() + _TURN_SECONDS
            self._seq += 1
            chunk.seq = self._seq
            self._deliver(chunk)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""
