"""How long a syncing node keeps a client waiting, a miner searching beside it: `python -m benchmarks.lag`.

A process of its own asks for `status` every 10 ms through the local socket, which the event loop answers, and
does not wait for one answer before it asks again. What counts is the time from when an answer was due to be
asked for until it came, less what it takes on the idle node. The limit is by how much that same process was
woken late, which is the machine's doing.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import books
from benchmarks.nodes import PATIENCE_S, ROOT, Client, GaveUp, Lab, Node, lab, request, until_height, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit, percentile
from node.paths import find_socket

EVERY_S: Final = 0.01
IDLE_S: Final = 1.0
"""How long the idle node is asked first."""
_HARD: Final = 0x1A00FFFF
"""Bits of a network whose miners search on and on."""


class Asked(NamedTuple):
    """What the asking process saw, milliseconds each."""

    waited: list[float]
    late: list[float]


def measure(entries: int = books.ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5) -> list[Result]:
    """Return the 99th percentile of the wait, beside that of being woken late."""
    book = books.book_of(entries, accounts)
    hard = replace(books.young_network(), genesis_bits=_HARD, easiest_bits=_HARD)
    found: list[float] = []
    late: list[float] = []
    asked = 0
    with lab(book.parameters) as nodes, lab(hard) as others:
        miner = others.start(others.folder())
        miner.client.wire.sendall(request(1, "mine", {"count": 1}))
        for _ in range(runs):
            idle, busy = _sync(nodes, book)
            found.append(max(0.0, percentile(busy.waited, 0.99) - percentile(idle.waited, 0.5)))
            late.append(percentile(busy.late, 0.99))
            asked += len(busy.waited)
        if not miner.status()["mining"]["hashrate"]:
            raise GaveUp(f"the miner does not search: {miner.status()}")
        miner.client.close()
        miner.stop()
    return [
        Result(
            benchmark="lag",
            unit="ms",
            figure=Series("99 of 100 answers of a syncing node", tuple(round(ms, 2) for ms in found)),
            limit=Series("the asking process woken late", tuple(round(ms, 2) for ms in late)),
            details={"entries": entries, "accounts": accounts, "asked": asked},
        )
    ]


def _sync(nodes: Lab, book: books.Book) -> tuple[Asked, Asked]:
    """Return what was seen of the idle node, and then of the syncing one."""
    serving = nodes.start(nodes.folder(book.blocks))
    syncing = nodes.start(nodes.folder())
    watcher = watch(syncing)
    asking = _Asking(syncing)
    time.sleep(IDLE_S)
    idle = asking.leave()
    asking = _Asking(syncing)
    syncing.join(serving)
    until_height(syncing, book.height, watcher)
    busy = asking.leave()
    watcher.close()
    syncing.stop()
    serving.stop()
    return idle, busy


class _Asking:
    """The process that asks, until it is told to leave."""

    def __init__(self, node: Node) -> None:
        command = [sys.executable, "-m", "benchmarks.lag", "--ask", str(find_socket(node.folder))]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._process.stdout is None:
            raise RuntimeError("it was asked for")
        self._process.stdout.readline()  # it is connected

    def leave(self) -> Asked:
        """End it; return what it saw."""
        told, _ = self._process.communicate("", PATIENCE_S)
        if self._process.returncode:
            raise GaveUp(f"the asking process ended with {self._process.returncode}")
        return Asked(*json.loads(told))


def ask(path: Path) -> None:
    """Ask at each turn until standard input ends, then print what was seen; in a process of its own."""
    client = Client(path)
    came: list[float] = []
    hearing = threading.Thread(target=_hear, args=(client, came))
    hearing.start()
    leaving = threading.Event()
    threading.Thread(target=_until_told, args=(leaving,), daemon=True).start()
    sys.stdout.write("connected\n")
    sys.stdout.flush()
    due, asked = _ask_on(client, leaving)
    client.wire.shutdown(socket.SHUT_WR)  # the node answers what it was asked, then hangs up
    hearing.join()
    waited = [round((end - begun) * 1e3, 3) for begun, end in zip(due, came, strict=True)]
    late = [round((sent - begun) * 1e3, 3) for begun, sent in zip(due, asked, strict=True)]
    sys.stdout.write(json.dumps([waited, late]) + "\n")


def _until_told(leaving: threading.Event) -> None:
    sys.stdin.read()
    leaving.set()


def _ask_on(client: Client, leaving: threading.Event) -> tuple[list[float], list[float]]:
    """Return when each answer was due to be asked for, and when it was."""
    due, asked = [time.perf_counter()], []
    while True:
        client.wire.sendall(request(len(due), "status", {}))
        asked.append(time.perf_counter())
        if leaving.wait(max(0.0, due[-1] + EVERY_S - time.perf_counter())):
            return due, asked
        due.append(due[-1] + EVERY_S)


def _hear(client: Client, came: list[float]) -> None:
    with contextlib.suppress(ConnectionError):
        while client.read(PATIENCE_S) is not None:
            came.append(time.perf_counter())


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "lag", "Measure how long an answer takes.", entries=books.ENTRIES, accounts=books.ACCOUNTS
    )
    parser.add_argument("--ask", type=Path, metavar="SOCKET", help="be the one who asks, until input ends")
    options = parser.parse_args()
    if options.ask:
        ask(options.ask)
        return
    for result in measure(options.entries, options.accounts, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
