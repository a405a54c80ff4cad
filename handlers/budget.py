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
    """How many bytes of request bodies are in memory, over all connections, and how many may be."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Take `size` bytes. Raises Overloaded."""
        if self.taken + size > self.limit:
            raise Overloaded(self.limit)
        self.taken += size

    def give_back(self, size: int) -> None:
        """Give `size` bytes back."""
        self.taken -= size
