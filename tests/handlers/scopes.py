"""Scopes made up by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from buffer.selector import Names, Operator, Requirement, Selector, sorted_requirements

# Names and labels as Kubernetes allows them; those of tokens that others mint may be anything.
_name = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
_label_value = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,18}[A-Za-z0-9])?)?", fullmatch=True)
label_objects = st.dictionaries(_name, _label_value, max_size=4)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _sets_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Names]:
    return st.lists(texts | texts.filter(bool).map("{}*".format), min_size=1, max_size=3).map(lambda f: Names.of(*f))


_requirements = st.builds(
    Requirement, _name, st.sampled_from([Operator.IN, Operator.NOT_IN]), _sets_of(_label_value)
) | st.builds(Requirement, _name, st.sampled_from([Operator.EXISTS, Operator.MISSING]))
_some = st.none() | _sets_of(_name)
_workloads = _sets_of(_name.map("deployment/{}".format) | _name.map("job/{}".format))
selectors = st.builds(
    Selector,
    _name,
    _some,
    _some,
    st.lists(_requirements, max_size=3).map(sorted_requirements),
    st.just(()) | st.tuples(_workloads),
)


def equal(**found: str) -> tuple[Requirement, ...]:
    """Return the requirements that labels have these values."""
    return sorted_requirements(Requirement(key, Operator.IN, Names.of(value)) for key, value in found.items())
