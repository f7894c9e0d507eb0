"""`python -m benchmarks.plots FILE...`: draw what `benchmarks.store --points` wrote, as SVG beside it.

Needs matplotlib, the extra `plots`; nothing else does. Touches only those folders.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib import pyplot as plt

_STYLE: Final = {
    "svg.hashsalt": "indelible",  # the same file on every run
    "svg.fonttype": "none",
    "figure.facecolor": "white",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_COLOURS: Final = ("#0072b2", "#d55e00")


def draw(points: Sequence[Sequence[float]], into: Path) -> None:
    """Draw rate and file size against entries, one beside the other."""
    figure, (rate, size) = plt.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
    millions = [point[0] / 1e6 for point in points]
    rate.plot(millions, [1e6 / point[1] for point in points], "o-", color=_COLOURS[0])
    rate.set_ylabel("entries a second of the writing thread")
    size.plot(millions, [point[0] * point[2] / 2**20 for point in points], "o-", color=_COLOURS[1])
    size.set_ylabel("file, MiB")
    for axis in (rate, size):
        axis.set_xlabel("million entries in the book")
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter("{x:,.0f}")
    figure.savefig(into, metadata={"Date": None})


def main() -> None:
    """Draw each file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description="Draw what was measured.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    mpl.use("svg")
    with mpl.rc_context(_STYLE):
        for file in parser.parse_args().files:
            draw(json.loads(file.read_text(encoding="utf-8")), file.with_suffix(".svg"))


if __name__ == "__main__":
    main()
