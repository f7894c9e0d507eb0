"""What is worked out among peers: which connection stays, and whose clock is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.peers import clock_is_off, keep_new, median_offset

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    "offsets, median",
    [
        ([], 0),
        ([7], 7),
        ([HOUR_MS, 5, -3], 5),
        ([0, HOUR_MS], 0),
        ([-HOUR_MS, 2], 2),
        ([HOUR_MS, HOUR_MS + 9], HOUR_MS),
        ([-HOUR_MS, -HOUR_MS, 0, 0], 0),
    ],
)
def test_the_median_of_an_even_number_of_clocks_is_the_middle_one_nearer_to_ours(
    offsets: list[int], median: int
) -> None:
    assert median_offset(offsets) == median


def test_our_clock_is_off_when_more_than_half_the_drift_from_the_median() -> None:
    assert not clock_is_off(15_000, 30_000)
    assert clock_is_off(15_001, 30_000)
    assert clock_is_off(-15_001, 30_000)


def test_one_wrong_clock_among_two_peers_is_not_ours() -> None:
    assert not clock_is_off(median_offset([HOUR_MS, 0]), 30_000)
    assert clock_is_off(median_offset([HOUR_MS, HOUR_MS]), 30_000)


@pytest.mark.parametrize("ours, theirs", [(b"\x01" * 32, b"\x02" * 32), (b"\x02" * 32, b"\x01" * 32)])
def test_of_two_connections_that_cross_both_ends_keep_the_one_that_the_smaller_identity_dialled(
    ours: bytes, theirs: bytes
) -> None:
    smaller_is_ours = ours < theirs
    assert keep_new(ours, theirs, new_dialled_by_us=True, old_dialled_by_us=False) == smaller_is_ours
    assert keep_new(ours, theirs, new_dialled_by_us=False, old_dialled_by_us=True) != smaller_is_ours


@pytest.mark.parametrize("by_us", [True, False])
def test_a_second_connection_from_the_same_side_does_not_stay(by_us: bool) -> None:
    ours, theirs = b"\x01" * 32, b"\x02" * 32
    assert not keep_new(ours, theirs, new_dialled_by_us=by_us, old_dialled_by_us=by_us)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.booleans(), st.booleans())
def test_both_ends_keep_the_same_connection(
    ours: bytes, theirs: bytes, new_ours: bool, old_ours: bool
) -> None:
    if ours == theirs:
        return
    here = keep_new(ours, theirs, new_dialled_by_us=new_ours, old_dialled_by_us=old_ours)
    there = keep_new(theirs, ours, new_dialled_by_us=not new_ours, old_dialled_by_us=not old_ours)
    assert here == there
