"""Modules of JavaScript joined into one.

A page of thirty small modules is thirty requests, and each is compressed without knowing the others. Joined, each
becomes a function that is called once and returns what it exports, in the order of what needs what. That needs no
parser: the modules of the viewer have their imports and exports on lines of their own, at their top level.
"""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FROM = re.compile(r'^(import|export) ?(?:\{([^}]*)\} ?from )?"(\.[^"]+)";\n', re.MULTILINE)
_LIST = re.compile(r"^export ?\{([^}]*)\};\n", re.MULTILINE)
_DECLARATION = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class NotJoinable(ValueError):
    """A module has an import or an export of a kind that cannot be joined; `line` is the line, `name` the module's."""

    def __init__(self, name: str, line: str) -> None:
        super().__init__(f"{name} cannot be joined with others: {line}")
        self.name, self.line = name, line


def joined(entry: str, texts: Mapping[str, str]) -> str:
    """Return one module in place of `entry` and all that it imports, by their paths. Raises NotJoinable."""
    numbers = dict[str, int]()
    exports = dict[str, set[str]]()
    parts = list[str]()

    def add(name: str, above: tuple[str, ...]) -> int:
        if name in above or name not in texts:
            raise NotJoinable(above[-1], f"it imports {name}")
        if name not in numbers:
            needed = {path: add(_resolved(name, path), (*above, name)) for _, _, path in _FROM.findall(texts[name])}
            for _, names, path in _FROM.findall(texts[name]):
                if missing := {own for own, _ in _pairs(names)} - exports[_resolved(name, path)]:
                    raise NotJoinable(name, f"{path} has no {', '.join(sorted(missing))}")
            numbers[name] = len(numbers)
            body, exported = _body(name, texts[name], needed)
            exports[name] = {shown.partition(":")[0] for shown in exported}
            parts.append(f"const m{numbers[name]}=(()=>{{\n{body}return{{{','.join(exported)}}};\n}})();\n")
        return numbers[name]

    add(entry, ())
    return "".join(parts)


def _body(name: str, text: str, needed: Mapping[str, int]) -> tuple[str, list[str]]:
    """Return the text of a module as that of a function, and what the function has to return."""
    exported = list[str]()

    def linked(match: re.Match[str]) -> str:
        kind, names, path = match.groups()
        if kind == "export":
            exported.extend(f"{shown or own}:m{needed[path]}.{own}" for own, shown in _pairs(names))
            return ""
        renamed = ",".join(f"{own}:{shown}" if shown else own for own, shown in _pairs(names))
        return f"const{{{renamed}}}=m{needed[path]};\n"

    def listed(match: re.Match[str]) -> str:
        exported.extend(f"{shown}:{own}" if shown else own for own, shown in _pairs(match[1]))
        return ""

    def declared(match: re.Match[str]) -> str:
        exported.append(match[1])
        return ""

    text = _DECLARATION.sub(declared, _LIST.sub(listed, _FROM.sub(linked, text)))
    if left_over := _LEFT_OVER.search(text):
        raise NotJoinable(name, left_over[0])
    return text, exported


def _pairs(names: str) -> list[tuple[str, str]]:
    """Return the names in braces, each with the one after `as`, or empty."""
    parted = [part.split() for part in names.split(",") if part.strip()]
    return [(words[0], words[2] if len(words) > 1 else "") for words in parted]


def _resolved(name: str, path: str) -> str:
    return normpath(join(dirname(name), path))
