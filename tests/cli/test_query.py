from __future__ import annotations

import argparse

import pytest

from cli.errors import BadInput
from cli.options import add_selection
from cli.query import add_choice, read_query


def _options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_selection(parser)
    add_choice(parser)
    return parser.parse_args(given)


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ((), {}),
        (("--pod", "p", "-c", "c", "--stream", "stderr"), {"pod": ["p"], "container": ["c"], "stream": ["stderr"]}),
        (("-l", "a=b,c=d", "--label", "e=f"), {"label": ["a=b,c=d", "e=f"]}),
        (("--tail", "all", "--since", "5m"), {"tail": ["all"], "since": ["5m"]}),
        (("--since-time", "2026-11-22T08:15:00Z"), {"since": ["2026-11-22T08:15:00Z"]}),
        (("--tail=-1",), {"tail": ["all"]}),
        (("-i", "x", "--include", "y", "-e", "z"), {"include": ["x", "y"], "exclude": ["z"]}),
        (("--no-follow",), {"follow": ["false"]}),
        (("-f",), {"follow": ["true"]}),
    ],
)
def test_options_become_a_query(given: tuple[str, ...], query: dict[str, list[str]]) -> None:
    assert read_query(_options(*given), {}) == query


def test_a_link_says_what_the_options_do_not() -> None:
    link = {"tail": ["5"], "pod": ["a", "b"], "include": ["x"], "follow": ["false"]}
    assert read_query(_options("-p", "c", "--follow"), link) == {
        "tail": ["5"],
        "pod": ["c"],
        "include": ["x"],
        "follow": ["true"],
    }


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [("--tail", "tail", "7"), ("--since", "since", "7s"), ("--since-time", "since", "2026-11-22T08:15:00Z")],
)
def test_an_option_that_says_where_to_begin_replaces_the_cursor_of_a_link(option: str, name: str, value: str) -> None:
    assert read_query(_options(option, value), {"cursor": ["c1"]}) == {name: [value]}
    assert read_query(_options("-p", "x"), {"cursor": ["c1"]}) == {"cursor": ["c1"], "pod": ["x"]}


def test_what_a_link_says_of_looks_does_not_go_to_the_server() -> None:
    link = {"format": ["text"], "timestamps": ["true"], "prefix": ["false"], "batch": ["false"]}
    assert read_query(_options(), link) == {}


@pytest.mark.parametrize("link", [{"tial": ["5"]}, {"tail": ["x", "y"]}, {"format": ["xml"]}, {"prefix": ["true"] * 2}])
def test_what_makes_no_sense_in_a_link_is_for_the_server_to_refuse(link: dict[str, list[str]]) -> None:
    assert read_query(_options(), link) == link


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("5m", "not '5m': that is for --since"),
        ("yesterday", "not 'yesterday'"),
        ("2026-11-22", "not '2026-11-22'"),
        ("2026-02-30T08:15:00Z", "not '2026-02-30T08:15:00Z'"),
        ("2026-11-22 08:15:00Z", "not '2026-11-22 08:15:00Z'"),
        ("", "not ''"),
    ],
)
def test_a_time_that_is_none_is_refused_by_the_name_of_its_option(time: str, problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_query(_options("--since-time", time), {})
    assert str(caught.value) == f"--since-time must be a time such as 2026-11-22T08:15:00Z, {problem}"


def test_two_times_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _options("--since", "5m", "--since-time", "2026-11-22T08:15:00Z")
    assert "argument --since-time: not allowed with argument --since" in capsys.readouterr().err
