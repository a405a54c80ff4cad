"""The text that selects sources, in queries and in requests for a token: `web-*,api-0`, `app in (web,api),!canary`.

Labels have the grammar of kubectl (Kubernetes, "Label selectors"), and prefixes.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from buffer.selector import Names, Operator, Requirement, sorted_requirements
from buffer.workload import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Kubernetes: names have at most 253 characters; the key of a label may have a prefix of 253 and a name of 63.
MAX_NAME_LENGTH = 253
MAX_LABEL_KEY_LENGTH = 253 + 1 + 63
# Names, or requirements and their values, in one selection: they are looked at one by one for each source.
MAX_ALTERNATIVES = 100
# Requirements for labels, of which each is looked at for each source.
MAX_REQUIREMENTS = 20

# A DNS label, a DNS subdomain (RFC 1123), and the parts of labels (Kubernetes, "Object Names", "Labels").
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# Nothing is tried twice (possessive quantifiers), so that no text takes long.
_KEY = r"[^=!<>\s(),]++"
_SET_BASED = re.compile(rf"({_KEY})\s++(in|notin)\s*+\(([^()]*+)\)")
_EQUALITY = re.compile(rf"({_KEY})\s*+(==?|!=)\s*+([^=!<>()]*+)")
_EXISTENCE = re.compile(rf"(!\s*+)?+({_KEY})")
# Commas separate requirements, but not inside parentheses.
_REQUIREMENTS = re.compile(r"(?:[^,()]|\([^()]*\))+")


class BadSelection(ValueError):
    """Text that is no selection. `problem` goes after the name of the parameter or member."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


def parse_names(text: str) -> Names:
    """Read names separated by commas; one that ends in `*` is a prefix. Raises BadSelection."""
    names = [name.strip() for name in text.split(",")]
    if not all(0 < len(name) <= MAX_NAME_LENGTH for name in names):
        raise BadSelection(f"must have names of 1 to {MAX_NAME_LENGTH} characters")
    return _alternatives(names)


def parse_labels(texts: Iterable[str]) -> tuple[Requirement, ...]:
    """Read requirements as kubectl takes them; a text may have several, and all must hold. Raises BadSelection."""
    found, alternatives = [], 0
    for part in chain.from_iterable(map(_split, texts)):
        found.append(_requirement(part.strip()))
        if len(found) > MAX_REQUIREMENTS:
            raise BadSelection(f"must have at most {MAX_REQUIREMENTS} requirements")
        alternatives += max(1, len(found[-1].values.patterns))
        if alternatives > MAX_ALTERNATIVES:
            raise BadSelection(f"must have at most {MAX_ALTERNATIVES} values and requirements without values")
    return sorted_requirements(found)


def label_requirement(key: str, value: str) -> Requirement:
    """Return the requirement that a label has this value, or one of several, or one with this prefix."""
    return Requirement(key, Operator.IN, _values(value))


def parse_workloads(text: str) -> Names:
    """Read workloads such as `deployment/web`, separated by commas. Raises BadSelection."""
    found = []
    for one in text.split(","):
        kind, slash, name = one.strip().partition("/")
        if kind.lower() not in KINDS or not slash or not 0 < len(name) <= MAX_NAME_LENGTH:
            raise BadSelection(f"must be like deployment/web, with one of {', '.join(KINDS)}")
        found.append(f"{kind.lower()}/{name}")
    return _alternatives(found)


def check_namespace(name: str) -> None:
    """Raise BadSelection unless Kubernetes allows this name for a namespace; a prefix is none."""
    if _DNS_LABEL.fullmatch(name) is None:
        raise _bad_name(name)


def check_pods(names: Names) -> None:
    """Raise BadSelection unless Kubernetes allows these names for pods and workloads."""
    _check(names, _DNS_SUBDOMAIN.fullmatch)


def check_containers(names: Names) -> None:
    """Raise BadSelection unless Kubernetes allows these names for containers."""
    _check(names, _DNS_LABEL.fullmatch)


def check_labels(requirements: Iterable[Requirement]) -> None:
    """Raise BadSelection unless Kubernetes allows these keys and values of labels."""
    for one in requirements:
        if _LABEL_KEY.fullmatch(one.key) is None:
            raise _bad_name(one.key, "keys")
        _check(one.values, _LABEL_VALUE.fullmatch, "values")


def shown(text: str) -> str:
    """Return text of a client in a form that an answer may repeat: short and printable."""
    return "".join(character if character.isprintable() else "?" for character in text[:64])


def _check(names: Names, is_name: Callable[[str], object], what: str = "names") -> None:
    bad = [name for name in sorted(names.exact) if not is_name(name)]
    bad += [f"{prefix}*" for prefix in names.prefixes if prefix and not _PREFIX.fullmatch(prefix)]
    if bad:
        raise _bad_name(bad[0], what)


def _alternatives(patterns: list[str]) -> Names:
    if len(patterns) > MAX_ALTERNATIVES:
        raise BadSelection(f"must have at most {MAX_ALTERNATIVES} alternatives")
    if any("*" in pattern[:-1] for pattern in patterns):
        raise BadSelection("may have * only at the end of a name")
    return Names.of(*patterns)


def _split(text: str) -> list[str]:
    parts = [part for part in _REQUIREMENTS.findall(text) if part.strip()]
    if not parts or text.count("(") != text.count(")") or "".join(parts).replace(",", "") != text.replace(",", ""):
        raise _bad_label()
    return parts


def _requirement(text: str) -> Requirement:
    if match := _SET_BASED.fullmatch(text):
        key, operator, values = match.groups()
        return Requirement(_key(key), Operator(operator), _values(values))
    if match := _EQUALITY.fullmatch(text):
        key, sign, value = match.groups()
        operator = Operator.NOT_IN if sign == "!=" else Operator.IN
        return Requirement(_key(key), operator, _values(value))
    if match := _EXISTENCE.fullmatch(text):
        return Requirement(_key(match[2]), Operator.MISSING if match[1] else Operator.EXISTS)
    raise _bad_label()


def _key(key: str) -> str:
    if not 1 <= len(key) <= MAX_LABEL_KEY_LENGTH:
        raise BadSelection(f"must have keys of 1 to {MAX_LABEL_KEY_LENGTH} characters")
    return key


def _values(text: str) -> Names:
    # Unlike a name, the value of a label may be empty.
    values = [value.strip() for value in text.split(",")]
    if any(len(value) > MAX_NAME_LENGTH for value in values):
        raise BadSelection(f"must have values of at most {MAX_NAME_LENGTH} characters")
    return _alternatives(values)


def _bad_name(name: str, what: str = "names") -> BadSelection:
    return BadSelection(f"must have {what} that Kubernetes allows, unlike {shown(name)}")


def _bad_label() -> BadSelection:
    return BadSelection("must be like app=web, app!=web, app in (web,api), app notin (web,api), app or !app")
