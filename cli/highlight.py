"""Marks on what a pattern matches in a line."""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING

import re2

from cli.ansi import RESET, SGR
from cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARK = "\x1b[1;31m"
# A code whose first parameter is 0, or missing, starts from nothing.
_RESETS = re.compile(r"\x1b\[0*[;m]")
# Matches in one line that are marked. To find the next one, a pattern may have to read all the rest.
_MOST_MATCHES = 1000
# Colour codes since the last reset that are kept, so that a line made of nothing else does not grow with its matches.
_MOST_CODES = 8


class _Edge(IntEnum):
    """What happens at a place in a text, in the order of what happens at the same place."""

    END = 0
    CODE = 1
    START = 2


class Highlighter:
    """Marks what any of some RE2 patterns matches, whatever colours a line has itself. Raises BadInput."""

    def __init__(self, patterns: Sequence[str]) -> None:
        options = re2.Options()
        options.log_errors = False
        for pattern in patterns:
            try:
                re2.compile(pattern, options)
            except (re2.error, UnicodeEncodeError) as error:
                raise BadInput(f"--highlight {pattern!r} is not a usable pattern: {_problem(error)}") from None
        self._pattern = re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), options)

    def mark(self, text: str) -> str:
        """Return a text with its matches marked, none of which spans lines; its own colours go on after each."""
        return "\n".join(map(self._mark_line, text.split("\n"))) if "\n" in text else self._mark_line(text)

    def _mark_line(self, text: str) -> str:
        codes = list(SGR.finditer(text)) if "\x1b[" in text else []
        plain = SGR.sub("", text) if codes else text
        edges = [
            edge
            for match in islice(self._pattern.finditer(plain), _MOST_MATCHES)
            if match[0]
            for edge in ((match.start(), _Edge.START, ""), (match.end(), _Edge.END, ""))
        ]
        if not edges:
            return text
        shift = 0
        for code in codes:
            edges.append((code.start() - shift, _Edge.CODE, code[0]))
            shift += len(code[0])
        # Codes at the same place keep their order: the sort is stable, and looks at the first two members only.
        return _woven(plain, sorted(edges, key=lambda edge: edge[:2]))


def _woven(plain: str, edges: list[tuple[int, _Edge, str]]) -> str:
    pieces, colours, at, is_marked = list[str](), list[str](), 0, False
    for place, edge, code in edges:
        pieces.append(plain[at:place])
        at = place
        if edge is _Edge.START:
            pieces.append(_MARK)
        elif edge is _Edge.END:
            pieces += [RESET, *colours]
        else:
            colours = [code] if _RESETS.match(code) else [*colours, code][-_MOST_CODES:]
            if not is_marked:
                pieces.append(code)
        is_marked = edge is _Edge.START or (is_marked and edge is _Edge.CODE)
    return "".join([*pieces, plain[at:]])


def _problem(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
