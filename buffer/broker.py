"""Brokers: where chunks get their sequence numbers, and come back from."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk


class BrokerUnavailable(Exception):
    """The broker cannot take chunks now; they must come again. `problem` is a clause for the log and for /readyz."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return "the broker cannot take logs now"


class Broker(Protocol):
    """Numbers chunks and delivers them, also to itself.

    Numbers grow, and may have holes. Chunks of one namespace are delivered in the order of their numbers; those of one
    call of `publish` get theirs in the order given.
    """

    @property
    def epoch(self) -> str:
        """Name of the numbering; another one means that numbers have started anew."""

    @property
    def problem(self) -> str:
        """What keeps the broker from taking chunks now, as a clause; empty if it is well."""

    async def start(self, deliver: Callable[[Chunk], None]) -> None:
        """Deliver chunks to this callable, which must not raise, from now on. Raises BrokerUnavailable."""

    async def publish(self, chunks: Sequence[Chunk]) -> None:
        """Store all chunks of a request; once this returns they will be delivered.

        Raises BrokerUnavailable if not all were stored: then all of them must come again.
        """

    async def close(self) -> None:
        """Let go of connections and files. Nothing is delivered after that."""


# How long chunks are delivered before others get their turn, in seconds: a body may have many, and each many readers.
_TURN_SECONDS = 0.005


class MemoryBroker:
    """The broker of a single process: numbers chunks and delivers them at once."""

    problem = ""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(6)
        self._seq = 0

    async def start(self, deliver: Callable[[Chunk], None]) -> None:
        """Deliver chunks to this callable from now on."""
        self._deliver = deliver

    async def publish(self, chunks: Sequence[Chunk]) -> None:
        """Deliver all chunks before this returns."""
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
        """Do nothing: there is nothing to let go of."""
