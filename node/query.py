"""Questions about the book, answered from its stored bytes: blocks, entries, histories, balances, tips.

Reads a book through the storage port and touches nothing else. Stored bytes are hashed again before they are
shown: what is no longer what its header says is named, never told as if true (`BookDamaged`). Answers are
JSON-ready: amounts are integers of the smallest unit, hashes lower-case hex, keys addresses, `work` the
cumulative work as a 0x hex string, times Unix milliseconds. What still waits in memory is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final, NamedTuple, Protocol

from node.answers import (
    Json,
    Waiting,
    entry_content,
    reward_content,
    shown_address,
    tx_fields,
    waiting_fields,
)
from node.ledger.block import Coinbase, Header, decode_block, decode_coinbase, genesis_block
from node.ledger.entry import Entry, decode_entry, txid_of
from node.ledger.errors import RuleBroken
from node.ledger.merkle import leaf_hash
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock, sane_block, sane_header
from node.ledger.state import Account
from node.proven_parts import ProvenParts
from node.storage.port import BlockRecord, Place, Standing
from node.weighing import Seen, weigh

MAX_BLOCKS: Final = 100
"""Blocks in one answer: each is read and hashed whole, so this bounds one question to about a second."""

MAX_ENTRIES: Final = 1_000
"""Entries of a history, or waiting ones, in one answer."""

_PLACES: Final = 64
"""Places fetched from the index at a time: few are wanted, mostly."""


class BookDamaged(Exception):
    """This machine's copy is not what its headers say: a local fault, nobody else's."""

    code: Final = "book-damaged"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = "run `python cli.py verify`: it names the first bad entry"


class NotFound(Exception):
    """The book has nothing of that name."""

    code: Final = "not-found"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ChainChanged(Exception):
    """The block that a page continues from is no longer on the main chain."""

    code: Final = "chain-changed"
    hint: Final = "ask again from the newest"

    def __init__(self, height: int) -> None:
        self.message = f"another block is now at height {height}"
        super().__init__(self.message)


class Book(Protocol):
    """The reads of the storage port that questions need, over one state of the book."""

    def tip(self) -> BlockRecord:
        """Return the last block of the main chain."""

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""

    def find(self, block_hash: bytes) -> BlockRecord | None:
        """Return the block of this hash."""

    def main_at(self, height: int) -> BlockRecord | None:
        """Return the main chain's block at this height, None above the tip."""

    def body(self, block_id: int) -> bytes | None:
        """Return the raw bytes as stored, None where there are none."""

    def part_of_body(self, block_id: int, start: int, length: int) -> bytes | None:
        """Return these of the raw bytes as stored, None where they cannot be read."""

    def account(self, key: bytes) -> Account:
        """Return the account at the tip."""

    def leaves(self, limit: int | None = None) -> list[BlockRecord]:
        """Return the blocks without children; with a limit, the last to arrive."""

    def places_of(self, txid: bytes) -> list[Place]:
        """Return candidates for an entry or coinbase leaf on the main chain."""

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        """Return places before `before`, newest first, at most `limit`, that may touch the account."""


class After(NamedTuple):
    """Where the next page of a history starts: fields of the last item of the page before."""

    height: int
    position: int
    block: bytes
    """Hash of its block, 32 bytes."""
    balance: int
    """The running balance shown there, smallest units."""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """An entry or a coinbase of a stored block, whose stored bytes were hashed again and are its header's."""

    record: BlockRecord
    """Of its block."""
    confirmations: int
    """Of its block; 0 on a side branch."""
    position: int
    txid: bytes
    """Its leaf hash, 32 bytes."""
    content: Entry | Coinbase


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block above genesis whose stored bytes were hashed again and are its header's."""

    record: BlockRecord
    sane: SaneBlock
    confirmations: int
    """Blocks of the main chain from this one to the tip; 0 on a side branch."""

    def entry(self, position: int) -> Entry:
        """The entry at a leaf index of 1 or more."""
        return decode_entry(self.sane.block.entries[position - 1], self.sane.leaves[position])

    def leaf(self, position: int) -> StoredLeaf:
        """The entry at a leaf index, at 0 the coinbase."""
        content = self.entry(position) if position else self.sane.coinbase
        return StoredLeaf(self.record, self.confirmations, position, self.sane.leaves[position], content)


class Query:
    """Questions about one state of one book."""

    def __init__(self, book: Book, parameters: Parameters, proven: ProvenParts | None = None) -> None:
        """`proven`: what was proven when others asked, of this book or any; without it each pays anew."""
        self._book = book
        self._parameters = parameters
        self._proven = ProvenParts() if proven is None else proven
        self._tip = book.tip()

    @property
    def parameters(self) -> Parameters:
        """Of the book's network."""
        return self._parameters

    def blocks(self, limit: int, before: int | None = None) -> list[Json]:
        """Return up to `limit` (at most MAX_BLOCKS) main chain blocks below height `before`, newest first."""
        top = self._tip.height if before is None else min(self._tip.height, before - 1)
        heights = range(top, max(top - min(limit, MAX_BLOCKS), -1), -1)
        return [self._block_fields(record) for record in map(self._main_at, heights)]

    def headers(self, limit: int, before: int | None = None) -> list[Header]:
        """Return headers of main chain blocks below height `before`, newest first; no body is read."""
        top = self._tip.height if before is None else min(self._tip.height, before - 1)
        return [self._main_at(height).header for height in range(top, max(top - limit, -1), -1)]

    def header(self, name: int | bytes) -> Header | None:
        """Return the header of a height on the main chain, or of a hash on any branch; None: not here."""
        record = self._book.main_at(name) if isinstance(name, int) else self._book.find(name)
        return None if record is None else record.header

    def block(self, name: int | bytes) -> Json:
        """Return the block of a height on the main chain or of a hash on any branch, with its entries.

        Raises NotFound for one that is not here, or only its header, or that breaks a rule.
        """
        part = self.part_of_block(name, 1, None)
        del part["coinbase"]
        return part | {"transactions": part.pop("entries")}

    def part_of_block(self, name: int | bytes, first: int, limit: int | None) -> Json:
        """Return a block as `blocks` does, its `coinbase` as an entry, and at most `limit` of its `entries`.

        From position `first` on, which is 1 or more; below that it counts from the end, so that -3 is the
        last but two. Raises NotFound, like `block`.
        """
        record = self._record_of(name)
        if not record.height:
            return self._block_fields(record) | {"coinbase": None, "entries": []}
        stored = self._stored(record)
        leaves = len(stored.sane.leaves)
        first = max(1, first + leaves if first < 1 else first)
        last = leaves if limit is None else min(leaves, first + limit)
        entries = [self._confirmed(stored.leaf(position)) for position in range(first, last)]
        coinbase = self._confirmed(stored.leaf(0))
        return self._stored_fields(stored) | {"coinbase": coinbase, "entries": entries}

    def stored(self, name: int | bytes) -> StoredBlock | None:
        """Return a block's contents, None for genesis, which has none. Raises NotFound, like `block`."""
        record = self._record_of(name)
        return self._stored(record) if record.height else None

    def tx(self, txid: bytes, waiting: Waiting | None = None) -> Json:
        """Return what is known of an entry or a reward (its coinbase's leaf hash); `unknown` is an answer.

        `waiting` is what the core knows of it; a block that holds it weighs more.
        """
        for place in self._book.places_of(txid):
            record = self._book.main_at(place.height)
            if record is None or place.height == 0:
                continue
            for leaf in self._leaves(record, [place.position]):
                if leaf.txid == txid:
                    return self._confirmed(leaf)
        if waiting is not None:
            return waiting_fields(txid, waiting, self._parameters.prefix)
        return tx_fields(txid)

    def entries_at(self, places: Iterable[Place]) -> list[Json]:
        """Return the entries (rewards, at 0) at places of the main chain, but for places that are not there.

        A block whose places stand side by side is read once.
        """
        found: list[Json] = []
        for height, group in groupby(places, lambda place: place.height):
            record = self._book.main_at(height)
            if record is not None and height:
                found += map(self._confirmed, self._leaves(record, [place.position for place in group]))
        return found

    def weighed(self, txid: bytes, waiting: Waiting | None, seen: Seen) -> Json:
        """Return `tx`, and `settled`: whether to hand over what was paid for ({verdict, rule, reason})."""
        found = self.tx(txid, waiting)
        return found | {"settled": weigh(self._book, self._parameters, found, seen)._asdict()}

    def history(self, key: bytes, limit: int, after: After | None = None) -> list[Json]:
        """Return up to `limit` (at most MAX_ENTRIES) entries and rewards of the key, newest first.

        Each with `direction` (in, out, self, reward) and `balance`, the key's balance once it was applied: a
        block's reward comes after its entries, and counts from its own block on, before it matures too.
        Raises ChainChanged when the page before this one was of another branch.
        """
        if after is None:
            balance, start = self._book.account(key).balance + self._immature(key), self._tip.height
        else:
            record = self._book.main_at(after.height)
            if record is None or record.hash != after.block:
                raise ChainChanged(after.height)
            balance, start = after.balance, after.height
        places = self._touching(key, start)
        if after is not None:
            last = next(
                (leaf for leaf in places if leaf.position == after.position or leaf.record.height < start),
                None,
            )
            if last is None or (last.record.height, last.position) != (start, after.position):
                raise ChainChanged(start)
            balance -= self._moved(last, key)[1]
        items: list[Json] = []
        for leaf in islice(places, min(limit, MAX_ENTRIES)):
            item, change = self._moved(leaf, key)
            items.append(item | {"balance": balance})
            balance -= change
        return items

    def balance(self, key: bytes, waiting: Iterable[Entry] = ()) -> Json:
        """Return what the key has, and what `waiting` (pending entries that touch it) will change it by.

        `next_nonce` is the lowest that neither the book nor a pending entry of the key uses.
        """
        balance, nonce = self._book.account(key)
        change, used = 0, set()
        for entry in waiting:
            if entry.sender == key:
                change -= entry.amount + entry.fee
                used.add(entry.nonce)
            if entry.recipient == key:
                change += entry.amount
        while nonce in used:
            nonce += 1
        address = shown_address(self._parameters.prefix, key)
        return {"address": address, "confirmed": balance, "pending": change, "next_nonce": nonce}

    def tips(self, limit: int | None = None) -> list[Json]:
        """Return the ends of all branches, the active one first, then the highest.

        With a limit, the active one and the last to arrive, however many there are.
        """
        found = [
            {
                "hash": leaf.hash.hex(),
                "height": leaf.height,
                "branch_length": self._branch_length(leaf),
                "status": "active" if leaf.id == self._tip.id else _BRANCH_STATUS[leaf.standing],
            }
            for leaf in self._ends(limit)
        ]
        return sorted(found, key=lambda tip: (tip["branch_length"] != 0, -tip["height"], tip["hash"]))

    def _ends(self, limit: int | None) -> list[BlockRecord]:
        """Return the last record of each branch, and the tip, which headers without blocks may follow."""
        leaves = self._book.leaves(limit)
        return leaves if any(leaf.id == self._tip.id for leaf in leaves) else [self._tip, *leaves]

    # ------------------------------------------------------------------------------------------- blocks

    def _record_of(self, name: int | bytes) -> BlockRecord:
        if isinstance(name, int):
            if name > self._tip.height:
                raise NotFound(f"there is no block {name}", f"the newest is block {self._tip.height}")
            return self._main_at(name)
        record = self._book.find(name)
        if record is None:
            raise NotFound(f"there is no block {name.hex()}", "see `python cli.py blocks` and `tips`")
        if record.standing is Standing.CONDEMNED:
            raise NotFound(f"block {name.hex()} breaks a rule ({record.rule})", "it is no part of the book")
        if record.standing is Standing.HEADER or self._book.body(record.id) is None:
            if self._is_main(record):
                raise _damaged(record, "is missing")
            hint = "the rest comes when its branch is the heaviest"
            raise NotFound(f"only the header of block {name.hex()} is here", hint)
        return record

    def _main_at(self, height: int) -> BlockRecord:
        record = self._book.main_at(height)
        if record is None:
            raise BookDamaged(f"there is no block at height {height}, below the tip")
        return record

    def _is_main(self, record: BlockRecord) -> bool:
        main = self._book.main_at(record.height)
        return main is not None and main.id == record.id

    def _stored(self, record: BlockRecord) -> StoredBlock:
        """Read a block above genesis and hash it again: its own bytes, and its place in the chain."""
        raw = self._book.body(record.id)
        if raw is None:
            raise _damaged(record, "is missing")
        try:
            sane = sane_block(decode_block(raw), self._parameters)
            sane_header(sane.header)
        except RuleBroken:
            raise _damaged(record) from None
        is_main = self._is_main(record)
        if sane.header.raw != record.header.raw or (is_main and not self._is_named(record)):
            raise _damaged(record)
        return StoredBlock(record, sane, self._tip.height - record.height + 1 if is_main else 0)

    def _is_named(self, record: BlockRecord) -> bool:
        """Return whether the next block of the main chain, if any, names this one as the one before it.

        Its own header could have been edited along with its body: the next block names the true one.
        """
        child = self._book.main_at(record.height + 1)
        return child is None or child.header.previous == record.header.hash

    def _leaves(self, record: BlockRecord, positions: Iterable[int]) -> Iterator[StoredLeaf]:
        """Yield leaves of a block of the main chain above genesis, without those that it does not have.

        Where its parts were proven before, no more of it is read than those; else it is, and they are noted.
        """
        stored: StoredBlock | None = None
        confirmations = self._tip.height - record.height + 1
        is_named = self._is_named(record)
        for position in positions:
            raw = self._proven_leaf(record, position) if is_named and stored is None else None
            if raw is not None:
                content, txid = (
                    (decode_entry(raw), txid_of(raw)) if position else (decode_coinbase(raw), leaf_hash(raw))
                )
                yield StoredLeaf(record, confirmations, position, txid, content)
                continue
            if stored is None:
                stored = self._stored(record)
                self._proven.note(record.header.hash, stored.sane.block)
            if position < len(stored.sane.leaves):
                yield stored.leaf(position)

    def _proven_leaf(self, record: BlockRecord, position: int) -> bytes | None:
        """Return the bytes of a leaf that was proven before and is still the same, else None."""
        part = self._proven.find(record.header.hash, position)
        return part and part.leaf_of(self._book.part_of_body(record.id, part.start, part.length))

    def _block_fields(self, record: BlockRecord) -> Json:
        if record.height:
            return self._stored_fields(self._stored(record))
        genesis = genesis_block(self._parameters)
        if genesis.header.hash != record.hash:
            raise _damaged(record)
        return self._header_fields(record) | {
            "miner": None,
            "reward": 0,
            "fees": 0,
            "size": len(genesis.raw),
            "transactions": 0,
        }

    def _stored_fields(self, stored: StoredBlock) -> Json:
        coinbase, reward = stored.sane.coinbase, self._parameters.reward(stored.record.height)
        return self._header_fields(stored.record) | {
            "miner": shown_address(self._parameters.prefix, coinbase.miner),
            "reward": reward,
            "fees": coinbase.amount - reward,
            "size": len(stored.sane.block.raw),
            "transactions": len(stored.sane.block.entries),
        }

    def _header_fields(self, record: BlockRecord) -> Json:
        header = record.header
        return {
            "height": header.height,
            "hash": header.hash.hex(),
            "previous": header.previous.hex(),
            "timestamp_ms": header.timestamp_ms,
            "bits": header.bits,
            "work": hex(record.work),
        }

    def _branch_length(self, leaf: BlockRecord) -> int:
        """Return how many blocks of the branch are not on the main chain."""
        if self._is_main(leaf):
            return 0
        lowest = leaf
        while True:  # by skips as far as they stay on the branch: O(log length) of them
            skipped = self._book.record(lowest.skip_id) if lowest.skip_id >= 0 else None
            if skipped is not None and not self._is_main(skipped):
                lowest = skipped
                continue
            parent = self._book.record(lowest.parent_id)
            if self._is_main(parent):
                return leaf.height - parent.height
            lowest = parent

    # ------------------------------------------------------------------------------------------ entries

    def _confirmed(self, leaf: StoredLeaf) -> Json:
        """Return the entry (or the reward, at 0) of a block as `tx` shows it."""
        header = leaf.record.header
        fields = tx_fields(leaf.txid, "confirmed" if leaf.confirmations else "unknown")
        fields |= {
            "height": header.height,
            "block": header.hash.hex(),
            "position": leaf.position,
            "confirmations": leaf.confirmations,
            "block_timestamp_ms": header.timestamp_ms,
        }
        if isinstance(leaf.content, Entry):
            return fields | entry_content(leaf.content, self._parameters.prefix)
        return fields | reward_content(leaf.content, header.timestamp_ms, self._parameters.prefix)

    def _touching(self, key: bytes, height: int) -> Iterator[StoredLeaf]:
        """Yield leaves up to that height that touch the key, the last one applied first."""
        for found, group in groupby(self._places(key, Place(height + 1, 0)), lambda place: place.height):
            if found == 0:
                return
            # The coinbase stands first in its block and is applied last.
            positions = sorted({place.position for place in group}, key=lambda at: (at != 0, -at))
            for leaf in self._leaves(self._main_at(found), positions):
                if _touches(leaf, key):
                    yield leaf

    def _places(self, key: bytes, before: Place) -> Iterator[Place]:
        while places := self._book.history_of(key, before, _PLACES):
            yield from places
            before = places[-1]

    def _moved(self, leaf: StoredLeaf, key: bytes) -> tuple[Json, int]:
        """Return an item of `history`, and by how much it changed the key's balance."""
        item, entry = self._confirmed(leaf), leaf.content
        if isinstance(entry, Coinbase):
            return item | {"direction": "reward"}, entry.amount
        if entry.sender != key:
            return item | {"direction": "in"}, entry.amount
        if entry.recipient == key:
            return item | {"direction": "self"}, -entry.fee
        return item | {"direction": "out"}, -entry.amount - entry.fee

    def _immature(self, key: bytes) -> int:
        """Return the sum of the key's rewards that its balance does not hold yet; smallest units."""
        if self._parameters.maturity == 0:
            return 0
        total = 0
        for place in self._places(key, Place(self._tip.height + 1, 0)):
            if place.height <= self._tip.height - self._parameters.maturity:
                break
            if place.position == 0 and place.height:
                (leaf,) = self._leaves(self._main_at(place.height), [0])
                if isinstance(leaf.content, Coinbase) and leaf.content.miner == key:
                    total += leaf.content.amount
        return total


_BRANCH_STATUS: Final = {
    Standing.HEADER: "headers-only",
    Standing.STORED: "headers-only",  # its entries are here but never were proven: no more is known valid
    Standing.PROVEN: "valid-fork",
    Standing.CONDEMNED: "invalid",
}


def _damaged(record: BlockRecord, wrong: str = "does not hash to its header") -> BookDamaged:
    return BookDamaged(f"the stored block at height {record.height} {wrong}")


def _touches(leaf: StoredLeaf, key: bytes) -> bool:
    if isinstance(leaf.content, Coinbase):
        return leaf.content.miner == key
    return key in (leaf.content.sender, leaf.content.recipient)
