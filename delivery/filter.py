"""Text filters: RE2 patterns that a line must or must not match, in time linear in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk

MAX_PATTERN_CHARACTERS = 1000
MAX_PATTERNS = 10

# Memory that one compiled pattern may take, its cache of automaton states included. RE2 runs on with a slower
# automaton when this is used up; with its default of 8 MiB, a thousand different filters could take 8 GiB.
_MAX_MEMORY = 256 * 1024

# What can make a match in joined lines and a match in a single line differ, other than ^ and $: anchors to the text's
# ends, and flags or quotings that could change what the rest means.
_NEEDS_SINGLE_LINES = re.compile(r"\\[AzZQCK]|\(\?(?!i\)|:|P?<)")


class BadPattern(ValueError):
    """A pattern that RE2 does not compile, or one that is too long."""

    def __init__(self, pattern: str, problem: str) -> None:
        super().__init__(pattern, problem)
        self.pattern = pattern
        self.problem = problem

    def __str__(self) -> str:
        return f"pattern does not compile: {self.problem}"


@dataclass(frozen=True, slots=True)
class TextFilter:
    """Which lines a reader wants: any include, no exclude. Equal if the patterns are. Raises BadPattern."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _include: tuple[_Pattern, ...] = field(init=False, repr=False, compare=False)
    _exclude: tuple[_Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", tuple(map(_Pattern, self.include)))
        object.__setattr__(self, "_exclude", tuple(map(_Pattern, self.exclude)))

    def __len__(self) -> int:
        return len(self.include) + len(self.exclude)

    def indices(self, chunk: Chunk) -> Sequence[int]:
        """Return which lines of the chunk pass, in order."""
        include = [pattern for pattern in self._include if pattern.may_match(chunk)]
        if self._include and not include:
            return ()
        exclude = [pattern for pattern in self._exclude if pattern.may_match(chunk)]
        if not include and not exclude:
            return range(chunk.count)
        return [
            index
            for index, line in enumerate(chunk.lines())
            if (not include or any(pattern.matches(line) for pattern in include))
            and not any(pattern.matches(line) for pattern in exclude)
        ]


class _Pattern:
    """One compiled pattern, and a quick no for whole chunks."""

    __slots__ = ("_joined", "matches")

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN_CHARACTERS:
            problem = f"it has {len(pattern)} characters, and {MAX_PATTERN_CHARACTERS} are allowed"
            raise BadPattern(pattern, problem)
        self.matches = _compile(pattern).search
        # One search over a chunk's text is some forty times faster than one for each of its lines, and most patterns
        # match nowhere in most chunks. With (?m), ^ and $ mean the ends of each line, as they do in a single line.
        self._joined = None if _NEEDS_SINGLE_LINES.search(pattern) else _compile(f"(?m:{pattern})").search

    def may_match(self, chunk: Chunk) -> bool:
        """Tell whether some line of the chunk might match; False is certain."""
        return self._joined is None or not chunk.joins_cleanly or self._joined(chunk.text) is not None


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        # The library's error holds bytes that say where: "missing ): (unclosed".
        detail = error.args[0] if error.args else b""
        problem = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise BadPattern(pattern, problem) from None
