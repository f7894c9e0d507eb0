"""How long a node with a book takes until its socket answers, and to stop: `python -m benchmarks.restart`.

The book has 100,000 entries unless told otherwise. Beside it stands what any Python takes to import what a
node needs; and, beside the start with a book of 1,000,000, the one with that of 100,000, by turns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks import books, limits
from benchmarks.nodes import Lab, lab
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit

LONG: Final = 1_000_000
"""Entries of the long book."""


def measure(entries: int = books.ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5) -> list[Result]:
    """Return seconds to ready and seconds to stop, beside those of the imports."""
    book = books.book_of(entries, accounts)
    ready: list[float] = []
    stopped: list[float] = []
    imports: list[float] = []
    with lab(book.parameters) as nodes:
        folder = nodes.folder(book.blocks)
        nodes.start(folder).stop()  # the first start makes the wallet
        for _ in range(runs):
            imports.append(limits.import_s())
            node = nodes.start(folder)
            ready.append(node.ready_s)
            if node.status()["height"] != book.height:
                raise RuntimeError(f"the book has another height: {node.log()}")
            stopped.append(node.stop())
    limit = Series("importing asyncio, sqlite3, msgpack, nacl", tuple(round(spent, 4) for spent in imports))
    details: dict[str, int | float | str] = {"entries": entries, "accounts": accounts}
    return [
        Result(
            benchmark=f"restart {name}",
            unit="s",
            figure=Series(how, tuple(round(spent, 4) for spent in times)),
            limit=limit,
            details=details,
        )
        for name, how, times in (
            ("ready", "until the socket answers", ready),
            ("stop", "from SIGTERM to the end of the process", stopped),
        )
    ]


def measure_long(
    entries: int = LONG, accounts: int = books.ACCOUNTS, short: int = books.ENTRIES, runs: int = 5
) -> list[Result]:
    """Return seconds to ready with a long book, beside those with a short one."""
    # What a network is depends on neither number: one lab has both.
    book, other = books.book_of(entries, accounts), books.book_of(short, accounts)
    ready: list[float] = []
    beside: list[float] = []
    with lab(book.parameters) as nodes:
        folders = [nodes.folder(other.blocks), nodes.folder(book.blocks)]
        for folder in folders:
            nodes.start(folder).stop()
        for _ in range(runs):
            beside.append(_ready_s(nodes, folders[0]))
            ready.append(_ready_s(nodes, folders[1]))
    return [
        Result(
            benchmark="restart million",
            unit="s",
            figure=Series("until the socket answers", tuple(round(spent, 4) for spent in ready)),
            limit=Series(f"with {short:,} entries", tuple(round(spent, 4) for spent in beside)),
            details={"entries": entries, "accounts": accounts, "short": short},
        )
    ]


def _ready_s(nodes: Lab, folder: Path) -> float:
    node = nodes.start(folder)
    node.stop()
    return node.ready_s


def main() -> None:
    """Measure and print."""
    parser = parser_of("restart", "Measure start and stop.", entries=books.ENTRIES, accounts=books.ACCOUNTS)
    parser.add_argument("--long", type=int, metavar="ENTRIES", help="only: start with so many, and --entries")
    options = parser.parse_args()
    if options.long:
        results = measure_long(options.long, options.accounts, options.entries, options.runs)
    else:
        results = measure(options.entries, options.accounts, options.runs)
    for result in results:
        emit(result)


if __name__ == "__main__":
    main()
