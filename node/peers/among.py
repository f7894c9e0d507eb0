"""What connected nodes work out alike: which of two connections stays, and what time it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def keep_new(ours: bytes, theirs: bytes, *, new_dialled_by_us: bool, old_dialled_by_us: bool) -> bool:
    """Tell whether of two connections between the same two nodes the new one stays, and not the old.

    The one dialled by the smaller identity stays, so that both ends end the same one; where one side dialled
    both, the first. `ours` and `theirs` are identity keys, and differ.
    """
    if new_dialled_by_us == old_dialled_by_us:
        return False
    return new_dialled_by_us == (ours < theirs)


def median_offset(offsets: Sequence[int]) -> int:
    """Return the median of the peers' clocks less ours, in milliseconds; 0 without peers.

    Of an even number the middle one that is nearer to our clock: one wrong peer of two stops nobody's mining.
    """
    if not offsets:
        return 0
    ordered = sorted(offsets)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else min(ordered[middle - 1], ordered[middle], key=abs)


def clock_is_off(offset_ms: int, drift_ms: int) -> bool:
    """Tell whether our clock is more than half the drift off the peers'; then nothing is mined."""
    return abs(offset_ms) * 2 > drift_ms
