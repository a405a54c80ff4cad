"""Colours for a terminal, and text that a terminal only shows."""

from __future__ import annotations

import re

RESET = "\x1b[0m"
_NOTICE = "\x1b[1;33m"

# A sequence that sets colours (ECMA-48, 8.3.117: SGR).
SGR = re.compile(r"\x1b\[[0-9;:]*m")
# The same, or any one control character but tab and newline: C0, delete, and C1, whose U+009B opens a sequence just as
# ESC [ does.
_CONTROL = re.compile(rf"({SGR.pattern})|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_JSON_CONTROL = re.compile(r"[\x7f-\x9f]")


def harmless(text: str, *, coloured: bool = False) -> str:
    """Return text whose control characters are shown instead of obeyed; tabs and newlines stay.

    Colours stay if `coloured`, and are left out if not. A carriage return at a line's end is left out.
    """
    # No control character is printable, and asking that is many times faster than the search.
    if text.isprintable() or _CONTROL.search(text) is None:
        return text
    text = text.replace("\r\n", "\n").removesuffix("\r")
    return _CONTROL.sub(lambda match: (match[1] if coloured else "") if match[1] else _picture(match[0]), text)


def harmless_json(text: str) -> str:
    """Return the same JSON with the control characters escaped that JSON does not demand to be."""
    return _JSON_CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def notice(text: str) -> str:
    """Return text that stands out."""
    return f"{_NOTICE}{text}{RESET}"


def _picture(character: str) -> str:
    """Return a control character's picture (Unicode, Control Pictures), or its number where it has none."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\x{code:02x}"
