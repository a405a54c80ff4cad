"""Max heaps: the heaviest of many keys, while their weights keep changing."""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class MaxHeap(Generic[T]):
    """Weights by key, none below zero, and the heaviest key in logarithmic time.

    The heap is lazy: an entry is pushed when a weight grows, and an entry that has become stale is dropped or corrected
    when it reaches the top. Once most of the entries are stale, the heap is rebuilt. Entries refer to their keys by
    number, so that a stale one keeps no key alive, and keys need no order.
    """

    __slots__ = ("_heap", "_keys", "_noted", "_number")

    def __init__(self) -> None:
        self._noted: dict[T, tuple[int, int]] = {}  # weight and number of each key
        self._keys: dict[int, T] = {}  # by number
        self._heap: list[tuple[int, int]] = []  # negated weight, number
        self._number = count()

    @property
    def entries(self) -> int:
        """How many entries there are, stale ones included."""
        return len(self._heap)

    def set(self, key: T, weight: int) -> None:
        """Note that `key` now weighs `weight`."""
        noted = self._noted.get(key)
        if noted is None:
            before, number = -1, next(self._number)
            self._keys[number] = key
        else:
            before, number = noted
        self._noted[key] = weight, number
        if weight > before:
            heappush(self._heap, (-weight, number))
            if len(self._heap) > 64 + 2 * len(self._noted):
                self._heap = [(-weight, number) for weight, number in self._noted.values()]
                heapify(self._heap)

    def remove(self, key: T) -> None:
        """Forget `key`, which must be there."""
        _, number = self._noted.pop(key)
        del self._keys[number]

    def top(self) -> T:
        """Return the heaviest key. There must be one."""
        heap = self._heap
        while True:
            negated, number = heap[0]
            if number not in self._keys:
                heappop(heap)
                continue
            key = self._keys[number]
            weight, _ = self._noted[key]
            if weight == -negated:
                return key
            # The key has shrunk (if it had grown, it would have a newer entry): move the entry to where it belongs.
            heapreplace(heap, (-weight, number))
