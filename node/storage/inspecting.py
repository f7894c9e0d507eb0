"""Reading a book against itself: the questions about its tables that `verify` asks and nobody else.

Touches the disk, and writes nothing. Each raises BookFault where the file cannot be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from node.storage import bulk
from node.storage.faults import fault_of
from node.storage.port import BlockRecord
from node.storage.reading import ReadOnlyBook
from node.storage.rows import PREFIX_BYTES, place_of_key

_ROWS_AT_ONCE: Final = 500


class Totals(NamedTuple):
    """Rows of the tables whose every row has a meaning."""

    txids: int
    history: int
    accounts: int


def main_ends(book: ReadOnlyBook) -> tuple[int | None, int]:
    """Return the lowest and the highest height of table `main`; (None, 0) where it is empty."""
    lowest, highest = book.ask("SELECT min(height), max(height) FROM main")[0]
    return lowest, highest or 0


def main_rows(book: ReadOnlyBook, above: int) -> Iterator[tuple[int, object]]:
    """Yield (height, block id) of table `main` above a height, ascending, as they stand."""
    query = "SELECT height, id FROM main WHERE height > ? ORDER BY height LIMIT ?"
    while rows := book.ask(query, above, _ROWS_AT_ONCE):
        yield from rows
        above = rows[-1][0]


def missing_keys(book: ReadOnlyBook, table: str, height: int, keys: Sequence[bytes]) -> list[bytes]:
    """Return which keys of a block at `height` are not in table `txids` or `history`."""
    try:
        return bulk.missing_keys(book.connection, table, _segment_at(book, height), keys)
    except sqlite3.Error as error:
        raise fault_of(error, book.path) from error


def txid_prefixes(book: ReadOnlyBook, height: int) -> dict[int, bytes]:
    """Return position -> first 8 bytes of the txid that the index has for the block at `height`."""
    prefixes = {}
    for (key,) in book.ask("SELECT key FROM txids WHERE segment = ?", _segment_at(book, height)):
        place = place_of_key(key)
        if place.height == height:
            prefixes[place.position] = key[:PREFIX_BYTES]
    return prefixes


def totals(book: ReadOnlyBook) -> Totals:
    """Return how many rows there are; reads each."""
    query = (
        "SELECT (SELECT count(*) FROM txids), (SELECT count(*) FROM history), (SELECT count(*) FROM accounts)"
    )
    return Totals(*book.ask(query)[0])


def miscounted_segment(book: ReadOnlyBook) -> int | None:
    """Return a segment of the index whose counter is not the number of its txids."""
    query = """
        SELECT id FROM segments
        WHERE txids IS NOT (SELECT count(*) FROM txids AS t WHERE t.segment = segments.id) LIMIT 1
    """
    return _first(book, query)


def misplaced_leaf(book: ReadOnlyBook) -> int | None:
    """Return a block that is marked as one without children and has some, or the other way round."""
    query = """
        SELECT id FROM blocks WHERE leaf IS NOT (id NOT IN (SELECT parent_id FROM blocks)) ORDER BY id LIMIT 1
    """
    return _first(book, query)


def has_block(book: ReadOnlyBook, block_id: object) -> bool:
    """Return whether there is a row of this block, in order or not."""
    return bool(book.ask("SELECT 1 FROM blocks WHERE id = ?", block_id))


def children(book: ReadOnlyBook, block_id: int) -> list[BlockRecord]:
    """Return the blocks that follow this one; looks at every block."""
    rows = book.ask("SELECT id FROM blocks WHERE parent_id = ? AND id != ? ORDER BY id", block_id, block_id)
    return [book.record(row[0]) for row in rows]


def side_blocks(book: ReadOnlyBook) -> Iterator[BlockRecord]:
    """Yield the blocks that are not on the main chain, in order of arrival."""
    after = -1
    query = """
        SELECT id FROM blocks WHERE id > ? AND id NOT IN (SELECT id FROM main) ORDER BY id LIMIT ?
    """
    while rows := book.ask(query, after, _ROWS_AT_ONCE):
        yield from (book.record(row[0]) for row in rows)
        after = rows[-1][0]


def _segment_at(book: ReadOnlyBook, height: int) -> int:
    query = "SELECT id FROM segments WHERE first_height <= ? ORDER BY id DESC LIMIT 1"
    found = _first(book, query, height)
    return -1 if found is None else found


def _first(book: ReadOnlyBook, query: str, *values: object) -> int | None:
    rows = book.ask(query, *values)
    return rows[0][0] if rows else None
