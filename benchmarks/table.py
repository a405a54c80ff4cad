"""Tables of figures: printed, written to a file and read back."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.process import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures under a title. `note` says how they were measured."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def add(self, *cells: Cell) -> None:
        """Add a row."""
        self.rows.append(list(cells))

    def shown(self) -> str:
        """Return the table for a terminal: columns aligned, numbers on the right."""
        lines = [self.columns, *[[shown(cell) for cell in row] for row in self.rows]]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]
        text = [isinstance(cell, str) for cell in self.rows[0]] if self.rows else [True] * len(widths)
        aligned = [
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(line, widths, text, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([f"\n{self.title}", *([self.note] if self.note else []), "", *aligned])

    def markdown(self) -> str:
        """Return the table for a page."""
        text = [isinstance(cell, str) for cell in self.rows[0]] if self.rows else [True] * len(self.columns)
        rows = [self.columns, ["---" if left else "---:" for left in text]]
        rows += [[shown(cell) for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def median_of(runs: Sequence[Table]) -> Table:
    """Return the table of several runs of one benchmark: of each figure the median over those that have it."""
    first = runs[0]
    rows = [
        [_median([run.rows[at][column] for run in runs if at < len(run.rows)]) for column in range(len(first.columns))]
        for at in range(len(first.rows))
    ]
    return replace(first, rows=rows)


def _median(cells: Sequence[Cell]) -> Cell:
    figures = [cell for cell in cells if isinstance(cell, int | float)]
    if not figures:
        return cells[0]
    return figures[0] if len({*figures}) == 1 else median(figures)


def shown(cell: Cell) -> str:
    """Return a figure with three significant digits."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.2f}" if abs(cell) >= 1 else f"{cell:.3f}"


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the value that `percent` of all lie below; None if there are none."""
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=1000, method="inclusive")[min(998, round(percent * 10) - 1)]


def numbers(text: str) -> list[int]:
    """Read an argument: numbers separated by commas."""
    return [int(part) for part in text.split(",")]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    return parser


def report(options: argparse.Namespace, *runs: Callable[[argparse.Namespace], Iterable[Table]]) -> list[Table]:
    """Run benchmarks and print each table as it comes; write all of them to a file if asked to; return them."""
    tables = list[Table]()
    started = time.monotonic()
    for run in runs:
        for table in run(options):
            print(table.shown(), flush=True)
            tables.append(table)
    print(f"\n{time.monotonic() - started:.0f} seconds; {', '.join(surroundings().values())}")
    if options.json is not None:
        found: dict[str, Any] = {"on": surroundings(), "tables": [asdict(table) for table in tables]}
        options.json.write_text(json.dumps(found, indent=1))
    return tables


def read(path: Path) -> tuple[dict[str, str], list[Table]]:
    """Read back a file from `report`: the machine and the tables."""
    found = json.loads(path.read_text())
    return found["on"], [Table(**table) for table in found["tables"]]
