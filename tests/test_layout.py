"""The house rules of the tree: who may import whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("logurt", "settings", "handlers", "buffer", "clients")
# Which of ours each may import, itself aside.
ALLOWED = {
    "logurt": {"settings", "handlers", "buffer", "clients"},
    "settings": set(),
    "handlers": {"settings", "buffer"},
    "buffer": set(),
    "clients": set(),
}
ORDER = ["source", "chunk", "ring", "view", "hub"]


def files() -> list[Path]:
    return [path for name in OURS for path in [*ROOT.glob(f"{name}.py"), *sorted((ROOT / name).glob("**/*.py"))]]


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports, those for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(), ids=named)
def test_a_file_imports_only_what_its_place_allows(path: Path) -> None:
    place = path.relative_to(ROOT).parts[0].removesuffix(".py")
    ours = {name.partition(".")[0] for name in imported(path)} & set(OURS)
    assert ours - {place} <= ALLOWED[place]


@pytest.mark.parametrize("path", [path for path in files() if "buffer" in path.parts], ids=named)
def test_the_buffer_knows_no_network(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imported(path)}
    forbidden = {"tornado", "asyncio", "socket", "ssl", "http", "time", "os", "jwt", "dotenv"}
    assert not packages & (forbidden if path.name == "jetstream.py" else forbidden | {"nats"})


@pytest.mark.parametrize("path", [path for path in files() if "buffer" in path.parts], ids=named)
def test_the_buffer_imports_one_way(path: Path) -> None:
    """Follow imports of imports: nothing leads back, and nothing lower in the order to something higher."""
    reached, ahead = set[str](), {path.stem}
    while ahead:
        name = ahead.pop()
        found = {
            dotted.split(".")[1] for dotted in imported(ROOT / "buffer" / f"{name}.py") if dotted.startswith("buffer.")
        }
        ahead |= found - reached
        reached |= found
    assert path.stem not in reached
    if path.stem in ORDER:
        assert not reached & set(ORDER[ORDER.index(path.stem) :])


def test_no_module_at_the_root_hides_one_of_the_standard_library() -> None:
    names = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not names & set(sys.stdlib_module_names)
    assert not (ROOT / "logurt").exists()


def test_no_file_is_named_after_nothing() -> None:
    assert not {path.stem for path in files()} & {"utils", "helpers", "manager", "common", "misc"}
