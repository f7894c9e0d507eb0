"""A node syncs while its page is asked 200 times a second: `python -m benchmarks.page_load`.

As `sync`, with the page on: without visitors, then with them, by turns. The visitors are a process of its own
with 32 connections. Of ten requests four are for the tip, two for the newest blocks, one for a block, one
for its txids, one for a file of the page and one for the first page. All share the cores with both nodes.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import books
from benchmarks.nodes import PATIENCE_S, ROOT, GaveUp, Lab, free_port, lab, until_height, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit

RATE: Final = 200
"""Requests a second."""
CONNECTIONS: Final = 32
NICENESS: Final = 5
"""As much as the page's own: real visitors bring a machine of theirs."""
PATHS: Final = (
    *("/api/blocks/tip/height", "/api/blocks/tip/hash") * 2,
    *("/api/blocks", "/api/blocks", "/api/block/{tip}", "/api/block/{tip}/txids"),
    *("/static/indelible.css", "/"),
)


def measure(
    entries: int = books.ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5, rate: int = RATE
) -> list[Result]:
    """Return entries a second with visitors beside those without, and how the visitors were served."""
    book = books.book_of(entries, accounts)
    alone: list[float] = []
    visited: list[float] = []
    served: list[Served] = []
    with lab(book.parameters) as nodes:
        for _ in range(runs):
            alone.append(round(entries / _sync(nodes, book, 0)[0]))
            spent, told = _sync(nodes, book, rate)
            visited.append(round(entries / spent))
            served.append(told)
    return [
        Result(
            benchmark="page load",
            unit="entries/s",
            figure=Series(f"sync while {rate} requests a second are answered", tuple(visited)),
            limit=Series("sync with the page on, nobody looking", tuple(alone)),
            details={
                "entries": entries,
                "asked_per_s": rate,
                "answered_per_s": round(statistics.median(one.answered / one.seconds for one in served), 1),
                "refused": sum(one.refused for one in served),
                "median_ms": round(statistics.median(one.median_ms for one in served), 1),
            },
        )
    ]


@dataclass(slots=True)
class Served:
    """What the visitors got."""

    seconds: float = 0.0
    answered: int = 0
    refused: int = 0
    took_ms: list[float] = field(default_factory=list)
    median_ms: float = 0.0


def _sync(nodes: Lab, book: books.Book, rate: int) -> tuple[float, Served]:
    """Return the seconds of a first sync, and how its visitors were served."""
    serving = nodes.start(nodes.folder(book.blocks))
    port = free_port()
    syncing = nodes.start(nodes.folder(), web_port=port)
    _until_up(port)
    visitors = _Visitors(port, rate) if rate else None
    watcher = watch(syncing)
    began = time.perf_counter()
    syncing.join(serving)
    spent = until_height(syncing, book.height, watcher) - began
    told = visitors.leave() if visitors is not None else Served()
    watcher.close()
    syncing.stop()
    serving.stop()
    return spent, told


def _until_up(port: int) -> None:
    """Wait until the page has answered once."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise GaveUp("the page does not answer")


class _Visitors:
    """The process of the visitors, who come until they are told to leave."""

    def __init__(self, port: int, rate: int) -> None:
        command = [sys.executable, "-m", "benchmarks.page_load", "--visit", str(port), "--rate", str(rate)]
        self._process = subprocess.Popen(
            command, cwd=Path(ROOT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def leave(self) -> Served:
        """End it; return what it saw."""
        told, _ = self._process.communicate("", PATIENCE_S)
        if self._process.returncode:
            raise GaveUp(f"the visitors ended with {self._process.returncode}")
        return Served(**json.loads(told))


def visit(port: int, rate: int) -> None:
    """Ask at this rate until standard input ends, then print what was seen; in a process of its own."""
    os.nice(NICENESS)
    leaving = threading.Event()
    seen = [Served() for _ in range(CONNECTIONS)]
    began = time.monotonic()
    threads = [
        threading.Thread(target=_visit, args=(port, number, rate, leaving, seen[number]))
        for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    leaving.set()
    for thread in threads:
        thread.join()
    took = sorted(ms for one in seen for ms in one.took_ms)
    told = {
        "seconds": time.monotonic() - began,
        "answered": sum(one.answered for one in seen),
        "refused": sum(one.refused for one in seen),
        "median_ms": statistics.median(took) if took else 0.0,
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _visit(port: int, number: int, rate: int, leaving: threading.Event, seen: Served) -> None:
    """Ask on one connection, each at its time; whoever is late asks at once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/api/blocks/tip/hash")
    tip = connection.getresponse().read().decode()
    due = time.monotonic() + number / rate
    turn = number
    while not leaving.wait(max(0.0, due - time.monotonic())):
        began = time.monotonic()
        connection.request("GET", PATHS[turn % len(PATHS)].format(tip=tip))
        answer = connection.getresponse()
        content = answer.read()
        seen.took_ms.append((time.monotonic() - began) * 1e3)
        if answer.status == http.client.OK:
            seen.answered += 1
            if turn % len(PATHS) in (1, 3):
                tip = content.decode()
        else:
            seen.refused += 1
        due += CONNECTIONS / rate
        turn += 1
    connection.close()


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "page_load", "Sync with visitors.", entries=books.ENTRIES, accounts=books.ACCOUNTS, rate=RATE
    )
    parser.add_argument(
        "--visit", type=int, metavar="PORT", help="be the visitors of a page, until input ends"
    )
    options = parser.parse_args()
    if options.visit:
        visit(options.visit, options.rate)
        return
    for result in measure(options.entries, options.accounts, options.runs, options.rate):
        emit(result)


if __name__ == "__main__":
    main()
