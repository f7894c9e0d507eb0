"""Sums of the parts of blocks that were proven before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.block import Block, decode_block
from node.proven_parts import ENTRIES_EACH, ProvenParts
from tests.building import ChainBuilder, key

NAME = b"\x01" * 32
LONGER_THAN_A_BYTE_COUNTS = "m" * 200


def block_of(entries: int) -> Block:
    """Return a block of entries, every third with a memo that makes it longer than 255 bytes."""
    builder = ChainBuilder()
    memos = (LONGER_THAN_A_BYTE_COUNTS if at % 3 == 2 else "" for at in range(entries))
    signed = [builder.entry(key("ann"), key("bob"), 1, memo=memo, nonce=at) for at, memo in enumerate(memos)]
    return decode_block(builder.block(None, signed).raw)


BLOCKS = {entries: block_of(entries) for entries in (0, 1, 14, 15, 16, 31, 70)}


def read(proven: ProvenParts, block: Block, raw: bytes, position: int, name: bytes = NAME) -> bytes | None:
    part = proven.find(name, position)
    assert part is not None
    assert 0 <= position <= len(block.entries)
    return part.leaf_of(raw[part.start : part.start + part.length])


@pytest.mark.parametrize("entries", BLOCKS)
def test_every_leaf_is_found_in_its_part(entries: int) -> None:
    block, proven = BLOCKS[entries], ProvenParts()
    proven.note(NAME, block)
    assert read(proven, block, block.raw, 0) == block.first_leaf
    for position, entry in enumerate(block.entries, 1):
        assert read(proven, block, block.raw, position) == entry
        part = proven.find(NAME, position)
        assert part is not None
        assert part.length < ENTRIES_EACH * 500
    assert proven.find(NAME, entries + 1) is None


@given(data=st.data())
@settings(max_examples=100)
def test_a_changed_part_gives_nothing_and_the_others_what_they_gave(data: st.DataObject) -> None:
    block, proven = BLOCKS[data.draw(st.sampled_from(sorted(BLOCKS)))], ProvenParts()
    proven.note(NAME, block)
    at = data.draw(st.integers(0, len(block.raw) - 1))
    changed = bytearray(block.raw)
    changed[at] ^= data.draw(st.integers(1, 255))
    for position, leaf in enumerate((block.first_leaf, *block.entries)):
        part = proven.find(NAME, position)
        assert part is not None
        is_hit = part.start <= at < part.start + part.length
        assert read(proven, block, bytes(changed), position) == (None if is_hit else leaf)


def test_what_cannot_be_read_gives_nothing() -> None:
    proven = ProvenParts()
    proven.note(NAME, BLOCKS[1])
    part = proven.find(NAME, 1)
    assert part is not None
    assert part.leaf_of(None) is None
    assert part.leaf_of(b"") is None


def test_a_block_that_nobody_proved_is_not_known() -> None:
    assert ProvenParts().find(NAME, 0) is None


def test_what_was_asked_for_last_is_kept() -> None:
    first, second, third = (bytes((number,)) * 32 for number in range(3))
    proven = ProvenParts(most=8)  # two blocks of 14 entries: coinbase, one part, the end and no more
    for name in (first, second, first):
        proven.note(name, BLOCKS[14])
    assert proven.find(first, 3) is not None
    proven.note(third, BLOCKS[14])
    assert proven.find(second, 3) is None
    assert proven.find(first, 3) is not None
    assert proven.find(third, 3) is not None


def test_a_block_too_large_to_be_remembered_is_not() -> None:
    proven = ProvenParts(most=3)
    proven.note(NAME, BLOCKS[70])
    assert proven.find(NAME, 0) is None
