from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buffer.selector import Names, Operator, Requirement, Selector, sorted_requirements
from handlers.scope import InvalidMember, check_scope, read_scope, scope_members, text_member
from handlers.selection import MAX_LABEL_KEY_LENGTH, MAX_NAME_LENGTH, MAX_REQUIREMENTS
from tests.handlers.scopes import equal, json_values, label_objects, selectors

anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def invalid(members: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(InvalidMember) as caught:
        read_scope({"namespace": "myapp"} | members)
    return caught.value.member, str(caught.value)


# Reading


def test_a_scope_needs_only_a_namespace() -> None:
    assert read_scope({"namespace": "myapp"}) == Selector("myapp")


def test_a_scope_without_a_namespace_is_invalid() -> None:
    with pytest.raises(InvalidMember, match=r"^namespace is missing$"):
        read_scope({"pod": "web-1"})


def test_what_is_no_member_of_a_scope_is_ignored() -> None:
    assert read_scope({"namespace": "myapp", "exp": 7, "label": []}) == Selector("myapp")


@given(selectors)
def test_a_scope_is_read_back_as_it_was(selector: Selector) -> None:
    assert read_scope(scope_members(selector)) == selector


@given(selectors)
def test_a_scope_is_read_from_text_too(selector: Selector) -> None:
    text = {
        "pod": selector.pods,
        "container": selector.containers,
        "labels": ",".join(map(str, selector.labels)),
        "workload": ",".join(map(str, selector.workloads)),
    }
    given = {"namespace": selector.namespace, **{member: str(value) for member, value in text.items() if value}}
    assert read_scope(given) == selector


@given(label_objects)
def test_an_object_of_labels_demands_each_of_them(found: dict[str, str]) -> None:
    assert read_scope({"namespace": "myapp", "labels": found}).labels == equal(**found)


def test_an_empty_label_value_is_one_like_others() -> None:
    assert read_scope({"namespace": "myapp", "labels": {"canary": ""}}).labels == equal(canary="")


@pytest.mark.parametrize("namespace", ["*", "my*", "myapp,other", " myapp"])
def test_a_namespace_is_taken_by_the_letter(namespace: str) -> None:
    assert read_scope({"namespace": namespace}) == Selector(namespace)


@pytest.mark.parametrize("member", ["namespace", "pod", "container", "workload"])
@pytest.mark.parametrize("name", ["", None, 7, True, [], ["a"], {}, {"a": "b"}])
def test_a_name_of_the_wrong_type_is_named(member: str, name: object) -> None:
    assert invalid({member: name}) == (member, f"{member} must be a string that is not empty")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"namespace": "a" * (MAX_NAME_LENGTH + 1)}, "namespace must be a string of 1 to 253 characters"),
        ({"pod": "a" * (MAX_NAME_LENGTH + 1)}, "pod must have names of 1 to 253 characters"),
        ({"pod": ","}, "pod must have names of 1 to 253 characters"),
        ({"container": "a*b"}, "container may have * only at the end of a name"),
        ({"workload": "web"}, "workload must be like deployment/web, with one of "),
        ({"labels": "app=a=b"}, "labels must be like app=web, "),
        ({"labels": ""}, "labels must be like app=web, "),
        ({"labels": {"app": "*x"}}, "labels.app may have * only at the end of a name"),
    ],
)
def test_what_selects_nothing_that_could_be_is_named(members: dict[str, Any], sentence: str) -> None:
    assert invalid(members)[1].startswith(sentence)


@pytest.mark.parametrize(
    ("labels", "member"),
    [
        *((None, "labels"), ([], "labels"), (7, "labels"), ("app=a=b", "labels"), ({"": "web"}, "labels")),
        ({"k" * (MAX_LABEL_KEY_LENGTH + 1): "web"}, "labels"),
        ({str(number): "x" for number in range(MAX_REQUIREMENTS + 1)}, "labels"),
        ({"app": 7}, "labels.app"),
        ({"app": None}, "labels.app"),
        ({"tier": "x", "app": "x" * (MAX_NAME_LENGTH + 1)}, "labels.app"),
    ],
)
def test_labels_of_the_wrong_type_or_length_are_named(labels: object, member: str) -> None:
    assert invalid({"labels": labels})[0] == member


@given(st.dictionaries(anything, anything) | json_values)
def test_labels_of_any_shape_are_read_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidMember):
        assert bool(read_scope({"namespace": "myapp", "labels": value}).labels) == bool(value)


def test_text_is_a_string_that_is_not_empty() -> None:
    assert text_member("jane", "sub") == "jane"
    with pytest.raises(InvalidMember, match=r"^sub must be a string that is not empty$"):
        text_member("", "sub")


@given(st.text(st.characters(exclude_categories=["Cs"])).map("x-{}".format))
@example("secret" * 1000)
@example("\x1b[2J\r\n\u202e")
def test_the_name_of_a_member_is_shown_short_and_printable(member: str) -> None:
    wrong = InvalidMember(member, "is wrong")
    assert len(wrong.member) <= 64
    assert str(wrong).isprintable()
    assert len(json.dumps({"error": str(wrong)})) < 1024


# Writing


def test_the_members_are_named_as_those_of_the_selector() -> None:
    scope = Selector(
        "myapp", Names.of("web-1"), Names.of("nginx", "side-*"), equal(app="web"), (Names.of("deployment/web"),)
    )
    assert scope_members(scope) == {
        "namespace": "myapp",
        "pod": "web-1",
        "container": "nginx,side-*",
        "labels": {"app": "web"},
        "workload": "deployment/web",
    }


def test_what_is_not_selected_is_left_out() -> None:
    assert scope_members(Selector("myapp")) == {"namespace": "myapp"}


def test_labels_that_are_more_than_equal_become_text_as_kubectl_takes_it() -> None:
    labels = sorted_requirements([*equal(app="web"), Requirement("canary", Operator.MISSING)])
    assert scope_members(Selector("myapp", labels=labels))["labels"] == "app=web,!canary"


# What Kubernetes allows


@given(selectors)
def test_what_kubernetes_allows_passes(selector: Selector) -> None:
    check_scope(selector)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"namespace": "My_App"}, "namespace must have names that Kubernetes allows, unlike My_App"),
        ({"namespace": "*"}, "namespace must have names that Kubernetes allows, unlike *"),
        ({"namespace": "my*"}, "namespace must have names that Kubernetes allows, unlike my*"),
        ({"pod": "web-0,Web_0"}, "pod must have names that Kubernetes allows, unlike Web_0"),
        ({"container": "a.b"}, "container must have names that Kubernetes allows, unlike a.b"),
        ({"labels": {"a b": "c"}}, "labels must have keys that Kubernetes allows, unlike a b"),
        ({"labels": "app in (a/b)"}, "labels must have values that Kubernetes allows, unlike a/b"),
        ({"workload": "job/a b"}, "workload must have names that Kubernetes allows, unlike a b"),
    ],
)
def test_what_kubernetes_does_not_allow_can_be_read_but_does_not_pass(members: dict[str, Any], sentence: str) -> None:
    scope = read_scope({"namespace": "myapp"} | members)
    with pytest.raises(InvalidMember) as caught:
        check_scope(scope)
    assert str(caught.value) == sentence
