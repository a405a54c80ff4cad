"""How logurt's own log is written: as text, or as a JSON object a line. Either way, facts are fields with names."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import Any

# A value that needs no quotes in text.
_PLAIN = re.compile(r"[\w.:/@+*-]+", re.ASCII)

# What could end a line, make a terminal do something, or have it show a line in another order than it is written: C0
# and C1 controls, line separators, marks and controls of text direction (Unicode TR 9, 2), and halves of surrogate
# pairs.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def log_event(log: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log that something has happened, with its facts. Those that are None or empty are left out."""
    if log.isEnabledFor(level):
        given = {name: value for name, value in fields.items() if value not in (None, "", (), {})}
        # Where in the code that was is in none of our lines, and to find it out takes a fifth of what a line does.
        log.handle(log.makeRecord(log.name, level, "", 0, event, (), None, extra={"fields": given}))


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: event name=value`; what could be mistaken for something else is quoted as in JSON.

    A traceback follows on lines of its own.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of `logging`
        """Return the line of a record, without its traceback."""
        parts = [_escaped(super().formatMessage(record))]
        fields: dict[str, Any] = getattr(record, "fields", {})
        for name, value in fields.items():
            text = str(value)
            parts.append(f"{name}={text if _PLAIN.fullmatch(text) else _json(text)}")
        return " ".join(parts)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name of `logging`
        """Return a traceback, whose lines may quote what a client sent."""
        return "\n".join(map(_escaped, super().formatException(ei).split("\n")))


class JsonFormatter(logging.Formatter):
    """An object a line: `time` in RFC 3339, `level`, `logger`, `event`, then the facts; `error` has a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object of a record."""
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return _json(entry)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def _json(value: object) -> str:
    """Return a value as JSON, in which text stays readable and anything unsafe is escaped."""
    return _escaped(_ENCODER.encode(value))


def _escaped(text: str) -> str:
    """Return text in which unsafe characters are escaped as in JSON."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
