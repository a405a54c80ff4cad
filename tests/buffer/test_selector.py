from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.selector import Names, Operator, Requirement, Selector, sorted_requirements
from tests.buffer.factories import names, selector, source

if TYPE_CHECKING:
    from buffer.source import Source

# Few letters, so that names, prefixes and what begins with them meet.
NAMES = st.text("ab", max_size=4)
PATTERNS = st.one_of(NAMES, NAMES, NAMES.map(lambda name: f"{name}*"))
SETS = st.lists(PATTERNS, max_size=5)
REQUIREMENTS = st.builds(
    lambda key, operator, patterns: Requirement(key, operator, Names.of(*patterns)),
    st.sampled_from("kl"),
    st.sampled_from(Operator),
    st.lists(PATTERNS, min_size=1, max_size=3),
)
SELECTORS = st.builds(
    Selector,
    st.sampled_from("nm"),
    st.none() | SETS.map(lambda patterns: Names.of(*patterns)),
    st.none() | SETS.map(lambda patterns: Names.of(*patterns)),
    st.lists(REQUIREMENTS, max_size=3).map(sorted_requirements),
)
SOURCES = st.builds(
    lambda namespace, pod, container, labels: source(namespace, pod, container, **labels),
    st.sampled_from("nm"),
    NAMES,
    NAMES,
    st.dictionaries(st.sampled_from("kl"), NAMES, max_size=2),
)


def matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


@given(SETS, NAMES)
def test_names_contain_what_one_of_their_patterns_matches(patterns: list[str], name: str) -> None:
    assert (name in Names.of(*patterns)) == any(matches(pattern, name) for pattern in patterns)


@given(SETS, SETS, NAMES)
def test_an_intersection_contains_what_both_contain(one: list[str], other: list[str], name: str) -> None:
    both = Names.of(*one) & Names.of(*other)
    assert (name in both) == (name in Names.of(*one) and name in Names.of(*other))


@given(SETS, SETS)
def test_intersecting_is_the_same_both_ways_round(one: list[str], other: list[str]) -> None:
    assert Names.of(*one) & Names.of(*other) == Names.of(*other) & Names.of(*one)


@given(SETS)
def test_names_of_their_own_patterns_are_the_same_value(patterns: list[str]) -> None:
    made = Names.of(*patterns)
    assert Names.of(*made.patterns) == made == made & made
    assert hash(Names.of(*made.patterns)) == hash(made)


@given(SETS)
def test_neither_order_nor_repetition_of_patterns_matters(patterns: list[str]) -> None:
    assert Names.of(*reversed(patterns), *patterns) == Names.of(*patterns)


@given(SETS)
def test_names_are_false_if_there_are_none(patterns: list[str]) -> None:
    assert bool(Names.of(*patterns)) == bool(patterns)


@pytest.mark.parametrize(
    ("patterns", "text"), [("web-0", "web-0"), ("b,a,web-*", "a,b,web-*"), ("web-0,web-*", "web-*"), ("*,a", "*")]
)
def test_names_read_as_their_patterns_without_those_that_others_cover(patterns: str, text: str) -> None:
    assert str(names(patterns)) == text


@pytest.mark.parametrize(
    ("operator", "admitted"),
    [
        (Operator.IN, {"web"}),
        (Operator.NOT_IN, {"db", None}),
        (Operator.EXISTS, {"web", "db"}),
        (Operator.MISSING, {None}),
    ],
)
def test_a_requirement_admits_labels_as_kubectl_does(operator: Operator, admitted: set[str | None]) -> None:
    requirement = Requirement("app", operator, names("web"))
    labels = {value: {"other": "web"} | ({} if value is None else {"app": value}) for value in ("web", "db", None)}
    assert {value for value, all_labels in labels.items() if requirement.admits(all_labels)} == admitted


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (Requirement("app", Operator.IN, names("web")), "app=web"),
        (Requirement("app", Operator.IN, names("")), "app="),
        (Requirement("app", Operator.IN, names("web-*")), "app=web-*"),
        (Requirement("app", Operator.IN, names("web,db")), "app in (db,web)"),
        (Requirement("app", Operator.NOT_IN, names("web")), "app notin (web)"),
        (Requirement("app", Operator.EXISTS), "app"),
        (Requirement("app", Operator.MISSING), "!app"),
    ],
)
def test_a_requirement_reads_as_kubectl_writes_it(requirement: Requirement, text: str) -> None:
    assert str(requirement) == text


@given(SELECTORS, SOURCES)
def test_a_selector_admits_what_meets_all_of_its_conditions(wanted: Selector, writer: Source) -> None:
    labels = dict(writer.labels)
    met = [
        wanted.namespace == writer.namespace,
        wanted.pods is None or writer.pod in wanted.pods,
        wanted.containers is None or writer.container in wanted.containers,
        all(requirement.admits(labels) for requirement in wanted.labels),
    ]
    assert wanted.admits(writer) == all(met)


@given(SELECTORS, SOURCES)
def test_a_selector_admits_no_pod_that_it_does_not_list(wanted: Selector, writer: Source) -> None:
    if wanted.listed_pods is not None and writer.pod not in wanted.listed_pods:
        assert not wanted.admits(writer)


@pytest.mark.parametrize(
    ("pod", "listed"), [(None, None), ("a", {"a"}), ("a,b", {"a", "b"}), ("a,b*", None), ("*", None)]
)
def test_pods_are_listed_unless_any_of_them_is_a_prefix(pod: str | None, listed: set[str] | None) -> None:
    assert selector(pod=pod).listed_pods == listed


def test_an_empty_pod_in_a_selector_is_not_any_pod() -> None:
    assert not selector(pod="").admits(source())


@pytest.mark.parametrize(
    ("workload", "admitted"),
    [("deployment/web", True), ("deployment/web,job/x", True), ("deployment/w*", True), ("deployment/we", False)],
)
def test_a_workload_is_admitted_by_kind_and_name(workload: str, *, admitted: bool) -> None:
    writer = source(pod="web-5d4f-abcde", owner="replicaset/web-5d4f", **{"pod-template-hash": "5d4f"})
    assert selector(workload=workload).admits(writer) == admitted


def test_several_workload_conditions_must_all_hold() -> None:
    writer = source(owner="replicaset/web-5d4f", **{"pod-template-hash": "5d4f"})
    both = Selector("n", workloads=(names("deployment/web"), names("replicaset/web-5d4f")))
    neither = Selector("n", workloads=(names("deployment/web"), names("replicaset/web-1")))
    assert (both.admits(writer), neither.admits(writer)) == (True, False)


def test_a_selector_tells_what_it_demands() -> None:
    nothing = {"pod": "", "container": "", "labels": "", "workload": ""}
    assert selector().facts == {"namespace": "n"} | nothing
    wanted = selector(pod="web-*", container="app", workload="deployment/web", app="web")
    facts = {"pod": "web-*", "container": "app", "labels": "app=web", "workload": "deployment/web"}
    assert wanted.facts == {"namespace": "n"} | facts


@given(st.lists(REQUIREMENTS, max_size=4))
def test_requirements_are_one_value_in_any_order_and_however_often(requirements: list[Requirement]) -> None:
    assert sorted_requirements([*reversed(requirements), *requirements]) == sorted_requirements(requirements)
