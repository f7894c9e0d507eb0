"""The main chain's table and its index: blocks leave, blocks join. SQL within the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.ledger.block import decode_block, decode_coinbase
from node.ledger.entry import decode_entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.merkle import leaf_hash
from node.storage import bulk
from node.storage.port import Batch, Switch
from node.storage.rows import BlockKeys, keys_of_block

SEGMENT_TXIDS: Final = 16_384
"""Txids after which the index goes on in a new segment: some 1 MB of pages take all that is new."""
_KEYS_AT_ONCE: Final = 200_000
"""Index keys gathered before they are written: a long switch needs no more memory than a short one."""
_BLOCKS_AT_ONCE: Final = 256
"""Of a switch."""
_FOLLOW: Final = """
    WITH RECURSIVE branch (height, id) AS (
        SELECT :height, :new
        UNION ALL SELECT height - 1, parent_id FROM branch JOIN blocks USING (id) WHERE height > :fork + 1
    )
    INSERT INTO main SELECT height, id FROM branch
"""
_ABOVE: Final = "SELECT height, id FROM main WHERE height > ? ORDER BY height LIMIT ?"


@dataclass(slots=True)
class _Segment:
    """The last segment of the index, with what is gathered for it."""

    id: int
    first_height: int
    txids: int


@dataclass(slots=True)
class _Gathered:
    """Index keys of blocks that join, until they are written."""

    keys: dict[int, BlockKeys] = field(default_factory=dict)
    """By segment."""
    size: int = 0

    def add(self, segment: int, keys: BlockKeys) -> None:
        """Take one block."""
        gathered = self.keys.setdefault(segment, BlockKeys([], []))
        gathered.txids.extend(keys.txids)
        gathered.history.extend(keys.history)
        self.size += len(keys.txids) + len(keys.history)


class MainChain:
    """Tables `main`, `segments`, `txids` and `history`, through the writer's connection."""

    def __init__(self, connection: sqlite3.Connection, segment_txids: int) -> None:
        self._connection = connection
        self._segment_txids = segment_txids
        self._gathered = _Gathered()
        self._last = _Segment(0, 0, 0)

    def change(self, batches: Sequence[Batch]) -> None:
        """Let the batches' blocks leave and join, in order.

        Raises RuleBroken where a stored body, read again for want of its entries, is no longer a block.
        """
        self._gathered = _Gathered()
        self._last = self._last_segment()
        for batch in batches:
            if batch.switch is not None:
                self._follow(batch.switch)
            joined = [(connected.record.height, connected.record.id) for connected in batch.connected]
            bulk.write_rows(self._connection, "INSERT INTO main", joined)
            for one in batch.connected:
                height = one.record.height
                self._join(height, keys_of_block(height, one.coinbase_leaf, one.coinbase.miner, one.entries))
        self._write()

    def _follow(self, switch: Switch) -> None:
        """Leave the branch above the fork for another, in memory that does not grow with their length."""
        self._write()  # what joined before leaves from the tables like the rest
        fork, new = switch.fork.height, switch.new
        for height, block_id in self._above(fork):
            self._leave(height, block_id)
        self._connection.execute("DELETE FROM main WHERE height > ?", (fork,))
        self._connection.execute(_FOLLOW, {"height": new.height, "new": new.id, "fork": fork})
        self._last = self._last_segment()
        for height, block_id in self._above(fork):
            self._join(height, self._stored_keys(height, block_id))

    def _above(self, height: int) -> Iterator[tuple[int, int]]:
        """Yield height and id of the main chain's blocks above a height, ascending."""
        while found := self._connection.execute(_ABOVE, (height, _BLOCKS_AT_ONCE)).fetchall():
            yield from found
            height = found[-1][0]

    def _leave(self, height: int, block_id: int) -> None:
        keys = self._stored_keys(height, block_id)
        segment = self._segment_at(height)
        bulk.drop_keys(self._connection, "txids", segment, keys.txids)
        bulk.drop_keys(self._connection, "history", segment, keys.history)
        self._count(segment, -len(keys.txids))

    def _join(self, height: int, keys: BlockKeys) -> None:
        self._gathered.add(self._segment_for(height, len(keys.txids)), keys)
        if self._gathered.size > _KEYS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        for segment, keys in self._gathered.keys.items():
            bulk.add_keys(self._connection, "txids", segment, keys.txids)
            bulk.add_keys(self._connection, "history", segment, keys.history)
            self._count(segment, len(keys.txids))
        self._gathered = _Gathered()

    # ---------------------------------------------------------------------------------------- segments

    def _last_segment(self) -> _Segment:
        query = "SELECT id, first_height, txids FROM segments ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(query).fetchone()
        return _Segment(*row) if row else self._new_segment(0, 0)

    def _segment_for(self, height: int, txids: int) -> int:
        """Return the segment for a block that joins: the last one, which may be new."""
        last = self._last
        if height < last.first_height:
            return self._segment_at(height)
        if last.txids >= self._segment_txids and height > last.first_height:
            last = self._last = self._new_segment(last.id + 1, height)
        last.txids += txids
        return last.id

    def _segment_at(self, height: int) -> int:
        query = "SELECT id FROM segments WHERE first_height <= ? ORDER BY id DESC LIMIT 1"
        return int(self._connection.execute(query, (height,)).fetchone()[0])

    def _new_segment(self, segment: int, first_height: int) -> _Segment:
        self._connection.execute("INSERT INTO segments VALUES (?, ?, 0)", (segment, first_height))
        return _Segment(segment, first_height, 0)

    def _count(self, segment: int, txids: int) -> None:
        self._connection.execute("UPDATE segments SET txids = txids + ? WHERE id = ?", (txids, segment))

    # -------------------------------------------------------------------------------------------- keys

    def _stored_keys(self, height: int, block_id: int) -> BlockKeys:
        """Return what a stored block adds to the index."""
        row = self._connection.execute("SELECT raw FROM bodies WHERE id = ?", (block_id,)).fetchone()
        if row is None:
            raise RuleBroken(Rule.BLOCK_ENCODING, f"the body of block {height} is missing")
        block = decode_block(row[0])
        read = [decode_entry(raw) for raw in block.entries]
        miner = decode_coinbase(block.first_leaf).miner
        return keys_of_block(height, leaf_hash(block.first_leaf), miner, read)
