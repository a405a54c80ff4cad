"""Which of many things weighs most, while their weights keep changing."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Heaviest(Generic[T]):
    """Weights by key, and the heaviest key in logarithmic time.

    A heap that forgives: an entry is pushed when a weight grows, and an entry that no longer tells the truth is
    dropped or mended when it comes to the top. The heap is made anew when most of it is stale.
    """

    __slots__ = ("_heap", "_ticket", "_weights")

    def __init__(self) -> None:
        self._weights: dict[T, int] = {}
        self._heap: list[tuple[int, int, T]] = []  # negated weight, ticket (keys need no order), key
        self._ticket = count()

    def set(self, key: T, weight: int) -> None:
        """Note that `key` now weighs `weight`."""
        before = self._weights.get(key)
        self._weights[key] = weight
        if before is None or weight > before:
            heappush(self._heap, (-weight, next(self._ticket), key))
            if len(self._heap) > 64 + 2 * len(self._weights):
                self._heap = [(-w, next(self._ticket), k) for k, w in self._weights.items()]
                heapify(self._heap)

    def remove(self, key: T) -> None:
        """Forget `key`, which must be there."""
        del self._weights[key]

    def top(self) -> T:
        """Return the heaviest key. There must be one."""
        heap = self._heap
        while True:
            negated, _, key = heap[0]
            weight = self._weights.get(key)
            if weight == -negated:
                return key
            heappop(heap)
            # A weight that has grown has an entry of its own; one that has shrunk gets its true place now.
            if weight is not None and weight < -negated:
                heappush(heap, (-weight, next(self._ticket), key))
