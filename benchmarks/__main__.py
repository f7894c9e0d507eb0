"""All benchmarks, then one table: `python -m benchmarks`.

Each also runs alone, with options: `python -m benchmarks.sync --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import export, mine, relay, reorg, restart, submit, sync
from benchmarks.report import Result, emit, machine, number

ALL: Final[dict[str, Callable[[int], list[Result]]]] = {
    "sync": lambda runs: sync.measure(runs=runs),
    "submit": lambda runs: submit.measure(runs=runs),
    "relay": lambda runs: relay.measure(runs=runs),
    "mine": lambda runs: mine.measure(runs=runs),
    "restart": lambda runs: restart.measure(runs=runs),
    "reorg": lambda runs: reorg.measure(runs=runs),
    "export": lambda runs: export.measure(runs=runs),
}


def table(results: Sequence[Result]) -> str:
    """Return the results as a table in Markdown: figure, limit and their ratio."""
    rows = [
        (
            result.benchmark,
            f"{number(result.figure.median)} {result.unit}",
            f"{number(result.limit.median)} {result.unit}",
            f"{result.ratio:.2f}",
            result.limit.name,
        )
        for result in results
    ]
    head = ("figure", "measured", "limit", "ratio", "the limit is")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(head, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def main() -> None:
    """Run all, or those that are named, and print each as it is done; the table comes last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="of each (default 5)")
    options = parser.parse_args()
    names = options.names or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(ALL)}")
    if options.runs < 1:
        parser.error("--runs is 1 or more")
    results = []
    for name in names:
        for result in ALL[name](options.runs):
            emit(result)
            results.append(result)
    described = ", ".join(f"{name} {value}" for name, value in machine().items())
    sys.stdout.write(f"\n{described}; runs of each: {options.runs}\n\n{table(results)}\n")


if __name__ == "__main__":
    main()
