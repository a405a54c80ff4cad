from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.jetstream.subjects import MAX_CHARACTERS, Subjects, encode_namespace


@pytest.mark.parametrize(
    ("namespace", "encoded"),
    [("my-app_2", "my-app_2"), ("a.b", "a%2Eb"), ("a b*>", "a%20b%2A%3E"), ("$epoch", "%24epoch"), ("ü", "%C3%BC")],
)
def test_whatever_is_no_letter_digit_hyphen_or_underscore_is_percent_encoded(namespace: str, encoded: str) -> None:
    assert encode_namespace(namespace) == encoded


def test_a_namespace_that_gets_too_long_is_named_by_its_hash() -> None:
    assert len(encode_namespace("x" * 5000)) == 65
    assert encode_namespace("x" * 5000) != encode_namespace("x" * 5001)
    assert encode_namespace("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


@given(st.lists(st.text(st.characters(), min_size=1), unique=True, max_size=5))
def test_every_namespace_has_a_part_of_its_own(namespaces: list[str]) -> None:
    parts = {encode_namespace(namespace) for namespace in namespaces}
    assert len(parts) == len(namespaces)
    assert all(re.fullmatch(r"[A-Za-z0-9_%=-]{1,200}", part) for part in parts)


def test_subjects_begin_with_the_name_of_the_stream() -> None:
    subjects = Subjects("LOGURT")
    assert (subjects.of("a"), subjects.live("a")) == ("logurt.a", "logurt-live.a")
    assert (subjects.stored, subjects.live_template) == ("logurt.*", "logurt-live.{{wildcard(1)}}")
    assert (subjects.epoch, subjects.live_epoch, subjects.peers) == (
        "logurt.$epoch",
        "logurt-live.$epoch",
        "logurt-peers",
    )
