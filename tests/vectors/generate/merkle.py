"""Merkle trees and proofs by the recursive definitions of RFC 6962 section 2.1. Touches nothing.

The definitions as they stand there: MTH(D) over the data itself, PATH(m, D), PROOF(m, D), SUBPROOF(m, D, b).
Leaves here are data; the leaf hashes that the code under test works on are given beside them.
"""

from __future__ import annotations

import hashlib

ABOUT = (
    "RFC 6962 trees with SHA-256. Leaf number i of every tree is the ASCII text 'leaf i'; `leaf_hashes` "
    "holds their hashes. Bytes are hex. A bad proof is one that must not verify: an inclusion proof by "
    "giving another root or an error, a consistency proof by being refused."
)
SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 31, 32, 33, 100)
LEAVES = [b"leaf %d" % number for number in range(max(SIZES))]


def mth(data: list[bytes]) -> bytes:
    """Return the Merkle tree hash of a list of data (RFC 6962 section 2.1)."""
    if len(data) == 0:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    """Return the audit path of leaf m (RFC 6962 section 2.1.1)."""
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def proof(m: int, data: list[bytes]) -> list[bytes]:
    """Return the consistency proof of the first m (RFC 6962 section 2.1.2)."""
    return subproof(m, data, whole=True)


def subproof(m: int, data: list[bytes], *, whole: bool) -> list[bytes]:
    """Return SUBPROOF(m, D, b) of RFC 6962 section 2.1.2."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = split(len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole=whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], whole=False), mth(data[:k])]


def split(n: int) -> int:
    """Return the largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "leaf_hashes": [mth([leaf]).hex() for leaf in LEAVES],
        "roots": [{"size": size, "root": mth(LEAVES[:size]).hex()} for size in SIZES],
        "inclusion": _inclusion(),
        "consistency": _consistency(),
        "bad_inclusion": _bad_inclusion(),
        "bad_consistency": _bad_consistency(),
    }


def _inclusion() -> list[dict[str, object]]:
    return [
        {"size": size, "index": index, "proof": _hex(path(index, LEAVES[:size]))}
        for size in SIZES
        for index in range(size)
        if size <= 17 or index in {0, 1, size // 2, size - 2, size - 1}
    ]


def _consistency() -> list[dict[str, object]]:
    return [
        {"old_size": old, "new_size": new, "proof": _hex(proof(old, LEAVES[:new]))}
        for new in SIZES
        for old in range(1, new + 1)
        if new <= 9 or old in SIZES or old in {new - 1, new // 2 + 1}
    ]


def _bad_inclusion() -> list[dict[str, object]]:
    good = path(4, LEAVES[:7])
    return [
        {"why": "one hash altered", "size": 7, "index": 4, "proof": _hex(_altered(good, 1))},
        {"why": "two hashes swapped", "size": 7, "index": 4, "proof": _hex([good[1], good[0], *good[2:]])},
        {"why": "a hash missing", "size": 7, "index": 4, "proof": _hex(good[:-1])},
        {"why": "a hash too many", "size": 7, "index": 4, "proof": _hex([*good, good[-1]])},
        {"why": "the leaf beside", "size": 7, "index": 5, "proof": _hex(good)},
        {"why": "no proof at all", "size": 7, "index": 4, "proof": []},
        {"why": "an index that the tree has not", "size": 7, "index": 7, "proof": _hex(good)},
        {"why": "an empty tree", "size": 0, "index": 0, "proof": []},
        {"why": "another size", "size": 8, "index": 4, "proof": _hex(good)},
        {"why": "the last leaf doubled to fill the level", "size": 7, "index": 6, "proof": _doubled()},
    ]


def _doubled() -> list[str]:
    """Return the path that Bitcoin's tree would have for leaf 6 of 7, which pairs an odd leaf with itself."""
    return _hex([mth([LEAVES[6]]), mth(LEAVES[4:6]), mth(LEAVES[:4])])


def _bad_consistency() -> list[dict[str, object]]:
    good = proof(3, LEAVES[:7])
    roots = {size: mth(LEAVES[:size]).hex() for size in SIZES}
    cases: list[tuple[str, int, int, str, str, list[bytes]]] = [
        ("one hash altered", 3, 7, roots[3], roots[7], _altered(good, 2)),
        ("the first hash altered", 3, 7, roots[3], roots[7], _altered(good, 0)),
        ("a hash missing", 3, 7, roots[3], roots[7], good[:-1]),
        ("a hash too many", 3, 7, roots[3], roots[7], [*good, good[-1]]),
        ("no proof at all", 3, 7, roots[3], roots[7], []),
        ("the old root is another", 3, 7, roots[2], roots[7], good),
        ("the new root is another", 3, 7, roots[3], roots[8], good),
        ("the roots swapped", 3, 7, roots[7], roots[3], good),
        ("the old tree is larger", 7, 3, roots[7], roots[3], good),
        ("equal sizes, other roots", 7, 7, roots[7], roots[8], []),
        ("equal sizes, a proof", 7, 7, roots[7], roots[7], good),
        (
            "a whole subtree, its own root given too",
            4,
            7,
            roots[4],
            roots[7],
            [mth(LEAVES[:4]), mth(LEAVES[4:7])],
        ),
        ("a whole subtree, another new root", 4, 7, roots[4], roots[8], proof(4, LEAVES[:7])),
        ("a forged old root that the new one does not hold", 4, 8, roots[5], roots[8], proof(4, LEAVES[:8])),
        ("an empty old tree with another root", 0, 7, roots[1], roots[7], []),
        ("an empty old tree, a proof", 0, 7, roots[0], roots[7], good),
        ("two empty trees, another root", 0, 0, roots[0], roots[1], []),
    ]
    return [
        {"why": why, "old_size": old, "new_size": new, "old_root": a, "new_root": b, "proof": _hex(hashes)}
        for why, old, new, a, b, hashes in cases
    ]


def _altered(hashes: list[bytes], index: int) -> list[bytes]:
    altered = bytes([hashes[index][0] ^ 1]) + hashes[index][1:]
    return [*hashes[:index], altered, *hashes[index + 1 :]]


def _hex(hashes: list[bytes]) -> list[str]:
    return [value.hex() for value in hashes]
