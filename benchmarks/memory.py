"""Memory of a node that has a long book and nothing to do, its page off: `python -m benchmarks.memory`.

What the daemon's process has resident (the RSS of Linux) once it was started and asked for the newest blocks,
a balance and a history. The limit is a Python that imported asyncio, sqlite3, msgpack and nacl.
"""

from __future__ import annotations

import time
from typing import Final

from benchmarks import books, limits
from benchmarks.nodes import lab
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit

ENTRIES: Final = 1_000_000
SETTLED_S: Final = 1.0


def measure(entries: int = ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5) -> list[Result]:
    """Return MiB of the daemon's process."""
    book = books.book_of(entries, accounts)
    found: list[float] = []
    bare: list[float] = []
    with lab(book.parameters) as nodes:
        folder = nodes.folder(book.blocks)
        for _ in range(runs):
            bare.append(round(limits.import_bytes() / 2**20, 1))
            node = nodes.start(folder)
            for method in ("blocks", "balance", "history"):
                node.client.call(method)
            time.sleep(SETTLED_S)
            found.append(round(node.resident_bytes() / 2**20, 1))
            node.stop()
    return [
        Result(
            benchmark="memory",
            unit="MiB",
            figure=Series("resident in an idle daemon", tuple(found)),
            limit=Series("after importing asyncio, sqlite3, msgpack, nacl", tuple(bare)),
            details={"entries": entries, "accounts": accounts},
        )
    ]


def main() -> None:
    """Measure and print."""
    options = parser_of(
        "memory", "Measure idle memory.", entries=ENTRIES, accounts=books.ACCOUNTS
    ).parse_args()
    for result in measure(options.entries, options.accounts, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
