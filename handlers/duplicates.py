"""Duplicates: bodies that come again because the answer to the first one got lost.

Fluent Bit sends a body again, byte for byte, if it has not seen an answer to it. Bodies are known again by a hash with
a secret seed: pods choose their lines, and must not be able to make one body look like another.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Hashes that are remembered at most; each takes some 100 bytes, and there are at most two generations of them.
MAX_REMEMBERED = 200_000


class StillStoring(Exception):
    """The same body is being stored at this moment: it has to come again."""

    def __str__(self) -> str:
        return "this body is being stored already: send it again later"


class Duplicates:
    """The bodies of the last `window` seconds, as far as MAX_REMEMBERED allows. `monotonic` returns seconds.

    Servers that share a secret know a body by the same key, and so does one that has been started again.

    They are remembered in two generations: once the younger one is a window old, or full, the older one is forgotten.
    """

    def __init__(self, window: float, secret: str, monotonic: Callable[[], float]) -> None:
        self._window = window
        self._monotonic = monotonic
        self._seed = int.from_bytes(hashlib.sha256(secret.encode()).digest()[:8])
        self._storing: set[int] = set()
        self._stored: set[int] = set()
        self._stored_before: set[int] = set()
        self._turned_at = monotonic()

    def __len__(self) -> int:
        return len(self._stored) + len(self._stored_before)

    @property
    def is_on(self) -> bool:
        """Whether bodies are remembered at all."""
        return self._window > 0

    def key(self, body: bytes, tag: str) -> int:
        """Return what a body with this tag is known by."""
        if not self._window:
            return 0
        return xxhash.xxh3_128_intdigest(body, self._seed) ^ xxhash.xxh3_128_intdigest(tag, self._seed)

    def has_stored(self, key: int) -> bool:
        """Tell whether a body was stored within the window. Raises StillStoring."""
        if not self._window:
            return False
        if key in self._storing:
            raise StillStoring
        self._forget()
        return key in self._stored or key in self._stored_before

    async def remember(self, key: int, storing: Awaitable[None]) -> None:
        """Wait until a body is stored, and remember it once that has worked."""
        self._storing.add(key)
        try:
            await storing
        finally:
            self._storing.discard(key)
        self._stored.add(key)
        if len(self._stored) >= MAX_REMEMBERED // 2:
            self._forget()

    def _forget(self) -> None:
        now = self._monotonic()
        age = now - self._turned_at
        if age >= self._window or len(self._stored) >= MAX_REMEMBERED // 2:
            self._stored_before = self._stored if age < 2 * self._window else set()
            self._stored = set()
            self._turned_at = now
