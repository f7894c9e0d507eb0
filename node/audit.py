"""Reading a whole book again: every stored byte hashed, every rule and signature checked, every table too.

Reads a book and writes nothing; signatures are verified on threads. Needs memory for one block and a bounded
part of the accounts, whatever the length of the chain. Names the first thing that is not in order: by height
along the main chain, then in the tables beside it, then on side branches.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

from node import audit_tables
from node.audit_findings import Bad, Finding, FirstBad, naming, reading
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

    @property
    def ok(self) -> bool:
        """True where everything is in order."""
        return self.first_bad is None


def verify(book: ReadOnlyBook, parameters: Parameters, progress: Progress) -> Verdict:
    """Read the whole book again and judge one state of it, also beside a daemon that writes.

    Raises ForeignNetwork where it is another network's; anything else that is wrong is in the verdict.
    """
    with book.snapshot(), ThreadPoolExecutor(os.cpu_count()) as threads:
        audit = _Audit(book, parameters, progress, threads)
        try:
            audit.run()
        except Bad as bad:
            return audit.verdict(bad.found)
        finally:
            audit.close()
        return audit.verdict(None)


class _Read(NamedTuple):
    """A block that was read, whose index is looked at once the next one shows that it belongs there."""

    record: BlockRecord
    leaves: Sequence[bytes]
    keys: BlockKeys


class _Audit:
    """One reading, block by block. Each step raises Bad at the first thing that is not in order."""

    def __init__(
        self, book: ReadOnlyBook, parameters: Parameters, progress: Progress, threads: ThreadPoolExecutor
    ) -> None:
        self._book = book
        self._parameters = parameters
        self._progress = progress
        self._threads = threads
        self._genesis = genesis_block(parameters)
        self._accounts = SpillingScratch(lambda _: ABSENT, _ACCOUNTS_IN_MEMORY)
        self._history = history.EMPTY
        self._coinbases: deque[Coinbase] = deque(maxlen=parameters.maturity + 1)
        self._last: _Read | None = None
        self._txids = 0
        self._touched = 0
        self._tip_height = 0
        self._blocks = 0
        self._entries = 0
        self._untold = 0

    def verdict(self, first_bad: FirstBad | None) -> Verdict:
        return Verdict(self._tip_height, self._blocks, self._entries, first_bad)

    def close(self) -> None:
        self._accounts.close()

    def run(self) -> None:
        """Read everything."""
        tip = self._read_genesis()
        for height, block_id in self._main_rows():
            if height != tip.height + 1:
                raise Bad(FirstBad(Finding.MAIN_ROW, "the row is missing", tip.height + 1))
            tip = self._read_block(tip, block_id)
        self._check_last_index()
        audit_tables.check_end(self._book, tip)
        audit_tables.check_index(self._book, self._txids, self._touched)
        audit_tables.check_accounts(self._book, self._accounts)
        audit_tables.check_tree(self._book, self._parameters)
        self._progress(self._tip_height, self._tip_height)

    # ---------------------------------------------------------------------------------------- each block

    def _read_genesis(self) -> BlockRecord:
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
        for key, account in state.genesis_accounts(self._parameters).items():
            self._accounts.write(key, account)
        self._history, _ = self._history.append(record.hash)
        self._blocks = 1
        return record

    def _main_rows(self) -> Iterator[tuple[int, object]]:
        """Yield the rows above genesis."""
        rows = inspecting.main_rows(self._book, 0)
        while (row := reading(Finding.MAIN_ROW, self._blocks, lambda: next(rows, None))) is not None:
            yield row

    def _read_block(self, previous: BlockRecord, block_id: object) -> BlockRecord:
        record = self._linked(previous, block_id)
        self._check_last_index()
        history_root = self._history.root()
        self._check_record(record, previous)
        sane = self._sane(record)
        with naming(record, sane.leaves):
            rules.check_block_in_context(sane, history_root)
            entries = rules.sane_entries(sane.block.entries, 0)
            rules.check_entries_in_context(entries, 0, record.header.timestamp_ms, self._parameters)
            self._check_signatures(entries)
            self._apply(sane, entries)
        keys = keys_of_block(record.height, sane.leaves[0], sane.coinbase.miner, entries)
        self._last = _Read(record, sane.leaves, keys)
        self._tell(record.height, len(entries))
        return record

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

    def _check_record(self, record: BlockRecord, previous: BlockRecord) -> None:
        """Check a header by the rules, and its row by what the rules give."""
        with naming(record):
            rules.sane_header(record.header)
            rules.check_header_in_context(record.header, previous, self._parameters)
        self._history, nodes = self._history.append(record.hash)
        skip = skip_height(record.height)
        skip_id = reading(Finding.MAIN_ROW, skip, lambda: self._book.main_id(skip))
        expected = replace(
            record,
            work=previous.work + record.header.work,
            chain_time=rules.chain_time_of(record.header, previous, self._parameters),
            parent_id=previous.id,
            skip_id=-1 if skip_id is None else skip_id,
            history_nodes=b"".join(nodes),
            standing=Standing.PROVEN,
            rule="",
        )
        _check_row(record, expected)

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
                located = self._locate(record, block)
                raise Bad(
                    FirstBad(broken.rule, broken.detail, record.height, record.hash, *located)
                ) from broken

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
        """Look for the last block's leaves in the index by txid and by account."""
        last, self._last = self._last, None
        if last is None:
            return
        height = last.record.height
        touched = sorted(set(last.keys.history))
        for table, keys in (("txids", last.keys.txids), ("history", touched)):
            missing = self._missing(table, height, keys)
            if missing:
                position = min(place_of_key(key).position for key in missing)
                txid = last.leaves[position]
                detail = f"table {table} has no row of it"
                raise Bad(FirstBad(Finding.INDEX_ROW, detail, height, last.record.hash, position, txid, txid))
        self._txids += len(last.keys.txids)
        self._touched += len(touched)
        self._blocks += 1
        self._entries += len(last.leaves) - 1

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
    wrong = [
        field.name
        for field in fields(BlockRecord)
        if field.name != "first_seen_ms" and getattr(record, field.name) != getattr(expected, field.name)
    ]
    if wrong:
        detail = f"the row has another {wrong[0]} than the blocks give"
        raise Bad(FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash))
