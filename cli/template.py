"""Templates: lines written as the user wants them, such as `{timestamp} {pod}/{container} {log}`."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

from cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIELDS = ("timestamp", "namespace", "pod", "container", "stream", "log")

# The part of Python's format specifications that fits text: fill and alignment, width, longest length.
_SPECIFICATION = re.compile(r"(?:.?[<>^])?(?:[1-9][0-9]{0,2})?(?:\.[0-9]{1,4})?")


class Piece(NamedTuple):
    """Literal text, and the field after it with its format specification; no field at the end of a template."""

    literal: str
    field: str = ""
    specification: str = ""


class Template:
    """Text with fields in braces, each of which may have a width as in Python: `{pod:<30}`."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        self.has_log = any(piece.field == "log" for piece in self.pieces)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template. Raises BadInput."""
        try:
            parsed = list(Formatter().parse(text))
        except ValueError:
            raise BadInput(f"--template {text!r} has half a pair of braces; {{{{ and }}}} stand for braces") from None
        pieces = [_piece(*one) for one in parsed]
        if not any(piece.field for piece in pieces):
            raise BadInput(f"--template {text!r} has no field: there are {_listed()}")
        return cls(pieces)

    def render(self, value: Callable[[str, str], str]) -> str:
        """Return the text with each field's value, which `value` returns for its name and format specification."""
        return "".join(
            f"{literal}{value(field, specification)}" if field else literal
            for literal, field, specification in self.pieces
        )


def _piece(literal: str, field: str | None, specification: str | None, conversion: str | None) -> Piece:
    if field is None:
        return Piece(literal)
    if field not in FIELDS:
        raise BadInput(f"--template does not know {{{field}}}: there are {_listed()}")
    if conversion or not _SPECIFICATION.fullmatch(specification or ""):
        written = f"{field}{f'!{conversion}' if conversion else ''}{f':{specification}' if specification else ''}"
        raise BadInput(f"--template takes fields such as {{pod}}, {{pod:<30}} and {{log:.200}}, not {{{written}}}")
    return Piece(literal, field, specification or "")


def _listed() -> str:
    return ", ".join(f"{{{field}}}" for field in FIELDS)
