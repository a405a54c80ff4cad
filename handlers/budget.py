"""The budget for request bodies that arrive at the same time."""

from __future__ import annotations


class Overloaded(Exception):
    """The bodies that are arriving would exceed `limit` bytes of memory."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"request bodies of more than {self.limit} bytes are arriving at the same time: send this one again"


class Budget:
    """How many bytes of request bodies are in memory, over all connections, and how many may be.

    One sender, known by its address, gets at most three quarters: others must not wait until it has had its way.
    """

    __slots__ = ("_taken_by", "limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._taken_by: dict[str, int] = {}

    def take(self, size: int, sender: str) -> None:
        """Take `size` bytes, or give some back if it is negative. Raises Overloaded."""
        held = self._taken_by.get(sender, 0) + size
        if size > 0:
            if self.taken + size > self.limit:
                raise Overloaded(self.limit)
            if held > self.limit * 3 // 4:
                raise Overloaded(self.limit * 3 // 4)
        self.taken += size
        if held:
            self._taken_by[sender] = held
        else:
            self._taken_by.pop(sender, None)

    def __len__(self) -> int:
        """Return how many senders hold something."""
        return len(self._taken_by)
