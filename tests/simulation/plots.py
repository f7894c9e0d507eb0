"""`python -m tests.simulation.plots FOLDER`: draw the figures of `scale` from their JSON, as SVG beside it.

Needs matplotlib, the extra `plots`; nothing else does. Touches only that folder.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

Row = dict[str, Any]
"""As `scale` wrote it."""

STYLE: Final = {
    "svg.hashsalt": "indelible",  # the same file on every run
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "white",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
NODES: Final = (10, 30, 100, 300, 1_000)
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which people who see few colours can tell apart."""


def _axes(count: int) -> tuple[Any, Sequence[Any]]:
    figure, axes = plt.subplots(1, count, figsize=(4.6 * count, 4.2), layout="constrained", squeeze=False)
    return figure, axes[0]


def _ready(axis: Any, ticks: Sequence[float], columns: int) -> None:  # noqa: ANN401 - matplotlib's axes
    """Make the horizontal axis logarithmic, with these ticks, and put the legend below it."""
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, fontsize=9)


def draw_block(rows: Sequence[Row]) -> Any:  # noqa: ANN401 - matplotlib's figure
    """How many nodes have a block after how long."""
    figure, (axis,) = _axes(1)
    for row, colour in zip(rows, COLOURS, strict=False):
        curve = row["curve"]
        shares = [100 * place / len(curve) for place in range(len(curve))]
        dash = "--" if row["block"].startswith("full") else "-"
        axis.plot([ms / 1000 for ms in curve], shares, dash, color=colour, label=row["block"])
    axis.set_xlabel("seconds since the block was found")
    axis.set_ylabel("% of 1,000 nodes that have it")
    _ready(axis, (0.1, 0.2, 0.5, 1, 2, 5, 10), 2)
    axis.set_xlim(left=0.1)
    return figure


def draw_stale(rows: Sequence[Row]) -> Any:  # noqa: ANN401 - matplotlib's figure
    """Stale blocks by interval and by size, beside what theory says."""
    figure, (by_interval, by_size) = _axes(2)
    small = [row for row in rows if row["bytes of a block"] < 1_000]
    sized = [row for row in rows if row["interval s"] == 15]
    delay_s = sum(row["mean delay ms"] for row in small) / len(small) / 1_000
    intervals = [math.exp(math.log(60) * step / 60) for step in range(61)]
    theory = [100 * (1 - math.exp(-delay_s / interval)) for interval in intervals]
    label = f"1 - exp(-delay / interval), {delay_s:.2f} s"
    by_interval.plot(intervals, theory, color=COLOURS[1], label=label)
    _with_doubt(by_interval, "interval s", small)
    by_interval.set_xlabel("block interval, seconds (empty blocks)")
    sized.sort(key=lambda row: int(row["bytes of a block"]))
    sizes = [row["bytes of a block"] / 1_024 for row in sized]
    by_size.plot(
        sizes, [row["1-exp(-d/i) %"] for row in sized], color=COLOURS[1], label="with the delay measured"
    )
    _with_doubt(by_size, "KiB", [row | {"KiB": row["bytes of a block"] / 1_024} for row in sized])
    by_size.set_xlabel("block size, KiB (a block every 15 s)")
    for axis, ticks in ((by_interval, (1, 2, 5, 15, 60)), (by_size, (4, 64, 256, 1024))):
        axis.set_ylabel("stale blocks, %")
        _ready(axis, ticks, 1)
    return figure


def _with_doubt(axis: Any, key: str, rows: Sequence[Row]) -> None:  # noqa: ANN401 - matplotlib's axes
    shares = [row["stale %"] for row in rows]
    below = [row["stale %"] - row["from %"] for row in rows]
    above = [row["to %"] - row["stale %"] for row in rows]
    xs = [row[key] for row in rows]
    label = "measured, 95 % interval"
    axis.errorbar(xs, shares, (below, above), fmt="o", color=COLOURS[0], capsize=3, label=label)


def draw_traffic(rows: Sequence[Row]) -> Any:  # noqa: ANN401 - matplotlib's figure
    """What is said for an entry, for a block and for nothing."""
    figure, axes = _axes(3)
    for axis, what in zip(axes, ("entry", "block", "idle minute"), strict=True):
        kinds = dict.fromkeys(row["type"] for row in rows if row["for"] == what)
        for kind, colour in zip(kinds, ("black", *COLOURS), strict=False):
            points = [row for row in rows if (row["for"], row["type"]) == (what, kind)]
            sizes = [row["bytes a node"] for row in points]
            line = "o--" if kind == "PONG" else "o-"  # as many bytes as PING
            axis.plot([row["nodes"] for row in points], sizes, line, ms=3, color=colour, label=kind)
        axis.set_xlabel("nodes")
        axis.set_ylabel(f"bytes sent a node, {'an' if what[0] in 'ei' else 'a'} {what}")
        _ready(axis, NODES, 3)
    return figure


def draw_cost(rows: Sequence[Row]) -> Any:  # noqa: ANN401 - matplotlib's figure
    """Processor time and memory."""
    figure, (time_axis, memory_axis) = _axes(2)
    nodes = [row["nodes"] for row in rows]
    for key, label, colour in (
        ("us a node an entry", "an entry", COLOURS[0]),
        ("us a node a block", "a small block", COLOURS[1]),
    ):
        time_axis.plot(nodes, [row[key] / 1000 for row in rows], "o-", color=colour, label=label)
    idle = [row["ms a node an idle minute"] for row in rows]
    time_axis.plot(nodes, idle, "o-", color=COLOURS[2], label="an idle minute")
    time_axis.set_ylabel("processor time a node, ms")
    memory = [row["KiB a node"] for row in rows]
    memory_axis.plot(nodes, memory, "o-", color=COLOURS[0], label="connected, nothing pending")
    memory_axis.set_ylabel("memory a node, KiB")
    for axis in (time_axis, memory_axis):
        axis.set_xlabel("nodes")
        _ready(axis, NODES, 1)
    return figure


DRAWN: Final[Mapping[str, Callable[[Sequence[Row]], Any]]] = {
    "block": draw_block,
    "stale": draw_stale,
    "traffic": draw_traffic,
    "cost": draw_cost,
}


def main(arguments: Sequence[str]) -> int:
    """Draw all figures whose JSON is in the folder."""
    folder = Path(*arguments)
    mpl.use("svg")
    mpl.rcParams.update(STYLE)
    for name, draw in DRAWN.items():
        source = folder / f"{name}.json"
        if source.exists():
            target = folder / f"{name}.svg"
            draw(json.loads(source.read_text(encoding="utf-8"))).savefig(target, metadata={"Date": None})
            print(f"{target}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
