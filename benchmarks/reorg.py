"""Ten blocks are replaced by eleven, two nodes, from the join: `python -m benchmarks.reorg`.

Unseen: the branches hold different entries, so those of the heavier one are checked from nothing. Seen: the
node that switches had all of them pending, and has them in its own blocks or pending now. The clock runs from
the moment it is told of the other node until its `status` tells of the other's tip, which is durable then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks import books, limits
from benchmarks.nodes import Lab, lab, until_height, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from tests.building import ChainBuilder

BLOCKS = 10
PER_BLOCK = 1_000


def measure(blocks: int = BLOCKS, per_block: int = PER_BLOCK, runs: int = 5) -> list[Result]:
    """Return seconds of both kinds beside what the signatures, or the rows, of the new branch take alone."""
    parameters = books.young_network()
    count = (blocks + 1) * per_block
    left = books.rounds(ChainBuilder(parameters), count)
    other = books.rounds(ChainBuilder(parameters), count, memo="other")
    raws = [entry.raw for entry in left]
    short = books.in_blocks(ChainBuilder(parameters), left[: blocks * per_block], per_block)
    seen = books.in_blocks(ChainBuilder(parameters), left, per_block, miner="another miner")
    unseen = books.in_blocks(ChainBuilder(parameters), other, per_block)
    cores = limits.cores()
    found: dict[str, list[float]] = {"unseen": [], "seen": []}
    signatures: list[float] = []
    rows: list[float] = []
    with lab(parameters) as nodes:
        for _ in range(runs):
            signatures.append(count / limits.verify_rate(cores))
            rows.append(count / limits.rows_per_s())
            found["unseen"].append(_switch(nodes, short, unseen, ()))
            found["seen"].append(_switch(nodes, short, seen, raws))
    details: dict[str, int | float | str] = {
        "undone": blocks,
        "connected": blocks + 1,
        "per_block": per_block,
    }
    return [
        Result(
            benchmark=f"reorg {name}",
            unit="s",
            figure=Series("from the join to a durable tip", tuple(round(s, 4) for s in found[name])),
            limit=Series(what, tuple(round(s, 4) for s in limit)),
            details=details,
        )
        for name, what, limit in (
            ("unseen", f"libsodium verifying the new branch, {cores} cores", signatures),
            ("seen", "SQLite writing a small row for each entry of the new branch", rows),
        )
    ]


def _switch(nodes: Lab, short: list[bytes], long: list[bytes], pending: Sequence[bytes]) -> float:
    """Return the seconds that the switch took; the node had all `pending` before its own blocks came."""
    heavier = nodes.start(nodes.folder(long))
    lighter = nodes.start(nodes.folder() if pending else nodes.folder(short))
    watcher = watch(lighter)
    if pending:
        lighter.submit(pending)
        first = nodes.start(nodes.folder(short))
        lighter.join(first)
        until_height(lighter, len(short), watcher)
        first.stop()
    began = time.perf_counter()
    lighter.join(heavier)
    ended = until_height(lighter, len(long), watcher)
    if lighter.status()["tip"] != heavier.status()["tip"]:
        raise RuntimeError(f"the two nodes are on different tips: {lighter.log()}")
    watcher.close()
    lighter.stop()
    heavier.stop()
    return ended - began


def main() -> None:
    """Measure and print."""
    options = parser_of("reorg", "Measure a switch.", blocks=BLOCKS, per_block=PER_BLOCK).parse_args()
    for result in measure(options.blocks, options.per_block, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
