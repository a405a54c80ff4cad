"""The house rules of the tree: its rooms, who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each room, and which others it may import. What both ends of the wire know, all of them may.
ROOMS = {
    "logurt": {"server", "settings", "environment", "cli"},
    "server": {"handlers", "delivery", "brokers", "buffer", "settings", "log_format"},
    "brokers": {"buffer", "settings"},
    "handlers": {"delivery", "ingest", "buffer", "settings", "log_format"},
    "delivery": {"buffer"},
    "ingest": {"buffer"},
    "buffer": set[str](),
    "cli": set[str](),
    "environment": set[str](),
    "settings": {"setting_types"},
    "setting_types": set[str](),
    "protocol": set[str](),
    "log_format": set[str](),
}
CORE = ("ingest", "buffer", "delivery")
# What the core does not know: the network, clocks, files and the environment.
OUTSIDE = {"tornado", "asyncio", "socket", "ssl", "http", "time", "os", "pathlib", "jwt", "dotenv", "logging"}
# Whoever waits, waits for a broker; whoever opens files, keeps them for one.
OPENS = {
    "buffer/broker.py": {"asyncio"},
    "buffer/disk.py": {"asyncio"},
    "buffer/worker.py": {"asyncio"},
    "buffer/database.py": {"os"},
    "buffer/jetstream": {"asyncio"},
}
ORDER = ["source", "chunk", "ring", "store"]
MAX_LINES = 320
_JAVASCRIPT_IMPORT = re.compile(r"""^[^/*\n]*(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", re.MULTILINE)


def files() -> list[Path]:
    return [path for room in ROOMS for path in [*ROOT.glob(f"{room}.py"), *sorted((ROOT / room).glob("**/*.py"))]]


def in_core() -> list[Path]:
    return [path for path in files() if room_of(path) in CORE]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


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


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(), ids=named)
def test_a_file_imports_only_what_its_room_allows(path: Path) -> None:
    room = room_of(path)
    assert (packages(path) & ROOMS.keys()) - {room, "protocol"} <= ROOMS[room]


def test_the_rooms_are_all_that_there_is() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    modules = {path.stem for path in ROOT.glob("*.py")}
    assert packages | modules == ROOMS.keys() | {"benchmarks"}


@pytest.mark.parametrize("path", in_core(), ids=named)
def test_the_core_knows_no_network_no_clock_and_no_settings(path: Path) -> None:
    allowed = OPENS.get(named(path)) or OPENS.get(named(path.parent), set())
    assert not (packages(path) & OUTSIDE) - allowed


def test_what_both_ends_know_is_made_of_the_standard_library_alone() -> None:
    assert packages(ROOT / "protocol.py") <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", [path for path in files() if room_of(path) == "buffer"], ids=named)
def test_the_buffer_imports_one_way(path: Path) -> None:
    """Follow imports of imports: nothing leads back, and nothing lower in the order to something higher."""
    reached, ahead = set[Path](), {path}
    while ahead:
        names = (name.replace(".", "/") for name in imported(ahead.pop()) if name.startswith("buffer."))
        found = {ROOT / f"{name}.py" for name in names if (ROOT / f"{name}.py").exists()}
        ahead |= found - reached
        reached |= found
    assert path not in reached
    if path.stem in ORDER:
        assert not {one.stem for one in reached} & set(ORDER[ORDER.index(path.stem) :])


@pytest.mark.parametrize("path", [*files(), *sorted((ROOT / "viewer").rglob("*.js"))], ids=named)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_viewer_imports_nothing_but_itself() -> None:
    viewer = ROOT / "viewer"
    for path in viewer.glob("**/*.js"):
        for reference in _JAVASCRIPT_IMPORT.findall(path.read_text()):
            assert reference.startswith("."), f"{named(path)} imports {reference}"
            target = (path.parent / reference).resolve()
            assert target.is_file(), f"{named(path)} imports {reference}"
            assert target.is_relative_to(viewer), f"{named(path)} imports {reference}"


def test_the_viewer_is_made_of_what_a_browser_reads() -> None:
    paths = [path for path in (ROOT / "viewer").rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} <= {".js", ".css", ".html", ".svg", ".json"}
    assert [path.name for path in paths if path.suffix == ".json"] == ["package.json"]


def test_no_module_at_the_root_hides_one_of_the_standard_library() -> None:
    names = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not names & set(sys.stdlib_module_names)
    assert not (ROOT / "logurt").exists()


def test_no_file_is_named_after_nothing() -> None:
    assert not {path.stem for path in files()} & {"utils", "helpers", "manager", "common", "misc"}


# Tests ask what anybody may ask. A named tuple's `_asdict` and `_replace` are public whatever they look like.
_PRIVATE = re.compile(r"[\])a-z]\._(?!asdict|replace)[a-z]")


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("**/*.py")), ids=named)
def test_a_test_touches_nothing_private(path: Path) -> None:
    if path == Path(__file__):
        return
    lines = enumerate(path.read_text().splitlines(), start=1)
    found = [f"{number}: {line.strip()}" for number, line in lines if "self._" not in line and _PRIVATE.search(line)]
    assert not found
