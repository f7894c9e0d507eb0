"""The main chain's table and its index: blocks leave, blocks join. SQL within the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.ledger.block import decode_block, decode_coinbase
from node.ledger.entry import decode_entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.merkle import leaf_hash
from node.storage import bulk
from node.storage.port import Batch, BlockRecord, Connected
from node.storage.rows import BlockKeys, Row, keys_of_block

SEGMENT_TXIDS: Final = 16_384
"""Txids after which the index goes on in a new segment: some 1 MB of pages take all that is new."""
_KEYS_AT_ONCE: Final = 200_000
"""Index keys gathered before they are written: a long switch needs no more memory than a short one."""


@dataclass(slots=True)
class _Segment:
    """The last segment of the index, with what is gathered for it."""

    id: int
    first_height: int
    txids: int


@dataclass(slots=True)
class _Gathered:
    """What joins, until it is written."""

    main: list[Row] = field(default_factory=list)
    keys: dict[int, BlockKeys] = field(default_factory=dict)
    """By segment."""
    size: int = 0

    def add(self, segment: int, record: BlockRecord, keys: BlockKeys) -> None:
        """Take one block."""
        self.main.append((record.height, record.id))
        gathered = self.keys.setdefault(segment, BlockKeys([], []))
        gathered.txids.extend(keys.txids)
        gathered.history.extend(keys.history)
        self.size += len(keys.txids) + len(keys.history)


class MainChain:
    """Tables `main`, `segments`, `txids` and `history`, through the writer's connection."""

    def __init__(self, connection: sqlite3.Connection, segment_txids: int) -> None:
        self._connection = connection
        self._segment_txids = segment_txids

    def change(self, batches: Sequence[Batch]) -> None:
        """Let the batches' blocks leave and join, in order.

        Raises RuleBroken where a stored body, read again for want of its entries, is no longer a block.
        """
        gathered = _Gathered()
        last = self._last_segment()
        for batch in batches:
            if batch.disconnected:
                # What joined before leaves from the tables like the rest.
                self._write(gathered)
                gathered = _Gathered()
                self._leave(batch.disconnected)
                last = self._last_segment()
            for connected in batch.connected:
                keys = self._keys_of(connected)
                segment, last = self._segment_for(connected.record.height, last, len(keys.txids))
                gathered.add(segment, connected.record, keys)
                if gathered.size > _KEYS_AT_ONCE:
                    self._write(gathered)
                    gathered = _Gathered()
        self._write(gathered)

    def _write(self, gathered: _Gathered) -> None:
        bulk.write_rows(self._connection, "INSERT INTO main", gathered.main)
        for segment, keys in gathered.keys.items():
            bulk.add_keys(self._connection, "txids", segment, keys.txids)
            bulk.add_keys(self._connection, "history", segment, keys.history)
            self._count(segment, len(keys.txids))

    def _leave(self, records: Sequence[BlockRecord]) -> None:
        for record in records:
            keys = self._keys_of(Connected(record))
            segment = self._segment_at(record.height)
            bulk.drop_keys(self._connection, "txids", segment, keys.txids)
            bulk.drop_keys(self._connection, "history", segment, keys.history)
            self._count(segment, -len(keys.txids))
        # The main chain is a row of heights without gaps, so all from the lowest on leave.
        self._connection.execute("DELETE FROM main WHERE height >= ?", (records[-1].height,))

    # ---------------------------------------------------------------------------------------- segments

    def _last_segment(self) -> _Segment:
        query = "SELECT id, first_height, txids FROM segments ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(query).fetchone()
        return _Segment(*row) if row else self._new_segment(0, 0)

    def _segment_for(self, height: int, last: _Segment, txids: int) -> tuple[int, _Segment]:
        """Return the segment for a block that joins, and the last one, which may be new."""
        if height < last.first_height:
            return self._segment_at(height), last
        if last.txids >= self._segment_txids and height > last.first_height:
            last = self._new_segment(last.id + 1, height)
        last.txids += txids
        return last.id, last

    def _segment_at(self, height: int) -> int:
        query = "SELECT id FROM segments WHERE first_height <= ? ORDER BY id DESC LIMIT 1"
        return int(self._connection.execute(query, (height,)).fetchone()[0])

    def _new_segment(self, segment: int, first_height: int) -> _Segment:
        self._connection.execute("INSERT INTO segments VALUES (?, ?, 0)", (segment, first_height))
        return _Segment(segment, first_height, 0)

    def _count(self, segment: int, txids: int) -> None:
        self._connection.execute("UPDATE segments SET txids = txids + ? WHERE id = ?", (txids, segment))

    # -------------------------------------------------------------------------------------------- keys

    def _keys_of(self, connected: Connected) -> BlockKeys:
        """Return what the block adds to the index, from its parts where they were handed over."""
        record, coinbase, entries = connected.record, connected.coinbase, connected.entries
        if coinbase is not None and entries is not None:
            return keys_of_block(record.height, connected.coinbase_leaf, coinbase.miner, entries)
        row = self._connection.execute("SELECT raw FROM bodies WHERE id = ?", (record.id,)).fetchone()
        if row is None:
            raise RuleBroken(Rule.BLOCK_ENCODING, f"the body of block {record.height} is missing")
        block = decode_block(row[0])
        read = [decode_entry(raw) for raw in block.entries]
        miner = decode_coinbase(block.first_leaf).miner
        return keys_of_block(record.height, leaf_hash(block.first_leaf), miner, read)
