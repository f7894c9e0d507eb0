"""Reading a damaged book: what can still be read, row by row; what cannot is passed over and counted.

Touches the disk, and writes nothing: the damaged file is evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.storage.port import BlockRecord
from node.storage.reading import connect_read_only
from node.storage.rows import RECORD_COLUMNS, BadRow, record_of_row

_PATIENCE: Final = 10_000
"""Numbers tried without finding anything, where the file does not tell how many blocks it has."""


class Salvaged(NamedTuple):
    """What is left of one block; ids are in order of arrival."""

    id: int
    raw: bytes | None
    """Its bytes as stored, whatever they are; None where they cannot be read."""
    record: BlockRecord | None
    """Its row, where that is in order."""


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
            raw = _bytes(self._ask("SELECT raw FROM bodies WHERE id = ?", block_id))
            found = Salvaged(block_id, raw, self._record(block_id))
            if found.raw is not None or found.record is not None:
                if count is None:
                    yield from (Salvaged(lost, None, None) for lost in range(last_found + 1, block_id))
                last_found = block_id
                yield found
            elif count is not None:
                yield found
            block_id += 1

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
