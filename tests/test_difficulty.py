"""Compact targets, work, chain time and the target of the next block."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.ledger.difficulty import (
    BadBits,
    asert_target,
    bits_to_target,
    next_bits,
    next_chain_time,
    target_to_bits,
    work_of,
)
from tests.vectors.generate.asert import Row, target_after
from tests.vectors.read import read

ASERT = read("asert.json")
COMPACT = read("compact_bits.json")

T = 15_000
HALF_LIFE = 600_000
EASIEST = 0x1E03FFFF
targets = st.integers(1, 2**256 - 1)


def after(time_delta: int, height_delta: int, anchor: int = EASIEST) -> int:
    """Return the next bits on the built-in network."""
    return next_bits(
        anchor,
        interval=T,
        half_life=HALF_LIFE,
        time_delta=time_delta,
        height_delta=height_delta,
        easiest_bits=EASIEST,
    )


def test_a_target_is_written_as_the_vectors_say() -> None:
    for case in COMPACT["encode"]:
        assert target_to_bits(int(case["target"], 16)) == int(case["bits"], 16), case


def test_bits_mean_the_target_that_the_vectors_say() -> None:
    for case in COMPACT["decode"]:
        if case["target"] is not None:
            assert bits_to_target(int(case["bits"], 16)) == int(case["target"], 16), case


def test_bits_that_are_no_target_are_a_named_error() -> None:
    for case in COMPACT["decode"]:
        if case["target"] is None:
            with pytest.raises(BadBits):
                bits_to_target(int(case["bits"], 16))


@pytest.mark.parametrize(
    "bits, why",
    [
        (0x04923456, "negative"),
        (0x00000000, "target 0"),
        (0x01003456, "target 0"),
        (0x22000100, "above 2"),
        (-1, "32 bits wide"),
        (2**32, "32 bits wide"),
    ],
)
def test_the_error_says_what_is_wrong_with_the_bits(bits: int, why: str) -> None:
    with pytest.raises(BadBits, match=why):
        bits_to_target(bits)


@pytest.mark.parametrize("target", [0, -1, 2**256])
def test_a_number_that_is_no_target_cannot_be_written(target: int) -> None:
    with pytest.raises(BadBits):
        target_to_bits(target)


@given(targets)
def test_writing_a_target_only_drops_its_lowest_bits(target: int) -> None:
    kept = bits_to_target(target_to_bits(target))
    assert kept <= target
    assert target - kept < max(1, target >> 14)
    assert target_to_bits(kept) == target_to_bits(target)


@given(st.integers(-(2**33), 2**33))
def test_any_bits_give_a_target_or_the_named_error(bits: int) -> None:
    try:
        assert 1 <= bits_to_target(bits) < 2**256
    except BadBits:
        return


def test_work_is_the_mean_number_of_hashes() -> None:
    assert work_of(2**256 - 1) == 1
    assert work_of(2**255 - 1) == 2
    assert work_of(1) == 2**255
    assert work_of(bits_to_target(EASIEST)) == 2**256 // (0x03FFFF * 2**216 + 1)
    assert work_of(bits_to_target(EASIEST)).bit_length() == 23


def test_chain_times_are_those_of_the_vectors() -> None:
    for case in ASERT["chain_times"]:
        chain_time = case["interval"]
        for parent, child in pairwise(case["timestamps"]):
            chain_time = next_chain_time(chain_time, parent, child, case["interval"])
        assert chain_time == case["chain_time"], case


def test_an_idle_night_counts_as_160_intervals() -> None:
    night = 8 * 60 * 60 * 1000
    assert next_chain_time(T, 0, night, T) == T + 160 * T
    assert next_chain_time(T, 0, 160 * T, T) == T + 160 * T
    assert next_chain_time(T, 0, 160 * T - 1, T) == T + 160 * T - 1


def test_every_row_of_the_vectors_is_met() -> None:
    assert len(ASERT["rows"]) >= 300
    for row in ASERT["rows"]:
        found = next_bits(
            int(row["anchor_bits"], 16),
            interval=row["interval"],
            half_life=row["half_life"],
            time_delta=row["time_delta"],
            height_delta=row["height_delta"],
            easiest_bits=int(row["easiest_bits"], 16),
        )
        assert found == int(row["bits"], 16), row


def test_the_first_block_after_genesis_has_the_bits_of_genesis() -> None:
    """Genesis has the chain time T and the height 0: it is on schedule."""
    assert after(T, 0, anchor=0x1D00FFFF) == 0x1D00FFFF


def test_a_half_life_ahead_of_schedule_halves_the_target() -> None:
    target = 2**220
    ahead = 11 * T - HALF_LIFE
    assert _target(target, ahead, 10) == target // 2
    assert _target(target, ahead - HALF_LIFE, 10) == target // 4
    assert _target(target, 11 * T + HALF_LIFE, 10) == target * 2


def test_the_exponent_is_cut_off_toward_zero() -> None:
    """One millisecond ahead is less than 1/65536 of a half-life: no change. Rounded down, it would be one."""
    assert _target(2**220, 11 * T - 1, 10) == 2**220
    assert _target(2**220, 11 * T - 9, 10) == 2**220
    assert _target(2**220, 11 * T - 10, 10) < 2**220
    assert _target(2**220, 11 * T + 9, 10) == 2**220
    assert _target(2**220, 11 * T + 10, 10) > 2**220


def test_the_target_is_never_easier_than_the_easiest() -> None:
    assert after(T + 1, 0) == EASIEST
    assert after(2**53 - 1, 0) == EASIEST


def test_the_target_is_never_below_one() -> None:
    assert after(T, 2**32 - 1) == 0x01010000


def test_a_shift_of_any_size_makes_no_number_of_that_size() -> None:
    """With a half-life of 1 the whole part of the exponent is near 2^53: a shift by that ends the process."""
    for time_delta, expected in ((2**53 - 1, 2**255), (-(2**53) + 1, 1)):
        found = asert_target(
            2**220, interval=1, half_life=1, time_delta=time_delta, height_delta=0, easiest_target=2**255
        )
        assert found == expected


@given(
    anchor=st.integers(0x010000, 0x7FFFFF),
    size=st.integers(3, 32),
    interval=st.integers(1, 10**6),
    half_life=st.integers(1, 10**9),
    height_delta=st.integers(0, 2**32 - 1),
    behind=st.integers(-(10**12), 10**12),
)
@example(anchor=0x7FFFFF, size=32, interval=1, half_life=1, height_delta=0, behind=256)
@example(anchor=0x7FFFFF, size=32, interval=1, half_life=1, height_delta=0, behind=-257)
def test_the_target_is_that_of_exact_fractions(
    *, anchor: int, size: int, interval: int, half_life: int, height_delta: int, behind: int
) -> None:
    time_delta = interval * (height_delta + 1) + behind
    row = Row("", size << 24 | anchor, interval, half_life, time_delta, height_delta, 0x207FFFFF)
    found = asert_target(
        bits_to_target(row.anchor_bits),
        interval=interval,
        half_life=half_life,
        time_delta=time_delta,
        height_delta=height_delta,
        easiest_target=0x7FFFFF << 232,
    )
    assert found == target_after(row)


@given(st.integers(-(10**8), 10**8), st.integers(0, 10**6))
def test_more_time_never_makes_the_next_block_harder(behind: int, more: int) -> None:
    assert _target(2**200, 11 * T + behind, 10) <= _target(2**200, 11 * T + behind + more, 10)


def _target(anchor: int, time_delta: int, height_delta: int) -> int:
    return asert_target(
        anchor,
        interval=T,
        half_life=HALF_LIFE,
        time_delta=time_delta,
        height_delta=height_delta,
        easiest_target=2**255,
    )
