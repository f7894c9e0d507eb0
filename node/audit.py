"""Reading a whole book again: every stored byte hashed, every rule and signature checked, every table too.

Reads a book and writes nothing; signatures are verified on threads. Needs memory for one block and a bounded
part of the accounts, whatever the length of the chain. Names what is not in order, the first thing or all: by
height along the main chain, then in the tables beside it, then on side branches.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from node import audit_tables, differences
from node.audit_findings import Bad, Difference, Finding, FirstBad, naming, reading
from node.ledger import history, rules, state
from node.ledger.block import Block, Coinbase, decode_block, genesis_block
from node.ledger.entry import Entry, decode_entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock
from node.ledger.signature import verify_many
from node.ledger.state import ABSENT
from node.locating import Located, locate
from node.storage import inspecting
from node.storage.faults import ForeignNetwork
from node.storage.genesis import genesis_record
from node.storage.port import BlockRecord, Standing, StorageFault
from node.storage.reading import ReadOnlyBook
from node.storage.rows import BlockKeys, keys_of_block, place_of_key
from node.storage.scratch import SpillingScratch
from node.tree import skip_height

Progress = Callable[[int, int], None]
"""`progress(height, tip height)`: how far it is."""

_TOLD_AFTER: Final = 1_000
"""Blocks and entries between two calls of `progress`."""
_CHUNK: Final = 64
"""Signatures handed to a thread at a time."""
_SLICE: Final = 20_000
"""Leaves read of one state of the book, at least: some seconds."""
_ACCOUNTS_IN_MEMORY: Final = 200_000
"""More go to a temporary file; some 60 MB."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of reading a book again."""

    height: int
    """Of the main chain's tip, as the book has it."""
    blocks: int
    """Blocks in order, from genesis on."""
    transactions: int
    """Entries in them."""
    first_bad: FirstBad | None
    findings: tuple[FirstBad, ...] = ()
    """All that was found, where more than the first was asked for."""

    @property
    def ok(self) -> bool:
        """True where everything is in order."""
        return self.first_bad is None


class _Enough(Exception):
    """As much was found as was asked for."""


class _Moved(Exception):
    """The main chain left what had been read of it, for another branch."""


def verify(book: ReadOnlyBook, parameters: Parameters, progress: Progress, most: int = 1) -> Verdict:
    """Read the whole book again, also beside a daemon that writes; `most`: findings after which it stops.

    A long book is read in slices, each of the state of then, so that a daemon's write-ahead file can be
    folded in meanwhile; the tables beside the blocks are judged by one state, the last. Raises
    ForeignNetwork where it is another network's; anything else that is wrong is in the verdict.
    """
    with book.snapshot(), ThreadPoolExecutor(os.cpu_count()) as threads:
        while True:
            audit = _Audit(book, parameters, progress, threads, most)
            try:
                audit.run()
            except _Enough:
                pass
            except _Moved:
                continue
            finally:
                audit.close()
            return audit.verdict()


class _Read(NamedTuple):
    """A block that was read, whose index is looked at once the next one shows that it belongs there."""

    record: BlockRecord
    leaves: Sequence[bytes]
    keys: BlockKeys


class _Audit:
    """One reading, block by block. A step raises Bad at the first thing in it that is not in order.

    What follows is judged as far as it can be: behind a block that cannot be read no balance is known.
    """

    def __init__(
        self,
        book: ReadOnlyBook,
        parameters: Parameters,
        progress: Progress,
        threads: ThreadPoolExecutor,
        most: int,
    ) -> None:
        self._book = book
        self._parameters = parameters
        self._progress = progress
        self._threads = threads
        self._most = most
        self._findings: list[FirstBad] = []
        self._genesis = genesis_block(parameters)
        self._accounts = SpillingScratch(lambda _: ABSENT, _ACCOUNTS_IN_MEMORY)
        for key, account in state.genesis_accounts(parameters).items():
            self._accounts[key] = account
        self._history: history.Frontier | None = history.EMPTY
        """Over the blocks so far; None where one of them is not known."""
        self._knows_accounts = True
        self._knows_index = True
        self._unknown = 0
        """Blocks in a row that could not be read, just before."""
        self._history_before: bytes | None = None
        """Root of the history tree that the block at hand must commit to, where it is known."""
        self._coinbases: deque[Coinbase] = deque(maxlen=parameters.maturity + 1)
        self._last: _Read | None = None
        self._txids = 0
        self._touched = 0
        self._tip_height = 0
        self._blocks = 0
        self._entries = 0
        self._untold = 0
        self._in_slice = 0

    def verdict(self) -> Verdict:
        first = self._findings[0] if self._findings else None
        return Verdict(self._tip_height, self._blocks, self._entries, first, tuple(self._findings))

    def close(self) -> None:
        self._accounts.close()

    def run(self) -> None:
        """Read everything. Raises _Enough, _Moved."""
        self._try(self._check_genesis)
        tip = self._read_main(self._begin())
        self._check_last_index()
        if tip is not None:
            self._try(lambda: audit_tables.check_end(self._book, tip))
        if self._knows_index:
            self._try(lambda: audit_tables.check_index(self._book, self._txids, self._touched))
        if self._knows_accounts:
            self._note_all(audit_tables.account_findings(self._book, self._accounts))
        self._note_all(audit_tables.tree_findings(self._book, self._parameters))
        self._note_all(audit_tables.other_findings(self._book))
        self._progress(self._tip_height, self._tip_height)

    def _try(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Bad as bad:
            self._note(bad.found)

    def _note(self, found: FirstBad) -> None:
        """Add a finding. Raises _Enough."""
        self._findings.append(found)
        if found.rule == Finding.INDEX_ROW:
            self._knows_index = False
        if len(self._findings) >= self._most:
            raise _Enough

    def _note_all(self, findings: Iterator[FirstBad]) -> None:
        try:
            for found in findings:
                self._note(found)
        except Bad as bad:
            self._note(bad.found)

    # ---------------------------------------------------------------------------------------- each block

    def _check_genesis(self) -> None:
        genesis = self._genesis
        body = reading(Finding.BODY_MISSING, 0, lambda: self._book.body(0))
        named = reading(Finding.META_ROW, None, lambda: (self._book.network_id(), self._book.parameters()))
        if named != (genesis.header.hash, self._parameters.encode()):
            if body != genesis.raw:
                raise ForeignNetwork(
                    f"{self._book.path} is a book of another network than {self._parameters.name!a}",
                    "name its own network's file with --config",
                )
            raise Bad(FirstBad(Finding.META_ROW, "the book names another network than its genesis block's"))
        lowest, self._tip_height = reading(Finding.MAIN_ROW, 0, lambda: inspecting.main_ends(self._book))
        if lowest != 0 or reading(Finding.MAIN_ROW, 0, lambda: self._book.main_id(0)) != 0:
            raise Bad(FirstBad(Finding.MAIN_ROW, "the main chain does not begin with genesis", 0))
        record = reading(Finding.BLOCK_ROW, 0, lambda: self._book.record(0))
        _check_row(record, genesis_record(self._parameters))
        if body != genesis.raw:
            raise Bad(FirstBad(Finding.GENESIS_BODY, "not the bytes of the genesis block", 0, record.hash))

    def _begin(self) -> BlockRecord:
        """Start behind genesis, which the parameters give, whatever stands in the book."""
        record = genesis_record(self._parameters)
        self._history, _ = history.EMPTY.append(record.hash)
        self._blocks = 1
        return record

    def _read_main(self, genesis: BlockRecord) -> BlockRecord | None:
        """Read the blocks above genesis; return the last one, None where it cannot be told which that is."""
        tip: BlockRecord | None = genesis
        rows = inspecting.main_rows(self._book, 0)
        height = 0
        while True:
            try:
                row = reading(Finding.MAIN_ROW, height + 1, lambda: next(rows, None))
            except Bad as bad:
                self._note(bad.found)
                return None
            if row is None:
                return tip
            if row[0] != height + 1:
                self._note(FirstBad(Finding.MAIN_ROW, "the row is missing", height + 1))
                self._lose(row[0] - height - 1)
                tip = None
            height = row[0]
            tip = self._read_block(tip, height, row[1])
            self._renew(tip)

    def _read_block(self, previous: BlockRecord | None, height: int, block_id: object) -> BlockRecord | None:
        """Read a block; return the record that the next one must follow, None where nothing tells."""
        try:
            if previous is None:
                record = expected = self._found_again(height, block_id)
            else:
                record = self._linked(previous, block_id)
                self._check_last_index()
                expected = self._check_header(record, previous)
        except Bad as bad:
            self._note(bad.found)
            self._lose(1)
            return None
        self._try(lambda: _check_row(record, expected))
        try:
            self._read_body(record)
        except Bad as bad:
            self._note(bad.found)
            self._knows_accounts = self._knows_index = False
        return expected

    def _read_body(self, record: BlockRecord) -> None:
        sane = self._sane(record)
        with naming(record, sane.leaves):
            if self._history_before is not None:
                rules.check_block_in_context(sane, self._history_before)
            entries = rules.sane_entries(sane)
            rules.check_entries_in_context(entries, 0, record.header.timestamp_ms, self._parameters)
            self._check_signatures(entries)
            if self._knows_accounts:
                self._apply(sane, entries)
        keys = keys_of_block(record.height, sane.leaves[0], sane.coinbase.miner, entries)
        self._last = _Read(record, sane.leaves, keys)
        self._tell(record.height, len(entries))

    def _lose(self, blocks: int) -> None:
        """Note that this many blocks cannot be judged, nor what depends on them."""
        self._unknown += blocks
        self._knows_accounts = self._knows_index = False

    def _found_again(self, height: int, block_id: object) -> BlockRecord:
        """Return the block behind one that could not be read: by its own proof of work alone."""
        self._check_last_index()
        if not isinstance(block_id, int):
            raise Bad(FirstBad(Finding.MAIN_ROW, "the row names no block", height))
        record = reading(Finding.BLOCK_ROW, height, lambda: self._book.record(block_id))
        if record.height != height:
            raise Bad(FirstBad(Finding.MAIN_ROW, "the row names a block of another height", height))
        with naming(record):
            rules.sane_header(record.header)
        if self._unknown == 1 and self._history is not None:
            self._history, _ = self._history.append(record.header.previous)  # the one between, by its hash
        else:
            self._history = None
        self._unknown = 0
        self._history_before = None if self._history is None else self._history.root()
        if self._history is not None:
            self._history, _ = self._history.append(record.hash)
        return record

    def _renew(self, tip: BlockRecord | None) -> None:
        """Go on with the book as it is now, every so often. Raises _Moved."""
        if self._in_slice < _SLICE:
            return
        self._in_slice = 0
        self._book.renew()
        if tip is not None and self._book.main_id(tip.height) != tip.id:
            raise _Moved
        _, self._tip_height = inspecting.main_ends(self._book)

    def _linked(self, previous: BlockRecord, block_id: object) -> BlockRecord:
        """Return the block that the main chain has after `previous`."""
        height = previous.height + 1
        try:
            record = self._book.record(block_id) if isinstance(block_id, int) else None
        except StorageFault as fault:
            self._check_last_index()
            is_there = reading(Finding.BLOCK_ROW, height, lambda: inspecting.has_block(self._book, block_id))
            if is_there or not self._siblings(previous, block_id):
                raise Bad(FirstBad(Finding.BLOCK_ROW, str(fault), height)) from fault
            record = None
        if record is not None and record.header.previous == previous.hash and record.height == height:
            if record.standing is Standing.PROVEN or not self._siblings(previous, block_id):
                return record
        elif record is not None and self._follows_a_sibling(record, previous):
            self._last = None
            detail = "the row names another block than the one that the next block follows"
            raise Bad(FirstBad(Finding.MAIN_ROW, detail, previous.height, previous.hash))
        self._check_last_index()
        if record is None or record.height != height or self._siblings(previous, block_id):
            detail = "the row names another block than one that was connected there"
            raise Bad(FirstBad(Finding.MAIN_ROW, detail, height))
        detail = "it does not follow the block before: one of the two was changed"
        raise Bad(FirstBad(Rule.UNKNOWN_PARENT, detail, height, record.hash))

    def _siblings(self, previous: BlockRecord, block_id: object) -> list[BlockRecord]:
        """Return the other blocks that were connected after `previous` once."""
        read = lambda: inspecting.children(self._book, previous.id)  # noqa: E731
        children = reading(Finding.BLOCK_ROW, previous.height + 1, read)
        return [child for child in children if child.id != block_id and child.standing is Standing.PROVEN]

    def _follows_a_sibling(self, record: BlockRecord, previous: BlockRecord) -> bool:
        """Return whether the block that this one follows by its header has the parent of `previous`."""
        finding, height = Finding.BLOCK_ROW, previous.height
        parent = reading(finding, height, lambda: self._book.find(record.header.previous))
        return parent is not None and parent.header.previous == previous.header.previous

    def _check_header(self, record: BlockRecord, previous: BlockRecord) -> BlockRecord:
        """Check a header by the rules; return the row that they give it."""
        with naming(record):
            rules.sane_header(record.header)
            rules.check_header_in_context(record.header, previous, self._parameters)
        nodes: Sequence[bytes] = ()
        self._history_before = None if self._history is None else self._history.root()
        if self._history is not None:
            self._history, nodes = self._history.append(record.hash)
        skip = skip_height(record.height)
        skip_id = reading(Finding.MAIN_ROW, skip, lambda: self._book.main_id(skip))
        return replace(
            record,
            work=previous.work + record.header.work,
            chain_time=rules.chain_time_of(record.header, previous, self._parameters),
            parent_id=previous.id,
            skip_id=-1 if skip_id is None else skip_id,
            history_nodes=record.history_nodes if self._history is None else b"".join(nodes),
            standing=Standing.PROVEN,
            rule="",
        )

    def _sane(self, record: BlockRecord) -> SaneBlock:
        """Read a block's bytes and hash them to its header."""
        raw = reading(Finding.BODY_MISSING, record.height, lambda: self._book.body(record.id))
        if raw is None:
            detail = "the block's bytes are missing"
            raise Bad(FirstBad(Finding.BODY_MISSING, detail, record.height, record.hash))
        with naming(record):
            block = decode_block(raw)
            if block.header != record.header:
                detail = "the block's bytes begin with another header"
                raise Bad(FirstBad(Finding.BODY_HEADER, detail, record.height, record.hash))
            try:
                return rules.sane_block(block, self._parameters)
            except RuleBroken as broken:
                if broken.rule is not Rule.ENTRIES_ROOT:
                    raise
                raise Bad(self._located(record, block, broken)) from broken

    def _located(self, record: BlockRecord, block: Block, broken: RuleBroken) -> FirstBad:
        """Return the finding of an edited block, with the entry and what it says."""
        position, txid, found_txid, proven = self._locate(record, block)
        said = None
        if position is not None and found_txid is not None:
            said = block.entries[position - 1] if position else block.first_leaf
        told = () if position is None else differences.of_leaf(position, said, proven)
        place = (record.height, record.hash, position, txid, found_txid)
        return FirstBad(broken.rule, broken.detail, *place, told)

    def _locate(self, record: BlockRecord, block: Block) -> Located:
        """Find out which entry was changed, from the index and the entries themselves."""
        prefixes = reading(
            Finding.INDEX_ROW, record.height, lambda: inspecting.txid_prefixes(self._book, record.height)
        )
        suspects = [
            position for position, raw in enumerate(block.entries, 1) if not self._is_sound_entry(raw)
        ]
        return locate(block, prefixes, suspects)

    def _is_sound_entry(self, raw: bytes) -> bool:
        try:
            entry = decode_entry(raw)
        except RuleBroken:
            return False
        return all(verify_many(rules.signature_items(self._genesis.header.hash, [entry])))

    def _check_signatures(self, entries: Sequence[Entry]) -> None:
        items = rules.signature_items(self._genesis.header.hash, entries)
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        over = self._threads.map if len(chunks) > 1 else map  # one alone is no quicker on a thread
        valid = [good for answers in over(verify_many, chunks) for good in answers]
        if not all(valid):
            raise rules.signature_broken(valid.index(False))

    def _apply(self, sane: SaneBlock, entries: Sequence[Entry]) -> None:
        """Move the money of a block. Raises RuleBroken."""
        fees = state.apply_entries(self._accounts, entries, 0)
        rules.check_coinbase_amount(sane.coinbase, fees, self._parameters)
        self._coinbases.append(sane.coinbase)
        matured = rules.matured_height(sane.header.height, self._parameters)
        if matured is not None:
            # It holds the last ones, one more than a coinbase takes to mature.
            state.apply_coinbase(self._accounts, self._coinbases[0])

    def _check_last_index(self) -> None:
        """Look for the last block's leaves in the index by txid and by account; notes what is wrong."""
        last, self._last = self._last, None
        if last is None:
            return
        touched = sorted(set(last.keys.history))
        for table, keys in (("txids", last.keys.txids), ("history", touched)):
            self._try(partial(self._check_keys, last, table, keys))
        self._txids += len(last.keys.txids)
        self._touched += len(touched)
        self._blocks += 1
        self._entries += len(last.leaves) - 1
        self._in_slice += len(last.leaves)

    def _check_keys(self, last: _Read, table: str, keys: Sequence[bytes]) -> None:
        height = last.record.height
        missing = self._missing(table, height, keys)
        if missing:
            key = min(missing, key=place_of_key)
            position = place_of_key(key).position
            txid = last.leaves[position]
            told = (Difference(f"{table}.key", None, key.hex()),)
            detail = f"table {table} has no row of it"
            place = (height, last.record.hash, position, txid, txid)
            raise Bad(FirstBad(Finding.INDEX_ROW, detail, *place, told))

    def _missing(self, table: str, height: int, keys: Sequence[bytes]) -> list[bytes]:
        return reading(
            Finding.INDEX_ROW, height, lambda: inspecting.missing_keys(self._book, table, height, keys)
        )

    def _tell(self, height: int, entries: int) -> None:
        self._untold += 1 + entries
        if self._untold >= _TOLD_AFTER:
            self._untold = 0
            self._progress(height, self._tip_height)


def _check_row(record: BlockRecord, expected: BlockRecord) -> None:
    """Compare a block's row with what it must be; when the block was first seen nobody else knows."""
    wrong = differences.of_rows(record, expected, but=("first_seen_ms",))
    if wrong:
        detail = f"the row has another {wrong[0].name} than the blocks give"
        raise Bad(FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash, fields=wrong))
