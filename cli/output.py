"""How lines, and notices of lost ones, are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TextIO

from cli.ansi import RESET, harmless, harmless_json, notice, pod_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.message import Message

_MOST_PREFIXES = 10_000


class Style(NamedTuple):
    """How lines look. `is_terminal`: control characters are made harmless; without it, text stays as it was."""

    as_json: bool = False
    timestamps: bool = False
    prefix: bool = True
    is_terminal: bool = False
    coloured: bool = False


class Output:
    """Writes batches of messages to `out`, each at once; notices go to `notices` unless `out` is a terminal."""

    def __init__(self, out: BinaryIO, notices: TextIO, style: Style) -> None:
        self._out = out
        self._notices = notices
        self._style = style
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
        shown = []
        for message in messages:
            if message.type == "line":
                shown.append(self._line(message))
            elif message.type == "gap":
                self._show_gap(message.gap(), shown)
        return shown

    def _show_gap(self, sentence: str, shown: list[str]) -> None:
        sentence = harmless(sentence)
        if not self._style.is_terminal:
            print(sentence, file=self._notices, flush=True)
        else:
            shown.append(f"{notice(sentence) if self._style.coloured else sentence}\n")

    def _line(self, message: Message) -> str:
        """Return a line; where its text has several, each gets what stands in front."""
        style, text = self._style, message.log
        if style.is_terminal:
            text = harmless(text, coloured=style.coloured)
        # Colours that a line leaves on would run into what comes next.
        end = f"{RESET}\n" if style.coloured and "\x1b[" in text else "\n"
        front = self._prefix(message.pod, message.container) if style.prefix else ""
        if style.timestamps:
            time = harmless(message.timestamp) if style.is_terminal else message.timestamp
            front = f"{time} {front}"
        return front + text.replace("\n", end + front) + end

    def _prefix(self, pod: str, container: str) -> str:
        prefix = self._prefixes.get((pod, container))
        if prefix is None:
            prefix = f"{pod}/{container}"
            if self._style.is_terminal:
                prefix = harmless(prefix)
            prefix = f"{pod_colour(pod)}{prefix}{RESET} " if self._style.coloured else f"{prefix} "
            if len(self._prefixes) >= _MOST_PREFIXES:
                self._prefixes.clear()
            self._prefixes[pod, container] = prefix
        return prefix
