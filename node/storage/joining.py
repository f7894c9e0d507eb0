"""The main chain's table and its index: blocks leave, blocks join. SQL within the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from node.ledger.errors import Rule, RuleBroken
from node.storage import bulk
from node.storage.port import Batch, Place, Switch
from node.storage.rows import BlockKeys, keys_of_block, keys_of_stored, pack_place

SEGMENT_TXIDS: Final = 16_384
"""Of a segment of the index, at most: some 1 MB of pages take all that is new.

What is committed at once stands in one segment, however much it is: the many keys of a sync go into an empty
one, the few of a block at the tip to those of the blocks before.
"""
_KEYS_AT_ONCE: Final = 200_000
"""Index keys gathered before they are written: a long switch needs no more memory than a short one."""
_FOLLOW: Final = """
    WITH RECURSIVE branch (height, id) AS (
        SELECT :height, :new
        UNION ALL SELECT height - 1, parent_id FROM branch JOIN blocks USING (id) WHERE height > :fork + 1
    )
    INSERT INTO main SELECT height, id FROM branch
"""
_ABOVE: Final = (
    "SELECT height, header, raw FROM main JOIN blocks USING (id) LEFT JOIN bodies USING (id) "
    "WHERE height > ? ORDER BY height"
)
# {table} is one of two names, never input.
_DROP_SEGMENTS: Final = "DELETE FROM {table} WHERE segment > ?"
_DROP_KEYS: Final = "DELETE FROM {table} WHERE segment = ? AND substr(key, 9) >= ?"


class MainChain:
    """Tables `main`, `segments`, `txids` and `history`, through the writer's connection."""

    def __init__(self, connection: sqlite3.Connection, segment_txids: int) -> None:
        self._connection = connection
        self._segment_txids = segment_txids
        self._gathered = BlockKeys([], [])
        """Of blocks that join, until it is written."""
        self._first_height = 0
        """Of the first block gathered."""

    def change(self, batches: Sequence[Batch]) -> None:
        """Let the batches' blocks leave and join, in order.

        Raises RuleBroken where a stored body, read again for want of its entries, is no longer its block's.
        """
        self._gathered = BlockKeys([], [])
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
        self._leave(fork)
        self._connection.execute("DELETE FROM main WHERE height > ?", (fork,))
        self._connection.execute(_FOLLOW, {"height": new.height, "new": new.id, "fork": fork})
        for height, header, raw in self._connection.execute(_ABOVE, (fork,)):
            if type(raw) is not bytes:
                raise RuleBroken(Rule.BLOCK_ENCODING, f"the body of block {height} is missing")
            self._join(height, keys_of_stored(raw, header))

    def _leave(self, fork: int) -> None:
        """Take out of the index what stands above the fork, without reading the blocks it was made of."""
        query = "SELECT max(id) FROM segments WHERE first_height <= ?"
        (segment,) = self._connection.execute(query, (fork,)).fetchone()
        above = pack_place(Place(fork + 1, 0))
        dropped = {}
        for table in ("txids", "history"):
            self._connection.execute(_DROP_SEGMENTS.format(table=table), (segment,))
            dropped[table] = self._connection.execute(
                _DROP_KEYS.format(table=table), (segment, above)
            ).rowcount
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
        if keys.txids:
            segment = self._segment_for(self._first_height, len(keys.txids))
            bulk.add_keys(self._connection, "txids", segment, keys.txids)
            bulk.add_keys(self._connection, "history", segment, keys.history)
            self._count(segment, len(keys.txids))

    def _segment_for(self, height: int, txids: int) -> int:
        """Return the segment for blocks that join from `height` on: the last if it has room, or a new one."""
        query = "SELECT id, txids FROM segments ORDER BY id DESC LIMIT 1"
        last: tuple[int, int] | None = self._connection.execute(query).fetchone()
        if last is not None and (last[1] == 0 or last[1] + txids <= self._segment_txids):
            return last[0]
        new = (0, 0) if last is None else (last[0] + 1, height)
        self._connection.execute("INSERT INTO segments VALUES (?, ?, 0)", new)
        return new[0]

    def _count(self, segment: int, txids: int) -> None:
        self._connection.execute("UPDATE segments SET txids = txids + ? WHERE id = ?", (txids, segment))
