"""What can be saved of JSON that is not JSON.

Fluent Bit before 3.2 sends invalid UTF-8 as it is, and 2.2 writes CESU-8; every version writes bare `nan` and `inf`
where a parser made floats. A body may also be cut short or damaged on its way. Everything here is linear
in the size of the body, does not recurse, and raises nothing.
"""

from __future__ import annotations

import re
from math import isinf
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

# An object with more members than this is refused rather than held as Python objects.
_LARGE, _CROWD = 1 << 20, 100_000
# Values nested deeper than this are replaced by null, deeper still makes a record broken.
_DEEP, _DEEPEST = 64, 1_000
# What reading takes, in nanoseconds or so: a byte, a step of the grammar, an attempt, and a byte of a search.
_BYTE, _STEP, _ATTEMPT, _SOUGHT = 1, 500, 5_000, 20
# How much reading in vain ends the search, and how much in all ends the trying of objects inside broken ones.
_PATIENCE, _CREDIT = 300_000_000, 300_000_000
_MOST_STEPS = 100_000
# A search stops for a pause after so many bytes; the pattern is shorter than the overlap.
_WINDOW, _OVERLAP = 1 << 20, 256

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WORD = rb'[^\s,:\[\]{}"\\]++'
_SCALARS_OF_OBJECT = re.compile(rb"(?:[\s,]*+%b\s*+:\s*+(?:%b|%b))*+" % (_STRING, _STRING, _WORD), re.DOTALL)
_NEXT_OF_OBJECT = re.compile(rb"[\s,]*+(?:%b\s*+:\s*+[{\[]|\})" % _STRING, re.DOTALL)
_SCALARS_OF_ARRAY = re.compile(rb"(?:[\s,]*+(?:%b|%b))*+" % (_STRING, _WORD), re.DOTALL)
_NEXT_OF_ARRAY = re.compile(rb"[\s,]*+[{\[\]]")
_BETWEEN = re.compile(rb"[\s,\[\]]*+")
# Where a record may start: not the value of a key. Inside a valid string the quote would be escaped.
_START = re.compile(rb'(?<!:)(?<!: )\{\s{0,16}"[^"\\]{1,64}"\s{0,16}:')
# Between two objects: inside a valid string no quote can follow a brace and be followed by a letter.
_SEAM = re.compile(rb'\}\s{0,16}\{(?=\s{0,16}"[A-Za-z_@])')
_ALIKE = re.compile(rb'\}\s{0,16}(\{\s{0,16}"[A-Za-z_@][^"\\]{0,64}")')
_RECORD_KEY = re.compile(rb'"(?:log|message|msg|kubernetes|time|stream|logtag|_p)"\s{0,16}:')

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|,[\s,]*+([}\]])?|[{\[][\s,]*+|[^\s,:\[\]{}"\\]++', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_LITERALS = frozenset(("true", "false", "null"))
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r'|u[0-9a-fA-F]{4}|["\\/bfnrt]|(.))',
    re.DOTALL,
)
# CESU-8: the halves of a surrogate pair as three bytes each (Unicode TR 26), or one half alone.
_HALF_PAIR = re.compile(r"\udced([\udca0-\udcaf])([\udc80-\udcbf])\udced([\udcb0-\udcbf])([\udc80-\udcbf])")
_LONE_HALF = re.compile(r"\udced[\udca0-\udcbf][\udc80-\udcbf]")
_BAD_BYTE = re.compile(r"[\udc80-\udcff]")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Extent(NamedTuple):
    """How far an object reaches: `end` is just past it, or where it stops making sense and `deep` is None."""

    end: int
    steps: int
    deep: list[tuple[int, int]] | None = None


def text_of(data: bytes) -> str:
    """Decode UTF-8 where each bad byte becomes U+FFFD, and CESU-8 what it stands for.

    In what is very large, bad bytes that belong together become one U+FFFD.
    """
    try:
        return data.decode("utf-8", "replace" if len(data) > _LARGE else "strict")
    except UnicodeDecodeError:
        # Bad bytes become U+DC80 to U+DCFF, one each, which nothing else can.
        text = data.decode("utf-8", "surrogateescape")
    text = _HALF_PAIR.sub(_joined, text)
    return _BAD_BYTE.sub("\ufffd", _LONE_HALF.sub("\ufffd", text))


def _joined(pair: re.Match[str]) -> str:
    high, high_low, low, low_low = (ord(half) & 0x3F for half in pair.groups())
    return chr(0x10000 + ((high & 0x0F) << 16 | high_low << 10 | (low & 0x0F) << 6 | low_low))


def mend(data: bytes) -> bytes:
    """Return JSON text with its usual faults mended; what else is wrong with it stays."""
    return _TOKEN.sub(_mended, text_of(data)).encode()


def _mended(found: re.Match[str]) -> str:
    token = found[0]
    first = token[0]
    if first == '"':
        if "\\" in token:
            token = _ESCAPE.sub(_mended_escape, token)
        return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", token)
    if first == ",":
        return found[1] or ","
    if first in "{[":
        return first
    if token in _LITERALS or (_NUMBER.fullmatch(token) and not isinf(float(token))):
        return token
    return "null"


def _mended_escape(escape: re.Match[str]) -> str:
    if escape[1]:
        return "\ufffd"
    return "\\\\" + escape[2] if escape[2] else escape[0]


def is_crowded(data: bytes) -> bool:
    """Tell whether an object has so many members that holding them apart would take gigabytes."""
    return len(data) > _LARGE and data.count(b'":') - data.count(b'\\":') > _CROWD


def joined_alike(body: bytes) -> bytes | None:
    """Return objects that follow each other on one line as one array, if all start alike; None for other bodies."""
    seam = _ALIKE.search(body) if body.lstrip()[:1] == b"{" else None
    if seam is None or b"\n" in seam[0]:
        return None
    return b"[%b]" % body.replace(seam[0], b"}," + seam[1])


def joined(body: bytes) -> bytes:
    """Return valid objects with nothing or whitespace between them as one array."""
    return b"[%b]" % _SEAM.sub(b"},{", body)


def objects(body: bytes) -> Iterator[bytes | None]:
    """Yield each object of the body, mended if need be; None for each broken place; b"" to pause.

    Objects come in the order of the body, from before and after what is broken.
    """
    position, broken, vain, credit = 0, False, 0, _CREDIT
    while position < len(body) and vain < _PATIENCE:
        start = _next_start(body, position) if broken else _next_object(body, position)
        if start < 0:
            yield b"" if broken else None
            vain += _WINDOW * _SOUGHT if broken else 0
            position += _WINDOW - _OVERLAP if broken else 0
            broken = True
            continue
        if start == len(body):
            return
        extent = extent_at(body, start)
        found = _well_formed(body, start, extent)
        if found and not (broken and not _RECORD_KEY.search(found)):
            yield found
            position, broken, vain = extent.end, False, 0
            continue
        yield b"" if broken else None
        cost = _ATTEMPT + _BYTE * (extent.end - start) + _STEP * extent.steps
        vain += cost + (start - position) * _SOUGHT
        credit -= 0 if found else cost
        # As long as there is credit, what stands inside the broken object is tried as well.
        position = extent.end if found or credit < 0 else start + 1
        broken = True


def _next_object(body: bytes, position: int) -> int:
    """Return where the next object starts, or the end; -1 if something else comes first."""
    between = _BETWEEN.match(body, position)
    position = between.end() if between else position
    return position if body[position : position + 1] in (b"{", b"") else -1


def _next_start(body: bytes, position: int) -> int:
    """Return where a record may start; -1 if there is none near, the end if there is none at all."""
    start = _START.search(body, position, position + _WINDOW)
    if start:
        return start.start()
    return -1 if position + _WINDOW < len(body) else len(body)


def _well_formed(body: bytes, start: int, extent: Extent) -> bytes:
    """Return the object as JSON, or nothing if it cannot be mended."""
    if extent.deep is None:
        return b""
    parts, position = list[bytes](), start
    for deep_start, deep_end in extent.deep:
        parts += [body[position:deep_start], b"null"]
        position = deep_end
    data = b"".join([*parts, body[position : extent.end]])
    if is_crowded(data):
        return b""
    for attempt in (bytes, mend):
        try:
            fixed = attempt(data)
            _MEMBERS.decode(fixed)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return fixed
    return b""


def extent_at(body: bytes, start: int) -> Extent:
    """Find where the object that starts here ends, by a grammar that forgives what can be mended."""
    position, steps, stack = start + 1, 0, bytearray(b"{")
    deep, deep_start = list[tuple[int, int]](), 0
    while stack:
        steps += 1
        in_object = stack[-1] == ord("{")
        scalars = (_SCALARS_OF_OBJECT if in_object else _SCALARS_OF_ARRAY).match(body, position)
        position = scalars.end() if scalars else position
        following = (_NEXT_OF_OBJECT if in_object else _NEXT_OF_ARRAY).match(body, position)
        if following is None or len(stack) > _DEEPEST or steps > _MOST_STEPS:
            return Extent(position, steps)
        position = following.end()
        bracket = body[position - 1]
        if bracket in b"{[":
            stack.append(bracket)
            if len(stack) == _DEEP:
                deep_start = position - 1
        else:
            if len(stack) == _DEEP:
                deep.append((deep_start, position))
            stack.pop()
    return Extent(position, steps, deep)
