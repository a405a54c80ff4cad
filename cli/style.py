"""What lines look like: the options for it, and the value that they make together with a link."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from cli.errors import BadInput
from cli.highlight import Highlighter
from cli.template import FIELDS, Template
from cli.timezone import TimeZone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Parameters of a link that say what lines look like, and their values. This command handles them itself.
LINK_PARAMETERS = {
    "format": ("text", "json"),
    "timestamps": ("true", "false"),
    "prefix": ("true", "false"),
    "batch": ("true", "false"),
}


class Style(NamedTuple):
    """How lines look. `is_terminal`: control characters are made harmless; without it, text stays as it was.

    `namespace` is for templates, since lines do not name it.
    """

    as_json: bool = False
    timestamps: bool = False
    prefix: bool = True
    is_terminal: bool = False
    coloured: bool = False
    highlighter: Highlighter | None = None
    template: Template | None = None
    time_zone: TimeZone | None = None
    namespace: str = ""


def add_style(parser: argparse.ArgumentParser) -> None:
    """Add the options for what lines look like."""
    group = parser.add_argument_group("what the lines look like")
    add = group.add_argument
    flag = argparse.BooleanOptionalAction
    add("-t", "--timestamps", action=flag, help="show when each line was written")
    add("--timezone", metavar="ZONE", help="the zone of these times: Europe/Berlin, UTC, local, ... (default: as sent)")
    add("--prefix", action=flag, help="show pod/container (default: yes)")
    add("-o", "--output", choices=("text", "json"), help="json: an object a line, as the server sends it")
    add(
        "--template",
        metavar="TEXT",
        help=f"write each line like this, as in '{{pod:<30}} {{log}}'; there are {', '.join(FIELDS)}",
    )
    add(
        "-H",
        "--highlight",
        action="append",
        metavar="RE",
        help="mark what matches in colour (RE2); may be repeated",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: in terminals, unless NO_COLOR is set",
    )


def read_style(options: argparse.Namespace, link: Mapping[str, Sequence[str]]) -> Style:
    """Return the style that the options and, where they say nothing, the link ask for. Raises BadInput."""
    for_text = {"--template": options.template, "--highlight": options.highlight, "--timezone": options.timezone}
    given = [name for name, value in for_text.items() if value is not None]
    if given and options.output == "json":
        raise BadInput(f"{given[0]} is for text, and cannot be used with --output json")
    has_layout = options.timestamps is not None or options.prefix is not None
    if options.template is not None and has_layout:
        raise BadInput("--template says where times and names go, and cannot be used with --timestamps or --prefix")
    return Style(
        as_json=(options.output or ("text" if given else _linked(link, "format", "text"))) == "json",
        timestamps=_is_linked(link, "timestamps", "false") if options.timestamps is None else options.timestamps,
        prefix=_is_linked(link, "prefix", "true") if options.prefix is None else options.prefix,
        highlighter=None if options.highlight is None else Highlighter(options.highlight),
        template=None if options.template is None else Template.parse(options.template),
        time_zone=None if options.timezone is None else TimeZone.parse(options.timezone),
    )


def fitted(style: Style, stdout: BinaryIO, variables: Mapping[str, str], color: str = "auto") -> Style:
    """Return a style with colours if they suit an output (no-color.org)."""
    is_terminal = stdout.isatty()
    can_colour = is_terminal and not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"
    return style._replace(is_terminal=is_terminal, coloured=color == "always" or (color == "auto" and can_colour))


def _is_linked(link: Mapping[str, Sequence[str]], name: str, default: str) -> bool:
    return _linked(link, name, default) == "true"


def _linked(link: Mapping[str, Sequence[str]], name: str, default: str) -> str:
    values = link.get(name, ())
    # The server refuses others.
    return values[0] if len(values) == 1 and values[0] in LINK_PARAMETERS[name] else default
