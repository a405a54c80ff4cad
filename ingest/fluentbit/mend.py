"""What can be saved of JSON that is not JSON.

Fluent Bit before 3.2 sends invalid UTF-8 as it is, and 2.2 writes CESU-8; every version writes bare `nan` and `inf`
where a parser made floats. Such a value still says where it ends: its quotes and brackets pair up. It is mended, or it
is stepped over. A value that does not say where it ends is never searched for others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from ingest.fluentbit.budget import Budget

    # These yield to let others have their turn.
    Scan: TypeAlias = "Generator[None, None, Value | None]"
    Skip: TypeAlias = "Generator[None, None, int | None]"

# A larger record is skipped: no line is allowed to be nearly as long (MAX_LINE_KIB).
LARGEST_RECORD = 4 << 20
# One nested deeper is skipped too; msgspec would refuse it at about twice that.
_DEEPEST = 500
# Bytes that one regular expression may take at a time.
_WINDOW = 64 << 10
# What a match takes of the budget: so many steps, and one more for so many bytes.
_STEPS, _BYTES_A_STEP = 2, 64
# Longer text with bad bytes is not searched for CESU-8.
_LONG = 64 << 10

# JSON, and what is close enough to it to be mended. Nothing here backtracks.
_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WORD = rb'[^\s,:\[\]{}"\\]++(?=[\s,\]}])'
_ESCAPE = (
    rb'\\(?:["\\/bfnrt]|u(?:[0-9a-ceA-CEf-fF-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
_SOUND_TEXT = rb'[^"\\\x00-\x1f]*+(?:%b[^"\\\x00-\x1f]*+)*+' % _ESCAPE
_SOUND_STRING = rb'"%b"' % _SOUND_TEXT
_NUMBER = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
_SOUND_WORD = rb"(?:%b|true|false|null)(?=[\s,\]}])" % _NUMBER
_SOUND_SCALAR = rb"(?:%b|%b)" % (_SOUND_STRING, _SOUND_WORD)


def _many(item: bytes) -> bytes:
    return rb"(?:%b%b(?:,%b%b%b)*+)?+" % (item, _SPACE, _SPACE, item, _SPACE)


def _member(value: bytes) -> bytes:
    return rb"%b%b:%b%b" % (_SOUND_STRING, _SPACE, _SPACE, value)


# A value that needs no mending and holds no others but scalars; most of metadata is of these.
_SOUND = rb"(?:%b|\{%b%b\}|\[%b%b\])" % (
    _SOUND_SCALAR,
    _SPACE,
    _many(_member(_SOUND_SCALAR)),
    _SPACE,
    _many(_SOUND_SCALAR),
)
# As many members of an object or items of an array as need no mending, a comma before each.
_SOUND_MEMBERS = re.compile(rb"(?:%b,%b%b)*+" % (_SPACE, _SPACE, _member(_SOUND)))
_SOUND_ITEMS = re.compile(rb"(?:%b,%b%b)*+" % (_SPACE, _SPACE, _SOUND))
# The next one, with whatever can be mended, or the bracket after the last.
_MEMBER = re.compile(
    rb"(?P<gap>[\s,]*+)(?:(?P<key>%b)\s*+:\s*+(?:(?P<open>[{\[])|(?P<scalar>%b|%b))|(?P<close>\}))"
    % (_STRING, _STRING, _WORD),
    re.DOTALL,
)
_ITEM = re.compile(
    rb"(?P<gap>[\s,]*+)(?:(?P<open>[{\[])|(?P<scalar>%b|%b)|(?P<close>\]))(?P<key>)" % (_STRING, _WORD), re.DOTALL
)
_TEXT = re.compile(_SOUND_TEXT)
_WORDS = re.compile(rb"(?:%b|true|false|null)\Z" % _NUMBER)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
# What may stand between brackets where nothing is mended. A word beside a quote shows that a quote is missing.
_BETWEEN = re.compile(rb'(?:[\s,:]++|%b(?=[\s,:\]}])|[^\s,:\[\]{}"\\]++(?=[\s,:\[\]{}]))*+' % _STRING, re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_AFTER_STRING = re.compile(rb"[\s,:\]}]")
_OPENED_BY = {ord("}"): ord("{"), ord("]"): ord("[")}

# CESU-8: the halves of a surrogate pair as three bytes each (Unicode TR 26), or one half alone.
_HALF_PAIR = re.compile(r"\udced([\udca0-\udcaf])([\udc80-\udcbf])\udced([\udcb0-\udcbf])([\udc80-\udcbf])")
_LONE_HALF = re.compile(r"\udced[\udca0-\udcbf][\udc80-\udcbf]")
_BAD_BYTE = re.compile(r"[\udc80-\udcff]")


class Value(NamedTuple):
    """An object or array: where it ends, and its JSON, which is empty if it cannot be mended.

    `sure` is whether it read as JSON but for what can be mended, so that nothing else explains where it ends.
    """

    end: int
    data: bytes
    sure: bool


def text_of(data: bytes) -> str:
    """Decode UTF-8 where each bad byte becomes U+FFFD, and CESU-8 what it stands for.

    In long text, bad bytes that belong together become one U+FFFD.
    """
    try:
        return data.decode("utf-8", "replace" if len(data) > _LONG else "strict")
    except UnicodeDecodeError:
        # Bad bytes become U+DC80 to U+DCFF, one each, which nothing else can.
        text = data.decode("utf-8", "surrogateescape")
    text = _HALF_PAIR.sub(_joined, text)
    return _BAD_BYTE.sub("\ufffd", _LONE_HALF.sub("\ufffd", text))


def _joined(pair: re.Match[str]) -> str:
    high, high_low, low, low_low = (ord(half) & 0x3F for half in pair.groups())
    return chr(0x10000 + ((high & 0x0F) << 16 | high_low << 10 | (low & 0x0F) << 6 | low_low))


def scan(body: bytes, start: int, end: int, budget: Budget) -> Scan:
    """Read the object or array that starts here; return None if there is none, or if it does not say where it ends.

    Stray commas, words that are none of JSON, and anything in a string are mended. A missing comma is not: where a
    bracket is damaged, members of an object inside would become members of the record.
    """
    stack, parts, position, fresh = bytearray(body[start : start + 1]), [body[start : start + 1]], start + 1, True
    if parts[0] not in (b"{", b"["):
        return None
    while stack:
        before, in_object = position, stack[-1] == ord("{")
        if not fresh:
            run = (_SOUND_MEMBERS if in_object else _SOUND_ITEMS).match(body, position, min(end, position + _WINDOW))
            parts.append(run[0] if run else b"")
            position += len(parts[-1])
        found = yield from _next(_MEMBER if in_object else _ITEM, body, position, end, budget)
        if found and not fresh and not found["close"] and b"," not in found["gap"]:
            found = None
        if found is None or len(stack) > _DEEPEST or position - start > LARGEST_RECORD:
            after = yield from _skip(body, position, stack, end, budget)
            return Value(after, b"", found is not None) if after else None
        parts.append(b"," if not fresh and not found["close"] else b"")
        parts.append((yield from _mended(found["key"], budget)) + b":" if found["key"] else b"")
        parts.append(found["open"] or found["close"] or (yield from _mended(found["scalar"], budget)))
        position, fresh = found.end(), found["open"] is not None
        if found["open"]:
            stack += found["open"]
        elif found["close"]:
            stack.pop()
        if budget.spend(_STEPS + (position - before) // _BYTES_A_STEP):
            yield
        if budget.exhausted:
            return None
    data = b"".join(parts)
    return Value(position, data if data.isascii() else text_of(data).encode(), sure=True)


def _next(
    pattern: re.Pattern[bytes], body: bytes, position: int, end: int, budget: Budget
) -> Generator[None, None, re.Match[bytes] | None]:
    found = pattern.match(body, position, min(end, position + _WINDOW))
    if found is None and position + _WINDOW < end:
        # Maybe a long string.
        if budget.spend(_WINDOW // _BYTES_A_STEP):
            yield
        found = pattern.match(body, position, min(end, position + LARGEST_RECORD))
    return found


def _mended(token: bytes, budget: Budget) -> Generator[None, None, bytes]:
    """Return a word or a string as it should be."""
    if not token.startswith(b'"'):
        return token if _WORDS.match(token) else b"null"
    parts, position, end = [b'"'], 1, len(token) - 1
    while position < end:
        sound = _TEXT.match(token, position, min(end, position + _WINDOW))
        if sound and sound[0]:
            parts.append(sound[0])
            position = sound.end()
        else:
            fault, mended = _mended_fault(token, position)
            parts.append(mended)
            position += fault
        if budget.spend(_STEPS + len(parts[-1]) // _BYTES_A_STEP):
            yield
        if budget.exhausted:
            return b"null"
    return b"".join([*parts, b'"'])


def _mended_fault(token: bytes, position: int) -> tuple[int, bytes]:
    """Return how long the fault in a string is, and what to put in its place."""
    if token[position] != ord("\\"):
        return 1, b"\\u%04x" % token[position]  # a control character
    if _LONE_SURROGATE.match(token, position):
        return 6, b"\\ufffd"
    return 1, b"\\\\"


def _skip(body: bytes, position: int, stack: bytearray, end: int, budget: Budget) -> Skip:
    """Return where the outermost of these open brackets is closed; None if quotes and brackets do not pair up."""
    while stack:
        before, between = position, _BETWEEN.match(body, position, min(end, position + _WINDOW))
        position = between.end() if between else position
        byte = body[position] if position < end else 0
        if byte == ord('"'):
            closing = yield from _end_of_string(body, position + 1, end, budget)
            if not closing or not _AFTER_STRING.match(body, closing + 1, end):
                return None
            position = closing + 1
        elif byte in b"{[":
            stack.append(byte)
            position += 1
        elif byte in b"}]" and stack[-1] == _OPENED_BY[byte]:
            stack.pop()
            position += 1
        elif position == before:
            return None
        if budget.spend(_STEPS + (position - before) // _BYTES_A_STEP):
            yield
        if budget.exhausted:
            return None
    return position


def _end_of_string(body: bytes, position: int, end: int, budget: Budget) -> Skip:
    """Return where the closing quote of the string is that this is in; None if there is none."""
    while inside := _IN_STRING.match(body, position, min(end, position + _WINDOW)):
        if body[inside.end() : min(inside.end() + 1, end)] == b'"':
            return inside.end()
        if inside.end() == position:
            break
        position = inside.end()
        if budget.spend(_WINDOW // _BYTES_A_STEP):
            yield
    return None
