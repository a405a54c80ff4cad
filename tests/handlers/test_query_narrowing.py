"""What narrows a scope never widens it: tried with every small scope, question and source."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from buffer.selector import Names, Operator, Requirement, Selector
from buffer.source import Source
from handlers.query import Narrowing, OutOfScope, parse_narrowing
from handlers.selection import parse_labels

IN, NOT_IN, EXISTS, MISSING = Operator
NAMES = ["a", "ab", "b"]
NAME_SETS = [
    None,
    *(Names.of(*found) for size in (1, 2) for found in combinations([*NAMES, "a*", "ab*", "*"], size)),
]
VALUES = [None, "", "a", "ab", "b"]
ONES = [
    *(Requirement("k", operator, Names.of(value)) for operator in (IN, NOT_IN) for value in ("", "a", "a*", "b", "*")),
    Requirement("k", IN, Names.of("a", "b")),
    Requirement("k", NOT_IN, Names.of("a*", "")),
    Requirement("k", EXISTS),
    Requirement("k", MISSING),
]
LABEL_SETS = [(), *((one,) for one in ONES), *combinations(ONES, 2)]
OWNERS = ["", "deployment/a", "deployment/ab", "job/a"]
WORKLOAD_SETS = [None, *(Names.of(*f) for f in (["deployment/a"], ["deployment/*"], ["job/a", "deployment/ab"]))]


def admits_labels(found: tuple[Requirement, ...], value: str | None) -> bool:
    """The model: a value, or None for a pod without the label, against each requirement."""
    return all(
        {
            IN: value is not None and any(matches(pattern, value) for pattern in one.values.patterns),
            NOT_IN: value is None or not any(matches(pattern, value) for pattern in one.values.patterns),
            EXISTS: value is not None,
            MISSING: value is None,
        }[one.operator]
        for one in found
    )


def matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def admits_name(found: Names | None, name: str) -> bool:
    return found is None or any(matches(pattern, name) for pattern in found.patterns)


def source(pod: str = "a", container: str = "a", value: str | None = None, owner: str = "") -> Source:
    return Source("n", pod, container, () if value is None else (("k", value),), owner)


def test_narrowed_names_are_those_in_both() -> None:
    for scope, asked in product(NAME_SETS, NAME_SETS):
        both = {name for name in NAMES if admits_name(scope, name) and admits_name(asked, name)}
        try:
            pods = Narrowing(pods=asked).apply(Selector("n", pods=scope))
            containers = Narrowing(containers=asked).apply(Selector("n", containers=scope))
        except OutOfScope:
            assert asked is not None
            assert not all(admits_any(scope, pattern) for pattern in asked.patterns), (scope, asked)
            continue
        assert {name for name in NAMES if pods.admits(source(pod=name))} == both, (scope, asked)
        assert {name for name in NAMES if containers.admits(source(container=name))} == both, (scope, asked)


def admits_any(scope: Names | None, pattern: str) -> bool:
    """Tell whether a scope has a name that the pattern matches, whatever name that is."""
    return any(matches(pattern, name) and admits_name(scope, name) for name in [*NAMES, "", "abc", "c"])


def test_narrowed_labels_are_those_in_both() -> None:
    for scope, asked in product(LABEL_SETS, LABEL_SETS):
        both = [admits_labels(scope, value) and admits_labels(asked, value) for value in VALUES]
        try:
            narrowed = Narrowing(labels=asked).apply(Selector("n", labels=scope))
        except OutOfScope:
            assert not any(both), (scope, asked)
            continue
        assert [narrowed.admits(source(value=value)) for value in VALUES] == both, (scope, asked)


def test_narrowed_workloads_are_those_in_both() -> None:
    for scope, asked in product(WORKLOAD_SETS, WORKLOAD_SETS):
        narrowed = Narrowing(workloads=asked).apply(Selector("n", workloads=(scope,) if scope else ()))
        for owner in OWNERS:
            expected = admits_name(scope, owner) and admits_name(asked, owner)
            assert narrowed.admits(source(owner=owner)) == expected, (scope, asked, owner)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (Narrowing(pods=Names.of("other")), "pod"),
        (Narrowing(pods=Names.of("web-0", "other")), "pod"),
        (Narrowing(pods=Names.of("x*")), "pod"),
        (Narrowing(containers=Names.of("other")), "container"),
        (Narrowing(labels=parse_labels(["app=other"])), "label"),
        (Narrowing(labels=parse_labels(["new=1", "new=2"])), "label"),
        (Narrowing(labels=parse_labels(["!app"])), "label"),
    ],
)
def test_what_is_outside_the_scope_is_refused_by_name(asked: Narrowing, named: str) -> None:
    scope = Selector("n", Names.of("web-0"), Names.of("app"), parse_labels(["app=web"]))
    with pytest.raises(OutOfScope, match=f"parameter {named} asks for something outside the token's scope"):
        asked.apply(scope)


def test_no_parameters_narrow_nothing() -> None:
    scope = Selector("n", Names.of("web-*"), None, parse_labels(["app=web"]), (Names.of("job/a"),))
    assert parse_narrowing({}).apply(scope) == scope
