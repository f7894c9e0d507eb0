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
from node.ledger.block import Header, decode_block, genesis_block
from node.ledger.entry import Entry, decode_entry
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock, sane_block, sane_header
from node.ledger.state import Account
from node.storage.port import BlockRecord, Place, Standing
from node.weighing import Seen, weigh

MAX_BLOCKS: Final = 100
"""Blocks in one answer: each is read and hashed whole, so this bounds one question to about a second."""

MAX_ENTRIES: Final = 1_000
"""Entries of a history, or waiting ones, in one answer."""

_PLACES: Final = 256
"""Places fetched from the index at a time."""


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
class StoredBlock:
    """A block above genesis whose stored bytes were hashed again and are its header's."""

    record: BlockRecord
    sane: SaneBlock
    confirmations: int
    """Blocks of the main chain from this one to the tip; 0 on a side branch."""

    def entry(self, position: int) -> Entry:
        """The entry at a leaf index of 1 or more."""
        return decode_entry(self.sane.block.entries[position - 1])


class Query:
    """Questions about one state of one book."""

    def __init__(self, book: Book, parameters: Parameters) -> None:
        self._book = book
        self._parameters = parameters
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
        entries = [self._confirmed(stored, position) for position in range(first, last)]
        coinbase = self._confirmed(stored, 0)
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
            stored = self._stored(record)
            if place.position < len(stored.sane.leaves) and stored.sane.leaves[place.position] == txid:
                return self._confirmed(stored, place.position)
        if waiting is not None:
            return waiting_fields(txid, waiting, self._parameters.prefix)
        return tx_fields(txid)

    def entries_at(self, places: Iterable[Place]) -> list[Json]:
        """Return the entries (rewards, at 0) at places of the main chain, but for places that are not there.

        A block whose places stand side by side is read once.
        """
        found: list[Json] = []
        for height, group in groupby(places, lambda place: place.height):
            if height == 0 or self._book.main_at(height) is None:
                continue
            stored = self._stored(self._main_at(height))
            inside = (place.position for place in group if place.position < len(stored.sane.leaves))
            found += [self._confirmed(stored, position) for position in inside]
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
            stored, position = next(
                (found for found in places if found[1] == after.position or found[0].record.height < start),
                (None, -1),
            )
            if stored is None or (stored.record.height, position) != (start, after.position):
                raise ChainChanged(start)
            balance -= self._moved(stored, position, key)[1]
        items: list[Json] = []
        for stored, position in islice(places, min(limit, MAX_ENTRIES)):
            item, change = self._moved(stored, position, key)
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
            record = self._book.main_at(name)
            if record is None:
                raise NotFound(f"there is no block {name}", f"the newest is block {self._tip.height}")
            return record
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
        # Its own header could have been edited along with it: the next block names the true one.
        is_main = self._is_main(record)
        child = self._book.main_at(record.height + 1) if is_main else None
        if sane.header.raw != record.header.raw or (child and child.header.previous != sane.header.hash):
            raise _damaged(record)
        return StoredBlock(record, sane, self._tip.height - record.height + 1 if is_main else 0)

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

    def _confirmed(self, stored: StoredBlock, position: int) -> Json:
        """Return the entry (or the reward, at 0) of a block as `tx` shows it."""
        header = stored.record.header
        txid = stored.sane.leaves[position]
        fields = tx_fields(txid, "confirmed" if stored.confirmations else "unknown")
        fields |= {
            "height": header.height,
            "block": header.hash.hex(),
            "position": position,
            "confirmations": stored.confirmations,
            "block_timestamp_ms": header.timestamp_ms,
        }
        if position:
            return fields | entry_content(stored.entry(position), self._parameters.prefix)
        return fields | reward_content(stored.sane.coinbase, header.timestamp_ms, self._parameters.prefix)

    def _touching(self, key: bytes, height: int) -> Iterator[tuple[StoredBlock, int]]:
        """Yield places up to that height that touch the key, the last one applied first."""
        for found, group in groupby(self._places(key, Place(height + 1, 0)), lambda place: place.height):
            if found == 0:
                return
            stored = self._stored(self._main_at(found))
            # The coinbase stands first in its block and is applied last.
            for position in sorted({place.position for place in group}, key=lambda at: (at != 0, -at)):
                if position < len(stored.sane.leaves) and _touches(stored, position, key):
                    yield stored, position

    def _places(self, key: bytes, before: Place) -> Iterator[Place]:
        while places := self._book.history_of(key, before, _PLACES):
            yield from places
            before = places[-1]

    def _moved(self, stored: StoredBlock, position: int, key: bytes) -> tuple[Json, int]:
        """Return an item of `history`, and by how much it changed the key's balance."""
        item = self._confirmed(stored, position)
        if position == 0:
            return item | {"direction": "reward"}, stored.sane.coinbase.amount
        entry = stored.entry(position)
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
                coinbase = self._stored(self._main_at(place.height)).sane.coinbase
                total += coinbase.amount if coinbase.miner == key else 0
        return total


_BRANCH_STATUS: Final = {
    Standing.HEADER: "headers-only",
    Standing.STORED: "headers-only",  # its entries are here but never were proven: no more is known valid
    Standing.PROVEN: "valid-fork",
    Standing.CONDEMNED: "invalid",
}


def _damaged(record: BlockRecord, wrong: str = "does not hash to its header") -> BookDamaged:
    return BookDamaged(f"the stored block at height {record.height} {wrong}")


def _touches(stored: StoredBlock, position: int, key: bytes) -> bool:
    if position == 0:
        return stored.sane.coinbase.miner == key
    entry = stored.entry(position)
    return key in (entry.sender, entry.recipient)
