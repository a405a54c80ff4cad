"""Tombstones: what is remembered of sources whose last chunk has left, or has never come."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buffer.selector import Selector
    from buffer.source import Source

MAX_BYTES = 2 * 1024 * 1024
MAX_NAMESPACES = 4096


class Tombstones:
    """The number of the last chunk of each source that has left, for the most recent of them.

    They answer whether a reader that comes back with a cursor has missed anything. For sources that left long ago, only
    the highest number in each namespace is kept, and for namespaces that lost sources long ago, only the highest number
    of all: there the answer errs on the side of reporting a gap.
    """

    __slots__ = ("_bytes", "_horizon", "_horizons", "_seqs")

    def __init__(self) -> None:
        self._seqs: OrderedDict[Source, int] = OrderedDict()
        self._bytes = 0
        self._horizons: OrderedDict[str, int] = OrderedDict()  # by namespace
        self._horizon = 0

    def __len__(self) -> int:
        """Return how many sources are remembered one by one."""
        return len(self._seqs)

    def add(self, source: Source, seq: int) -> None:
        """Remember that chunks of a source up to `seq` are gone."""
        before = self._seqs.pop(source, None)
        if before is None:
            self._bytes += source.size
        self._seqs[source] = max(seq, before or 0)
        while self._bytes > MAX_BYTES:
            self._forget(*self._seqs.popitem(last=False))

    def seq(self, source: Source) -> int:
        """Return the number up to which chunks of a source are gone; 0 if it is not remembered by itself."""
        return self._seqs.get(source, 0)

    def any_since(self, seq: int, selector: Selector) -> bool:
        """Tell whether a chunk numbered `seq` or higher may be gone, of a source that the selector admits."""
        if seq <= max(self._horizon, self._horizons.get(selector.namespace, 0)):
            return True
        return any(last >= seq and selector.admits(source) for source, last in self._seqs.items())

    def last_seq(self, namespace: str) -> int:
        """Return the highest number that is remembered of a namespace; 0 if there is none."""
        seqs = [seq for source, seq in self._seqs.items() if source.namespace == namespace]
        return max([*seqs, self._horizons.get(namespace, 0)])

    def remove(self, namespace: str) -> None:
        """Forget what is remembered of a namespace."""
        for source in [source for source in self._seqs if source.namespace == namespace]:
            del self._seqs[source]
            self._bytes -= source.size
        self._horizons.pop(namespace, None)

    def _forget(self, source: Source, seq: int) -> None:
        self._bytes -= source.size
        before = self._horizons.pop(source.namespace, 0)
        self._horizons[source.namespace] = max(before, seq)
        if len(self._horizons) > MAX_NAMESPACES:
            _, seq = self._horizons.popitem(last=False)
            self._horizon = max(self._horizon, seq)
