"""The benchmarks of one server in memory, in less than five minutes: `python -m benchmarks`."""

from __future__ import annotations

from benchmarks import compressed, fanout, growth, ingest, memory, replay, shapes
from benchmarks.table import arguments, report

_ALL = ingest, shapes, fanout, compressed, memory, replay, growth


def main() -> None:
    """Run each with its default sizes."""
    options = arguments(__doc__).parse_args()
    runs = []
    for module in _ALL:
        own = arguments(module.__doc__)
        module.add_arguments(own)
        sizes = own.parse_args([])
        runs.append(lambda _, module=module, sizes=sizes: module.run(sizes))
    report(options, *runs)


if __name__ == "__main__":
    main()
