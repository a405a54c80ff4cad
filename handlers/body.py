"""The body of a request while it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.budget import Overloaded
from ingest.errors import BodyTooLarge

if TYPE_CHECKING:
    from handlers.budget import Budget


class Body:
    """What has arrived of a request's body: kept up to a limit and within a budget, and dropped once it is refused.

    Fluent Bit would take an early close for a broken connection, and send the same body again, for ever. So nothing is
    raised before the body is over: `refuse` notes the error, and the rest of the body is dropped as it comes.
    """

    __slots__ = ("_budget", "_expected", "_parts", "_refusal", "_sender", "_size", "limit")

    def __init__(self, budget: Budget, limit: int, sender: str | None) -> None:
        self._budget = budget
        self._sender = sender or ""
        self.limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._expected = 0  # of these, bytes that are yet to come
        self._refusal: Exception | None = None

    @property
    def size(self) -> int:
        """How many bytes of it are kept, or expected."""
        return self._size

    @property
    def arrived(self) -> int:
        """How many bytes of it have come and are kept."""
        return self._size - self._expected

    @property
    def refused(self) -> bool:
        """Whether the body is being dropped."""
        return self._refusal is not None

    def refuse(self, error: Exception) -> None:
        """Have `whole` raise this error, unless there is one already."""
        if self._refusal is None:
            self._refusal = error
        self._give_back()

    def add(self, part: bytes) -> None:
        """Keep a part, unless the body is refused or this makes it too long."""
        self.expect(len(part))
        if self._refusal is None:
            self._expected -= len(part)
            self._parts.append(part)

    def expect(self, size: int) -> None:
        """Charge the budget with the next `size` bytes before they come, unless the body is refused, be it for that."""
        if size > self._expected and self._takes(size - self._expected):
            self._expected = size

    def hold(self, size: int) -> None:
        """Charge the budget with `size` bytes for this body, instead of what it was charged. Raises Overloaded."""
        if size != self._size:
            self._budget.take(size - self._size, self._sender)
            self._size = size

    def whole(self) -> bytes:
        """Return the body, once. Raises the error that it was refused with."""
        if self._refusal is not None:
            raise self._refusal
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def release(self) -> None:
        """Give its memory back. Drop the error too: its traceback knows this object (see `tune_gc` on cycles)."""
        self._give_back()
        self._refusal = None

    def _give_back(self) -> None:
        self.hold(0)
        self._parts, self._expected = [], 0

    def _takes(self, size: int) -> bool:
        """Charge the budget with so many more bytes; False if the body is refused, be it for that."""
        if self._refusal is None and self._size + size > self.limit:
            self.refuse(BodyTooLarge(self.limit))
        if self._refusal is None:
            try:
                self.hold(self._size + size)
            except Overloaded as error:
                self.refuse(error)
        return self._refusal is None
