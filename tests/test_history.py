"""The history tree: a frontier that grows, and proofs from stored inner nodes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import history, merkle
from node.ledger.history import EMPTY, Frontier

SIZE = 70
HASHES = [hashlib.sha256(b"block %d" % height).digest() for height in range(SIZE)]
LEAVES = [hashlib.sha256(b"\x00" + block_hash).digest() for block_hash in HASHES]


class Stored:
    """The inner nodes as a node would store them, and how many were read."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    def __call__(self, leaf_index: int, level: int) -> bytes:
        self.reads += 1
        return self.nodes[leaf_index, level]


def grow(size: int) -> tuple[list[Frontier], Stored]:
    """Return the frontier at every size up to this one, and the nodes that the appends completed."""
    frontiers, stored = [EMPTY], Stored()
    for index in range(size):
        frontier, completed = frontiers[-1].append(HASHES[index])
        frontiers.append(frontier)
        stored.nodes[index, 0] = LEAVES[index]
        for level, node in enumerate(completed, start=1):
            stored.nodes[index, level] = node
    return frontiers, stored


FRONTIERS, _ = grow(SIZE)

sizes = st.integers(0, SIZE)


def test_the_history_of_genesis_is_the_empty_tree() -> None:
    assert EMPTY.size == 0
    assert EMPTY.root() == hashlib.sha256(b"").digest()


def test_the_root_at_every_size_is_that_of_the_whole_tree() -> None:
    for size, frontier in enumerate(FRONTIERS):
        assert frontier.size == size
        assert frontier.root() == merkle.tree_root(LEAVES[:size])


def test_an_append_completes_a_node_for_each_trailing_zero_bit_of_the_new_size() -> None:
    for size in range(SIZE):
        _, completed = FRONTIERS[size].append(HASHES[size])
        levels = range(1, len(completed) + 1)
        assert (size + 1) % 2 ** len(completed) == 0
        assert (size + 1) % 2 ** (len(completed) + 1) != 0
        spans = [LEAVES[size + 1 - 2**level : size + 1] for level in levels]
        assert completed == tuple(merkle.tree_root(span) for span in spans)


def test_appending_leaves_the_older_frontier_as_it_was() -> None:
    before = FRONTIERS[5]
    assert before.append(HASHES[5]) == before.append(HASHES[5])
    assert before.append(HASHES[6])[0].root() != before.append(HASHES[5])[0].root()


def test_a_frontier_is_read_back_from_the_stored_nodes_at_every_size() -> None:
    _, stored = grow(SIZE)
    for size, frontier in enumerate(FRONTIERS):
        assert history.from_nodes(size, stored) == frontier


@given(sizes, st.data())
def test_inclusion_proofs_are_those_of_the_whole_tree(size: int, draw: st.DataObject) -> None:
    _, stored = grow(SIZE)
    for index in range(size) if size < 10 else [draw.draw(st.integers(0, size - 1))]:
        proof = history.inclusion_proof(size, index, stored)
        assert proof == merkle.inclusion_proof(LEAVES[:size], index)
        assert merkle.root_from_inclusion(LEAVES[index], index, size, proof) == FRONTIERS[size].root()


@given(sizes, sizes)
def test_consistency_proofs_are_those_of_the_whole_tree(one: int, other: int) -> None:
    old, new = sorted((one, other))
    _, stored = grow(SIZE)
    proof = history.consistency_proof(old, new, stored)
    assert proof == merkle.consistency_proof(LEAVES[:new], old)
    assert merkle.verify_consistency(old, new, FRONTIERS[old].root(), FRONTIERS[new].root(), proof)


def test_a_rewritten_block_breaks_every_later_consistency() -> None:
    rewritten, stored = FRONTIERS[20], Stored()
    rewritten, _ = rewritten.append(hashlib.sha256(b"another block 20").digest())
    for height in range(21, 30):
        rewritten, _ = rewritten.append(HASHES[height])
    _, stored = grow(SIZE)
    for old in range(21, 30):
        proof = history.consistency_proof(old, 30, stored)
        assert not merkle.verify_consistency(old, 30, FRONTIERS[old].root(), rewritten.root(), proof)


@given(st.integers(1, 2**40), st.data())
def test_proofs_and_frontiers_of_a_long_history_read_few_nodes(size: int, draw: st.DataObject) -> None:
    """A peak for each bit of a size; a proof reads no more than the peaks of its subtrees."""
    reads: list[tuple[int, int]] = []

    def node_at(leaf_index: int, level: int) -> bytes:
        assert 0 <= leaf_index < size
        assert (leaf_index + 1) % 2**level == 0
        reads.append((leaf_index, level))
        return LEAVES[level]

    history.from_nodes(size, node_at)
    assert len(reads) == size.bit_count()
    reads.clear()
    proof = history.inclusion_proof(size, draw.draw(st.integers(0, size - 1)), node_at)
    assert len(proof) <= 40
    assert len(reads) <= 2 * size.bit_length()
    reads.clear()
    history.consistency_proof(draw.draw(st.integers(0, size)), size, node_at)
    assert len(reads) <= 2 * size.bit_length()


def test_a_block_beyond_the_history_is_a_named_error() -> None:
    _, stored = grow(4)
    with pytest.raises(merkle.OutOfTree):
        history.inclusion_proof(4, 4, stored)
    with pytest.raises(merkle.OutOfTree):
        history.consistency_proof(5, 4, stored)
