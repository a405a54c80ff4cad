from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.scopes import Scope, Scopes
from tests.buffer.factories import selector, source

A, B = source(pod="a"), source(pod="b")
SOURCES = [source(pod=pod, container=container) for pod in "abc" for container in ("app", "side")]
SELECTORS = [selector(), selector(pod="a"), selector(pod="a,b"), selector(pod="b*"), selector(container="side")]


def never() -> bool:
    return False


def complete(scopes: Scopes, scope: Scope) -> set[object]:
    assert scopes.gather(scope, never)
    return set(scope.sources)


@pytest.mark.parametrize(("pod", "pods"), [("a", 1), ("a,b,c", 3), ("a*", 1), (None, 1)])
def test_a_scope_is_filed_under_each_pod_that_it_lists_or_once_for_all(pod: str | None, pods: int) -> None:
    scopes = Scopes()
    scopes.remove(scopes.add(selector(pod="z"), ()))
    scopes.add(selector(pod=pod), ())
    assert scopes.pods == pods


def test_a_scope_has_what_its_selector_admits_of_its_candidates() -> None:
    scopes = Scopes()
    assert complete(scopes, scopes.add(selector(pod="a"), SOURCES)) == set(SOURCES[:2])


def test_gathering_can_be_interrupted_after_each_source() -> None:
    scopes, turns = Scopes(), 1
    scope = scopes.add(selector(), SOURCES)
    while not scopes.gather(scope, lambda: True):
        assert len(scope.sources) == turns == len(SOURCES) - scopes.pending
        turns += 1
    assert turns == len(SOURCES) == len(scope.sources)


def test_a_source_that_writes_is_not_missed_while_others_are_gathered() -> None:
    scopes = Scopes()
    known = scopes.add(selector(), ())
    for writer in (A, B):
        scopes.of_writer(writer)
    scope = scopes.add(selector(container="app"), [A, B])
    assert scope in scopes.of_writer(B)
    assert scope.sources == {B}
    assert complete(scopes, scope) == {A, B} == known.sources
    assert scopes.admissions == 4


def test_a_source_that_leaves_while_it_is_to_be_gathered_is_forgotten() -> None:
    scopes = Scopes()
    scope = scopes.add(selector(), [A])
    scopes.of_evicted(A, was_last=True)
    assert scopes.pending == 0
    assert complete(scopes, scope) == set()


def test_a_scope_that_goes_while_it_is_gathered_leaves_nothing() -> None:
    scopes = Scopes()
    scopes.add(selector(), ())
    scope = scopes.add(selector(pod="a"), [A])
    assert set(scopes.of_evicted(A, was_last=False)) == set(scopes.by_selector.values())
    scopes.remove(scope)
    assert (scopes.pending, scopes.admissions, len(scopes.by_selector)) == (0, 1, 1)


def test_a_source_that_has_left_is_seen_again_when_it_writes_again() -> None:
    scopes = Scopes()
    scope = scopes.add(selector(), ())
    for _ in range(2):
        assert scope in scopes.of_writer(A)
        assert scope.sources == {A}
        assert scope in scopes.of_evicted(A, was_last=True)
        assert (scope.sources, scopes.sources) == (set(), 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "leave", "add", "remove", "gather"]), st.integers(0, 5)), max_size=40
)


@given(STEPS)
def test_whatever_comes_and_goes_complete_scopes_have_the_held_sources_that_they_admit(
    steps: list[tuple[str, int]],
) -> None:
    scopes, held = Scopes(), set[object]()
    for step, number in steps:
        wanted, writer = SELECTORS[number % len(SELECTORS)], SOURCES[number]
        scope = scopes.by_selector.get(wanted)
        if step == "write":
            held.add(writer)
            seen = set(scopes.of_writer(writer))
            assert seen == {one for one in scopes.by_selector.values() if one.selector.admits(writer)}
        elif step == "leave" and writer in held:
            held.remove(writer)
            scopes.of_evicted(writer, was_last=True)
        elif step == "add" and scope is None:
            scopes.add(wanted, [one for one in SOURCES if one in held])
        elif step == "remove" and scope is not None:
            scopes.remove(scope)
        elif step == "gather" and scope is not None:
            scopes.gather(scope, lambda: True)
    for scope in scopes.by_selector.values():
        assert complete(scopes, scope) == {one for one in SOURCES if one in held and scope.selector.admits(one)}
    for scope in list(scopes.by_selector.values()):
        scopes.remove(scope)
    assert (scopes.pods, scopes.admissions, scopes.pending) == (0, 0, 0)
