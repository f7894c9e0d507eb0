"""All benchmarks, then one table with goals, figures and limits: `python -m benchmarks`.

`--quick` tells within a minute or two whether all of them work: its figures are of small books, while the
goals are of large ones. Each also runs alone, with options: `python -m benchmarks.sync --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks import (
    books,
    export,
    lag,
    limits,
    memory,
    mine,
    push,
    queries,
    relay,
    reorg,
    restart,
    store,
    submit,
    sync,
)
from benchmarks.report import Result, emit, machine, number


class Sizes(NamedTuple):
    """How much is measured."""

    entries: int = books.ENTRIES
    """Of the book that most figures are told of."""
    accounts: int = books.ACCOUNTS
    """Among which they are."""
    long: int = queries.ENTRIES
    """Entries of the long book."""
    handed: int = submit.ENTRIES
    """Entries handed over one by one."""
    part: int = 1
    """Everything else is so many times smaller."""


QUICK: Final = Sizes(entries=10_000, accounts=1_000, long=20_000, handed=2_000, part=5)

ALL: Final[dict[str, Callable[[int, Sizes], list[Result]]]] = {
    "sync": lambda runs, of: sync.measure(of.entries, of.accounts, runs=runs),
    "sync-million": lambda runs, of: sync.measure_long(of.long, of.accounts, of.entries, runs),
    "submit": lambda runs, of: submit.measure(of.handed, runs),
    "push": lambda runs, of: push.measure(of.handed, runs),
    "relay": lambda runs, of: relay.measure(relay.ENTRIES // of.part, runs=runs),
    "restart": lambda runs, of: restart.measure(of.entries, of.accounts, runs),
    "restart-million": lambda runs, of: restart.measure_long(of.long, of.accounts, of.entries, runs),
    "reorg": lambda runs, of: reorg.measure(per_block=reorg.PER_BLOCK // of.part, runs=runs),
    "mine": lambda runs, of: mine.measure(2.0 / of.part, runs),
    "lag": lambda runs, of: lag.measure(of.entries, of.accounts, runs),
    "queries": lambda runs, of: queries.measure(of.long, of.accounts, runs, queries.ASKED // of.part),
    "store": lambda runs, of: store.measure(of.long, of.accounts, runs=runs),
    "memory": lambda runs, of: memory.measure(of.long, of.accounts, runs),
    "export": lambda runs, of: export.measure(of.entries, of.accounts, runs=runs),
}


def table(results: Sequence[Result]) -> str:
    """Return the results as a table in Markdown: figure, goal, and limit with the ratio to it."""
    rows = [
        (
            result.benchmark,
            f"{number(result.figure.median)} {result.unit}",
            result.goals or "-",
            ("yes" if result.is_met else "no") if result.goals else "-",
            f"{number(result.limit.median)} {result.unit}",
            f"{result.ratio:.2f}",
            result.limit.name,
        )
        for result in results
    ]
    return _lines(("figure", "measured", "goal", "met", "limit", "ratio", "the limit is"), rows)


def raw_limits(runs: int) -> str:
    """Return what this machine does without any of our own code, as a table in Markdown."""
    cores = limits.cores()
    measured: list[tuple[str, Callable[[], float], str]] = [
        ("libsodium verifying, one core", lambda: limits.verify_rate(1), "signatures/s"),
        (f"libsodium verifying, {cores} cores", lambda: limits.verify_rate(cores), "signatures/s"),
        ("bare hashlib loop, one core", lambda: mine.bare(limits.SECONDS), "H/s"),
        ("SQLite, small rows with random keys, one transaction", limits.rows_per_s, "rows/s"),
        ("an entry's bytes appended and synced", lambda: limits.append_s() * 1e3, "ms"),
        ("importing asyncio, sqlite3, msgpack, nacl", limits.import_s, "s"),
    ]
    rows = [
        (name, f"{number(sorted(ask() for _ in range(runs))[runs // 2])} {unit}")
        for name, ask, unit in measured
    ]
    return _lines(("limit", "measured"), rows)


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(head, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def main() -> None:
    """Run all, or those that are named, and print each as it is done; the tables come last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    names = ", ".join(ALL)
    parser.add_argument("--only", action="append", metavar="NAME", help=f"one of {names}; may be repeated")
    parser.add_argument("--runs", type=int, help="of each (default 5, with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="small books: whether they work, not how fast")
    options = parser.parse_args()
    wanted = options.only or list(ALL)
    if unknown := [name for name in wanted if name not in ALL]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {names}")
    runs = (1 if options.quick else 5) if options.runs is None else options.runs
    if runs < 1:
        parser.error("--runs is 1 or more")
    results = []
    for name in wanted:
        for result in ALL[name](runs, QUICK if options.quick else Sizes()):
            emit(result)
            results.append(result)
    described = ", ".join(f"{name} {value}" for name, value in machine().items())
    quick = "; quick: small books, while the goals are of large ones" if options.quick else ""
    sys.stdout.write(f"\n{described}; runs of each: {runs}{quick}\n\n{table(results)}\n")
    sys.stdout.write(f"\nWhat the machine does without us:\n\n{raw_limits(runs)}\n")


if __name__ == "__main__":
    main()
