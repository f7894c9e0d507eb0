"""Changes of an input that keep its form, so that a search gets past the first check of it. Pure.

Nearly every flipped byte of msgpack breaks the form of the whole: a search of bytes alone would hardly
ever see what is checked behind that. So half of its changes are made here, to one value inside, with the
lengths around it set right.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from node.ledger import codec
from node.ledger.codec import NotCanonical

Change: TypeAlias = Callable[[bytes], bytes]
"""Changes bytes somehow: libFuzzer's own way, in a search."""
Reshape: TypeAlias = Callable[[bytes, Random, Change], bytes]

_MAX_UINT: Final = 2**64 - 1
_EDGES: Final = (0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, _MAX_UINT)
_HEAD: Final = 5
_OPENING: Final = 2
"""Bytes ahead of the frames, which say how they are fed."""


def packed(data: bytes, dice: Random, change: Change) -> bytes:
    """Return msgpack with one value in it changed; other bytes are changed as bytes."""
    try:
        value = codec.decode(data)
    except NotCanonical:
        return change(data)
    return codec.encode(_changed(value, dice, change))


def framed(data: bytes, dice: Random, change: Change) -> bytes:
    """Return frames with the payload, the type or the place of one of them changed, and its length right."""
    opening, frames = data[:_OPENING], _split(data[_OPENING:])
    if not frames:
        return change(data)
    at = dice.randrange(len(frames))
    number, payload = frames[at]
    kind = dice.randrange(6)
    if kind == 0:
        frames.insert(dice.randrange(len(frames) + 1), frames[at])
    elif kind == 1:
        del frames[at]
    elif kind == 2:
        frames[at] = (dice.choice((number + 1, dice.randrange(256), 128)) % 256, payload)
    else:
        frames[at] = (number, packed(payload, dice, change))
    joined = [(len(rest) + 1).to_bytes(4, "big") + bytes([kind]) + rest for kind, rest in frames]
    return opening + b"".join(joined)


def _split(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + _HEAD <= len(data):
        end = at + 4 + max(1, int.from_bytes(data[at : at + 4], "big"))
        found.append((data[at + 4], data[at + _HEAD : end]))
        at = end
    return found


def _changed(value: object, dice: Random, change: Change) -> object:
    """Return the value with one part of it changed."""
    if isinstance(value, tuple) and value and dice.randrange(8):
        at = dice.randrange(len(value))
        return (*value[:at], _changed(value[at], dice, change), *value[at + 1 :])
    if isinstance(value, tuple):
        return _other_length(value, dice)
    if isinstance(value, int):
        near = value + dice.choice((-256, -1, 1, 256))
        return min(
            max(dice.choice((near, dice.choice(_EDGES), value ^ 1 << dice.randrange(64))), 0), _MAX_UINT
        )
    if isinstance(value, bytes):
        return _changed_bytes(value, dice, change)
    if isinstance(value, str):
        return change(value.encode()).decode(errors="ignore")
    return change(b"")


def _changed_bytes(value: bytes, dice: Random, change: Change) -> bytes:
    if dice.randrange(2):
        return packed(value, dice, change)  # an entry, as a block and a file of pending ones have it
    other = change(value)
    # Most lengths are fixed: what has another one would not get far.
    return other if dice.randrange(4) == 0 else other[: len(value)].ljust(len(value), b"\0")


def _other_length(value: tuple[object, ...], dice: Random) -> tuple[object, ...]:
    at = dice.randrange(len(value) + 1)
    if at < len(value) and dice.randrange(2):
        return value[:at] + value[at + 1 :]
    return value[:at] + (value[at - 1 : at] or (0,)) + value[at:]
