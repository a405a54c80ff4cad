"""A broken body of JSON: which of its bytes are records, and which are lost.

Nothing inside a record may ever be taken for one: a pod chooses what its records hold, and could write lines of others.
So a record is only looked for where the one before it ends. Where that cannot be known, because quotes and brackets do
not pair up, nothing that looks like the start of a record proves to be one, and what follows is lost. Only in a body of
lines does the next newline end the loss.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.fluentbit.mend import Value, scan

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from ingest.fluentbit.budget import Budget
    from ingest.fluentbit.mend import Scan

    # Yields a record, or how many are lost, or None to let others have their turn; returns how far it has come.
    Pieces: TypeAlias = "Generator[bytes | int | None, None, int]"

# By so much of it a body is judged, and so much of it is skipped at a time.
_START = 1 << 20
# What a record takes of the budget, beside what reading it takes.
_STEPS = 6
_SEPARATORS = b", \t\r\n"
_GAP = re.compile(rb"[ \t\r\n,]*+")
# What an array may have between its commas that is no record; no colon, since that follows the key of one.
_JUNK = re.compile(rb'(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^,:\[\]{}"\\]++)\s*+(?=[,\]])', re.DOTALL)
_CONTROLS = bytes(range(9)) + bytes(range(14, 32))


def is_of_lines(body: bytes) -> bool:
    """Tell whether a body that is no array has a record a line: at least half of its newlines start one.

    Text has no newlines, they are escaped; JSON that is laid out for people starts most lines with something else. The
    first line may be broken, but it has to be text: MessagePack may have JSON in it, escaped by nobody.
    """
    start = body[:_START]
    records = start.count(b'\n{"')
    first = start[: start.find(b"\n")]
    is_text = first.startswith(b"{") or (first.isascii() and first.translate(None, _CONTROLS) == first)
    return is_text and records > 0 and 2 * records >= start.count(b"\n") - 1


def by_line(body: bytes, position: int, until: int, budget: Budget) -> Pieces:
    """Cut a body at its newlines; a line that is no record costs no other."""
    while (position := (yield from _after_gap(body, position))) < until:
        if budget.exhausted:
            yield records_after(body, position, b"\n{")
            return len(body)
        end = body.find(b"\n", position)
        end = end if end >= 0 else len(body)
        value = yield from scan(body, position, end, budget)
        is_whole = value is not None and not body[value.end : end].strip(_SEPARATORS)
        yield value.data if value and is_whole and value.data.startswith(b"{") else 1
        position = end
        if budget.spend(_STEPS):
            yield None
    return position


def by_record(body: bytes, position: int, until: int, budget: Budget, *, mark: bytes, is_array: bool) -> Pieces:
    """Cut a body where its records end; where one does not say so, all that follows is lost.

    `mark` is what its records start with; it tells about how many are lost.
    """
    position = yield from _after_gap(body, position)
    while position < until and not budget.exhausted:
        if is_array and _is_end_of_array(body, position):
            return len(body)
        piece = yield from _piece(body, position, budget, is_array=is_array)
        after = (yield from _after_gap(body, piece.end)) if piece else 0
        # If a bracket is damaged, a record ends too early, and the rest of it follows.
        if piece is None or not _may_follow(body, piece.end, after, is_array=is_array):
            break
        yield piece.data if piece.data.startswith(b"{") else 1
        position = after
        if budget.spend(_STEPS):
            yield None
    if position >= until and not budget.exhausted:
        return position
    yield records_after(body, position, mark)
    return len(body)


def _piece(body: bytes, position: int, budget: Budget, *, is_array: bool) -> Scan:
    """Return the value that starts here; None if its end cannot be told."""
    junk = _JUNK.match(body, position) if is_array else None
    if junk:
        return Value(junk.end(), b"", sure=True)
    value = yield from scan(body, position, len(body), budget)
    # Without commas between records, only what reads as one can be known to end where it seems to.
    return value if value and (value.sure or is_array) else None


def _may_follow(body: bytes, end: int, after: int, *, is_array: bool) -> bool:
    """Tell whether what follows a record and the gap behind it is another one, or the end."""
    if after == len(body) or (is_array and _is_end_of_array(body, after)):
        return True
    if not is_array:
        return body[after] == ord("{")
    return body.find(b",", end, after) >= 0 and (body[after] in b"{[" or _JUNK.match(body, after) is not None)


def _is_end_of_array(body: bytes, position: int) -> bool:
    if body[position : position + 1] != b"]" or len(body) - position > _START:
        return False
    return not body[position + 1 :].strip()


def records_after(body: bytes, position: int, mark: bytes) -> int:
    """Return about how many records start from here on, at least one, by what records start with."""
    near = body[position : position + _START]
    return max(near.count(mark) * (len(body) - position) // len(near), 1) if mark and near else 1


def _after_gap(body: bytes, position: int) -> Generator[None, None, int]:
    """Return where whitespace and commas end."""
    while (gap := _GAP.match(body, position, position + _START)) and gap.end() == position + _START:
        position = gap.end()
        yield
    return gap.end() if gap else position
