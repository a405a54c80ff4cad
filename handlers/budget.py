"""A budget for the memory that request bodies take while they arrive."""

from __future__ import annotations


class Overloaded(Exception):
    """More is being sent at the same time than fits into `limit` bytes of memory."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"request bodies of more than {self.limit} bytes are arriving at the same time: send this one again"


class Budget:
    """Bytes of request bodies in memory, over all connections, and their limit."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Take so many bytes. Raises Overloaded."""
        if self.taken + size > self.limit:
            raise Overloaded(self.limit)
        self.taken += size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self.taken -= size
