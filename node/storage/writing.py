"""Writing a book: batches become durable, each group of them in one transaction.

Touches the disk, by SQL on a connection of its own and a thread of its own. Its calls into SQLite are few and
long (`bulk`), so that the interpreter's lock is free while it works.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from node.ledger.errors import RuleBroken
from node.ledger.state import AccountState
from node.storage import bulk
from node.storage.faults import damaged, fault_of
from node.storage.joining import MainChain
from node.storage.port import Batch
from node.storage.rows import BadRow, Row, row_of_record

_ACCOUNTS_AT_ONCE: Final = 50_000
"""Of a scratch copy that may be larger than memory."""
_NEW_STANDING: Final = "ON CONFLICT (id) DO UPDATE SET standing = excluded.standing, rule = excluded.rule"


class SqliteWriter:
    """Satisfies port.Writer."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Take over a connection in autocommit mode to a book that is in order; see `sqlite.open_book`."""
        self.connection = connection
        self._path = path
        self._main = MainChain(connection)

    def commit(self, batches: Iterable[Batch]) -> None:
        """Make the batches durable in one transaction. Raises BookFault; nothing of them was written then."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._write(list(batches))
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise fault_of(error, self._path) from error
        except RuleBroken as broken:
            raise damaged(self._path, f"a stored block: {broken}") from broken
        except BadRow as bad:
            raise damaged(self._path, str(bad)) from bad
        finally:
            if self.connection.in_transaction:
                # What made it fail is on its way up; SQLite may have undone the transaction by itself.
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; the last one to do so folds the write-ahead file in."""
        self.connection.close()

    def _write(self, batches: Sequence[Batch]) -> None:
        self._write_records(batches)
        bodies: list[Row] = [body for batch in batches for body in batch.bodies]
        bulk.write_rows(self.connection, "REPLACE INTO bodies", bodies)
        self._main.change(batches)
        self._write_accounts(batches)
        values = {name: value for batch in batches for name, value in batch.values.items()}
        bulk.write_rows(self.connection, "REPLACE INTO named", list(values.items()))

    def _write_records(self, batches: Sequence[Batch]) -> None:
        records = {record.id: record for batch in batches for record in batch.records}
        if not records:
            return
        query = "SELECT ifnull(max(id), -1) + 1 FROM blocks"
        first_new: int = self.connection.execute(query).fetchone()[0]
        parents = {record.parent_id for record in records.values() if record.id >= first_new}
        rows = [
            row_of_record(records[block_id], leaf=block_id not in parents) for block_id in sorted(records)
        ]
        bulk.write_rows(self.connection, "INSERT INTO blocks", rows, _NEW_STANDING)
        for parent in sorted(parents):
            if parent < first_new:  # nearly always one: the others are new themselves
                self.connection.execute("UPDATE blocks SET leaf = 0 WHERE id = ?", (parent,))

    def _write_accounts(self, batches: Sequence[Batch]) -> None:
        merged: dict[bytes, AccountState] = {}
        for batch in batches:
            if batch.scratch is not None:
                bulk.set_accounts(self.connection, merged)
                merged = {}
                held = batch.scratch.items()
                while part := dict(islice(held, _ACCOUNTS_AT_ONCE)):
                    bulk.set_accounts(self.connection, part)
            merged.update(batch.accounts)
        bulk.set_accounts(self.connection, merged)
