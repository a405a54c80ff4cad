"""A request's body on its way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.budget import Overloaded
from ingest.errors import BodyTooLarge

if TYPE_CHECKING:
    from handlers.budget import Budget


class Body:
    """What has come of a request's body: kept up to a limit and within a budget, thrown away once it is refused.

    An early close would be taken for a broken connection: Fluent Bit would send the same body again, for ever.
    So nothing is raised before the body is over: `refuse` notes the error, and what still comes is thrown away.
    """

    __slots__ = ("_budget", "_limit", "_parts", "_refusal", "_size")

    def __init__(self, budget: Budget, limit: int) -> None:
        self._budget = budget
        self._limit = limit
        self._parts: list[bytes | bytearray] = []
        self._size = 0
        self._refusal: Exception | None = None

    @property
    def refused(self) -> bool:
        """Whether the rest of the body is thrown away."""
        return self._refusal is not None

    def refuse(self, error: Exception) -> None:
        """Have `whole` raise this error; the first one counts."""
        if self._refusal is None:
            self._refusal = error
        self._give_back()

    def add(self, part: bytes) -> None:
        """Keep a part, unless the body is refused or this makes it too long."""
        if self._takes(len(part)):
            self._parts.append(part)

    def piece(self, size: int) -> bytearray | None:
        """Return room for so many bytes of the body, to be filled at once; None if the body is refused."""
        if not self._takes(size):
            return None
        piece = bytearray(size)
        self._parts.append(piece)
        return piece

    def hold(self, size: int) -> None:
        """Count so many bytes for this body from now on. Raises Overloaded."""
        self._budget.take(size - self._size)
        self._size = size

    def whole(self) -> bytes:
        """Return the body, once; raise what it is refused for."""
        if self._refusal is not None:
            raise self._refusal
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def let_go(self) -> None:
        """Give its memory back, and forget what it is refused for, for a raised error knows who raised it."""
        self._give_back()
        self._refusal = None

    def _give_back(self) -> None:
        self._budget.give_back(self._size)
        self._size = 0
        self._parts = []

    def _takes(self, size: int) -> bool:
        """Count so many more bytes; False if the body is refused, maybe for that."""
        if self._refusal is None and self._size + size > self._limit:
            self.refuse(BodyTooLarge(self._limit))
        if self._refusal is None:
            try:
                self.hold(self._size + size)
            except Overloaded as error:
                self.refuse(error)
        return self._refusal is None
