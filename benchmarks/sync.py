"""An empty node takes a whole book from a peer over loopback: `python -m benchmarks.sync`.

Two real daemons with their default settings; the serving one shares the cores. The clock runs from the moment
the empty node is told of its peer until its `status` tells of the last block, and that tells only of what is
durable: every signature checked, accounts and index written and synced.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Final

from benchmarks import books, limits
from benchmarks.nodes import Lab, lab, until_height, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit

LONG: Final = 1_000_000
"""Entries of the long book."""


def measure(
    entries: int = books.ENTRIES,
    accounts: int = books.ACCOUNTS,
    per_block: int = books.PER_BLOCK,
    runs: int = 5,
) -> list[Result]:
    """Return entries per second beside the signatures per second of all cores, by turns; and memory."""
    book = books.book_of(entries, accounts, per_block)
    cores = limits.cores()
    took: list[float] = []
    peaks: list[int] = []
    rates: list[float] = []
    bare: list[int] = []
    with lab(book.parameters) as nodes:
        before = limits.verify_rate(cores)
        for _ in range(runs):
            spent, peak = _sync(nodes, book)
            took.append(spent)
            peaks.append(peak)
            bare.append(limits.import_bytes())
            # Of a shared machine one moment says little: the mean of before and after.
            after = limits.verify_rate(cores)
            rates.append((before + after) / 2)
            before = after
    figure = Series("empty node, all verified and durable", tuple(round(entries / spent) for spent in took))
    return [
        Result(
            benchmark="sync",
            unit="entries/s",
            figure=figure,
            limit=Series(f"libsodium verifying, {cores} cores", tuple(round(rate) for rate in rates)),
            details={
                "entries": entries,
                "accounts": accounts,
                "blocks": book.height,
                "seconds": round(statistics.median(took), 3),
            },
        ),
        _memory("sync memory", entries, peaks, bare),
    ]


def measure_long(
    entries: int = LONG, accounts: int = books.ACCOUNTS, short: int = books.ENTRIES, runs: int = 5
) -> list[Result]:
    """Return entries per second of a long book beside those of a short one, by turns; and memory."""
    long_book, short_book = books.book_of(entries, accounts), books.book_of(short, accounts)
    found: list[int] = []
    beside: list[int] = []
    peaks: list[int] = []
    bare: list[int] = []
    with lab(long_book.parameters) as nodes:
        for _ in range(runs):
            bare.append(limits.import_bytes())
            beside.append(round(short / _sync(nodes, short_book)[0]))
            spent, peak = _sync(nodes, long_book)
            found.append(round(entries / spent))
            peaks.append(peak)
    return [
        Result(
            benchmark="sync million",
            unit="entries/s",
            figure=Series("empty node, all verified and durable", tuple(found)),
            limit=Series(f"with {short:,} entries", tuple(beside)),
            details={"entries": entries, "accounts": accounts, "short": short},
        ),
        _memory("sync million memory", entries, peaks, bare),
    ]


def _memory(name: str, entries: int, peaks: Sequence[int], bare: Sequence[int]) -> Result:
    return Result(
        benchmark=name,
        unit="MiB",
        figure=Series("the most that was resident", tuple(peak >> 20 for peak in peaks)),
        limit=Series("after importing asyncio, sqlite3, msgpack, nacl", tuple(one >> 20 for one in bare)),
        details={"entries": entries},
    )


def _sync(nodes: Lab, book: books.Book) -> tuple[float, int]:
    """Return seconds, and the most memory that the syncing node had resident."""
    serving = nodes.start(nodes.folder(book.blocks))
    syncing = nodes.start(nodes.folder())
    watcher = watch(syncing)
    began = time.perf_counter()
    syncing.join(serving)
    ended = until_height(syncing, book.height, watcher)
    peak = syncing.peak_bytes()
    watcher.close()
    syncing.stop()
    serving.stop()
    return ended - began, peak


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "sync",
        "Measure a first sync.",
        entries=books.ENTRIES,
        accounts=books.ACCOUNTS,
        per_block=books.PER_BLOCK,
    )
    parser.add_argument("--long", type=int, metavar="ENTRIES", help="only: sync so many, beside --entries")
    options = parser.parse_args()
    if options.long:
        results = measure_long(options.long, options.accounts, options.entries, options.runs)
    else:
        results = measure(options.entries, options.accounts, options.per_block, options.runs)
    for result in results:
        emit(result)


if __name__ == "__main__":
    main()
