"""Scopes: what a token opens, as members of a JSON object: of a request for a token, or of a token's claims."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from buffer.selector import Names, Selector, sorted_requirements
from handlers.selection import (
    MAX_LABEL_KEY_LENGTH,
    MAX_NAME_LENGTH,
    MAX_REQUIREMENTS,
    BadSelection,
    check_containers,
    check_labels,
    check_namespace,
    check_pods,
    label_requirement,
    parse_labels,
    parse_names,
    parse_workloads,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buffer.selector import Requirement

_A = TypeVar("_A")
_T = TypeVar("_T")

SCOPE_MEMBERS = ("namespace", "pod", "container", "labels", "workload")


class InvalidRequest(Exception):
    """A request body that cannot be used. The client may read its text."""


class InvalidMember(InvalidRequest):
    """A member of a JSON object is wrong. `member` is cut to 64 characters, all of them printable."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(member, problem)
        self.member = shown(member)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.member} {self.problem}"


def read_scope(members: Mapping[str, object]) -> Selector:
    """Read the scope from a JSON object. Refuses null and "", which could be mistaken for "any"."""
    if "namespace" not in members:
        raise InvalidMember("namespace", "is missing")
    text = {name: text_member(members[name], name) for name in SCOPE_MEMBERS if name in members and name != "labels"}
    return Selector(
        text["namespace"],
        _parsed("pod", parse_names, text["pod"]) if "pod" in text else None,
        _parsed("container", parse_names, text["container"]) if "container" in text else None,
        _label_requirements(members["labels"]) if "labels" in members else (),
        (_parsed("workload", parse_workloads, text["workload"]),) if "workload" in text else (),
    )


def _label_requirements(labels: object) -> tuple[Requirement, ...]:
    if isinstance(labels, str):
        return _parsed("labels", parse_labels, [labels])
    if not isinstance(labels, dict):
        raise InvalidMember("labels", "must be an object of strings, or text such as app in (web,api)")
    if len(labels) > MAX_REQUIREMENTS:
        raise InvalidMember("labels", f"must have at most {MAX_REQUIREMENTS} requirements")
    requirements = []
    for key, value in labels.items():
        if not 1 <= len(key) <= MAX_LABEL_KEY_LENGTH:
            raise InvalidMember("labels", f"must have keys of 1 to {MAX_LABEL_KEY_LENGTH} characters")
        if not isinstance(value, str):
            raise InvalidMember(f"labels.{key}", "must be a string")
        requirements.append(_parsed(f"labels.{key}", partial(label_requirement, key), value))
    return sorted_requirements(requirements)


def scope_members(selector: Selector) -> dict[str, object]:
    """Return the claims from which `read_scope` reads the selector back."""
    members: dict[str, object] = {"namespace": selector.namespace}
    if selector.pods is not None:
        members["pod"] = str(selector.pods)
    if selector.containers is not None:
        members["container"] = str(selector.containers)
    if selector.labels:
        # Plain equality stays an object, which other minters and older servers understand.
        plain = {one.key: str(one.values) for one in selector.labels if one.is_equality}
        is_plain = len(plain) == len(selector.labels)
        members["labels"] = plain if is_plain else ",".join(map(str, selector.labels))
    for names in selector.workloads:
        members["workload"] = str(names)
    return members


def check_scope(selector: Selector) -> None:
    """Raise InvalidMember for names that Kubernetes does not allow: their token would never show a line."""
    _parsed("namespace", check_namespace, selector.namespace)
    if selector.pods is not None:
        _parsed("pod", check_pods, selector.pods)
    if selector.containers is not None:
        _parsed("container", check_containers, selector.containers)
    _parsed("labels", check_labels, selector.labels)
    for names in selector.workloads:
        _parsed("workload", check_pods, Names.of(*(pattern.partition("/")[2] for pattern in names.patterns)))


def _parsed(member: str, parse: Callable[[_A], _T], argument: _A) -> _T:
    try:
        return parse(argument)
    except BadSelection as error:
        raise InvalidMember(member, error.problem) from None


def text_member(value: object, member: str) -> str:
    """Return a member that has to be text. Raises InvalidMember."""
    if not isinstance(value, str) or not value:
        raise InvalidMember(member, "must be a string that is not empty")
    if member == "namespace" and len(value) > MAX_NAME_LENGTH:
        raise InvalidMember(member, f"must be a string of 1 to {MAX_NAME_LENGTH} characters")
    return value
