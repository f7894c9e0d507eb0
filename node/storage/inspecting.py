"""Reading a book against itself: the questions about its tables that `verify` asks and nobody else.

Touches the disk, and writes nothing. Each raises BookFault where the file cannot be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from node.storage import bulk, schema
from node.storage.faults import fault_of
from node.storage.port import BlockRecord
from node.storage.reading import ReadOnlyBook
from node.storage.rows import KEY_BYTES, PREFIX_BYTES, keys_of_row, place_of_key

_ROWS_AT_ONCE: Final = 500
_KEYS: Final = f"ifnull(sum((length(key) + {KEY_BYTES - 1}) / {KEY_BYTES}), 0)"
"""Counts keys; where bytes were added to a row, or taken from a packed one, another number."""


class Totals(NamedTuple):
    """Keys of the index, and rows of accounts."""

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
    query = "SELECT key FROM txids WHERE segment = ? AND typeof(key) = 'blob'"
    for (row,) in book.ask(query, _segment_at(book, height)):
        for key in keys_of_row(row):
            place = place_of_key(key)
            if place.height == height:
                prefixes[place.position] = key[:PREFIX_BYTES]
    return prefixes


def totals(book: ReadOnlyBook) -> Totals:
    """Return how many there are; reads each."""
    txids, history = (
        book.ask(f"SELECT {_KEYS} FROM {table}")[0][0]  # noqa: S608 - constants
        for table in ("txids", "history")
    )
    return Totals(txids, history, book.ask("SELECT count(*) FROM accounts")[0][0])


def miscounted_segment(book: ReadOnlyBook) -> int | None:
    """Return a segment of the index whose counter is not the number of its txids."""
    counted = f"SELECT {_KEYS} FROM txids AS t WHERE t.segment = segments.id"  # noqa: S608 - constants
    return _first(book, f"SELECT id FROM segments WHERE txids IS NOT ({counted}) LIMIT 1")  # noqa: S608


def misplaced_leaf(book: ReadOnlyBook) -> int | None:
    """Return a block that is marked as one without children and has some, or the other way round."""
    query = """
        SELECT id FROM blocks WHERE leaf IS NOT (id NOT IN (SELECT parent_id FROM blocks)) ORDER BY id LIMIT 1
    """
    return _first(book, query)


def file_faults(book: ReadOnlyBook, most: int) -> list[str]:
    """Return what SQLite finds wrong with the file's own structure, at most so much; reads all of it."""
    return [str(row[0]) for row in book.ask(f"PRAGMA integrity_check({most:d})") if row[0] != "ok"]


def foreign_objects(book: ReadOnlyBook) -> list[str]:
    """Return the text of tables, indexes and triggers that are not as made here, or missing."""
    rows = book.ask("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
    found = sorted(" ".join(str(row[0]).split()) for row in rows)
    due = sorted(" ".join(statement.split()) for statement in schema.CURRENT.create)
    return [text for text in (*found, *due) if found.count(text) != due.count(text)]


def odd_meta(book: ReadOnlyBook) -> list[str]:
    """Return what table `meta` holds beside its two rows."""
    rows = book.ask("SELECT name FROM meta WHERE name NOT IN ('network_id', 'parameters')")
    return [str(row[0]) for row in rows]


def named_values(book: ReadOnlyBook) -> list[tuple[object, object]]:
    """Return the rows of table `named`, as they stand."""
    return [(row[0], row[1]) for row in book.ask("SELECT name, value FROM named ORDER BY name")]


def missing_ids(book: ReadOnlyBook) -> int:
    """Return how many numbers of blocks are left out: they are given from 0 on without gaps."""
    return _first(book, "SELECT ifnull(max(id) + 1, 0) - count(*) FROM blocks") or 0


def stray_body(book: ReadOnlyBook) -> int | None:
    """Return a body that belongs to no block, or to one of which only the header should be here."""
    query = """
        SELECT id FROM bodies WHERE id NOT IN (SELECT id FROM blocks WHERE standing != 0) ORDER BY id LIMIT 1
    """
    return _first(book, query)


def has_block(book: ReadOnlyBook, block_id: object) -> bool:
    """Return whether there is a row of this block, in order or not."""
    return bool(book.ask("SELECT 1 FROM blocks WHERE id = ?", block_id))


def children(book: ReadOnlyBook, block_id: int) -> list[BlockRecord]:
    """Return the blocks that follow this one; looks at every block."""
    rows = book.ask("SELECT id FROM blocks WHERE parent_id = ? AND id != ? ORDER BY id", block_id, block_id)
    return [book.record(row[0]) for row in rows]


def next_side_block(book: ReadOnlyBook, after: int) -> int | None:
    """Return the next block after this number that is not on the main chain, in order of arrival."""
    query = "SELECT min(id) FROM blocks WHERE id > ? AND id NOT IN (SELECT id FROM main)"
    return _first(book, query, after)


def _segment_at(book: ReadOnlyBook, height: int) -> int:
    query = "SELECT id FROM segments WHERE first_height <= ? ORDER BY id DESC LIMIT 1"
    found = _first(book, query, height)
    return -1 if found is None else found


def _first(book: ReadOnlyBook, query: str, *values: object) -> int | None:
    rows = book.ask(query, *values)
    return rows[0][0] if rows else None
