"""What of the stored blocks was hashed before: sums of their parts, so that one entry costs one part.

Touches nothing; whoever asks reads and hashes. An entry proves itself by the root over its whole block, which
takes as long for one as for all of a block's 2,000 (some 4 ms; 20 newest of an account are in 20 blocks).
What was proven once is noted here, in memory only: a part of the block's bytes that still has its sum is
still what the header says. A changed part has not, and is told of by whoever hashes the block again.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Final, NamedTuple

from node.ledger import codec
from node.ledger.block import Block

ENTRIES_EACH: Final = 15
"""Of a part: some 2.5 kB, hashed in a few microseconds; the most that msgpack counts in one byte."""
MOST_PARTS: Final = 200_000
"""36 bytes each, so 7 MiB, for more than 3 million entries."""
_SUM_BYTES: Final = 32
_ARRAY: Final = 0x90
"""The first byte of a short array in msgpack, its count added."""


class Part(NamedTuple):
    """Where in a block's raw bytes a leaf is."""

    start: int
    length: int
    sum: bytes
    """SHA-256 of these bytes."""
    leaf: int
    """Which of the part's entries it is, from 0; of the coinbase, which has a part of its own, -1."""
    entries: int
    """In the part."""

    def leaf_of(self, raw: bytes | None) -> bytes | None:
        """Return the leaf's bytes out of the part's; None where they are not what was proven."""
        if raw is None or hashlib.sha256(raw).digest() != self.sum:
            return None
        if self.leaf < 0:
            return raw
        return codec.Reader(bytes((_ARRAY + self.entries,)) + raw).bins()[self.leaf]


@dataclass(frozen=True, slots=True)
class _Parts:
    starts: array[int]
    """Of the coinbase, of each part of the entries, and the end."""
    coinbase_bytes: int
    sums: bytes
    entries: int


class ProvenParts:
    """The parts of the blocks that were asked for last. Threads may share it."""

    def __init__(self, most: int = MOST_PARTS) -> None:
        self._most = most
        self._held: OrderedDict[bytes, _Parts] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def note(self, block_hash: bytes, block: Block) -> None:
        """Remember a block above genesis whose bytes are its header's, proven just now."""
        parts = _parts_of(block)
        with self._lock:
            if block_hash in self._held:
                return
            self._held[block_hash] = parts
            self._count += len(parts.starts)
            while self._count > self._most:
                _, dropped = self._held.popitem(last=False)
                self._count -= len(dropped.starts)

    def find(self, block_hash: bytes, position: int) -> Part | None:
        """Return the part that leaf `position` of the block is in; None where that is not known here."""
        with self._lock:
            parts = self._held.get(block_hash)
            if parts is None or position > parts.entries:
                return None
            self._held.move_to_end(block_hash)
        number, leaf = divmod(position - 1, ENTRIES_EACH) if position else (-1, -1)
        start = parts.starts[number + 1]
        length = parts.starts[number + 2] - start if position else parts.coinbase_bytes
        at = (number + 1) * _SUM_BYTES
        entries = min(ENTRIES_EACH, parts.entries - number * ENTRIES_EACH) if position else 0
        return Part(start, length, parts.sums[at : at + _SUM_BYTES], leaf, entries)


def _parts_of(block: Block) -> _Parts:
    """Return the parts of a block, whose bytes end with the coinbase and the array of the entries."""
    raw, count = block.raw, len(block.entries)
    # With what stands in front of each in canonical msgpack; in place, as it runs for each entry of a block.
    sizes = [
        size + 2 if size < 1 << 8 else size + 3 if size < 1 << 16 else size + 5
        for size in map(len, block.entries)
    ]
    at = len(raw) - sum(sizes)
    starts = array("I", [at - _array_head_bytes(count) - len(block.first_leaf), at])
    for first in range(0, count, ENTRIES_EACH):
        at += sum(sizes[first : first + ENTRIES_EACH])
        starts.append(at)
    parts = [block.first_leaf, *(raw[start:end] for start, end in pairwise(starts[1:]))]
    sums = b"".join([hashlib.sha256(part).digest() for part in parts])
    return _Parts(starts, len(block.first_leaf), sums, count)


def _array_head_bytes(count: int) -> int:
    """Return what stands in front of so many elements in canonical msgpack."""
    return 1 if count < 1 << 4 else 3 if count < 1 << 16 else 5
