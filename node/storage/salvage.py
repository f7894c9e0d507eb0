"""Reading a damaged book: what can still be read, row by row; what cannot is passed over and counted.

Touches the disk, and writes nothing: the damaged file is evidence.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.storage.port import BlockRecord, Place
from node.storage.reading import connect_read_only
from node.storage.rows import PREFIX_BYTES, RECORD_COLUMNS, BadRow, pack_place, record_of_row

_PAGE_BYTES: Final = 4_096
_PATIENCE: Final = 10_000
"""Numbers tried without finding anything, where the file does not tell how many blocks it has."""


class Salvaged(NamedTuple):
    """What is left of one block; ids are in order of arrival."""

    id: int
    raw: bytes | None
    """Its bytes as stored, whatever they are; None where they cannot be read."""
    record: BlockRecord | None
    """Its row, where that is in order."""


def is_readable(path: Path) -> bool:
    """Tell whether SQLite can read a book's blocks at all: its first page, and the tables behind it."""
    with closing(DamagedBook(path)) as book:
        return not book.trouble and book.count() is not None


def write_mended(path: Path, like: Path, to: Path) -> None:
    """Write a copy of an unreadable book with the first page of another one, and without missing pages.

    All books are made alike, so their first page says the same, but for how long the file is: what it lists
    begins on the same pages. What the pages say is as it was, and for others to check.
    """
    first = bytearray(like.read_bytes()[:_PAGE_BYTES])
    size = max(path.stat().st_size, like.stat().st_size)
    pages = -(-size // _PAGE_BYTES)
    first[28:32] = pages.to_bytes(4, "big")  # pages of the file; believed where the next two agree
    first[92:96] = first[24:28]
    first[32:40] = bytes(8)  # no free pages
    shutil.copyfile(path, to)
    with to.open("r+b") as file:
        file.write(first)
        file.truncate(pages * _PAGE_BYTES)


class DamagedBook:
    """A file that may be anything. Nothing here raises for what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection | None = None
        try:
            connection = connect_read_only(path)
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except sqlite3.Error as error:
            self.trouble = str(error)
            return
        if not tables:  # SQLite takes a file without a byte for a database
            connection.close()
            self.trouble = "it is empty"
            return
        self._connection = connection
        self.trouble = ""
        """Why nothing at all can be read; empty where something can."""

    def network_id(self) -> bytes | None:
        """Return the network that it says it is of."""
        return _bytes(self._ask("SELECT value FROM meta WHERE name = 'network_id'"))

    def height(self) -> int | None:
        """Return the height that its main chain had."""
        return _integer(self._ask("SELECT max(height) FROM main"))

    def count(self) -> int | None:
        """Return how many blocks it had, on all branches."""
        tops = [_integer(self._ask(f"SELECT max(id) FROM {table}")) for table in ("blocks", "bodies")]  # noqa: S608 - constants
        return max((top + 1 for top in tops if top is not None), default=None)

    def blocks(self) -> Iterator[Salvaged]:
        """Yield what is left of each block, in order of arrival; what is lost as well, with nothing in it.

        Where the file does not tell how many there were, numbers behind the last one found count as none.
        """
        count = self.count()
        block_id = last_found = 0
        while block_id < count if count is not None else block_id < last_found + _PATIENCE:
            raw = self.body(block_id)
            found = Salvaged(block_id, raw, self._record(block_id))
            if found.raw is not None or found.record is not None:
                if count is None:
                    yield from (Salvaged(lost, None, None) for lost in range(last_found + 1, block_id))
                last_found = block_id
                yield found
            elif count is not None and block_id <= last_found + _PATIENCE:
                yield found
            elif count is not None:
                block_id = self._next_id(block_id)  # an edited number may be far off
                continue
            block_id += 1

    def _next_id(self, after: int) -> int:
        """Return the next number that there is, one beyond all where there is none."""
        tables = ("blocks", "bodies")
        found = [_integer(self._ask(f"SELECT min(id) FROM {table} WHERE id > ?", after)) for table in tables]  # noqa: S608 - constants
        return min((number for number in found if number is not None), default=2**63)

    def body(self, block_id: int) -> bytes | None:
        """Return the bytes that are stored under a number, whatever they are."""
        return _bytes(self._ask("SELECT raw FROM bodies WHERE id = ?", block_id))

    def main_id(self, height: int) -> int | None:
        """Return the number of the block that the main chain had at this height."""
        return _integer(self._ask("SELECT id FROM main WHERE height = ?", height))

    def has_leaf(self, leaf: bytes, place: Place) -> bool:
        """Tell whether the index has a leaf of this hash at this place."""
        key = leaf[:PREFIX_BYTES] + pack_place(place)
        return bool(self._ask("SELECT 1 FROM txids WHERE instr(key, ?) LIMIT 1", key))

    def values(self) -> dict[str, bytes]:
        """Return the small named values."""
        rows = self._ask("SELECT name, value FROM named")
        return {name: value for name, value in rows if isinstance(name, str) and isinstance(value, bytes)}

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()

    def _record(self, block_id: int) -> BlockRecord | None:
        rows = self._ask(f"SELECT {RECORD_COLUMNS} FROM blocks WHERE id = ?", block_id)  # noqa: S608 - a constant
        try:
            return record_of_row(rows[0]) if rows else None
        except BadRow:
            return None

    def _ask(self, query: str, *values: object) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error:
            return []


def _bytes(rows: list[Any]) -> bytes | None:
    return rows[0][0] if rows and isinstance(rows[0][0], bytes) else None


def _integer(rows: list[Any]) -> int | None:
    return rows[0][0] if rows and isinstance(rows[0][0], int) else None
