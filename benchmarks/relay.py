"""A full block along a line of nodes whose pending entries match: `python -m benchmarks.relay`.

Each node knows only its neighbours. The first one mines; a node has the block when it tells its watchers that
it is connected, which it does when the block is durable. All clocks are this process's own.
"""

from __future__ import annotations

import selectors
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise

from benchmarks import books, limits
from benchmarks.nodes import PATIENCE_S, Client, GaveUp, Lab, Node, lab, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from node.ledger.entry import Entry
from tests.building import ChainBuilder

ENTRIES = 2_000
NODES = 5


def measure(entries: int = ENTRIES, nodes: int = NODES, runs: int = 5) -> list[Result]:
    """Return milliseconds a hop (the median of a run's hops) and to the end of the line."""
    parameters = books.young_network()
    builder = ChainBuilder(parameters)
    hops: list[float] = []
    ends: list[float] = []
    carried: list[float] = []
    with lab(parameters) as laboratory:
        line = _line(laboratory, nodes)
        watchers = [watch(node) for node in line]
        for _ in range(runs):
            signed = books.rounds(builder, entries)
            carried.append(limits.carry_s([entry.raw for entry in signed]) * 1000)
            had = _mine(line, watchers, signed)
            hops.append(statistics.median(b - a for a, b in pairwise(had)) * 1000)
            ends.append((had[-1] - had[0]) * 1000)
        for watcher in watchers:
            watcher.close()
        for node in line:
            node.stop()
    what = "bytes over loopback, hashed, one synced row"
    details: dict[str, int | float | str] = {"entries": entries, "nodes": nodes}
    return [
        Result(
            benchmark="relay hop",
            unit="ms",
            figure=Series("from connected to connected next door", tuple(round(ms, 2) for ms in hops)),
            limit=Series(what, tuple(round(ms, 2) for ms in carried)),
            details=details,
        ),
        Result(
            benchmark="relay line",
            unit="ms",
            figure=Series(f"from the first to the last of {nodes} nodes", tuple(round(ms, 2) for ms in ends)),
            limit=Series(f"{nodes - 1} times: {what}", tuple(round(ms * (nodes - 1), 2) for ms in carried)),
            details=details,
        ),
    ]


def _line(laboratory: Lab, count: int) -> list[Node]:
    """Start nodes, each connected to the one before."""
    line: list[Node] = []
    for _ in range(count):
        line.append(laboratory.start(laboratory.folder(), peers=line[-1:]))
    return line


def _mine(line: Sequence[Node], watchers: Sequence[Client], signed: Sequence[Entry]) -> list[float]:
    """Let the entries be pending everywhere, then mine; return when each node had the block, in seconds."""
    height = line[0].status()["height"] + 1
    line[0].submit([entry.raw for entry in signed])
    deadline = time.monotonic() + PATIENCE_S
    while any(node.status()["pending"] != len(signed) for node in line):
        if time.monotonic() > deadline:
            raise GaveUp(f"not all have the entries pending: {[node.status()['pending'] for node in line]}")
        time.sleep(0.1)
    for watcher in watchers:
        while watcher.read(0) is not None:
            pass  # what was told of the entries
    line[0].client.call("mine", count=1)
    had = _when_told(watchers, height)
    if any(node.status()["height"] != height or node.status()["pending"] for node in line):
        raise GaveUp(f"the block did not take all that was pending: {line[0].status()}")
    return had


def _when_told(watchers: Sequence[Client], height: int) -> list[float]:
    had = [0.0] * len(watchers)
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as ready:
        for index, watcher in enumerate(watchers):
            ready.register(watcher.wire, selectors.EVENT_READ, index)
        while not all(had):
            if time.monotonic() > deadline:
                raise GaveUp(f"block {height} did not reach the end of the line: {had}")
            for selected, _ in ready.select(1.0):
                when = time.perf_counter()
                while (told := watchers[selected.data].read(0)) is not None:
                    params = told["params"]
                    if params["kind"] == "block-connected" and params["fields"]["height"] == height:
                        had[selected.data] = when
    return had


def main() -> None:
    """Measure and print."""
    options = parser_of("relay", "Measure a block's way.", entries=ENTRIES, nodes=NODES).parse_args()
    for result in measure(options.entries, options.nodes, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
