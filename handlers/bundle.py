"""Modules of JavaScript joined into one.

A page of thirty small modules is thirty requests, and each is compressed without knowing the others. Joined, they stand
one after the other, in the order of what needs what, in a block that they share: what was imported is in sight already,
and a minifier may give everything a short name. That needs no parser: the modules of the viewer have their imports and
exports on lines of their own, at their top level, rename nothing, and have no two things of one name.
"""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FROM = re.compile(r'^(import|export) ?(?:\{([^}]*)\} ?from )?"(\.[^"]+)";\n', re.MULTILINE)
_LIST = re.compile(r"^export ?\{([^}]*)\};\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_DECLARED = re.compile(r"^(export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class NotJoinable(ValueError):
    """A module has something that cannot be joined; `line` is that line, or says what; `name` is the module's."""

    def __init__(self, name: str, line: str) -> None:
        super().__init__(f"{name} cannot be joined with others: {line}")
        self.name, self.line = name, line


def joined(entry: str, texts: Mapping[str, str]) -> str:
    """Return one module in place of `entry` and all that it imports, by their paths. Raises NotJoinable."""
    exports = dict[str, set[str]]()
    owners = dict[str, str]()
    parts = list[str]()

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above or name not in texts:
            raise NotJoinable(above[-1], f"it imports {name}")
        if name in exports:
            return
        text = texts[name]
        passed_on = set[str]()
        for kind, names, path in _FROM.findall(text):
            other = normpath(join(dirname(name), path))
            add(other, (*above, name))
            if missing := _names(names) - exports[other]:
                raise NotJoinable(name, f"{path} has no {', '.join(sorted(missing))}")
            passed_on |= _names(names) if kind == "export" else set()
        for _, own in _DECLARED.findall(text):
            if owners.setdefault(own, name) != name:
                raise NotJoinable(name, f"{owners[own]} has a {own} too")
        listed = set[str]().union(*map(_names, _LIST.findall(text)))
        exports[name] = passed_on | listed | {own for exported, own in _DECLARED.findall(text) if exported}
        parts.append(_body(name, text))

    add(entry, ())
    return "{\n" + "".join(parts) + "}\n"


def _body(name: str, text: str) -> str:
    """Return a module without its imports and exports."""
    text = _EXPORT.sub("", _LIST.sub("", _FROM.sub("", text)))
    if left_over := _LEFT_OVER.search(text):
        raise NotJoinable(name, left_over[0])
    return text


def _names(names: str) -> set[str]:
    """Return the names in braces."""
    return {name.strip() for name in names.split(",") if name.strip()}
