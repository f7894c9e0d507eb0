"""What a power failure leaves of a file: what was synced stays, and only what was being written breaks."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.tearing import torn, torn_log, torn_pages

SEEDS = st.integers(0, 1 << 20)
SIZES = st.integers(0, 3_000)


@given(SEEDS, SIZES, SIZES, SIZES)
def test_what_was_synced_before_and_behind_stays(seed: int, start: int, length: int, more: int) -> None:
    old, end = bytes([1]) * more, start + length
    old = bytes([1]) * start + old
    new = old[:start] + bytes([2]) * length + old[end:]
    left = torn(old, new, start, end, Random(seed))
    assert left[:start] == old[:start]
    assert left[end:] == old[end:]
    assert len(old) <= len(left) <= len(new)
    assert left == torn(old, new, start, end, Random(seed))


def log(salt: int, frames: int, mark: bytes) -> bytes:
    salts = bytes([salt]) * 8
    return bytes(16) + salts + bytes(8) + (mark * 8 + salts + bytes(8) + mark * 4_096) * frames


@given(SEEDS, st.integers(0, 4), st.integers(1, 4))
def test_frames_that_were_synced_stay(seed: int, frames: int, more: int) -> None:
    old = log(7, frames, b"a")
    new = old + log(7, more, b"b")[32:] + bytes(100)
    assert torn_log(old, new, Random(seed)).startswith(old)


@given(SEEDS, st.integers(1, 4), st.integers(1, 4))
def test_frames_follow_a_header_only_once_it_is_synced(seed: int, frames: int, more: int) -> None:
    old = log(7, frames, b"a")
    begun = log(8, more, b"b")
    left = torn_log(old, begun + old[len(begun) :], Random(seed))
    assert left[32 : len(old)] == old[32:] or left.startswith(begun[:32])


@given(SEEDS, st.lists(st.booleans(), min_size=1, max_size=6), st.integers(0, 3))
def test_only_pages_that_are_written_break(seed: int, written: list[bool], more: int) -> None:
    old = bytes([1]) * 4_096 * len(written)
    new = b"".join(bytes([2 if is_new else 1]) * 4_096 for is_new in written) + bytes([3]) * 4_096 * more
    left = torn_pages(old, new, Random(seed))
    assert len(old) <= len(left) <= len(new)
    for at, is_new in enumerate(written):
        assert is_new or left[at * 4_096 : (at + 1) * 4_096] == bytes([1]) * 4_096
