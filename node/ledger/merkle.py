"""Merkle trees after RFC 6962: roots, inclusion proofs and consistency proofs. Pure.

The functions work on *leaf hashes* (32 bytes each) that the caller has computed already, because an entry's
leaf hash is its id and is known long before a tree is built. Leaves and inner nodes are hashed with different
first bytes, and a tree whose size is no power of two splits at the largest one below it; so no node is ever
duplicated, and two different lists never share a root (RFC 6962 section 2.1; Bitcoin's CVE-2012-2459).

A proof is the list of the roots of certain subtrees. `inclusion_subtrees` and `consistency_subtrees` say
which, as ranges of leaves; provers hash those ranges, verifiers fold what they were given along them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 section 2.1)."""


class OutOfTree(ValueError):
    """A leaf or a size was asked for that the tree does not have."""


class BadProof(ValueError):
    """An inclusion proof is not made of as many 32-byte hashes as its index and tree size call for."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data), the hash of a leaf (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), the hash of an inner node (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over these leaf hashes, with one hash fewer than there are leaves.

    Level by level, the last node of an odd level moves up as it is: the same tree as splitting at the largest
    power of two below the size (RFC 6962 section 2.1), without the recursion.
    """
    if not leaves:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    level = list(leaves)
    while len(level) > 1:
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def inclusion_subtrees(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges [start, end) whose roots prove leaf `index` in a tree of `size`, lowest first.

    The path of RFC 6962 section 2.1.1. Raises `OutOfTree` when the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise OutOfTree(f"a tree of {size} leaves has no leaf {index}")
    start, end = 0, size
    subtrees: list[tuple[int, int]] = []
    while end - start > 1:
        split = start + _left_width(end - start)
        if index < split:
            subtrees.append((split, end))
            end = split
        else:
            subtrees.append((start, split))
            start = split
    return subtrees[::-1]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the roots beside the path from leaf `index` to the root, lowest first (RFC 6962 section 2.1.1).

    Raises `OutOfTree` when there is no such leaf.
    """
    return tuple(tree_root(leaves[start:end]) for start, end in inclusion_subtrees(index, len(leaves)))


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root of a tree of `size` whose leaf hash at `index` is `leaf` (RFC 9162 section 2.1.3.2).

    The caller compares it with the root it trusts. Raises `OutOfTree` when such a tree has no such leaf, and
    `BadProof` when there are more or fewer hashes than index and size call for, or one is not of 32 bytes.
    """
    subtrees = inclusion_subtrees(index, size)
    if len(proof) != len(subtrees):
        raise BadProof(f"leaf {index} of {size} is proven by {len(subtrees)} hashes, not {len(proof)}")
    if any(len(value) != 32 for value in proof):
        raise BadProof("a proof holds hashes of 32 bytes")
    root = leaf
    for (start, _), sibling in zip(subtrees, proof, strict=True):
        root = node_hash(root, sibling) if start > index else node_hash(sibling, root)
    return root


def consistency_subtrees(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges [start, end) whose roots prove that the old tree is a prefix of the new one.

    In the order of RFC 6962 section 2.1.2. The first range ends the old tree, unless that tree is itself a
    subtree of the new one: then its root, which the verifier has, is left out. Nothing is needed for an empty
    old tree, nor for equal sizes. Raises `OutOfTree` when the old tree is larger than the new one.
    """
    if not 0 <= old_size <= new_size:
        raise OutOfTree(f"a tree of {old_size} leaves is no prefix of one of {new_size}")
    if old_size == 0:
        return []
    start, end = 0, new_size
    subtrees: list[tuple[int, int]] = []
    while end != old_size:
        split = start + _left_width(end - start)
        if old_size <= split:
            subtrees.append((split, end))
            end = split
        else:
            subtrees.append((start, split))
            start = split
    if start > 0:
        subtrees.append((start, end))
    return subtrees[::-1]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """Return the proof that the tree over the first `old_size` leaves is a prefix of this one.

    RFC 6962 section 2.1.2. Raises `OutOfTree` when there are fewer leaves than `old_size`.
    """
    return tuple(tree_root(leaves[start:end]) for start, end in consistency_subtrees(old_size, len(leaves)))


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the proof shows that the old tree is a prefix of the new one (RFC 9162 section 2.1.4.2).

    Every tree extends the empty one, with an empty proof. False for whatever proves nothing, impossible sizes
    and lengths among it.
    """
    if not 0 <= old_size <= new_size:
        return False
    subtrees = consistency_subtrees(old_size, new_size)
    if len(proof) != len(subtrees):
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    given = list(zip(subtrees, proof, strict=True))
    old = new = old_root
    if given and given[0][0][1] == old_size:
        old = new = given.pop(0)[1]
    for (start, _), sibling in given:
        if start >= old_size:
            new = node_hash(new, sibling)
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    return old == old_root and new == new_root


def _left_width(size: int) -> int:
    """Return the largest power of two below `size` (which is at least 2): the leaves of the left subtree."""
    return 1 << (size - 1).bit_length() - 1
