"""What one record says: its text, its time and its output stream, in any shape that a set-up of Fluent Bit gives it.

The text is under `log`; with `Parser cri` under `message`; with Merge_Log and Keep_Log Off the application's own keys
stand among those of Fluent Bit, and are put together again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ingest.fluentbit.budget import LARGE
from ingest.fluentbit.mend import text_of
from ingest.fluentbit.times import LONGEST_TIME, time_of_number, time_of_sql, time_of_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    Members: TypeAlias = Mapping[str, msgspec.Raw]

# What Fluent Bit's output writes first when Json_date_key is not set, and what is often set.
DATE_KEYS = frozenset(("date", "timestamp", "@timestamp"))
# What follows it in a record of a container.
CONTAINER_KEYS = frozenset(("time", "stream", "_p", "logtag", "log", "message", "kubernetes"))
_ALWAYS_OURS = ("_p", "logtag", "kubernetes", "log")
# Where these are all that the application said, they are its text.
TEXT_KEYS = frozenset(("message", "msg", "log_processed"))

# Values of an array, whose floats stay as they were written.
_VALUES = msgspec.json.Decoder(list[Any], float_hook=lambda literal: msgspec.Raw(literal.encode()))
_ENCODER, _STRING = msgspec.json.Encoder(), msgspec.json.Decoder(str)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
# Escapes that JSON need not have.
_ESCAPES = ("\\u", "\\/")


def text(value: msgspec.Raw | Members) -> str:
    """Return a value in JSON, or members of an object, as text, whatever its strings hold and however large it is.

    Raises what msgspec raises of what is no JSON.
    """
    # Fluent Bit before 3.2 sends bytes that are no UTF-8, which msgspec finds only in what it is asked for.
    data = text_of(bytes(value) if isinstance(value, msgspec.Raw) else _json_of(value)).encode()
    if len(data) > LARGE and not data.startswith(b'"'):
        return msgspec.json.format(data, indent=-1).decode()
    return printed(_VALUES.decode(b"[%b]" % data))[0]


def texts_of(values: Sequence[Any]) -> list[str] | None:
    """Return values, already in JSON, as texts: strings as they are, all else as it was sent.

    Spaces go, and so do escapes that JSON need not have; returns None where there are very many of these. Raises what
    msgspec raises of what is no JSON.
    """
    data = _ENCODER.encode(values)
    compact = msgspec.json.format(data, indent=-1)
    if len(compact) == len(data):
        texts = _ENCODER.encode_lines(values).decode().split("\n")
        texts.pop()
    else:
        texts = [str(raw, "utf-8") for raw in _RAWS.decode(compact)]
    # To look for one byte is far quicker than for two.
    is_escaped = b"\\" in compact and any(escape.encode() in compact for escape in _ESCAPES)
    odd = [index for index, text in enumerate(texts) if text[0] == '"' or (is_escaped and _is_escaped(text))]
    if odd:
        data = f"[{','.join([texts[index] for index in odd])}]".encode()
        if is_escaped and len(data) > LARGE:
            return None
        for index, text in zip(odd, printed(_VALUES.decode(data)), strict=True):
            texts[index] = text
    return texts


def _is_escaped(text: str) -> bool:
    return any(escape in text for escape in _ESCAPES)


def printed(values: list[Any]) -> list[str]:
    """Return strings as they are, all else as JSON without spaces. Raises what msgspec raises of what JSON has not."""
    lines = iter(_ENCODER.encode_lines([value for value in values if type(value) is not str]).decode().split("\n"))
    return [value if type(value) is str else next(lines) for value in values]


def _json_of(members: Members) -> bytes:
    """Return members as an object in JSON."""
    return b"{%b}" % b",".join([b"%b:%b" % (msgspec.json.encode(key), raw) for key, raw in members.items()])


def merged(members: Members, time: str, stream: str | None, date: str) -> msgspec.Raw | dict[str, msgspec.Raw] | None:
    """Put together again what Merge_Log took apart, in any encoding: a value, or members of an object; None if nothing.

    `time`, `stream` and `date` are Fluent Bit's own, nothing where it has none.
    """
    others = dict(members)
    for key in _ALWAYS_OURS:
        others.pop(key, None)
    if time:
        del others["time"]
    if stream:
        del others["stream"]
    if date:
        del others[next(iter(members))]
    if len(others) == 1:
        [(key, raw)] = others.items()
        if key in TEXT_KEYS:
            return raw
    return others or None


def nothing(members: Members, stream: str | None) -> str | None:
    """Return the text of a record that has none: what the application must have written, None if it may be no line."""
    if "logtag" in members:
        return ""  # an empty line, with `Parser cri`
    if "log" in members:
        return '{"log":null}'  # Fluent Bit's own is never null
    return "{}" if "_p" in members or stream else None


def date_key(members: Members) -> str:
    """Return the key that Fluent Bit's output plugin wrote first, by where it stands; "" if it wrote none."""
    keys = iter(members)
    first, second = next(keys, ""), next(keys, "")
    return first if first in DATE_KEYS or (second in CONTAINER_KEYS and first not in CONTAINER_KEYS) else ""


def date(raw: msgspec.Raw) -> str:
    """Return a date of any Json_date_format as RFC 3339, "" if it is none. Raises what msgspec raises of bad text."""
    data = bytes(raw) if len(raw) <= 2 * LONGEST_TIME else b""
    if data[:1].isdigit():
        return time_of_number(data.decode())
    text = _STRING.decode(data) if data.startswith(b'"') else ""
    return time_of_text(text) or time_of_sql(text)
