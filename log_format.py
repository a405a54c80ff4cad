"""How logurt's own log is written: as text, or as a JSON object a line. Either way, facts are fields with names."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import Any

# A value that needs no quotes in text.
_PLAIN = re.compile(r"[\w.:/@+*-]+", re.ASCII)


def log_event(log: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log that something has happened, with its facts. Those that are None or empty are left out."""
    if log.isEnabledFor(level):
        given = {name: value for name, value in fields.items() if value not in (None, "", (), {})}
        log.log(level, "%s", event, extra={"fields": given})


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: event name=value`; what could be mistaken for something else is quoted as in JSON."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of `logging`
        """Return the line of a record, without its traceback."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        return " ".join([super().formatMessage(record), *(f"{name}={_shown(value)}" for name, value in fields.items())])


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
        return json.dumps(entry, ensure_ascii=False, default=str)


FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
