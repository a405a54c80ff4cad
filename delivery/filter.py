"""Text filters: RE2 patterns that a line must or must not match.

RE2 takes time linear in the text: usually about 1 ns a byte, but 4 to 9 ns for each byte and each instruction of the
compiled pattern where its automaton outgrows its memory. The search of one line cannot be interrupted. Bounds on the
instructions, and on how much of a line is looked at, keep it within some 40 ms at the worst.
"""

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

# Instructions that all include patterns, or all exclude patterns, of a filter may have once compiled. Usual patterns
# have 10 to 75.
MAX_INSTRUCTIONS = 300

# A filter looks at this many bytes of each line, and at more where its patterns are simple: at 244 KiB with 10
# instructions. A longer line counts as ending there.
MIN_LINE_BYTES = 16 * 1024
_LINE_WORK = 2_500_000  # instructions times bytes

# What calling RE2 once costs, in instructions times bytes.
_CALL_WORK = 160

# Memory that one compiled pattern may take, its cache of automaton states included. RE2 runs on with a slower
# automaton when this is used up; with its default of 8 MiB, a thousand different filters could take 8 GiB.
_MAX_MEMORY = 256 * 1024

# What can make a match in joined lines and a match in a single line differ, other than ^ and $: anchors to the text's
# ends, and flags or quotings that could change what the rest means.
_NEEDS_SINGLE_LINES = re.compile(r"\\[AzZQCK]|\(\?(?!i\)|:|P?<)")


class BadPattern(ValueError):
    """A pattern that RE2 does not compile, or one that is too long or too complex. `problem` is a clause."""

    def __init__(self, pattern: str, problem: str) -> None:
        super().__init__(pattern, problem)
        self.pattern = pattern
        self.problem = problem

    def __str__(self) -> str:
        return f"pattern cannot be used: {self.problem}"


@dataclass(frozen=True, slots=True)
class TextFilter:
    """Which lines a reader wants: any include, no exclude. Equal if the patterns are. Raises BadPattern."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    patterns: int = field(init=False, repr=False, compare=False)  # how many there are
    _include: Sequence[_Pattern] = field(init=False, repr=False, compare=False)
    _exclude: Sequence[_Pattern] = field(init=False, repr=False, compare=False)
    _instructions: int = field(init=False, repr=False, compare=False)
    _line_bytes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        include, exclude = _compile_all(self.include), _compile_all(self.exclude)
        instructions = sum(pattern.instructions for pattern in (*include, *exclude))
        object.__setattr__(self, "patterns", len(include) + len(exclude))
        object.__setattr__(self, "_include", include)
        object.__setattr__(self, "_exclude", exclude)
        object.__setattr__(self, "_instructions", instructions)
        object.__setattr__(self, "_line_bytes", max(MIN_LINE_BYTES, _LINE_WORK // max(instructions, 1)))

    def __bool__(self) -> bool:
        return self.patterns > 0

    def work(self, size: int, lines: int) -> int:
        """Return how much work matching so many bytes and lines may be, in instructions times bytes."""
        return self._instructions * size + _CALL_WORK * self.patterns * lines

    def indices(self, chunk: Chunk, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return which of the chunk's lines from `start` to before `stop` (None: the end) pass, in order."""
        stop = chunk.count if stop is None else stop
        text, lines = chunk.text, None
        if stop - start < chunk.count or len(text) > self._line_bytes:
            lines = [line[: self._line_bytes] for line in chunk.lines()[start:stop]]
            text = b"\n".join(lines)
        include, exclude = self._include, self._exclude
        if chunk.joins_cleanly and stop - start > 1:
            include = [pattern for pattern in include if pattern.may_match(text)]
            if self._include and not include:
                return ()
            exclude = [pattern for pattern in exclude if pattern.may_match(text)]
        if not include and not exclude:
            return range(start, stop)
        return [
            index
            for index, line in enumerate(chunk.lines() if lines is None else lines, start)
            if (not include or any(pattern.matches(line) for pattern in include))
            and not any(pattern.matches(line) for pattern in exclude)
        ]


class _Pattern:
    """One compiled pattern, and a quick no for many lines at once."""

    __slots__ = ("_joined", "instructions", "matches")

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN_CHARACTERS:
            problem = f"it has {len(pattern)} characters, and {MAX_PATTERN_CHARACTERS} are allowed"
            raise BadPattern(pattern, problem)
        compiled = _compile(pattern)
        self.instructions: int = compiled.programsize
        self.matches = compiled.search
        # One search over joined lines is some forty times faster than one for each of them, and most patterns match
        # nowhere in most chunks. With (?m), ^ and $ mean the ends of each line, as they do in a single line.
        self._joined = None if _NEEDS_SINGLE_LINES.search(pattern) else _compile(f"(?m:{pattern})").search

    def may_match(self, text: bytes) -> bool:
        """Tell whether one of the lines that make up a text might match; False is certain."""
        return self._joined is None or self._joined(text) is not None


def _compile_all(patterns: Sequence[str]) -> tuple[_Pattern, ...]:
    compiled, instructions = list[_Pattern](), 0
    for pattern in patterns:
        compiled.append(_Pattern(pattern))
        instructions += compiled[-1].instructions
        if instructions > MAX_INSTRUCTIONS:
            of_all = "it has" if len(compiled) == 1 else "with those before it, it has"
            problem = f"{of_all} {instructions} instructions once compiled, and {MAX_INSTRUCTIONS} are allowed"
            raise BadPattern(pattern, problem)
    return tuple(compiled)


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
