"""Expiry: chunks that have become too old leave the store, a few milliseconds' worth at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delivery.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from buffer.store import Evicted, Store

# How long chunks are expired before others get a turn, in seconds.
EXPIRE_SECONDS = 0.0025


class Expiry:
    """Expires chunks, one pass over the store at a time.

    `count_lost(evicted)` is called for each chunk as it leaves. `monotonic` and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_count_lost", "_monotonic", "_pass", "_store")

    def __init__(
        self,
        store: Store,
        count_lost: Callable[[Sequence[Evicted]], None],
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._store = store
        self._count_lost = count_lost
        self._monotonic = monotonic
        self._call_later = call_later
        self._pass: Iterator[Evicted | None] | None = None  # the one under way

    def begin(self, now: float) -> None:
        """Begin a pass for this time, in Unix seconds. Does nothing while an earlier one is under way."""
        if self._pass is None:
            self._pass = self._store.expire(now)
            self._go_on(self._pass)

    def _go_on(self, evictions: Iterator[Evicted | None]) -> None:
        time = Slice(self._monotonic, EXPIRE_SECONDS)
        for evicted in evictions:
            if evicted is not None:
                self._count_lost([evicted])
            if time.is_over():
                self._call_later(0, lambda: self._go_on(evictions))
                return
        self._pass = None
