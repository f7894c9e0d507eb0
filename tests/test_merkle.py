"""RFC 6962 trees: roots, inclusion proofs, consistency proofs."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.merkle import (
    BadProof,
    OutOfTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    tree_root,
    verify_consistency,
)
from tests.vectors.generate.merkle import mth
from tests.vectors.read import read, unhex

VECTORS = read("merkle.json")
LEAVES = unhex(*VECTORS["leaf_hashes"])

data = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def test_leaves_and_inner_nodes_are_hashed_apart() -> None:
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
    left, right = leaf_hash(b"l"), leaf_hash(b"r")
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert tree_root([]) == hashlib.sha256(b"").digest()


def test_the_tree_of_one_leaf_is_that_leaf() -> None:
    assert tree_root([LEAVES[0]]) == LEAVES[0]


def test_the_roots_of_the_vectors_are_found() -> None:
    for case in VECTORS["roots"]:
        leaves = [leaf_hash(b"leaf %d" % number) for number in range(case["size"])]
        assert tree_root(leaves).hex() == case["root"], case["size"]


def test_every_inclusion_proof_of_the_vectors_is_made_and_leads_to_the_root() -> None:
    for case in VECTORS["inclusion"]:
        size, index, proof = case["size"], case["index"], unhex(*case["proof"])
        assert inclusion_proof(LEAVES[:size], index) == proof
        assert root_from_inclusion(LEAVES[index], index, size, proof) == tree_root(LEAVES[:size])


def test_every_consistency_proof_of_the_vectors_is_made_and_holds() -> None:
    for case in VECTORS["consistency"]:
        old, new, proof = case["old_size"], case["new_size"], unhex(*case["proof"])
        assert consistency_proof(LEAVES[:new], old) == proof
        assert verify_consistency(old, new, tree_root(LEAVES[:old]), tree_root(LEAVES[:new]), proof)


@pytest.mark.parametrize("case", VECTORS["bad_inclusion"], ids=lambda case: str(case["why"]))
def test_a_bad_inclusion_proof_never_leads_to_the_root(case: dict[str, Any]) -> None:
    size, index, proof = case["size"], case["index"], unhex(*case["proof"])
    try:
        found = root_from_inclusion(LEAVES[index], index, size, proof)
    except (BadProof, OutOfTree):
        return
    assert found != tree_root(LEAVES[:size])


@pytest.mark.parametrize("case", VECTORS["bad_consistency"], ids=lambda case: str(case["why"]))
def test_a_bad_consistency_proof_is_refused(case: dict[str, Any]) -> None:
    old_root, new_root = unhex(case["old_root"], case["new_root"])
    proof = unhex(*case["proof"])
    assert not verify_consistency(case["old_size"], case["new_size"], old_root, new_root, proof)


def test_a_proof_of_the_wrong_length_is_a_named_error() -> None:
    with pytest.raises(BadProof, match="leaf 4 of 7 is proven by 3 hashes, not 2"):
        root_from_inclusion(LEAVES[4], 4, 7, LEAVES[:2])


def test_a_hash_of_another_length_than_32_bytes_is_refused() -> None:
    with pytest.raises(BadProof, match="32 bytes"):
        root_from_inclusion(LEAVES[0], 0, 2, [LEAVES[1] + b"x"])
    leaves = [LEAVES[0], LEAVES[1], b"7" * 32, LEAVES[3]]  # so that the borders between the hashes could move
    roots = tree_root(leaves[:3]), tree_root(leaves)
    moved = [b"7" * 31, b"7" + LEAVES[3], tree_root(leaves[:2]) + b"7"]
    assert verify_consistency(3, 4, *roots, [leaves[2], leaves[3], tree_root(leaves[:2])])
    assert not verify_consistency(3, 4, *roots, moved)


def test_a_leaf_that_the_tree_has_not_is_a_named_error() -> None:
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(OutOfTree):
            inclusion_proof(LEAVES[:size], index)


def test_a_prefix_longer_than_the_tree_is_a_named_error() -> None:
    for old_size in (-1, 4):
        with pytest.raises(OutOfTree):
            consistency_proof(LEAVES[:3], old_size)


def test_every_tree_extends_the_empty_one_without_proof() -> None:
    empty = tree_root([])
    assert consistency_proof(LEAVES[:5], 0) == ()
    assert verify_consistency(0, 5, empty, tree_root(LEAVES[:5]), ())
    assert verify_consistency(0, 0, empty, empty, ())


def test_doubling_the_last_leaf_gives_another_root() -> None:
    assert tree_root(LEAVES[:3]) != tree_root([*LEAVES[:3], LEAVES[2]])


@given(data)
def test_the_root_is_the_one_of_the_recursive_definition(entries: list[bytes]) -> None:
    assert tree_root([leaf_hash(entry) for entry in entries]) == mth(entries)


@given(data, st.data())
def test_every_leaf_is_proven_by_its_path_and_by_no_altered_one(
    entries: list[bytes], draw: st.DataObject
) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    index = draw.draw(st.integers(0, len(leaves) - 1))
    proof = inclusion_proof(leaves, index)
    assert root_from_inclusion(leaves[index], index, len(leaves), proof) == tree_root(leaves)
    if proof:
        altered = _with_one_bit_flipped(proof, draw)
        assert root_from_inclusion(leaves[index], index, len(leaves), altered) != tree_root(leaves)


@given(data, st.data())
def test_every_prefix_is_proven_and_by_no_altered_proof(entries: list[bytes], draw: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    old = draw.draw(st.integers(0, len(leaves)))
    roots = tree_root(leaves[:old]), tree_root(leaves)
    proof = consistency_proof(leaves, old)
    assert verify_consistency(old, len(leaves), *roots, proof)
    if proof:
        assert not verify_consistency(old, len(leaves), *roots, _with_one_bit_flipped(proof, draw))


@given(st.integers(-1, 2**53), st.integers(-1, 2**53), st.lists(st.binary(max_size=33), max_size=60))
def test_any_claim_of_a_stranger_gives_an_answer(old: int, new: int, proof: list[bytes]) -> None:
    assert verify_consistency(old, new, LEAVES[0], LEAVES[1], proof) in {True, False}
    try:
        assert len(root_from_inclusion(LEAVES[0], old, new, proof)) == 32
    except (BadProof, OutOfTree):
        return


def _with_one_bit_flipped(proof: tuple[bytes, ...], draw: st.DataObject) -> tuple[bytes, ...]:
    position = draw.draw(st.integers(0, len(proof) - 1))
    number = int.from_bytes(proof[position], "big") ^ 1 << draw.draw(st.integers(0, 255))
    return (*proof[:position], number.to_bytes(32, "big"), *proof[position + 1 :])
