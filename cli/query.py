"""Which lines to ask for: the options for it, and the query that they make together with a link."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cli.errors import BadInput
from cli.options import read_selection
from cli.style import LINK_PARAMETERS
from protocol import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose lines."""
    group = parser.add_argument_group("which lines")
    add = group.add_argument
    add("--stream", choices=("stdout", "stderr"), help="only lines of this output")
    add("--tail", metavar="N", help="lines to begin with, or all (default: what the server says, or all with --since)")
    since = group.add_mutually_exclusive_group().add_argument
    since("--since", metavar="TIME", help="lines to begin with are not older than 90s, 5m, 1h30m, ...")
    since("--since-time", metavar="TIME", help="the same as a time of RFC 3339, such as 2026-11-22T08:15:00Z")
    add("-i", "--include", action="append", metavar="RE", help="only lines that match (RE2); any, if repeated")
    add("-e", "--exclude", action="append", metavar="RE", help="no lines that match (RE2); may be repeated")
    add("-f", "--follow", action=argparse.BooleanOptionalAction, help="go on with live lines (default: yes)")


def read_query(options: argparse.Namespace, link: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the parameters of GET /logs: those of the options, and those of the link that no option replaces.

    Parameters that the server will refuse are passed on, so that it can say why. Raises BadInput.
    """
    given = read_selection(options) | _choice(options)
    # On the server, a cursor would override both.
    replaced = {"cursor"} if {"tail", "since"} & given.keys() else set()
    linked = {name: values for name, values in link.items() if name not in replaced and not _is_for_style(name, values)}
    return {**linked, **given}


def _choice(options: argparse.Namespace) -> dict[str, list[str]]:
    # kubectl writes -1 for all.
    tail = "all" if options.tail == "-1" else options.tail
    follow = None if options.follow is None else str(options.follow).lower()
    single = {"stream": options.stream, "tail": tail, "since": _since(options), "follow": follow}
    several = {"include": options.include, "exclude": options.exclude}
    chosen = {name: [value] for name, value in single.items() if value is not None}
    return chosen | {name: values for name, values in several.items() if values is not None}


def _since(options: argparse.Namespace) -> str | None:
    time: str | None = options.since_time
    if time is None:
        since: str | None = options.since
        return since
    if parse_time(time) is None:
        hint = "" if parse_duration(time) is None else ": that is for --since"
        raise BadInput(f"--since-time must be a time such as 2026-11-22T08:15:00Z, not {time!r}{hint}")
    return time


def _is_for_style(name: str, values: Sequence[str]) -> bool:
    """Tell whether a parameter of a link is for this command alone."""
    return name in LINK_PARAMETERS and len(values) == 1 and values[0] in LINK_PARAMETERS[name]
