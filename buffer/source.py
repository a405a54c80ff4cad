"""Sources: who wrote a line.

Identity is the tuple of namespace, pod, container, labels and owner. It is never joined into text, because any
separator may appear in one of the parts. A pod whose labels change becomes a new source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels: TypeAlias = tuple[tuple[str, str], ...]

# What CPython keeps beside the characters: the object, its slots and strings, and a pair and two strings a label.
_SOURCE_OVERHEAD = 480
_LABEL_OVERHEAD = 250


def sorted_labels(labels: Mapping[str, str]) -> Labels:
    """Return labels as a hashable value that does not depend on their order."""
    return tuple(sorted(labels.items()))


class Source:
    """One writer of lines: namespace, pod, container, and the labels it has now. Immutable and hashable.

    `owner` is the pod's controller as `kind/name`, or empty if it is not known. `size` is the most bytes of memory that
    the source takes; the ring counts them while it holds the source.
    """

    __slots__ = ("_hash", "container", "labels", "namespace", "owner", "pod", "size")

    def __init__(
        self, namespace: str, pod: str = "", container: str = "", labels: Labels = (), owner: str = ""
    ) -> None:
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.labels = labels
        self.owner = owner
        characters = len(namespace) + len(pod) + len(container) + len(owner)
        characters += sum(len(key) + len(value) for key, value in labels)
        self.size = _SOURCE_OVERHEAD + 4 * characters + _LABEL_OVERHEAD * len(labels)
        # Sources are looked up for every chunk; hashing the labels each time would show.
        self._hash = hash((namespace, pod, container, labels, owner))

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
            and self.owner == other.owner
        )

    def __repr__(self) -> str:
        return f"Source({self.namespace!r}, {self.pod!r}, {self.container!r}, {self.labels!r}, {self.owner!r})"
