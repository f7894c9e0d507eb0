"""Which leaf of a block was changed, when its entries no longer hash to the entries root. Pure.

A root tells that something under it is different, not what. The index of the book remembers the first eight
bytes of each txid, apart from the block: a leaf that no longer fits those is the changed one. The txid that
the header commits to is known in full only where something proves it: the other leaves and a candidate hash
to the root again. The candidate tried here is any single byte changed back; what was changed more than that
keeps its secret, until another node's copy tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from node.ledger import merkle
from node.ledger.block import Block

PREFIX_BYTES: Final = 8
"""Of a txid, as the index has them."""


class Located(NamedTuple):
    """What is known of the changed leaf."""

    position: int | None
    """0 is the coinbase, 1 the first entry; None where nothing tells which."""
    txid: bytes | None
    """What the header commits to at this position, where that is proven."""
    found_txid: bytes | None
    """What is there now; None where the block has no leaf there any more."""
    proven: bytes | None = None
    """The bytes that hash to `txid`."""


NOWHERE: Final = Located(None, None, None)


def locate(block: Block, prefixes: Mapping[int, bytes], suspects: Sequence[int]) -> Located:
    """Return the first leaf of a block that was changed since it was indexed.

    `prefixes` is what the index has for this block, by position. `suspects` are positions of entries that
    are wrong by themselves, for a block of which the index knows nothing better.
    """
    leaves = block.leaves()
    differing = [
        position
        for position in range(max(len(leaves), max(prefixes, default=-1) + 1))
        if position >= len(leaves) or prefixes.get(position) != leaves[position][:PREFIX_BYTES]
    ]
    if not prefixes or not differing:
        differing = list(suspects)
    if not differing:
        return NOWHERE
    position = differing[0]
    if position >= len(leaves):
        return Located(position, None, None)
    raw = block.entries[position - 1] if position else block.first_leaf
    proven = None
    if position in prefixes and len(differing) == 1:
        proven = _proven(block, leaves, position, raw, prefixes[position])
    txid = None if proven is None else merkle.leaf_hash(proven)
    return Located(position, txid, leaves[position], proven)


def _proven(block: Block, leaves: Sequence[bytes], position: int, raw: bytes, prefix: bytes) -> bytes | None:
    """Return the bytes that give the block's entries root again, where one byte of `raw` was changed."""
    for candidate in _one_byte_changed(raw, prefix):
        leaf = merkle.leaf_hash(candidate)
        if merkle.tree_root([*leaves[:position], leaf, *leaves[position + 1 :]]) == block.body.entries_root:
            return candidate
    return None


def _one_byte_changed(raw: bytes, prefix: bytes) -> list[bytes]:
    """Return the texts whose leaf hash starts with `prefix`, of all that differ from `raw` in one byte."""
    found = []
    for at in range(len(raw)):
        before = hashlib.sha256(b"\x00" + raw[:at])
        rest = raw[at + 1 :]
        for byte in range(256):
            attempt = before.copy()
            attempt.update(bytes([byte]) + rest)
            if attempt.digest().startswith(prefix):
                found.append(raw[:at] + bytes([byte]) + rest)
    return found
