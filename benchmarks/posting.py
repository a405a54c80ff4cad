"""Lines posted at a steady rate, as the Fluent Bits of many nodes do: each pod posts a batch every second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from benchmarks.connection import Connection
from benchmarks.fluentbit import Stamped

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.server import Server


class Posting:
    """Pods of a namespace that together write `rate` lines a second, each on a connection of its own.

    Each posts once a second, as Fluent Bit flushes, and their posts are spread evenly over the second. A post carries
    the time when it was due, in nanoseconds of the monotonic clock, so that a server does not look fast by answering
    late.
    """

    def __init__(self, server: Server, namespace: str, rate: int, pods: int) -> None:
        pods = min(pods, rate)
        self._batches = [Stamped(namespace, f"web-{number}", max(1, rate // pods)) for number in range(pods)]
        self._connections = [Connection(server) for _ in range(pods)]
        self._interval = 1 / pods

    def run(self, seconds: float) -> int:
        """Post for that many seconds and wait for the answers; return how many lines that made."""
        begin, lines = time.monotonic(), 0
        for number in range(round(seconds / self._interval)):
            due = begin + number * self._interval
            time.sleep(max(0.0, due - time.monotonic()))
            place = number % len(self._batches)
            batch = self._batches[place]
            self._connections[place].send(batch.body(int(due * 1e9)))
            lines += batch.count
        for connection in self._connections:
            connection.finish()
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.close()
