"""Series for plots: hours put together to days in the reader's zone, and blocks one by one. Opens nothing.

Times are Unix seconds, as the plotting library takes them; amounts are smallest units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from node.storage.page_index import BlockRow, Hour, Takings

HOUR_S: Final = 3_600
DAY_HOURS: Final = 24

Series: TypeAlias = list[int | None]


class Plotted(NamedTuple):
    """Columns of equal length."""

    time: list[int]
    entries: Series
    amount: Series
    """That entries moved; of blocks it is not known."""
    takings: Series
    interval_ms: Series
    """Between blocks, on average."""
    difficulty: Series
    """Hashes that a block takes, on average."""
    hashrate: Series
    """Hashes a second that the blocks of the time show."""


def of_hours(hours: Sequence[Hour], takings: Sequence[Takings], length: int, offset: int) -> Plotted:
    """Return buckets of `length` hours (1 or 24); days begin `offset` hours before those of UTC.

    Between the first and the last one, buckets without blocks stand as zeros, and averages there as None.
    """
    sums: dict[int, list[int]] = {}
    for row in hours:
        found = sums.setdefault((row.hour + offset) // length, [0] * 6)
        for place, value in enumerate((row.blocks, row.interval_ms, row.work, row.entries, row.amount)):
            found[place] += value
    for taken in takings:
        bucket = sums.get((taken.hour + offset) // length)
        if bucket is not None:
            bucket[5] += taken.amount
    plotted = Plotted([], [], [], [], [], [], [])
    for at in range(min(sums), max(sums) + 1) if sums else ():
        blocks, interval_ms, work, entries, amount, taken_in = sums.get(at, [0] * 6)
        plotted.time.append((at * length - offset) * HOUR_S)
        plotted.entries.append(entries)
        plotted.amount.append(amount)
        plotted.takings.append(taken_in)
        _add_work(plotted, blocks, interval_ms, work)
    return plotted


def of_blocks(rows: Sequence[BlockRow]) -> Plotted:
    """Return one point for each block, given the newest first."""
    plotted = Plotted([], [], [], [], [], [], [])
    for row in reversed(rows):
        if row.height:
            plotted.time.append(row.time_ms // 1_000)
            plotted.entries.append(row.entries)
            plotted.amount.append(None)
            plotted.takings.append(None)
            _add_work(plotted, 1, row.interval_ms, row.work)
    return plotted


def _add_work(plotted: Plotted, blocks: int, interval_ms: int, work: int) -> None:
    plotted.interval_ms.append(interval_ms // blocks if blocks and interval_ms else None)
    plotted.difficulty.append(work // blocks if blocks else None)
    plotted.hashrate.append(work * 1_000 // interval_ms if interval_ms else None)
