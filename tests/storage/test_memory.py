"""The port in memory looks at what it is handed: parts of a block are those of its stored body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.storage.memory import memory_disk, open_memory
from node.storage.port import Batch, Connected, Switch
from tests.building import record_of
from tests.storage.filling import CEM, PARAMETERS, connect, sample_chain

WRONG = pytest.mark.parametrize(
    "change, named",
    [
        (lambda one: replace(one, coinbase=replace(one.coinbase, note="another")), "coinbase"),
        (lambda one: replace(one, coinbase=replace(one.coinbase, miner=CEM.public)), "coinbase"),
        (lambda one: replace(one, coinbase_leaf=bytes(32)), "coinbase leaf"),
        (lambda one: replace(one, entries=one.entries[:-1]), "entries"),
        (lambda one: replace(one, entries=one.entries[::-1]), "entries"),
    ],
    ids=["note", "miner", "leaf", "one entry less", "another order"],
)
CHAIN, (PARENT, BLOCK) = sample_chain(2)
RECORD = record_of(BLOCK, 2, parent_id=1)


def parts() -> Connected:
    assert BLOCK.coinbase is not None
    return Connected(RECORD, BLOCK.coinbase, BLOCK.coinbase_leaf, BLOCK.entries)


def commit(batch: Batch) -> bytes:
    """Commit a batch with the second block to a store that has the first; return the tip after it."""
    store, writer = open_memory(memory_disk(PARAMETERS))
    connect(store, writer, CHAIN, [PARENT])
    batch.records.append(RECORD)
    batch.bodies.append((RECORD.id, BLOCK.raw))
    store.stage(batch)
    writer.commit([batch])
    store.settle(batch.number)
    return store.durable_tip().hash


@WRONG
def test_a_connected_block_with_wrong_parts_is_noticed(
    change: Callable[[Connected], Connected], named: str
) -> None:
    assert commit(Batch(2, connected=[parts()])) == BLOCK.hash
    with pytest.raises(AssertionError, match=f"block 2: {named} handed over"):
        commit(Batch(2, connected=[change(parts())]))


@WRONG
def test_a_block_at_hand_with_wrong_parts_is_noticed(
    change: Callable[[Connected], Connected], named: str
) -> None:
    fork = record_of(PARENT, 1)
    assert commit(Batch(2, switch=Switch(fork, RECORD, {2: parts()}))) == BLOCK.hash
    with pytest.raises(AssertionError, match=f"block 2: {named} handed over"):
        commit(Batch(2, switch=Switch(fork, RECORD, {2: change(parts())})))
