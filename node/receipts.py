"""Receipts and extensions made from a book, and the question whether a block is still part of it.

Reads a book through the storage port and touches nothing else. What is made is checked like anybody else's
before it is handed out (`proofs.check`): a copy that was changed or damaged gives no receipt at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from node.ledger import history, merkle
from node.ledger.block import Block, decode_block, network_id
from node.ledger.codec import HASH_BYTES
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock, sane_block
from node.proof_file import (
    BlockPart,
    EntryPart,
    Extension,
    NetworkPart,
    Proven,
    Receipt,
    ReceiptRefused,
    TipPart,
)
from node.proofs import body_bytes, check
from node.query import Book, BookDamaged, NotFound
from node.storage.port import BlockRecord, Standing

P = TypeVar("P", bound=Proven)


class BadTip(Exception):
    """A block was named that cannot be what it is named as."""

    code: Final = "bad-tip"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Fate(StrEnum):
    """What became of a block that someone wrote down."""

    HELD = "held"
    """Part of the book still: everything since was added behind it."""
    REWRITTEN = "rewritten"
    """The book has another block from some height on."""
    INVALID = "invalid"
    """It breaks a rule, or follows one that does: it never was part of the book."""
    AHEAD = "ahead"
    """It follows this copy's tip, and its entries are not here yet."""
    UNKNOWN = "unknown"
    """This copy has never seen it, or has lost it."""


@dataclass(frozen=True, slots=True)
class TipChecked:
    """The answer of `check_tip`."""

    fate: Fate
    height: int | None
    """Of the block; where it is unknown, as the one who asks has it, or None."""
    rewritten_at: int | None
    """The lowest height with another block, where the old branch is stored and tells it."""
    tip: BlockRecord
    """Today's."""
    extension: Extension | None
    """The proof of HELD, already checked; None for genesis, which every history starts with."""


def make_receipt(book: Book, parameters: Parameters, txid: bytes, upto: int | bytes | None = None) -> Receipt:
    """Return the receipt of an entry or a reward (its coinbase's leaf hash) of the main chain, checked.

    `upto`: the main chain's block, by height or hash, that it leads to; None for today's tip. Raises NotFound
    for an entry or a block that is not there, BadTip for a block below the entry's, BookDamaged.
    """
    record, sane, position = _place_of(book, parameters, txid)
    last = book.tip() if upto is None else _main_block(book, upto)
    if last.height < record.height:
        hint = f"name a block from {record.height} on"
        raise BadTip(f"the entry stands in block {record.height}, above block {last.height}", hint)
    block = sane.block
    entry = EntryPart(
        raw=block.entries[position - 1] if position else block.first_leaf,
        position=position,
        proof=merkle.inclusion_proof(sane.leaves, position),
    )
    network, tip, consistency = _history_parts(book, parameters, record, last)
    return _checked(Receipt(network, entry, _part_of(block), tip, consistency), last)


def make_extension(book: Book, parameters: Parameters, old: BlockRecord) -> Extension:
    """Return the proof that the book up to `old`, a main chain block above genesis, was only added to.

    Checked before it is returned. Raises BookDamaged.
    """
    last = book.tip()
    block = _part_of(_stored(book, parameters, old).block)
    network, tip, consistency = _history_parts(book, parameters, old, last)
    return _checked(Extension(network, block, tip, consistency), last)


def check_tip(book: Book, parameters: Parameters, block_hash: bytes, height: int | None = None) -> TipChecked:
    """Return what became of a block that someone wrote down, with its height or without.

    Raises BadTip where the block of that hash has another height, BookDamaged.
    """
    tip, record = book.tip(), book.find(block_hash)
    if record is None:
        return TipChecked(Fate.UNKNOWN, height, None, tip, None)
    if height is not None and height != record.height:
        hint = "look at what you wrote down: the height or the hash is of another block"
        raise BadTip(f"{block_hash.hex()} is block {record.height}, not {height}", hint)
    if _is_main(book, record):
        if record.height:
            extension = make_extension(book, parameters, record)
        elif block_hash == network_id(parameters):
            extension = None
        else:
            raise BookDamaged("the first block is not the network's")
        return TipChecked(Fate.HELD, record.height, None, tip, extension)
    if record.standing is Standing.CONDEMNED:
        return TipChecked(Fate.INVALID, record.height, None, tip, None)
    fork = _fork_of(book, record)
    if fork.id == tip.id:
        return TipChecked(Fate.AHEAD, record.height, None, tip, None)
    return TipChecked(Fate.REWRITTEN, record.height, fork.height + 1, tip, None)


# ------------------------------------------------------------------------------------------- the chain


def _place_of(book: Book, parameters: Parameters, txid: bytes) -> tuple[BlockRecord, SaneBlock, int]:
    """Return the block that holds the entry, and at which leaf."""
    for place in book.places_of(txid):
        record = book.main_at(place.height)
        if record is None or place.height == 0:
            continue
        sane = _stored(book, parameters, record)
        if place.position < len(sane.leaves) and sane.leaves[place.position] == txid:
            return record, sane, place.position
    hint = "an entry has a receipt once it stands in a block: see `python cli.py tx TXID`"
    raise NotFound(f"the book has no entry {txid.hex()}", hint)


def _main_block(book: Book, name: int | bytes) -> BlockRecord:
    record = book.main_at(name) if isinstance(name, int) else book.find(name)
    if record is None or not _is_main(book, record):
        shown = name if isinstance(name, int) else name.hex()
        raise NotFound(f"the book has no block {shown}", "see `python cli.py blocks`, or `check-tip HASH`")
    return record


def _is_main(book: Book, record: BlockRecord) -> bool:
    main = book.main_at(record.height)
    return main is not None and main.id == record.id


def _fork_of(book: Book, record: BlockRecord) -> BlockRecord:
    """Return the last block of the main chain below a block of a side branch; O(log length) reads."""
    while not _is_main(book, record):
        skipped = book.record(record.skip_id)
        # A skip that lands on the main chain may have passed the fork.
        record = book.record(record.parent_id) if _is_main(book, skipped) else skipped
    return record


# ------------------------------------------------------------------------------------------- its parts


@dataclass(frozen=True, slots=True)
class _History:
    """The history tree of the main chain, as `history.NodeAt` reads it."""

    book: Book

    def __call__(self, leaf_index: int, level: int) -> bytes:
        record = self.book.main_at(leaf_index)
        if record is None:
            raise BookDamaged(f"there is no block at height {leaf_index}, below the tip")
        if level == 0:
            return merkle.leaf_hash(record.hash)
        return record.history_nodes[(level - 1) * HASH_BYTES : level * HASH_BYTES]


def _stored(book: Book, parameters: Parameters, record: BlockRecord) -> SaneBlock:
    """Return the block that the record is of, hashed again; `_checked` sees to its work and its place."""
    raw = book.body(record.id)
    if raw is None:
        raise BookDamaged(f"the stored block at height {record.height} is missing")
    try:
        sane = sane_block(decode_block(raw), parameters)
    except RuleBroken as broken:
        raise BookDamaged(f"the stored block at height {record.height} is not in order: {broken}") from None
    if sane.header.raw != record.header.raw:
        raise BookDamaged(f"the stored block at height {record.height} has another header")
    return sane


def _part_of(block: Block) -> BlockPart:
    return BlockPart(block.header.raw, body_bytes(block.body))


def _history_parts(
    book: Book, parameters: Parameters, block: BlockRecord, last: BlockRecord
) -> tuple[NetworkPart, TipPart | None, tuple[bytes, ...]]:
    """Return the parts that lead from genesis to the block, and from the block to the last one."""
    node_at = _History(book)
    network = NetworkPart(parameters.encode(), history.inclusion_proof(block.height, 0, node_at))
    if last.height == block.height:
        return network, None, ()
    proof = history.inclusion_proof(last.height, block.height, node_at)
    tip = TipPart(_part_of(_stored(book, parameters, last).block), proof)
    return network, tip, history.consistency_proof(block.height, last.height, node_at)


def _checked(proven: P, last: BlockRecord) -> P:
    try:
        check(proven, last.hash)
    except ReceiptRefused as refused:
        raise BookDamaged(f"this copy cannot prove it ({refused.message})") from None
    return proven
