"""Which leaf of a block was changed, and what it was."""

from __future__ import annotations

import pytest

from node.ledger.block import Block, encode_block
from node.locating import NOWHERE, Located, locate
from tests.building import Built, ChainBuilder, key

ANN, BOB = key("ann"), key("bob")


@pytest.fixture(scope="module")
def built() -> Built:
    chain = ChainBuilder()
    return chain.block(None, [chain.entry(ANN, BOB, number, memo="a cup") for number in range(5)])


def prefixes_of(built: Built) -> dict[int, bytes]:
    return {position: leaf[:8] for position, leaf in enumerate(built.block.leaves())}


def with_entries(built: Built, entries: list[bytes]) -> Block:
    return encode_block(built.block.header, built.block.body, built.block.first_leaf, tuple(entries))


def changed(raw: bytes, at: int, byte: int) -> bytes:
    return raw[:at] + bytes([byte]) + raw[at + 1 :]


@pytest.mark.parametrize("at", [0, 1, 40, 80, 110, -1])
def test_a_byte_of_an_entry_is_named_with_the_txid_that_the_header_proves(built: Built, at: int) -> None:
    raws = list(built.block.entries)
    raws[2] = changed(raws[2], at % len(raws[2]), 0xEE)
    block = with_entries(built, raws)
    assert locate(block, prefixes_of(built), []) == Located(
        3, built.block.leaves()[3], block.leaves()[3], built.block.entries[2]
    )


def test_more_than_a_byte_is_named_without_guessing(built: Built) -> None:
    raws = list(built.block.entries)
    raws[4] = raws[4].replace(b"a cup", b"2 cup").replace(b"cup", b"cap")
    block = with_entries(built, raws)
    assert locate(block, prefixes_of(built), []) == Located(5, None, block.leaves()[5])


def test_the_first_of_several_is_named(built: Built) -> None:
    raws = [
        changed(raw, 90, 0xEE) if number in {1, 3} else raw for number, raw in enumerate(built.block.entries)
    ]
    block = with_entries(built, raws)
    assert locate(block, prefixes_of(built), []) == Located(2, None, block.leaves()[2])


def test_an_entry_taken_out_is_named_by_its_place(built: Built) -> None:
    raws = list(built.block.entries)
    block = with_entries(built, raws[:2] + raws[3:])
    assert locate(block, prefixes_of(built), []) == Located(3, None, built.block.leaves()[4])
    block = with_entries(built, raws[:4])
    assert locate(block, prefixes_of(built), []) == Located(5, None, None)


def test_an_entry_put_in_is_named(built: Built) -> None:
    block = with_entries(built, [*built.block.entries, b"one more"])
    assert locate(block, prefixes_of(built), []) == Located(6, None, block.leaves()[6])


def test_without_an_index_the_entry_that_is_wrong_by_itself_is_named(built: Built) -> None:
    raws = list(built.block.entries)
    raws[2] = changed(raws[2], 90, 0xEE)
    block = with_entries(built, raws)
    assert locate(block, {}, [3]) == Located(3, None, block.leaves()[3])
    assert locate(block, {}, []) == NOWHERE


def test_an_index_changed_in_the_same_way_hides_nothing(built: Built) -> None:
    raws = list(built.block.entries)
    raws[2] = changed(raws[2], 90, 0xEE)
    block = with_entries(built, raws)
    prefixes = {position: leaf[:8] for position, leaf in enumerate(block.leaves())}
    assert locate(block, prefixes, [3]) == Located(3, None, block.leaves()[3])
