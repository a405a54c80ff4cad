"""How lines, and notices of lost ones, are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TextIO

from cli.ansi import RESET, harmless, harmless_json, notice
from cli.palette import Palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.message import Message
    from cli.style import Style
    from cli.template import Template

_MOST_PREFIXES = 10_000


class Output:
    """Writes batches of messages to `out`, each at once; notices go to `notices` unless `out` is a terminal."""

    def __init__(self, out: BinaryIO, notices: TextIO, style: Style) -> None:
        self._out = out
        self._notices = notices
        self._style = style
        self._highlighter = style.highlighter if style.coloured else None
        # Looked up once, not for each of a million lines.
        self._has_prefix = style.prefix
        self._has_time = style.timestamps
        self._has_times_as_sent = style.time_zone is None and not style.is_terminal
        self._is_dressed = style.is_terminal or style.coloured
        self._palette = Palette()
        self._prefixes: dict[tuple[str, str], str] = {}

    def show(self, text: str, messages: Sequence[Message]) -> None:
        """Write messages, which came as this text, a JSON object a line. Raises OSError, such as BrokenPipeError."""
        shown = self._objects(text, messages) if self._style.as_json else self._lines(messages)
        if shown:
            self._out.write("".join(shown).encode("utf-8", "replace"))
            self._out.flush()

    def _objects(self, text: str, messages: Sequence[Message]) -> list[str]:
        if self._style.is_terminal:
            text = harmless_json(text)
        pairs = zip(text.split("\n"), messages, strict=True)
        return [f"{one}\n" for one, message in pairs if message.type in {"line", "gap"}]

    def _lines(self, messages: Sequence[Message]) -> list[str]:
        template = self._style.template
        shown = []
        for message in messages:
            if message.type == "line":
                shown.append(self._plain(message) if template is None else self._filled(template, message))
            elif message.type == "gap":
                self._show_gap(message.gap(), shown)
        return shown

    def _show_gap(self, sentence: str, shown: list[str]) -> None:
        sentence = harmless(sentence)
        if not self._style.is_terminal:
            print(sentence, file=self._notices, flush=True)
        else:
            shown.append(f"{notice(sentence) if self._style.coloured else sentence}\n")

    def _plain(self, message: Message) -> str:
        """Return a line; where its text has several lines, each gets the same front."""
        text, end = self._dressed(message.log) if self._is_dressed else (message.log, "\n")
        front = self._prefix(message.pod, message.container) if self._has_prefix else ""
        if self._has_time:
            front = f"{message.timestamp if self._has_times_as_sent else self._time(message.timestamp)} {front}"
        if "\n" in text:
            text = text.replace("\n", end + front)
        return f"{front}{text}{end}"

    def _dressed(self, text: str) -> tuple[str, str]:
        """Return the text of a line, safe for a terminal and with its matches marked, and what ends it."""
        style = self._style
        if style.is_terminal:
            text = harmless(text, coloured=style.coloured)
        if self._highlighter is not None:
            text = self._highlighter.mark(text)
        # Colours that a line leaves on would run into what comes next.
        return text, f"{RESET}\n" if style.coloured and "\x1b[" in text else "\n"

    def _filled(self, template: Template, message: Message) -> str:
        """Return a line laid out by a template; where its text has several lines, the template is filled for each."""
        texts = message.log.split("\n") if template.has_log else [message.log]
        return "".join(self._filled_once(template, message, text) for text in texts)

    def _filled_once(self, template: Template, message: Message, text: str) -> str:
        style = self._style
        values = {
            "timestamp": self._time(message.timestamp),
            "namespace": style.namespace,
            "pod": message.pod,
            "container": message.container,
            "stream": message.stream or "",
            "log": text,
        }

        def value(field: str, specification: str) -> str:
            found = values[field]
            if style.is_terminal:
                # A colour code that is cut in the middle would swallow what comes after it.
                found = harmless(found, coloured=style.coloured and field == "log" and not specification)
            found = format(found, specification)
            if field == "log":
                return found if self._highlighter is None else self._highlighter.mark(found)
            is_name = style.coloured and field in {"pod", "container"}
            return f"{self._palette.colour(message.pod)}{found}{RESET}" if is_name else found

        line = template.render(value)
        return f"{line}{RESET}\n" if style.coloured and "\x1b[" in line else f"{line}\n"

    def _time(self, timestamp: str) -> str:
        if self._style.time_zone is not None:
            timestamp = self._style.time_zone.shown(timestamp)
        return harmless(timestamp) if self._style.is_terminal else timestamp

    def _prefix(self, pod: str, container: str) -> str:
        prefix = self._prefixes.get((pod, container))
        if prefix is None:
            prefix = f"{pod}/{container}"
            if self._style.is_terminal:
                prefix = harmless(prefix)
            prefix = f"{self._palette.colour(pod)}{prefix}{RESET} " if self._style.coloured else f"{prefix} "
            if len(self._prefixes) >= _MOST_PREFIXES:
                self._prefixes.clear()
            self._prefixes[pod, container] = prefix
        return prefix
