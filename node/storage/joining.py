"""The main chain's table and its index: blocks leave, blocks join. SQL within the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from node.ledger.errors import Rule, RuleBroken
from node.storage import bulk
from node.storage.port import Batch, Connected, Place, Switch
from node.storage.rows import KEY_BYTES, KEYS_OF_ROW, BlockKeys, keys_of_block, keys_of_stored, pack_place

SEGMENT_TXIDS: Final = 16_384
"""Of a segment of the index, at most: some 1 MB of pages take all that is new.

The few of a block at the tip go to those of the blocks before; the many of a sync make a new one.
"""
PACKED_FROM: Final = 4_096
"""Txids that are committed at once and make a segment of their own, with many keys to a row."""
_KEYS_AT_ONCE: Final = 200_000
"""Index keys gathered before they are written: a long switch needs no more memory than a short one."""
_FOLLOW: Final = """
    WITH RECURSIVE branch (height, id) AS (
        SELECT :height, :new
        UNION ALL SELECT height - 1, parent_id FROM branch JOIN blocks USING (id) WHERE height > :fork + 1
    )
    INSERT INTO main SELECT height, id FROM branch
"""
_ABOVE: Final = "SELECT height, id FROM main WHERE height > ? ORDER BY height"
_STORED: Final = "SELECT header, raw FROM blocks LEFT JOIN bodies USING (id) WHERE id = ?"
_LAST_SEGMENT: Final = """
    SELECT id, txids, (SELECT length(key) FROM txids WHERE segment = id ORDER BY key LIMIT 1)
    FROM segments ORDER BY id DESC LIMIT 1
"""
"""With the bytes of its first row: there is more than one key in it where the segment is packed."""
# {table} is one of two names, never input.
_DROP_SEGMENTS: Final = "DELETE FROM {table} WHERE segment > ?"
_DROP_KEYS: Final = "DELETE FROM {table} WHERE segment = ? AND substr(key, 9) >= ?"


class MainChain:
    """Tables `main`, `segments`, `txids` and `history`, through the writer's connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        segment_txids: int = SEGMENT_TXIDS,
        packed_from: int = PACKED_FROM,
    ) -> None:
        self._connection = connection
        self._segment_txids = segment_txids
        self._packed_from = packed_from
        self._gathered = BlockKeys([], [])
        """Of blocks that join, until it is written."""
        self._first_height = 0
        """Of the first block gathered."""

    def change(self, batches: Sequence[Batch]) -> None:
        """Let the batches' blocks leave and join, in order.

        Raises RuleBroken where a stored body, read again for want of its entries, is no longer its block's;
        BadRow where keys that are to leave share a row that was never written like this.
        """
        self._gathered = BlockKeys([], [])
        for batch in batches:
            if batch.switch is not None:
                self._follow(batch.switch)
            joined = [(connected.record.height, connected.record.id) for connected in batch.connected]
            bulk.write_rows(self._connection, "INSERT INTO main", joined)
            for one in batch.connected:
                self._join(one.record.height, _keys_of(one))
        self._write()

    def _follow(self, switch: Switch) -> None:
        """Leave the branch above the fork for another, in memory that does not grow with their length."""
        self._write()  # what joined before leaves from the tables like the rest
        fork, new = switch.fork.height, switch.new
        self._leave(fork)
        self._connection.execute("DELETE FROM main WHERE height > ?", (fork,))
        self._connection.execute(_FOLLOW, {"height": new.height, "new": new.id, "fork": fork})
        for height, block_id in self._connection.execute(_ABOVE, (fork,)):
            one = switch.at_hand.get(block_id)
            self._join(height, self._keys_of_stored(height, block_id) if one is None else _keys_of(one))

    def _keys_of_stored(self, height: int, block_id: int) -> BlockKeys:
        header, raw = self._connection.execute(_STORED, (block_id,)).fetchone()
        if type(raw) is not bytes:
            raise RuleBroken(Rule.BLOCK_ENCODING, f"the body of block {height} is missing")
        return keys_of_stored(raw, header)

    def _leave(self, fork: int) -> None:
        """Take out of the index what stands above the fork, without reading the blocks it was made of."""
        query = "SELECT max(id) FROM segments WHERE first_height <= ?"
        (segment,) = self._connection.execute(query, (fork,)).fetchone()
        above = pack_place(Place(fork + 1, 0))
        dropped = {}
        for table in ("txids", "history"):
            self._connection.execute(_DROP_SEGMENTS.format(table=table), (segment,))
            bulk.unpack_rows(self._connection, table, segment)
            found = self._connection.execute(_DROP_KEYS.format(table=table), (segment, above))
            dropped[table] = found.rowcount
        self._connection.execute("DELETE FROM segments WHERE id > ?", (segment,))
        self._count(segment, -dropped["txids"])

    def _join(self, height: int, keys: BlockKeys) -> None:
        if not self._gathered.txids:
            self._first_height = height
        self._gathered.txids.extend(keys.txids)
        self._gathered.history.extend(keys.history)
        if len(self._gathered.history) > _KEYS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        keys, self._gathered = self._gathered, BlockKeys([], [])
        txids = len(keys.txids)
        if not txids:
            return
        segment = self._segment_for(self._first_height, txids)
        to_a_row = KEYS_OF_ROW if txids >= self._packed_from else 1
        bulk.add_keys(self._connection, "txids", segment, keys.txids, to_a_row)
        bulk.add_keys(self._connection, "history", segment, keys.history, to_a_row)
        self._count(segment, txids)

    def _segment_for(self, height: int, txids: int) -> int:
        """Return the segment for so many txids of blocks from `height` on: the last one, or a new one."""
        last = self._connection.execute(_LAST_SEGMENT).fetchone()
        if last is None:
            return self._new_segment(0, 0)
        segment, held, width = last
        has_room = txids < self._packed_from and width == KEY_BYTES and held + txids <= self._segment_txids
        return int(segment) if has_room or not held else self._new_segment(segment + 1, height)

    def _new_segment(self, segment: int, first_height: int) -> int:
        self._connection.execute("INSERT INTO segments VALUES (?, ?, 0)", (segment, first_height))
        return segment

    def _count(self, segment: int, txids: int) -> None:
        self._connection.execute("UPDATE segments SET txids = txids + ? WHERE id = ?", (txids, segment))


def _keys_of(one: Connected) -> BlockKeys:
    return keys_of_block(one.record.height, one.coinbase_leaf, one.coinbase.miner, one.entries)
