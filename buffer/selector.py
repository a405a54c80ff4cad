"""Selectors: which sources a token admits or a reader asks for.

A selector is a value, and all of its conditions must hold. Names are given one by one or by prefix, labels by the
requirements that kubectl knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from buffer.workload import workloads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buffer.source import Source


@dataclass(frozen=True, slots=True)
class Names:
    """A set of names: those in `exact`, and all that begin with one of `prefixes`."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, *patterns: str) -> Names:
        """Return the names that match any of the patterns; a pattern that ends in `*` is a prefix."""
        prefixes = sorted({pattern[:-1] for pattern in patterns if pattern.endswith("*")})
        # Leave out what a shorter prefix covers, so that equal sets are equal values.
        shortest = tuple(
            one for one in prefixes if not any(one != other and one.startswith(other) for other in prefixes)
        )
        exact = (pattern for pattern in patterns if not pattern.endswith("*"))
        return cls(frozenset(name for name in exact if not name.startswith(shortest)), shortest)

    @property
    def patterns(self) -> list[str]:
        """The patterns that make up this set, in order."""
        return sorted([*self.exact, *(f"{prefix}*" for prefix in self.prefixes)])

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)

    def __contains__(self, name: str) -> bool:
        return name in self.exact or name.startswith(self.prefixes)

    def __and__(self, other: Names) -> Names:
        """Return the names that are in both."""
        exact = {name for name in self.exact if name in other} | {name for name in other.exact if name in self}
        pairs = ((mine, its) for mine in self.prefixes for its in other.prefixes)
        longer = (max(mine, its, key=len) for mine, its in pairs if mine.startswith(its) or its.startswith(mine))
        return Names.of(*exact, *(f"{prefix}*" for prefix in longer))

    def __str__(self) -> str:
        return ",".join(self.patterns)


class Operator(Enum):
    """What a requirement demands of a label. As with kubectl, NOT_IN also holds for pods without the label."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on one label. `values` matters only to IN and NOT_IN."""

    key: str
    operator: Operator
    values: Names = Names()

    def admits(self, labels: dict[str, str]) -> bool:
        """Tell whether the condition holds for a pod's labels."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case _:
                return value is None

    @property
    def is_equality(self) -> bool:
        """Whether it demands a single value."""
        return self.operator is Operator.IN and len(self.values.patterns) == 1

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.MISSING:
                return f"!{self.key}"
            case _ if self.is_equality:
                return f"{self.key}={self.values}"
            case _:
                return f"{self.key} {self.operator.value} ({self.values})"


@dataclass(frozen=True, slots=True)
class Selector:
    """A namespace, and optionally some pods, containers, labels and workloads in it. None and () mean any."""

    namespace: str
    pods: Names | None = None
    containers: Names | None = None
    labels: tuple[Requirement, ...] = ()
    workloads: tuple[Names, ...] = ()

    def admits(self, source: Source) -> bool:
        """Tell whether a line of this source may be seen."""
        return (
            source.namespace == self.namespace
            and (self.pods is None or source.pod in self.pods)
            and (self.containers is None or source.container in self.containers)
            and (not self.labels or self._admits_labels(source))
            and (not self.workloads or self._admits_workload(source))
        )

    @property
    def listed_pods(self) -> frozenset[str] | None:
        """The only pods whose sources can be admitted; None if they are not listed one by one."""
        return None if self.pods is None or self.pods.prefixes else self.pods.exact

    def _admits_labels(self, source: Source) -> bool:
        labels = dict(source.labels)
        return all(requirement.admits(labels) for requirement in self.labels)

    def _admits_workload(self, source: Source) -> bool:
        found = list(workloads(source))
        return all(any(one in wanted for one in found) for wanted in self.workloads)

    @property
    def facts(self) -> dict[str, str]:
        """What the log says of it, by name; empty where anything is admitted."""
        return {
            "namespace": self.namespace,
            "pod": "" if self.pods is None else str(self.pods),
            "container": "" if self.containers is None else str(self.containers),
            "labels": ",".join(map(str, self.labels)),
            "workload": " and ".join(map(str, self.workloads)),
        }


def sorted_requirements(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return requirements as a value that depends neither on their order nor on repetition."""
    return tuple(sorted(set(requirements), key=lambda one: (one.key, one.operator.value, one.values.patterns)))
