"""The figures that benchmarks write with --json, as tables in Markdown and plots in SVG.

Of several runs of the same benchmark, each figure is the median.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plot import plot
from benchmarks.table import median_of, read

if TYPE_CHECKING:
    from benchmarks.plot import Points
    from benchmarks.table import Table

_GROWTH = {
    "growth": ("What a line costs as something else grows", "CPU microseconds of the server"),
    "joins": ("What a reader costs that comes, gets 100 lines, and goes", "CPU milliseconds of the server"),
}


def main() -> None:
    """Print the tables and write the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write plots as SVG there")
    options = parser.parse_args()
    runs: dict[str, list[Table]] = {}  # of each table
    for file in options.files:
        machine, tables = read(file)
        for table in tables:
            runs.setdefault(table.name, []).append(table)
    print(f"Measured on {machine['processor']}, {machine['cores']} cores, Python {machine['python']}.")
    for table in map(median_of, runs.values()):
        print(f"\n### {table.title}\n\n{table.markdown()}")
        if table.note:
            print(f"\n{table.note}")
        if options.plots is not None and table.name in _GROWTH:
            options.plots.mkdir(parents=True, exist_ok=True)
            (options.plots / f"{table.name}.svg").write_text(growth_plot(table))


def growth_plot(table: Table) -> str:
    """Return the plot of a growth table: a column for each number, a row for each thing that grows."""
    title, label = _GROWTH[table.name]
    numbers = [int(column.replace(",", "")) for column in table.columns[1:-1]]
    series: dict[str, Points] = {}
    for name, *cells, _ in table.rows:
        points = [(x, float(y)) for x, y in zip(numbers, cells, strict=True) if y]
        if points:
            series[str(name)] = points
    return plot(title, "number of them", label, series)


if __name__ == "__main__":
    main()
