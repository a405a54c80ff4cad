"""Environment variables and the .env file that stands in for those that are not set.

A variable that is set to nothing counts as unset, in the environment and in the file alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class BadFile(Exception):
    """A .env file that cannot be used: `name` is that of the file, `problem` a clause that holds nothing of it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


def load(environ: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the variables of the environment and, for what is unset there, of the file if there is one.

    Raises BadFile.
    """
    try:
        # No interpolation: a secret may hold "${". The encoding takes the byte order mark that editors leave.
        in_file = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except OSError:
        raise BadFile(path.name, "cannot be read") from None
    except UnicodeDecodeError:
        raise BadFile(path.name, "must be UTF-8 text") from None
    from_file = {name: text for name, text in in_file.items() if text}
    return from_file | {name: text for name, text in environ.items() if text}
