"""What a block adds to the index: the same from its decoded entries and from its stored bytes."""

from __future__ import annotations

import pytest

from node.ledger.errors import RuleBroken
from node.storage.rows import BlockKeys, keys_of_block, keys_of_stored
from tests.building import Built, ChainBuilder, key
from tests.storage.filling import ANN, BOB, PARAMETERS

MINER = key("a miner")


def made_block() -> Built:
    """Return block 2, in which someone pays itself, and amounts and memos are of many widths."""
    chain = ChainBuilder(PARAMETERS)
    entries = [
        chain.entry(ANN, BOB, 1),
        chain.entry(ANN, ANN, 5_00, memo="m" * 200),
        chain.entry(BOB, key("someone"), 100_00, memo="beans"),
    ]
    return chain.block(chain.block(None, []), entries, miner=MINER)


def keys_of(block: Built) -> BlockKeys:
    return keys_of_block(block.height, block.coinbase_leaf, MINER.public, block.entries)


def test_keys_are_eight_bytes_and_a_place_and_who_pays_itself_is_touched_once() -> None:
    block = made_block()
    ours = [ANN.public, ANN.public, BOB.public]
    theirs = [BOB.public, key("someone").public]
    places = [bytes((0, 0, 0, 2, 0, 0, position)) for position in range(4)]
    txids = [block.coinbase_leaf, *(entry.txid for entry in block.entries)]
    keys = keys_of(block)
    assert keys.txids == [txid[:8] + place for txid, place in zip(txids, places, strict=True)]
    assert sorted(keys.history) == sorted(
        [MINER.public[:8] + places[0]]
        + [one[:8] + place for one, place in zip(ours, places[1:], strict=True)]
        + [one[:8] + place for one, place in zip(theirs, (places[1], places[3]), strict=True)]
    )


def test_stored_bytes_give_the_keys_of_the_entries() -> None:
    block = made_block()
    assert keys_of_stored(block.raw, block.header.raw) == keys_of(block)


def test_bytes_that_are_another_blocks_give_none() -> None:
    block = made_block()
    other = block.path()[1]
    with pytest.raises(RuleBroken):
        keys_of_stored(other.raw, block.header.raw)


@pytest.mark.parametrize("part", [1, 2, 3])
def test_bytes_that_were_edited_give_none(part: int) -> None:
    block = made_block()
    at = len(block.raw) * part // 4
    edited = block.raw[:at] + bytes([block.raw[at] ^ 1]) + block.raw[at + 1 :]
    with pytest.raises(RuleBroken):
        keys_of_stored(edited, block.header.raw)
