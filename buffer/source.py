"""Who wrote a line, and which of them a token admits.

Identity is the tuple of namespace, pod, container and labels; it is never joined into text, since any
separator can appear in one of the parts. A pod whose labels change is a new source from that moment on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels: TypeAlias = tuple[tuple[str, str], ...]

# What CPython keeps beside the characters: the object itself, its slots, and a pair and two strings a label.
_SOURCE_OVERHEAD = 400
_LABEL_OVERHEAD = 250


def sorted_labels(labels: Mapping[str, str]) -> Labels:
    """Return labels as a hashable value that does not depend on their order."""
    return tuple(sorted(labels.items()))


class Source:
    """One writer of lines: namespace, pod, container and the labels it has now. Immutable, hashable."""

    __slots__ = ("_hash", "container", "labels", "namespace", "pod", "size")

    def __init__(self, namespace: str, pod: str = "", container: str = "", labels: Labels = ()) -> None:
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.labels = labels
        # Bytes of memory that this source takes, at most; the ring counts them while it holds the source.
        characters = len(namespace) + len(pod) + len(container) + sum(len(k) + len(v) for k, v in labels)
        self.size = _SOURCE_OVERHEAD + 4 * characters + _LABEL_OVERHEAD * len(labels)
        # Sources are looked up once a chunk; hashing the labels anew each time would show.
        self._hash = hash((namespace, pod, container, labels))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Source):
            return NotImplemented
        return (
            self._hash == other._hash
            and self.namespace == other.namespace
            and self.pod == other.pod
            and self.container == other.container
            and self.labels == other.labels
        )

    def __repr__(self) -> str:
        return f"Source({self.namespace!r}, {self.pod!r}, {self.container!r}, {self.labels!r})"


@dataclass(frozen=True, slots=True)
class Selector:
    """What a token admits: a namespace, and optionally a pod, a container and labels. None means any."""

    namespace: str
    pod: str | None = None
    container: str | None = None
    labels: Labels = ()

    def admits(self, source: Source) -> bool:
        """Tell whether a line of this source may be seen."""
        return (
            source.namespace == self.namespace
            and (self.pod is None or source.pod == self.pod)
            and (self.container is None or source.container == self.container)
            and all(label in source.labels for label in self.labels)
        )
