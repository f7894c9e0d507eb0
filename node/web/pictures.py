"""Pictures that pages draw as SVG: the peers around this node, and the tree of blocks near its tips. Pure.

Only places and words are worked out here; templates draw them. Lengths are units of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from node.answers import Json

MAX_DRAWN: Final = 24
"""Peers in the picture; the table beside it has all."""
MAX_BRANCHES: Final = 12
"""Side branches in the picture, the highest of them."""
MAX_STEPS: Final = 3
"""Blocks of one branch that are drawn: its last ones, and its first where they are that few."""
RECENT: Final = 4
"""Blocks of the main chain that are drawn below its tip, whether or not a branch leaves there."""


class Dot(NamedTuple):
    """A peer."""

    x: int
    y: int
    label: str
    detail: str
    tone: str
    """good: at our height or above; warn: below it."""
    incoming: bool
    label_y: int
    """Where its label begins: above it in the upper half, else below."""


def peer_dots(peers: Sequence[Json], height: int) -> list[Dot]:
    """Return the peers around (0, 0), within 200 units of it; the slower the answer, the further out."""
    shown = sorted(peers, key=lambda peer: (peer["direction"], peer["name"], peer["node_id"]))[:MAX_DRAWN]
    dots = []
    for number, peer in enumerate(shown):
        angle = math.tau * (number + 0.5) / len(shown) - math.pi / 2
        latency = peer["latency_ms"]
        away = 92 + 26 * min(3.0, math.log10(1 + (latency if latency is not None else 1_000)))
        y = round(away * math.sin(angle) * 0.86)
        behind = peer["height"] < height
        told = "latency not measured" if latency is None else f"{latency} ms"
        dots.append(
            Dot(
                x=round(away * math.cos(angle) * 1.15),
                y=y,
                label=_clipped(peer["name"]),
                detail=f"{peer['height']:,} · {told}",
                tone="warn" if behind else "good",
                incoming=peer["direction"] == "in",
                label_y=y - 32 if y < 0 else y + 28,
            )
        )
    return dots


def _clipped(text: str) -> str:
    return text if len(text) <= 18 else text[:17] + "…"


class TreeRow(NamedTuple):
    """A height of the picture, the highest first."""

    height: int
    y: int
    gap: bool
    """Whether heights are left out between this row and the one above it."""


class TreeBlock(NamedTuple):
    """A block of the picture."""

    x: int
    y: int
    tone: str
    is_tip: bool
    label: str
    """Beside a tip: what it is."""


class TreeLine(NamedTuple):
    """A branch, from where it leaves the main chain to its tip."""

    x: int
    from_y: int
    """Of the block that it leaves at."""
    first_y: int
    """Of its first block that is drawn."""
    to_y: int
    tone: str


class Tree(NamedTuple):
    """The picture of the block tree."""

    width: int
    height: int
    rows: list[TreeRow]
    blocks: list[TreeBlock]
    lines: list[TreeLine]
    left_out: int
    """Branches that are in the table only."""


class _Branch(NamedTuple):
    fork: int
    tip: int
    hash: str
    status: str
    length: int


_ROW: Final = 36
_LANE: Final = 34
_LEFT: Final = 84
"""Of the main chain; heights are written to the left of it."""
_LETTER: Final = 8
"""Of a label, about."""
_TONES: Final = {"active": "good", "valid-fork": "accent", "headers-only": "soft", "invalid": "bad"}
WORDS: Final = {
    "active": "the book",
    "valid-fork": "valid, but lighter",
    "headers-only": "headers only",
    "invalid": "breaks a rule",
}
"""What the states of branches mean, for people."""


def block_tree(tips: Sequence[Json]) -> Tree:
    """Return the picture of the ends of branches as `tips` tells of them, the active one first."""
    top = tips[0]["height"]
    sides = [
        _Branch(t["height"] - t["branch_length"], t["height"], t["hash"], t["status"], t["branch_length"])
        for t in tips[1:]
        if t["branch_length"]
    ]
    drawn = sides[:MAX_BRANCHES]
    heights = set(range(max(0, top - RECENT), top + 1))
    for branch in drawn:
        heights |= {branch.fork, *_steps(branch)}
    rows = _rows(sorted(heights, reverse=True))
    y_of = {row.height: row.y for row in rows}
    blocks = [
        TreeBlock(_LEFT, row.y, "good", row.height == top, WORDS["active"] if row.height == top else "")
        for row in rows
        if row.height <= top
    ]
    lines, lanes = [], _Lanes()
    for branch in drawn:
        x = _LEFT + _LANE * lanes.place(branch.fork, branch.tip)
        tone = _TONES[branch.status]
        steps = _steps(branch)
        lines.append(TreeLine(x, y_of[branch.fork], y_of[steps[0]], y_of[branch.tip], tone))
        more = f" ({branch.length} blocks)" if branch.length > 1 else ""
        label = f"{branch.hash[-8:]}: {WORDS[branch.status]}{more}"
        blocks += [
            TreeBlock(x, y_of[at], tone, at == branch.tip, label if at == branch.tip else "") for at in steps
        ]
    width = max(block.x + _LETTER * (len(block.label) + 3) for block in blocks)
    return Tree(width, rows[-1].y + _ROW, rows, blocks, lines, len(sides) - len(drawn))


def _steps(branch: _Branch) -> list[int]:
    """Return the heights of a branch that are drawn, ascending."""
    return list(range(max(branch.fork + 1, branch.tip - MAX_STEPS + 1), branch.tip + 1))


def _rows(heights: list[int]) -> list[TreeRow]:
    rows: list[TreeRow] = []
    y = _ROW
    for above, height in zip([heights[0] + 1, *heights], heights, strict=False):
        gap = above - height > 1
        y += _ROW if gap else 0
        rows.append(TreeRow(height, y, gap))
        y += _ROW
    return rows


class _Lanes:
    """Columns to the right of the main chain; two branches share one where they are apart."""

    def __init__(self) -> None:
        self._taken: list[list[tuple[int, int]]] = []

    def place(self, low: int, high: int) -> int:
        """Return the lane of a branch, from 1."""
        for number, taken in enumerate(self._taken, 1):
            if all(high < other_low or low > other_high for other_low, other_high in taken):
                taken.append((low, high))
                return number
        self._taken.append([(low, high)])
        return len(self._taken)
