"""Receipts made from a book, what became of a block, and that a changed copy proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.block import Header
from node.proof_file import decode, encode
from node.proofs import check
from node.query import BookDamaged, NotFound
from node.receipts import BadTip, Fate, check_tip, make_extension, make_receipt
from node.storage.port import BlockRecord, Standing
from node.tree import skip_height
from tests.building import EASY, Built, ChainBuilder, key, record_of
from tests.memory_book import MemoryBook

ANN, BOB = key("ann"), key("bob")


@pytest.fixture(scope="module")
def chain() -> ChainBuilder:
    return ChainBuilder()


@pytest.fixture(scope="module")
def tip(chain: ChainBuilder) -> Built:
    """Forty blocks; every seventh holds entries, up to nine of them."""
    at = chain.block(miner=ANN)
    for height in range(2, 41):
        count = height % 10 if height % 7 == 0 else 0
        at = chain.block(at, [chain.entry(ANN, BOB, 1_00, memo=f"{height}.{n}") for n in range(count)])
    return at


@pytest.fixture
def book(chain: ChainBuilder, tip: Built) -> MemoryBook:
    return MemoryBook(chain, tip)


def test_every_entry_and_reward_has_a_receipt_that_leads_to_the_tip(book: MemoryBook, tip: Built) -> None:
    for block in book.main[1:]:
        for position, txid in enumerate(block.block.leaves()):
            receipt = make_receipt(book, EASY, txid)
            assert decode(encode(receipt)) == receipt
            found = check(receipt, tip.hash)
            assert found.entry is not None
            assert (found.entry.txid, found.entry.position) == (txid, position)
            assert (found.block.hash, found.tip.hash) == (block.hash, tip.hash)


def test_a_receipt_leads_to_the_block_that_the_reader_knows(book: MemoryBook) -> None:
    entry = book.main[14].entries[2]
    for height in range(14, 41):
        known = book.main[height]
        for name in (height, known.hash):
            receipt = make_receipt(book, EASY, entry.txid, name)
            assert check(receipt, known.hash).tip.hash == known.hash


def test_a_block_below_the_entry_can_be_no_tip(book: MemoryBook) -> None:
    with pytest.raises(BadTip, match="stands in block 14, above block 13") as refused:
        make_receipt(book, EASY, book.main[14].entries[0].txid, 13)
    assert (refused.value.code, refused.value.hint) == ("bad-tip", "name a block from 14 on")


def test_what_the_book_does_not_hold_has_no_receipt(book: MemoryBook, chain: ChainBuilder) -> None:
    pending = chain.entry(ANN, BOB, 5, memo="later")
    with pytest.raises(NotFound, match="the book has no entry"):
        make_receipt(book, EASY, pending.txid)
    with pytest.raises(NotFound, match="the book has no entry"):
        make_receipt(book, EASY, chain.genesis.block.leaves()[0])
    txid = book.main[14].entries[0].txid
    for name in (41, b"\xab" * 32):
        with pytest.raises(NotFound, match="the book has no block"):
            make_receipt(book, EASY, txid, name)


def test_every_older_block_is_proven_to_be_part_of_the_book(book: MemoryBook, tip: Built) -> None:
    for block in book.main[1:]:
        for height in (None, block.height):
            found = check_tip(book, EASY, block.hash, height)
            assert (found.fate, found.height, found.rewritten_at) == (Fate.HELD, block.height, None)
            assert found.extension is not None
            assert check(found.extension, block.hash).tip.hash == tip.hash


def test_genesis_is_part_of_the_book_without_a_proof(book: MemoryBook, chain: ChainBuilder) -> None:
    found = check_tip(book, EASY, chain.network_id)
    assert (found.fate, found.height, found.extension) == (Fate.HELD, 0, None)


def test_a_height_that_is_not_the_hashs_own_is_a_slip(book: MemoryBook) -> None:
    with pytest.raises(BadTip, match="is block 7, not 8"):
        check_tip(book, EASY, book.main[7].hash, 8)


def add_branch(book: MemoryBook, blocks: list[Built], standing: Standing) -> None:
    """Add a side branch with the skip links that a store has."""
    records: dict[int, BlockRecord] = {}
    fork = blocks[0].parent
    assert fork is not None
    parent_id = fork.height
    for block in blocks:
        skipped = skip_height(block.height)
        skip_id = records[skipped].id if skipped in records else skipped
        record = record_of(block, len(book.records), parent_id=parent_id, skip_id=skip_id, standing=standing)
        records[block.height] = record
        book.records.append(record)
        parent_id = record.id


@pytest.mark.parametrize("fork", [0, 1, 7, 15, 16, 30, 38])
def test_a_branch_that_was_left_names_the_first_height_that_differs(
    fork: int, book: MemoryBook, chain: ChainBuilder
) -> None:
    side = chain.blocks(book.main[fork], 20, miner=BOB)
    add_branch(book, side, Standing.PROVEN)
    for block in side:
        found = check_tip(book, EASY, block.hash)
        assert (found.fate, found.height, found.rewritten_at) == (Fate.REWRITTEN, block.height, fork + 1)
        assert found.extension is None


def test_a_block_that_breaks_a_rule_was_never_part_of_it(book: MemoryBook, chain: ChainBuilder) -> None:
    side = chain.blocks(book.main[30], 2, miner=BOB)
    add_branch(book, side, Standing.CONDEMNED)
    assert check_tip(book, EASY, side[1].hash).fate is Fate.INVALID


def test_a_header_above_the_tip_is_only_ahead(book: MemoryBook, chain: ChainBuilder, tip: Built) -> None:
    above = chain.blocks(tip, 3)
    add_branch(book, above, Standing.HEADER)
    assert check_tip(book, EASY, above[2].hash).fate is Fate.AHEAD


def test_an_unknown_hash_is_said_to_be_unknown(book: MemoryBook) -> None:
    assert check_tip(book, EASY, b"\xab" * 32).fate is Fate.UNKNOWN
    found = check_tip(book, EASY, b"\xab" * 32, 7)
    assert (found.fate, found.height, found.rewritten_at) == (Fate.UNKNOWN, 7, None)


# ------------------------------------------------------------------------------------ a changed copy


def test_a_changed_block_gives_no_receipt(book: MemoryBook) -> None:
    entry = book.main[14].entries[0]
    raw = book.bodies[14]
    for at in range(0, len(raw), 7):
        book.bodies[14] = raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]
        with pytest.raises(BookDamaged):
            make_receipt(book, EASY, entry.txid)
    del book.bodies[14]
    with pytest.raises(BookDamaged, match="is missing"):
        make_receipt(book, EASY, entry.txid)


def test_a_changed_tip_gives_no_receipt(book: MemoryBook) -> None:
    entry = book.main[14].entries[0]
    book.bodies[40] = book.bodies[39]
    with pytest.raises(BookDamaged, match="another header"):
        make_receipt(book, EASY, entry.txid)


def test_a_changed_tree_of_history_proves_nothing_false(book: MemoryBook, tip: Built) -> None:
    """Whatever node of it is changed or missing: what is handed out is right, or nothing is."""
    entry, old = book.main[14].entries[0], book.records[14]
    needed = 0
    for record in book.records[:40]:
        nodes = record.history_nodes
        others = [nodes[:at] + bytes([nodes[at] ^ 1]) + nodes[at + 1 :] for at in range(0, len(nodes), 32)]
        for other in (*others, b""):
            book.records[record.height] = replace(record, history_nodes=other)
            try:
                check(make_receipt(book, EASY, entry.txid), tip.hash)
                check(make_extension(book, EASY, old), tip.hash)
            except BookDamaged as damaged:
                assert damaged.message.startswith("this copy cannot prove it (")  # noqa: PT017 - or none
                needed += 1
        book.records[record.height] = record
    assert needed >= 12


def test_a_copy_rewritten_below_an_old_tip_proves_nothing_about_it(
    book: MemoryBook, chain: ChainBuilder
) -> None:
    """Somebody puts other headers into the tables, and leaves the old tip where it was."""
    other = chain.blocks(book.main[9], 1, miner=BOB)[0]
    book.records[10] = record_of(other, 10)
    with pytest.raises(BookDamaged):
        check_tip(book, EASY, book.main[11].hash)


def test_a_first_block_of_another_network_is_noticed(book: MemoryBook) -> None:
    header: Header = replace(book.main[0].header, nonce=1)
    book.records[0] = replace(book.records[0], header=header)
    with pytest.raises(BookDamaged, match="the first block is not the network's"):
        check_tip(book, EASY, header.hash)
