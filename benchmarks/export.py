"""How long an export takes, and how much memory at two lengths: `python -m benchmarks.export`.

The longer book has 100,000 entries unless told otherwise, the shorter one a tenth of them. Beside the time
stands reading the same blocks and hashing them again, which any export must do; beside the memory stands that
of the shorter book: where it does not grow with the book, the two are alike.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks import books
from benchmarks.nodes import lab
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from node.export import Format
from node.network_file import format_network
from node.query import Query
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME

ROOT: Final = Path(__file__).resolve().parent.parent
_BYTES: Final = 1 if sys.platform == "darwin" else 1_024
"""In what the system counts a peak in: bytes on macOS, KiB on Linux."""
_WATCH: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Run by a small process of its own: Linux counts the size of whoever starts a program to its peak."""


def measure(
    entries: int = books.ENTRIES, accounts: int = books.ACCOUNTS, form: Format = Format.CSV, runs: int = 5
) -> list[Result]:
    """Return seconds and peak megabytes of an export, each beside its limit."""
    long, short = books.book_of(entries, accounts), books.book_of(max(accounts, entries // 10), accounts)
    spent: list[float] = []
    reading: list[float] = []
    peak: list[float] = []
    peak_of_short: list[float] = []
    with lab(long.parameters) as nodes:
        folders = [nodes.folder(book.blocks) for book in (long, short)]
        config = folders[0] / "network.toml"
        config.write_text(format_network(long.parameters, ()), encoding="utf-8")
        for _ in range(runs):
            reading.append(_read_s(folders[0], long))
            for folder, peaks in zip(folders, (peak, peak_of_short), strict=True):
                seconds, megabytes = _export(folder, config, form)
                peaks.append(megabytes)
                if peaks is peak:
                    spent.append(seconds)
    details: dict[str, int | float | str] = {"entries": entries, "accounts": accounts, "format": form.value}
    limit = Series("reading and hashing the blocks", tuple(reading))
    shorter = Series(f"peak at {short.height} blocks instead of {long.height}", tuple(peak_of_short))
    return [
        Result("export time", "s", Series("from start to end of the command", tuple(spent)), limit, details),
        Result("export memory", "MB", Series("peak of the command", tuple(peak)), shorter, details),
    ]


def _export(folder: Path, config: Path, form: Format) -> tuple[float, float]:
    """Run the command; return its seconds and its peak in megabytes."""
    target = folder / f"book.{form.value}"
    words = ("--config", config, "--data-dir", folder, "export", "--output", target)
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, words)]
    began = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", _WATCH, *command], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    target.unlink()
    return round(seconds, 3), round(int(ran.stdout) * _BYTES / 1e6, 1)


def _read_s(folder: Path, book: books.Book) -> float:
    began = time.perf_counter()
    with closing(open_read_only(folder / BOOK_NAME)) as stored:
        query = Query(stored, book.parameters)
        for height in range(1, book.height + 1):
            query.stored(height)
    return round(time.perf_counter() - began, 3)


def main() -> None:
    """Measure and print."""
    parser = parser_of("export", "Measure an export.", entries=books.ENTRIES, accounts=books.ACCOUNTS)
    parser.add_argument("--format", type=Format, choices=list(Format), default=Format.CSV, help="default csv")
    options = parser.parse_args()
    for result in measure(options.entries, options.accounts, options.format, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
