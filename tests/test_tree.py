"""Walks over the block tree against a naive one that follows parents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger import history, merkle
from node.ledger.block import Header
from node.storage.memory import memory_disk, open_memory
from node.storage.overlay import OverlaidStore
from node.storage.port import Batch, BlockRecord, Standing
from node.tree import Tree, skip_height
from tests.building import EASY

# Each number says where the next block goes: 0 on the last one, others on one of those before.
shapes = st.lists(st.one_of(st.just(0), st.just(0), st.just(0), st.integers(0, 1 << 16)), max_size=80)


class Grown:
    """A tree of blocks without bodies or work, and the naive view of it: each block's line from genesis."""

    def __init__(self, parents: Sequence[int] = ()) -> None:
        self.store, self.writer = open_memory(memory_disk(EASY))
        self.tree = Tree(self.store)
        self.lines: list[list[int]] = [[0]]
        for number, back in enumerate(parents):
            self.grow(number - back % (number + 1))

    def grow(self, parent_id: int) -> BlockRecord:
        """Add a block on the one of this id."""
        parent = self.store.record(parent_id)
        block_id = self.store.next_id()
        header = Header(1, parent.height + 1, parent.hash, bytes(32), block_id, EASY.genesis_bits, block_id)
        skip = self.tree.ancestor(parent, skip_height(header.height))
        nodes = self.tree.grow(parent, block_id, header.hash)
        record = BlockRecord(
            block_id, header, parent.work + 2, 0, parent_id, skip.id, 0, nodes, Standing.HEADER
        )
        batch = Batch(block_id, records=[record])
        self.store.stage(batch)
        self.writer.commit([batch])
        self.store.settle(block_id)
        self.lines.append([*self.lines[parent_id], block_id])
        return record

    def record(self, block_id: int) -> BlockRecord:
        return self.store.record(block_id)

    def every(self) -> Iterator[BlockRecord]:
        return (self.record(block_id) for block_id in range(len(self.lines)))

    def hashes(self, block_id: int) -> list[bytes]:
        return [self.record(at).hash for at in self.lines[block_id]]


def line(length: int) -> Grown:
    return Grown([0] * length)


def test_skip_links_clear_low_bits_of_the_height() -> None:
    assert [skip_height(height) for height in range(17)] == [
        *(0, 0, 0, 1, 0, 1, 4, 1, 0),
        *(1, 8, 1, 8, 1, 12, 9, 0),
    ]


@settings(max_examples=40)
@given(shapes)
def test_every_ancestor_is_the_one_that_parents_lead_to(parents: list[int]) -> None:
    grown = Grown(parents)
    for record, of in zip(grown.every(), grown.lines, strict=True):
        assert [grown.tree.ancestor(record, height).id for height in range(record.height + 1)] == of


@settings(max_examples=40)
@given(shapes, st.data())
def test_descent_and_forks_are_those_of_the_lines(parents: list[int], data: st.DataObject) -> None:
    grown = Grown(parents)
    ids = st.integers(0, len(grown.lines) - 1)
    for left, right in data.draw(st.lists(st.tuples(ids, ids), min_size=1, max_size=20)):
        one, other = grown.record(left), grown.record(right)
        assert grown.tree.is_ancestor(one, other) == (left in grown.lines[right])
        common = [a for a, b in zip(grown.lines[left], grown.lines[right], strict=False) if a == b]
        assert grown.tree.fork_point(one, other).id == common[-1]


@settings(max_examples=40)
@given(shapes, st.data())
def test_the_last_block_that_holds_is_found(parents: list[int], data: st.DataObject) -> None:
    grown = Grown(parents)
    of = data.draw(st.sampled_from(grown.lines))
    last = data.draw(st.integers(0, len(of) - 1))
    asked: list[int] = []

    def holds(record: BlockRecord) -> bool:
        asked.append(record.id)
        return record.height <= last

    assert grown.tree.last_that(grown.record(of[-1]), holds).id == of[last]
    assert set(asked) <= set(of)


@settings(max_examples=40)
@given(shapes, st.data())
def test_a_path_holds_each_block_between_ascending(parents: list[int], data: st.DataObject) -> None:
    grown = Grown(parents)
    of = data.draw(st.sampled_from(grown.lines))
    above = data.draw(st.integers(0, len(of) - 1))
    path = grown.tree.path(grown.record(of[above]), grown.record(of[-1]))
    assert [record.id for record in path] == of[above + 1 :]


@settings(max_examples=40)
@given(shapes, st.data())
def test_a_locator_goes_back_in_growing_steps_to_genesis(parents: list[int], data: st.DataObject) -> None:
    grown = Grown(parents)
    of = data.draw(st.sampled_from(grown.lines))
    heights, height, step = [], len(of) - 1, 1
    while height > 0:
        heights.append(height)
        if len(heights) > 10:
            step *= 2
        height -= step
    expected = tuple(grown.record(of[height]).hash for height in [*heights, 0])
    assert grown.tree.locator(grown.record(of[-1])) == expected


def test_a_locator_is_short_at_any_height() -> None:
    grown = line(3_000)
    locator = grown.tree.locator(grown.record(3_000))
    assert len(locator) <= 24
    assert [grown.record(3_000 - back).hash for back in range(11)] == list(locator[:11])
    # The greatest height that a header can hold takes fewer than the 101 that a message may have.
    assert 11 + 32 + 1 < 101


@settings(max_examples=30)
@given(shapes, st.data())
def test_the_history_of_any_block_is_that_of_all_hashes_before(
    parents: list[int], data: st.DataObject
) -> None:
    grown = Grown(parents)
    fresh = Tree(grown.store)
    order = data.draw(st.permutations(range(len(grown.lines))))
    for block_id in order:
        record = grown.record(block_id)
        root = merkle.tree_root([merkle.leaf_hash(block_hash) for block_hash in grown.hashes(block_id)])
        for tree in (grown.tree, fresh):
            assert tree.frontier(record).root() == root
            assert tree.frontier(record) == history.from_nodes(record.height + 1, tree.node_at(record))


def test_a_proof_of_an_old_block_is_read_off_a_side_branch() -> None:
    grown = line(21)
    for parent in (12, *range(22, 28)):
        grown.grow(parent)
    record = grown.record(28)
    proof = history.inclusion_proof(record.height + 1, 5, grown.tree.node_at(record))
    leaf = merkle.leaf_hash(grown.record(5).hash)
    root = merkle.root_from_inclusion(leaf, 5, record.height + 1, proof)
    assert root == grown.tree.frontier(record).root()


class CountingStore:
    """Counts the records that are read."""

    def __init__(self, store: OverlaidStore) -> None:
        self._store = store
        self.reads = 0

    def record(self, block_id: int) -> BlockRecord:
        self.reads += 1
        return self._store.record(block_id)


@pytest.fixture(scope="module")
def long_line() -> Grown:
    return line(3_000)


def counted(grown: Grown) -> tuple[Tree, CountingStore]:
    store = CountingStore(grown.store)
    return Tree(store), store  # type: ignore[arg-type]  # a tree reads records and nothing else


def test_walks_read_few_blocks_whatever_the_height(long_line: Grown) -> None:
    tree, store = counted(long_line)
    tip = long_line.record(3_000)
    worst = 0
    for height in range(0, 3_000, 7):
        store.reads = 0
        assert tree.ancestor(tip, height).id == height
        worst = max(worst, store.reads)
    assert worst <= 60  # a few times log2 of the height


def test_a_look_near_the_head_reads_little(long_line: Grown) -> None:
    tree, store = counted(long_line)
    tip = long_line.record(3_000)
    assert tree.last_that(tip, lambda record: record.height <= 2_997).id == 2_997
    assert next(tree.path(long_line.record(2_990), tip)).id == 2_991
    assert store.reads <= 30


def test_a_look_far_back_reads_little_too(long_line: Grown) -> None:
    tree, store = counted(long_line)
    asked: list[int] = []

    def holds(record: BlockRecord) -> bool:
        asked.append(record.height)
        return record.height <= 10

    assert tree.last_that(long_line.record(3_000), holds).id == 10
    assert len(asked) <= 26
    assert store.reads <= 300


def test_one_history_after_the_other_needs_no_walk(long_line: Grown) -> None:
    tree, store = counted(long_line)
    tree.frontier(long_line.record(2_000))
    store.reads = 0
    for height in range(2_001, 2_101):
        tree.frontier(long_line.record(height))
    assert store.reads == 0


def test_a_record_of_a_batch_that_is_being_filled_is_found() -> None:
    grown = line(3)
    tip = grown.record(3)
    header = replace(tip.header, height=4, previous=tip.hash)
    grown.tree.fresh[4] = replace(tip, id=4, header=header, parent_id=3, skip_id=0)
    assert grown.tree.ancestor(grown.tree.record(4), 2).id == 2
