"""The history tree: an RFC 6962 tree over the hashes of all earlier blocks, grown one block at a time. Pure.

A block at height h commits to the tree over the block hashes 0..h-1, so that a short proof shows that a
block, or a whole older history, lies under a header. The tree is never rebuilt: a `Frontier` keeps the roots
of its perfect subtrees (its peaks, one for each bit set in its size), and appending a block hash completes a
few inner nodes, which the caller stores. Through a `NodeAt` those are read back, for proofs at any size
reached so far.

An inner node is named by its level (its subtree has 2^level leaves; level 0 is the leaf hash itself) and by
the leaf that completed it: node (i, level) covers the leaves i + 1 - 2^level to i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from node.ledger.merkle import EMPTY_ROOT, consistency_subtrees, inclusion_subtrees, leaf_hash, node_hash

NodeAt: TypeAlias = Callable[[int, int], bytes]
"""`node_at(leaf_index, level)`: the node of that level that this leaf completed; level 0 is the leaf hash."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a history tree: all that is needed to know its root and to append to it."""

    size: int
    """How many block hashes the tree holds; the first block that commits to it has this height."""
    peaks: tuple[bytes, ...]
    """The roots of the perfect subtrees, the largest (leftmost) first."""

    def append(self, block_hash: bytes) -> tuple[Frontier, tuple[bytes, ...]]:
        """Return the frontier with one block hash more, and the inner nodes which that leaf completed.

        The nodes are those of level 1, 2, ... up to the number of trailing zero bits of the new size.
        """
        peaks, node, completed = list(self.peaks), leaf_hash(block_hash), []
        size = self.size
        while size & 1:  # two subtrees of equal size stand side by side: they become one
            node = node_hash(peaks.pop(), node)
            completed.append(node)
            size >>= 1
        return Frontier(self.size + 1, (*peaks, node)), tuple(completed)

    def root(self) -> bytes:
        """Return the root, the same as `merkle.tree_root` over the leaf hashes of all block hashes so far."""
        return _join(self.peaks) if self.peaks else EMPTY_ROOT


EMPTY = Frontier(0, ())
"""The history of genesis: no earlier block."""


def from_nodes(size: int, node_at: NodeAt) -> Frontier:
    """Return the frontier of the first `size` block hashes from stored nodes, with one call for each peak."""
    return Frontier(size, tuple(_peaks(0, size, node_at)))


def inclusion_proof(size: int, index: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Return the proof that block `index` stands in the history of `size` blocks (`merkle.inclusion_proof`).

    Reads O(log size) nodes. Raises `merkle.OutOfTree` when index is not below size.
    """
    return tuple(_join(_peaks(start, end, node_at)) for start, end in inclusion_subtrees(index, size))


def consistency_proof(old_size: int, new_size: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Return the proof that the older history is a prefix of the newer (`merkle.consistency_proof`).

    Reads O(log new_size) nodes. Raises `merkle.OutOfTree` when the old size is above the new one.
    """
    return tuple(
        _join(_peaks(start, end, node_at)) for start, end in consistency_subtrees(old_size, new_size)
    )


def _peaks(start: int, end: int, node_at: NodeAt) -> list[bytes]:
    """Return the roots of the perfect subtrees that make up [start, end), the largest first.

    `start` is a multiple of the largest of them, as it is for every subtree that RFC 6962 splits off.
    """
    peaks = []
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            start += 1 << level
            peaks.append(node_at(start - 1, level))
    return peaks


def _join(peaks: Sequence[bytes]) -> bytes:
    """Return the root over these perfect subtrees (at least one, largest first), joined from the right."""
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root
