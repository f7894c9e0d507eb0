"""Difficulty: compact targets, work, chain time, and the target of the next block. Pure, integers only.

The rule is aserti3-2d, the difficulty adjustment of Bitcoin Cash since November 2020
(https://reference.cash/protocol/forks/2020-11-15-asert): the target doubles for every half-life that the
chain is behind its schedule, and halves for every half-life that it is ahead. It looks at the anchor and at
the parent only, so it has no window to be played with and does not oscillate.

Here it runs over *chain time* instead of timestamps: pauses between blocks count up to a limit, so that idle
nights and the age of a genesis do not ease the target without bound.

Every time is in one unit of the caller's choice: milliseconds on the network, seconds in the vectors that
Bitcoin Cash publishes.
"""

from __future__ import annotations

LARGEST_TARGET = 2**256 - 1
LONGEST_PAUSE = 160
"""The longest pause between two blocks that counts as chain time, in block intervals (four half-lives of the
built-in network)."""

_RADIX = 16
"""Fractional bits of the exponent."""


class BadBits(ValueError):
    """A compact target that encodes a negative number, zero, or more than 256 bits."""


def bits_to_target(bits: int) -> int:
    """Return the target that compact `bits` encode: 1 to 2^256 - 1.

    Bitcoin's nBits (arith_uint256::SetCompact): the top byte is the length of the number in bytes, the other
    three its most significant ones, of which the top bit is a sign. Raises `BadBits` for anything that is no
    target. Some targets have several encodings; `target_to_bits` gives the one that the rule compares with.
    """
    if not 0 <= bits < 2**32:
        raise BadBits(f"compact bits are 32 bits wide: {bits:#x}")
    size, mantissa = bits >> 24, bits & 0x007FFFFF
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    if target == 0:
        raise BadBits(f"compact bits {bits:#010x} encode the target 0, which no hash can meet")
    if bits & 0x00800000:
        raise BadBits(f"compact bits {bits:#010x} encode a negative target")
    if target > LARGEST_TARGET:
        raise BadBits(f"compact bits {bits:#010x} encode a target above 2^256 - 1")
    return target


def target_to_bits(target: int) -> int:
    """Return the compact bits of a target, which keep its 15 to 23 highest bits and drop the others.

    Bitcoin's arith_uint256::GetCompact. Raises `BadBits` when the target is not 1 to 2^256 - 1.
    """
    if not 1 <= target <= LARGEST_TARGET:
        raise BadBits("a target is a number from 1 to 2^256 - 1")
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    if mantissa & 0x00800000:  # that bit is the sign: one byte more, one byte less precise
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def work_of(target: int) -> int:
    """Return floor(2^256 / (target + 1)): how many hashes a block of this target takes on average."""
    return 2**256 // (target + 1)


def next_chain_time(parent_chain_time: int, parent_timestamp: int, timestamp: int, interval: int) -> int:
    """Return the chain time of a block: its parent's, plus the time between them up to 160 intervals.

    Genesis has the chain time `interval`. That timestamps increase is a rule of its own, checked before.
    """
    return parent_chain_time + min(timestamp - parent_timestamp, LONGEST_PAUSE * interval)


def asert_target(
    anchor_target: int,
    *,
    interval: int,
    half_life: int,
    time_delta: int,
    height_delta: int,
    easiest_target: int,
) -> int:
    """Return the target of the block after the one that `time_delta` and `height_delta` describe.

    `time_delta` is the time from the anchor's parent to that block, and `height_delta` the heights from the
    anchor to it. With genesis as the anchor, whose parent is virtual, they are its chain time and its height.
    The result is anchor_target * 2^((time_delta - interval * (height_delta + 1)) / half_life), in fixed point
    with 16 fractional bits and a cubic approximation of 2^x, from 1 to `easiest_target` (aserti3-2d).
    """
    behind = time_delta - interval * (height_delta + 1)
    exponent = _divide_toward_zero(behind << _RADIX, half_life)
    shift, fraction = exponent >> _RADIX, exponent & 0xFFFF
    if shift > 256:  # before shifting: a number of any size must not be made from someone else's timestamp
        return easiest_target
    if shift < -256:
        return 1
    factor = 0x10000 + (
        195_766_423_245_049 * fraction + 971_821_376 * fraction**2 + 5_127 * fraction**3 + 2**47 >> 48
    )
    scaled = anchor_target * factor
    target = scaled << shift - _RADIX if shift >= _RADIX else scaled >> _RADIX - shift
    return min(max(target, 1), easiest_target)


def next_bits(
    anchor_bits: int, *, interval: int, half_life: int, time_delta: int, height_delta: int, easiest_bits: int
) -> int:
    """Return the compact bits that the next block must carry: `asert_target`, in the form that headers hold.

    Raises `BadBits` when the anchor's or the easiest bits are no target.
    """
    target = asert_target(
        bits_to_target(anchor_bits),
        interval=interval,
        half_life=half_life,
        time_delta=time_delta,
        height_delta=height_delta,
        easiest_target=bits_to_target(easiest_bits),
    )
    return target_to_bits(target)


def _divide_toward_zero(numerator: int, denominator: int) -> int:
    """Return numerator / denominator without its fraction, as C divides; Python's // would round down."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient
