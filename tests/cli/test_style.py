from __future__ import annotations

import argparse
import io

import pytest

from cli.errors import BadInput
from cli.style import Style, add_style, fitted, read_style


def _options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_style(parser)
    return parser.parse_args(given)


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "color", "variables", "coloured"),
    [
        (_Terminal(), "auto", {}, True),
        (_Terminal(), "auto", {"NO_COLOR": "1"}, False),
        (_Terminal(), "auto", {"TERM": "dumb"}, False),
        (_Terminal(), "never", {}, False),
        (io.BytesIO(), "auto", {}, False),
        (io.BytesIO(), "always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_for_terminals_unless_asked_otherwise(
    out: io.BytesIO,
    color: str,
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    style = fitted(Style(), out, variables, color)
    assert (style.coloured, style.is_terminal) == (coloured, out.isatty())


_LINK = {"format": ["json"], "timestamps": ["true"], "prefix": ["false"]}


@pytest.mark.parametrize(
    ("given", "link", "style"),
    [
        ((), {}, Style()),
        (("-t", "--no-prefix", "-o", "json"), {}, Style(as_json=True, timestamps=True, prefix=False)),
        ((), _LINK, Style(as_json=True, timestamps=True, prefix=False)),
        (("-o", "text", "--no-timestamps", "--prefix"), _LINK, Style()),
        ((), {"format": ["xml"], "timestamps": ["true", "true"]}, Style()),
    ],
)
def test_options_go_before_what_a_link_says(given: tuple[str, ...], link: dict[str, list[str]], style: Style) -> None:
    assert read_style(_options(*given), link) == style


def test_an_option_for_text_goes_before_a_link_for_json() -> None:
    assert not read_style(_options("--template", "{log}"), _LINK).as_json


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("-o", "json", "-H", "x"), "--highlight is for text, and cannot be used with --output json"),
        (("-o", "json", "--template", "{log}"), "--template is for text"),
        (("-o", "json", "--timezone", "UTC"), "--timezone is for text"),
        (("--template", "{log}", "-t"), "--template says where times and names go"),
        (("--template", "{x}"), "--template does not know {x}"),
        (("-H", "("), r"--highlight '\(' is not a usable pattern"),
        (("--timezone", "x"), "--timezone must be a name"),
    ],
)
def test_looks_that_cannot_be_are_refused(given: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        read_style(_options(*given), {})
