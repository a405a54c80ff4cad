"""Requests that have begun and are not over yet, so that a stop can wait for them."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Inflight:
    """The requests in flight, each known by its connection."""

    def __init__(self) -> None:
        self._requests: set[object] = set()
        self._over: asyncio.Event | None = None  # while somebody waits for it

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, request: object) -> bool:
        return request in self._requests

    def add(self, request: object) -> None:
        """Note that a request has begun."""
        self._requests.add(request)

    def remove(self, request: object) -> None:
        """Note that a request is over. Does nothing the second time."""
        self._requests.discard(request)
        if self._over is not None and not self._requests:
            self._over.set()
            self._over = None

    async def over(self, seconds: float) -> None:
        """Wait until no request is in flight, but only for so many seconds."""
        if self._requests:
            self._over = self._over or asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), seconds)
