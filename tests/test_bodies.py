"""Bodies in memory: who waits, who is overtaken, who is let go, and what is read back."""

from __future__ import annotations

import pytest

from node import bodies
from node.bodies import OURSELVES, Bodies, Held
from node.ledger.block import decode_block
from node.ledger.rules import sane_block
from node.storage.memory import memory_disk, open_memory
from node.storage.port import Batch, BlockRecord, Standing, StorageFault
from node.tree import Tree
from tests.building import EASY, Built, ChainBuilder, key, record_of
from tests.chaining import ANN, BOB, RICH

PEER = 7


class Shelf:
    """Bodies over a tree: a trunk of eight blocks, and a branch of three above its second one."""

    def __init__(self) -> None:
        builder = ChainBuilder()
        self.trunk = builder.blocks(None, 8)
        self.branch = builder.blocks(self.trunk[1], 3, miner=key("bob"))
        self.store, _ = open_memory(memory_disk(EASY))
        batch = Batch(1)
        for block_id, block in enumerate([*self.trunk, *self.branch], 1):
            parent_id = 2 if block is self.branch[0] else block_id - 1
            batch.records.append(record_of(block, block_id, parent_id=parent_id, standing=Standing.HEADER))
        self.store.stage(batch)
        self.bodies = Bodies(EASY, self.store, Tree(self.store))

    def record(self, block: Built) -> BlockRecord:
        record = self.store.find(block.hash)
        assert record is not None
        return record

    def held(self, block: Built) -> Held:
        return Held(self.record(block), sane_block(decode_block(block.raw), EASY), PEER)

    def take(self, *blocks: Built) -> list[Held]:
        taken = [self.held(block) for block in blocks]
        for held in taken:
            self.bodies.take(held)
        return taken

    def has(self, *blocks: Built) -> list[bool]:
        return [self.bodies.get(self.record(block).id) is not None for block in blocks]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_what_is_held_is_weighed(shelf: Shelf) -> None:
    one, two = shelf.take(*shelf.trunk[:2])
    assert shelf.bodies.bytes == one.size + two.size == sum(len(block.raw) for block in shelf.trunk[:2])
    shelf.bodies.release(one.record.id)
    shelf.bodies.release(one.record.id)
    assert shelf.bodies.bytes == two.size
    assert shelf.has(*shelf.trunk[:2]) == [False, True]


def test_bodies_that_are_overtaken_come_once_parents_first(shelf: Shelf) -> None:
    taken = shelf.take(*shelf.branch, *shelf.trunk[4:])
    for held in reversed(taken):
        shelf.bodies.prepared(held)
    shelf.take(shelf.trunk[0])  # not prepared: it waits for something
    shelf.bodies.release(shelf.record(shelf.trunk[4]).id)
    work = shelf.trunk[5].work
    found = [held.record.hash for held in shelf.bodies.overtaken(work)]
    assert found == [*(block.hash for block in shelf.branch), shelf.trunk[5].hash]
    assert list(shelf.bodies.overtaken(work)) == []
    assert [held.record.hash for held in shelf.bodies.overtaken(10**9)] == [
        shelf.trunk[6].hash,
        shelf.trunk[7].hash,
    ]


def test_heirs_of_a_block_are_let_go_and_others_stay(shelf: Shelf) -> None:
    shelf.take(shelf.trunk[1], shelf.trunk[3])
    for held in shelf.take(shelf.trunk[5], shelf.trunk[6], shelf.branch[1]):
        shelf.bodies.wait(held)
    shelf.bodies.drop_heirs(shelf.record(shelf.trunk[2]))
    assert shelf.has(shelf.trunk[1], shelf.branch[1]) == [True, True]
    assert shelf.has(shelf.trunk[3], shelf.trunk[5], shelf.trunk[6]) == [False, False, False]
    assert shelf.bodies.adopt(shelf.record(shelf.trunk[4]).id) == []
    assert len(shelf.bodies.adopt(shelf.record(shelf.branch[0]).id)) == 1


def test_siblings_of_a_block_that_is_dropped_go_on_waiting(shelf: Shelf) -> None:
    sibling, block = shelf.take(shelf.branch[0], shelf.trunk[2])
    shelf.bodies.wait(sibling)
    shelf.bodies.wait(block)
    shelf.bodies.drop_heirs(block.record)
    waiting = shelf.bodies.adopt(shelf.record(shelf.trunk[1]).id)
    assert sibling in waiting
    assert shelf.has(shelf.branch[0], shelf.trunk[2]) == [True, False]


def test_those_that_wait_are_adopted_in_order_of_arrival_once(shelf: Shelf) -> None:
    taken = shelf.take(shelf.branch[0], shelf.trunk[2])
    for held in taken:
        shelf.bodies.wait(held)
    parent = shelf.record(shelf.trunk[1]).id
    assert shelf.bodies.adopt(parent) == taken
    assert shelf.bodies.adopt(parent) == []
    assert shelf.has(*(shelf.branch[0], shelf.trunk[2])) == [True, True]


def test_those_that_wait_are_forgotten_when_memory_is_full(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(shelf.trunk[0].raw)
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", 3 * size + 20)
    shelf.take(shelf.trunk[0])
    for block in shelf.trunk[3:5]:
        shelf.bodies.wait(*shelf.take(block))
    assert shelf.has(shelf.trunk[0], *shelf.trunk[3:5]) == [True] * 3
    shelf.bodies.wait(*shelf.take(shelf.trunk[6]))
    assert shelf.has(shelf.trunk[0], *shelf.trunk[3:5], shelf.trunk[6]) == [True, False, False, False]
    assert shelf.bodies.bytes == size
    assert shelf.bodies.adopt(shelf.record(shelf.trunk[2]).id) == []


def stored(shelf: Shelf, block: Built, raw: bytes, standing: Standing = Standing.STORED) -> BlockRecord:
    batch = Batch(2)
    record = record_of(block, shelf.record(block).id, standing=standing)
    batch.records.append(record)
    batch.bodies.append((record.id, raw))
    shelf.store.stage(batch)
    return record


@pytest.mark.parametrize("standing, verified", [(Standing.STORED, False), (Standing.PROVEN, True)])
def test_a_stored_body_is_read_and_let_go_when_no_one_wants_it(
    shelf: Shelf, standing: Standing, verified: bool
) -> None:
    record = stored(shelf, shelf.trunk[0], shelf.trunk[0].raw, standing)
    held = shelf.bodies.read(record)
    assert (held.sane.block.raw, held.stored, held.verified) == (shelf.trunk[0].raw, True, verified)
    assert held.origin == OURSELVES
    kept = shelf.take(shelf.trunk[1], shelf.trunk[2])
    shelf.bodies.keep_while_wanted(kept[1])
    assert shelf.has(*shelf.trunk[:3]) == [True] * 3
    shelf.bodies.forget_read()
    assert shelf.has(*shelf.trunk[:3]) == [False, True, False]
    assert shelf.bodies.bytes == kept[0].size


def test_what_was_connected_lately_is_at_hand_until_as_much_came_after_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = shelf.take(*shelf.trunk[:3])
    monkeypatch.setattr(bodies, "FRESH_BYTES", second.size + third.size)
    for held in (first, second, third):
        shelf.bodies.connected(held)
        shelf.bodies.connected(held)
        assert shelf.bodies.recall(held.record) is held
    assert shelf.bodies.bytes == 0
    assert shelf.bodies.recall(second.record) is second
    with pytest.raises(StorageFault, match="is missing from the book"):
        shelf.bodies.recall(first.record)
    stored(shelf, shelf.trunk[0], first.sane.block.raw, Standing.PROVEN)
    assert shelf.bodies.recall(first.record).sane == first.sane
    assert shelf.bodies.recall(first.record) is shelf.bodies.recall(first.record)


def test_those_of_one_branch_are_named_once_they_are_taken_apart(shelf: Shelf) -> None:
    for held in shelf.take(*shelf.trunk[:4], *shelf.branch):
        shelf.bodies.connected(held)
    fork, tip = shelf.record(shelf.trunk[1]), shelf.record(shelf.branch[1])
    found = shelf.bodies.at_hand(fork, tip)
    assert [held.record.hash for held in found] == [block.hash for block in shelf.branch[:2]]


def test_entries_are_decoded_once_in_slices() -> None:
    builder = ChainBuilder(RICH)
    block = builder.block(None, [builder.entry(ANN, BOB, 1, signed=False) for _ in range(5)])
    held = Held(
        record_of(block, 1, parent_id=0, standing=Standing.HEADER),
        sane_block(decode_block(block.raw), RICH),
        PEER,
    )
    assert not held.is_apart
    assert [len(held.entries) for _ in held.take_apart(2)] == [2, 4, 5]
    assert held.is_apart
    assert held.entries == list(block.entries)
    assert list(held.take_apart(2)) == []


def test_a_body_that_is_missing_is_named(shelf: Shelf) -> None:
    record = shelf.record(shelf.trunk[0])
    with pytest.raises(StorageFault, match=f"block 1 .{record.hash.hex()[:16]}. is missing from the book"):
        shelf.bodies.load(record)


@pytest.mark.parametrize("change", ["byte", "cut", "longer", "other", "nothing"])
def test_a_body_that_was_changed_here_is_named(shelf: Shelf, change: str) -> None:
    block = shelf.trunk[0]
    raw = {
        "byte": block.raw[:200] + bytes([block.raw[200] ^ 1]) + block.raw[201:],
        "cut": block.raw[:-1],
        "longer": block.raw + b"\0",
        "other": shelf.trunk[1].raw,
        "nothing": b"",
    }[change]
    record = stored(shelf, block, raw)
    with pytest.raises(StorageFault, match=r"block 1 .* was changed here: [a-z-]+:"):
        shelf.bodies.read(record)
    assert shelf.bodies.bytes == 0
