"""Brokers: they give chunks their sequence numbers, and deliver them to the hub."""

from __future__ import annotations

import asyncio
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buffer.chunk import Chunk
    from buffer.source import Source


class BrokerUnavailable(Exception):
    """The broker cannot take chunks now; the sender must try again. `problem` is a clause for the log and /readyz."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return "the broker cannot take logs now"


class Lagging(Exception):
    """What a reader has seen elsewhere has not come here, and nobody can say now whether it will."""

    def __str__(self) -> str:
        return "this server has not received yet what the cursor stands for"


class Receiver(Protocol):
    """What a broker delivers to: the hub. Nothing here waits or raises."""

    def receive(self, chunk: Chunk) -> None:
        """Take a numbered chunk. Its number is higher than all before in its namespace."""

    def lose(self, source: Source, seq: int, lines: int | None) -> None:
        """Note that the broker has let go of lines of a source before they came here; None if it cannot say how many.

        `seq` is the number of the last chunk of these. Told after what has lower numbers in that namespace, and before
        the next chunk of that source.
        """

    def skip(self, first: int, until: int) -> None:
        """Note that nobody knows what the numbers from `first` to before `until` stood for: a cursor there is doubtful.

        A cursor for the first line of `first` is not: its reader has seen what came before, and nothing else.
        """

    def reach(self, namespace: str, seq: int) -> None:
        """Note that the numbers of a namespace have reached `seq`: a chunk up to there that has not come is gone."""

    def begin_load(self, namespace: str) -> None:
        """Note that what is kept of a namespace comes from now on: until `end_load`, there is more of it to come."""

    def end_load(self, namespace: str) -> None:
        """Note that all that is kept of a namespace has come. Said only after `begin_load`, unless it is forgotten."""

    def forget(self, namespace: str) -> None:
        """Drop what is held of a namespace that is no longer followed. Nothing of it is lost: it can come again."""

    def restart(self, epoch: str) -> None:
        """Drop everything: the numbering has started anew."""


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
        """What keeps the broker from taking chunks now, as a clause; empty if it takes them."""

    @property
    def weakness(self) -> str:
        """What the broker cannot promise now, although it takes chunks, as a clause; empty if all is well."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What the broker counts, by name, for /metrics. The names are few, and always the same."""

    async def start(self, receiver: Receiver) -> None:
        """From now on, deliver to this receiver, first what has been kept from before. Raises BrokerUnavailable."""

    async def publish(self, chunks: Sequence[Chunk], key: bytes = b"") -> None:
        """Store all chunks of a request. Once this returns, they will be delivered wherever they are followed.

        May be begun outside of a task, where the timeouts of asyncio do not work until it has waited for something.
        `key` names the request: a request that comes again has the same one; empty if that cannot be told. Raises
        BrokerUnavailable unless all chunks were stored; then all of them must be published again, with the same key.
        """

    async def follow(self, namespace: str, seq: int = 0, epoch: str = "", *, whole: bool = True) -> bool:
        """Return once what is kept of a namespace has been delivered; from then on, what comes is delivered too.

        Unless the `whole` of it is waited for, return as soon as it is known when that will be: either it is, or the
        receiver has been told that it is being loaded (see `Receiver.begin_load`). Brokers that have delivered all that
        they keep by the end of `start` never load anything.

        `seq` is a number that a reader has seen already, here or elsewhere, in the numbering named `epoch` (empty: the
        present one): wait until it has been delivered as well, if the broker has it. Return whether lines after it may
        have gone without a trace before the namespace was followed. Raises Lagging if nobody can say whether the broker
        has it; otherwise, what cannot be had now is delivered later. Each call needs a `release`, even one that was
        cancelled or has raised.
        """

    def release(self, namespace: str) -> None:
        """Let go of a namespace that was followed; after the last such call it may be forgotten.

        May still be called once the broker is closed.
        """

    async def close(self) -> None:
        """Close connections and files. Nothing is delivered after that."""


# How long chunks are delivered before others get a turn, in seconds: a body may have many, and each may have many
# readers.
TURN_SECONDS = 0.005


class MemoryBroker:
    """The broker of a single process: numbers chunks and delivers them at once."""

    problem = weakness = ""
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(6)
        self._seq = 0
        self._receiver: Receiver | None = None  # once started

    async def start(self, receiver: Receiver) -> None:
        """From now on, deliver chunks to this receiver."""
        self._receiver = receiver

    async def publish(self, chunks: Sequence[Chunk], key: bytes = b"") -> None:  # noqa: ARG002 - the port's signature
        """Deliver all chunks before returning. Raises BrokerUnavailable before the start."""
        if self._receiver is None:
            raise BrokerUnavailable("it has not been started")
        until = 0.0
        for number, chunk in enumerate(chunks):
            if number:  # nearly always there is but one, and clocks take time
                now = asyncio.get_running_loop().time()
                if until and now > until:
                    await asyncio.sleep(0)
                    until = 0.0
                until = until or now + TURN_SECONDS
            self._seq += 1
            chunk.seq = self._seq
            self._receiver.receive(chunk)

    async def follow(self, namespace: str, seq: int = 0, epoch: str = "", *, whole: bool = True) -> bool:  # noqa: ARG002 - the port's signature
        """Return at once: what is kept of any namespace has been delivered."""
        return False

    def release(self, namespace: str) -> None:
        """Do nothing: no namespace is ever forgotten."""

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""
