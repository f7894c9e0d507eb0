"""An empty node takes a whole book from a peer over loopback: `python -m benchmarks.sync`.

Two real daemons with their default settings; the serving one shares the cores. The clock runs from the moment
the empty node is told of its peer until its `status` tells of the last block, and that tells only of what is
durable: every signature checked, accounts and index written and synced.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks import books, limits
from benchmarks.nodes import Lab, lab, until_height, watch
from benchmarks.report import Result, Series, emit


def measure(
    entries: int = books.ENTRIES,
    accounts: int = books.ACCOUNTS,
    per_block: int = books.PER_BLOCK,
    runs: int = 5,
) -> list[Result]:
    """Return entries per second beside the signatures per second of all cores, by turns."""
    book = books.book_of(entries, accounts, per_block)
    cores = limits.cores()
    took: list[float] = []
    peaks: list[int] = []
    rates: list[float] = []
    with lab(book.parameters) as nodes:
        before = limits.verify_rate(cores)
        for _ in range(runs):
            spent, peak = _sync(nodes, book)
            took.append(spent)
            peaks.append(peak)
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
                "peak_rss_mib": max(peaks) >> 20,
            },
        )
    ]


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync", description="Measure a first sync.")
    parser.add_argument("--entries", type=int, default=books.ENTRIES, help=f"default {books.ENTRIES}")
    parser.add_argument("--accounts", type=int, default=books.ACCOUNTS, help=f"default {books.ACCOUNTS}")
    parser.add_argument("--per-block", type=int, default=books.PER_BLOCK, help=f"default {books.PER_BLOCK}")
    parser.add_argument("--runs", type=int, default=5, help="default 5")
    options = parser.parse_args()
    if min(options.entries, options.per_block, options.runs) < 1 or options.accounts < books.FOUNDERS:
        parser.error(f"--entries, --per-block and --runs are 1 or more, --accounts {books.FOUNDERS} or more")
    for result in measure(options.entries, options.accounts, options.per_block, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
