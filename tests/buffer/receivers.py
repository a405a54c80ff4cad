"""A receiver that keeps what brokers deliver, in the order in which it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk
    from buffer.source import Source


class Recorder:
    """Keeps what it is told. `on_chunk` is called for each chunk that comes."""

    def __init__(self, on_chunk: Callable[[Chunk], object] = lambda _: None) -> None:
        self.chunks: list[Chunk] = []
        self.losses: list[tuple[Source, int, int | None]] = []
        self.skipped: list[tuple[int, int]] = []
        self.reached: list[tuple[str, int]] = []
        self.forgotten: list[str] = []
        self.epochs: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self._on_chunk = on_chunk
        self._came = asyncio.Event()

    async def until(self, count: int) -> None:
        """Return once so many lines have come, which takes some time if they come from elsewhere."""
        async with asyncio.timeout(20):
            while len(self.texts) < count:
                self._came.clear()
                await self._came.wait()

    @property
    def texts(self) -> list[str]:
        return [line.decode() for chunk in self.chunks for line in chunk.lines()]

    @property
    def seqs(self) -> list[int]:
        return [chunk.seq for chunk in self.chunks]

    def receive(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._on_chunk(chunk)
        self._came.set()

    def lose(self, source: Source, seq: int, lines: int | None) -> None:
        self.losses.append((source, seq, lines))

    def skip(self, first: int, until: int) -> None:
        self.skipped.append((first, until))

    def reach(self, namespace: str, seq: int) -> None:
        self.reached.append((namespace, seq))

    def begin_load(self, namespace: str) -> None:
        self.loads.append((namespace, "begins"))

    def end_load(self, namespace: str) -> None:
        self.loads.append((namespace, "ends"))

    def forget(self, namespace: str) -> None:
        self.forgotten.append(namespace)

    def restart(self, epoch: str) -> None:
        self.epochs.append(epoch)
