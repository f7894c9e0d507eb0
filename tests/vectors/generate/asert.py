"""Difficulty rows for aserti3-2d by exact fractions, and chain times by plain sums. Touches nothing.

The specification (Bitcoin Cash, 2020-11-15-asert) is followed in rational numbers: the exponent in 65,536ths
is a fraction that is cut off toward zero, its whole part is rounded down, and the cubic stands in a fraction
that is rounded to the nearest. The code under test shifts integers instead.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from tests.vectors.generate import compact_bits

ABOUT = (
    "aserti3-2d. `bits` is the compact target of the block after one that came `time_delta` after the parent "
    "of the anchor and stands `height_delta` above the anchor. All times are in one unit, such as seconds. "
    "In `chain_times`, `chain_time` is that of the last of these blocks, the first being a genesis."
)


class Row(NamedTuple):
    """What a row asks: everything that the rule depends on."""

    why: str
    anchor_bits: int
    interval: int
    half_life: int
    time_delta: int
    height_delta: int
    easiest_bits: int


DAY = 86_400
BITCOIN_CASH = (600, 2 * DAY)
TRYING_OUT = (15_000, 40 * 15_000)
EASY, EASIEST, HARD = 0x1D00FFFF, 0x1E03FFFF, 0x1802AEE8


def target_after(row: Row) -> int:
    """Return the target as a number, before it is written as compact bits."""
    anchor, easiest = compact_bits.decode(row.anchor_bits), compact_bits.decode(row.easiest_bits)
    if anchor is None or easiest is None:
        raise ArithmeticError(f"no target: {row}")
    behind = row.time_delta - row.interval * (row.height_delta + 1)
    exponent = math.trunc(Fraction(behind * 65_536, row.half_life))
    whole = math.floor(Fraction(exponent, 65_536))
    part = exponent - 65_536 * whole
    cubic = 195_766_423_245_049 * part + 971_821_376 * part**2 + 5_127 * part**3
    factor = 65_536 + math.floor(Fraction(cubic, 2**48) + Fraction(1, 2))
    if abs(whole) > 1_000:  # a power too large to write down, and far past either end
        return easiest if whole > 0 else 1
    exact = anchor * Fraction(factor, 65_536) * Fraction(2) ** whole
    return min(max(math.floor(exact), 1), easiest)


def make() -> dict[str, object]:
    """Return the whole file."""
    rows = []
    for row in _rows():
        bits = compact_bits.encode(target_after(row))
        rows.append(
            {
                **row._asdict(),
                "anchor_bits": f"{row.anchor_bits:#010x}",
                "easiest_bits": f"{row.easiest_bits:#010x}",
                "bits": f"{bits:#010x}",
            }
        )
    return {"about": ABOUT, "rows": rows, "chain_times": _chain_times()}


def _rows() -> Iterator[Row]:
    yield from _on_schedule()
    yield from _whole_half_lives()
    yield from _around_zero()
    yield from _extremes()
    yield from _spread()


def _on_schedule() -> Iterator[Row]:
    for interval, half_life in (BITCOIN_CASH, TRYING_OUT):
        for height in (0, 1, 2, 1_000, 2**31, 2**32 - 1):
            yield Row("on schedule", HARD, interval, half_life, interval * (height + 1), height, EASIEST)


def _whole_half_lives() -> Iterator[Row]:
    interval, half_life = TRYING_OUT
    for steps in (*range(-24, 0), *range(1, 25), -40, -80, -120, -160, -191, -192, -193, 40, 80, 120):
        time_delta = interval * 10_001 + steps * half_life
        yield Row("whole half-lives", HARD, interval, half_life, time_delta, 10_000, EASY)


def _around_zero() -> Iterator[Row]:
    """A little ahead or behind: rounding down instead of toward zero shows in exactly these."""
    for interval, half_life in (BITCOIN_CASH, TRYING_OUT, (1, 3), (7, 65_536), (7, 65_537), (7, 1_000_003)):
        for off in (-3, -2, -1, 1, 2, 3):
            time_delta = interval * 11 + off
            yield Row("a hair off schedule", 0x1B7FFFFF, interval, half_life, time_delta, 10, EASIEST)
    for off in range(-40, 0):
        time_delta = 15_000 * 11 + off
        yield Row("truncated toward zero", 0x1B7FFFFF, *TRYING_OUT, time_delta, 10, EASIEST)


def _extremes() -> Iterator[Row]:
    interval, half_life = TRYING_OUT
    base = interval * 11
    for shift in (
        -(2**20),
        -1_000,
        -300,
        -258,
        -257,
        -256,
        -255,
        -241,
        -240,
        -224,
        30,
        200,
        255,
        256,
        257,
        258,
        2**20,
    ):
        for off in (-1, 0, 1):
            for anchor in (0x01010000, HARD, EASIEST, 0x207FFFFF):
                time_delta = base + shift * half_life + off
                yield Row("an extreme shift", anchor, interval, half_life, time_delta, 10, 0x207FFFFF)
    last = 2**53 - 1
    yield Row("the largest time", HARD, interval, half_life, last, 0, EASIEST)
    yield Row("the largest time, the shortest half-life", HARD, 1, 1, last, 0, EASIEST)
    yield Row("the largest height at once", HARD, interval, half_life, interval, 2**32 - 1, EASIEST)
    yield Row("time before the anchor's parent", HARD, *BITCOIN_CASH, -1_000_000, 0, EASIEST)
    yield Row("from the smallest target up", 0x01010000, interval, half_life, base + half_life, 10, EASIEST)
    yield Row("from the smallest target down", 0x01010000, interval, half_life, base - half_life, 10, EASIEST)
    yield Row("from the easiest up", EASIEST, interval, half_life, base + 1_000, 10, EASIEST)
    yield Row("from the easiest down", EASIEST, interval, half_life, base - 1_000, 10, EASIEST)
    yield Row("an anchor easier than the easiest", EASIEST, interval, half_life, base, 10, EASY)


def _spread() -> Iterator[Row]:
    """Rows all over the place, from a hash instead of a random generator."""
    for number in range(160):
        digest = hashlib.sha256(b"asert row %d" % number).digest()
        word = [int.from_bytes(digest[start : start + 4], "big") for start in range(0, 32, 4)]
        interval, half_life = (BITCOIN_CASH, TRYING_OUT, (1 + word[0] % 5_000, 1 + word[1] % 900_000))[
            number % 3
        ]
        height = word[2] % 2_000_000
        behind = (word[3] - 2**31) * half_life * 12 // 2**31
        anchor = (word[4] % 24 + 6) << 24 | (word[5] % 0x7F8000 + 0x8000)
        time_delta = interval * (height + 1) + behind
        yield Row(
            "spread",
            anchor,
            interval,
            half_life,
            time_delta,
            height,
            (EASY, EASIEST, 0x207FFFFF)[word[6] % 3],
        )


def _chain_times() -> list[dict[str, object]]:
    cases = []
    for interval, gaps in (
        (15_000, []),
        (15_000, [15_000]),
        (15_000, [1]),
        (15_000, [2_399_999]),
        (15_000, [2_400_000]),
        (15_000, [2_400_001]),
        (15_000, [2_400_001, 1, 15_000, 10**12, 7]),
        (600, [95_999, 96_000, 96_001, 600]),
        (1, [159, 160, 161]),
    ):
        timestamps = [1_700_000_000_000]
        for gap in gaps:
            timestamps.append(timestamps[-1] + gap)
        chain_time = interval + sum(min(gap, 160 * interval) for gap in gaps)
        cases.append({"interval": interval, "timestamps": timestamps, "chain_time": chain_time})
    return cases
