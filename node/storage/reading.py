"""Reading a book: the port's questions about what is durable, answered by SQL on a connection of its own.

Touches the disk, and writes nothing. The daemon's store reads through it under its overlay; pages, `verify`
and commands read through it without a node, or beside one that writes (WAL). One thread at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.ledger.block import hash_header
from node.ledger.state import ABSENT, Account
from node.storage import schema
from node.storage.faults import BookFault, NotABook, damaged, fault_of
from node.storage.port import BlockRecord, Place
from node.storage.rows import (
    PLACE_BYTES,
    PREFIX_BYTES,
    RECORD_COLUMNS,
    BadRow,
    account_of_row,
    hash_tail,
    keys_of_row,
    pack_place,
    place_of_key,
    record_of_row,
)

_CACHE_KIB: Final = 8_192
_ROWS_AT_ONCE: Final = 500
_END: Final = Place(2**53, 0)
"""Beyond every place."""

_RECORD: Final = f"SELECT {RECORD_COLUMNS} FROM blocks WHERE "  # noqa: S608 - a constant
_MAIN_AT: Final = f"SELECT {RECORD_COLUMNS} FROM main LEFT JOIN blocks USING (id) WHERE height = ?"  # noqa: S608 - a constant
_MAIN: Final = (
    f"SELECT height, {RECORD_COLUMNS} FROM main JOIN blocks USING (id) "  # noqa: S608 - a constant
    "WHERE height >= ? ORDER BY height LIMIT ?"
)
_HEADERS: Final = (
    "SELECT height, header, tail FROM main JOIN blocks USING (id) WHERE height >= ? ORDER BY height LIMIT ?"
)
# {table} is one of two names, never input. Of each segment come the rows that begin in the range, and the
# last one that begins below it.
_ROWS: Final = """
    SELECT key FROM segments CROSS JOIN {table} ON segment = segments.id
    WHERE first_height <= :height AND key < :end AND key >= ifnull(
        (SELECT max(b.key) FROM {table} AS b WHERE b.segment = segments.id AND b.key < :first), :first
    )
    ORDER BY segments.id DESC, key DESC
"""
_PLACES: Final = _ROWS.format(table="txids")
_HISTORY: Final = _ROWS.format(table="history")


class Counts(NamedTuple):
    """How much the main chain holds."""

    blocks: int
    """Genesis among them."""
    entries: int


class ReadOnlyBook:
    """A book as it is on disk. A read raises BookFault, a StorageFault, where the file is not in order."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Take over a connection in autocommit mode; see `open_read_only`."""
        self._connection = connection
        self.path = path

    # ------------------------------------------------------------------------------- the port's reads

    def tip(self) -> BlockRecord:
        """Return the last block of the main chain."""
        rows = self.ask("SELECT height, id FROM main ORDER BY height DESC LIMIT 1")
        if not rows:
            raise damaged(self.path, "the main chain is empty")
        height, block_id = rows[0]
        record = self.record(block_id)
        if record.height != height:
            raise damaged(self.path, f"block {record.height} stands at height {height} of the main chain")
        return record

    def next_id(self) -> int:
        """Return the id for the next new block."""
        return int(self.ask("SELECT ifnull(max(id), -1) + 1 FROM blocks")[0][0])

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""
        rows = self.ask(_RECORD + "id = ?", block_id)
        if not rows:
            raise damaged(self.path, f"block number {block_id} of the tree is missing")
        return self._record_of(rows[0])

    def find(self, block_hash: bytes) -> BlockRecord | None:
        """Return the block of this hash."""
        for row in self.ask(_RECORD + "tail = ?", hash_tail(block_hash)):
            record = self._record_of(row)
            if record.header.hash == block_hash:
                return record
        return None

    def main_at(self, height: int) -> BlockRecord | None:
        """Return the main chain's block at this height, None above the tip."""
        for row in self.ask(_MAIN_AT, height):
            # Where the tree lacks it there are no columns, and whoever looks for the block says so.
            return self.record(row[0]) if row[1] is None else self._record_of(row)
        return None

    def main_id(self, height: int) -> int | None:
        """Return the id of the main chain's block at this height, None above the tip."""
        rows = self.ask("SELECT id FROM main WHERE height = ?", height)
        return rows[0][0] if rows else None

    def main_headers(self, first: int, count: int) -> list[bytes]:
        """Return the raw headers of the main chain from height `first` on, at most `count`, ascending."""
        headers = []
        for height, header, tail in self.ask(_HEADERS, first, count):
            if type(header) is not bytes or hash_tail(hash_header(header)) != tail:
                raise damaged(self.path, f"the header of block {height} hashes to another block")
            headers.append(header)
        return headers

    def body(self, block_id: int) -> bytes | None:
        """Return the raw bytes as stored, None where there are none. The caller hashes them again."""
        rows = self.ask("SELECT raw FROM bodies WHERE id = ?", block_id)
        if not rows:
            return None
        raw = rows[0][0]
        if type(raw) is not bytes:
            raise damaged(self.path, f"the body of block number {block_id} is not bytes")
        return raw

    def part_of_body(self, block_id: int, start: int, length: int) -> bytes | None:
        """Return these of the raw bytes as stored; None where they cannot be read, and `body` says why.

        Reads no more of a long row than that takes. The caller hashes them again.
        """
        try:
            with self._connection.blobopen("bodies", "raw", block_id, readonly=True) as blob:
                blob.seek(start)
                return blob.read(length)
        except (sqlite3.Error, ValueError):
            return None

    def account(self, key: bytes) -> Account:
        """Return the account at the tip."""
        rows = self.ask("SELECT balance, nonce FROM accounts WHERE key = ?", key)
        return self._account_of(key, rows[0]) if rows else ABSENT

    def leaves(self, limit: int | None = None) -> list[BlockRecord]:
        """Return the blocks without children, ascending by id; with a limit, the last to arrive."""
        rows = self.ask(_RECORD + "leaf = 1 ORDER BY id DESC LIMIT ?", -1 if limit is None else limit)
        return [self._record_of(row) for row in reversed(rows)]

    def places_of(self, txid: bytes) -> list[Place]:
        """Return candidates for an entry or coinbase leaf on the main chain."""
        return sorted(self._places(_PLACES, txid, _END))

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        """Return places before `before`, newest first, at most `limit`, that may touch the account."""
        return list(islice(self._places(_HISTORY, key, before), limit))

    def _places(self, query: str, of: bytes, before: Place) -> Iterator[Place]:
        """Yield the places before `before` that the index has for these first 8 bytes, newest first."""
        prefix = of[:PREFIX_BYTES]
        first, end = prefix + bytes(PLACE_BYTES), prefix + pack_place(before)
        values = {"height": before.height, "first": first, "end": end}
        try:
            with closing(self._connection.execute(query, values)) as rows:
                for (row,) in rows:
                    if type(row) is bytes and prefix in row:  # an edited one may be of any type
                        found = [key for key in keys_of_row(row) if first <= key < end]
                        yield from map(place_of_key, reversed(found))
        except sqlite3.Error as error:
            raise fault_of(error, self.path) from error

    def value(self, name: str) -> bytes | None:
        """Return a small named value. Raises BookFault where it is none that a node writes."""
        rows = self.ask("SELECT value FROM named WHERE name = ?", name)
        if rows and type(rows[0][0]) is not bytes:
            raise damaged(self.path, f"the value {name!a} is no bytes")
        return rows[0][0] if rows else None

    # -------------------------------------------------------------------------- beyond the port's reads

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all reads see the book as it is now, whatever a daemon writes meanwhile.

        Kept short beside a daemon: its write-ahead file grows until this ends.
        """
        self.ask("BEGIN")
        try:
            self.ask("SELECT count(*) FROM meta")  # the state is fixed by the first read
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def renew(self) -> None:
        """Within `snapshot`: let go of the state that is read, and go on with the one of now."""
        self.ask("ROLLBACK")
        self.ask("BEGIN")
        self.ask("SELECT count(*) FROM meta")

    def network_id(self) -> bytes:
        """Return the id of the book's network."""
        return self._meta("network_id")

    def parameters(self) -> bytes:
        """Return the encoded parameters of the book's network."""
        return self._meta("parameters")

    def counts(self) -> Counts:
        """Return how much the main chain holds, from counters: cheap at any length."""
        height = self.ask("SELECT max(height) FROM main")[0][0] or 0
        leaves = self.ask("SELECT total(txids) FROM segments")[0][0]
        return Counts(height + 1, int(leaves) - height)

    def main_from(self, height: int) -> Iterator[BlockRecord]:
        """Yield the main chain's blocks from this height on, in bounded memory."""
        while True:
            rows = self.ask(_MAIN, height, _ROWS_AT_ONCE)
            yield from (self._record_of(row[1:]) for row in rows)
            if len(rows) < _ROWS_AT_ONCE:
                return
            height = rows[-1][0] + 1

    def accounts_after(self, key: bytes, limit: int) -> list[tuple[bytes, Account]]:
        """Return up to `limit` accounts whose keys come after `key` (b"" for the first), ascending."""
        query = "SELECT key, balance, nonce FROM accounts WHERE key > ? ORDER BY key LIMIT ?"
        return [(row[0], self._account_of(row[0], row[1:])) for row in self.ask(query, key, limit)]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def ask(self, query: str, *values: object) -> list[Any]:
        """Return all rows of a query: for the other parts of storage, which know the tables."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise fault_of(error, self.path) from error

    @property
    def connection(self) -> sqlite3.Connection:
        """For the other parts of storage."""
        return self._connection

    def _meta(self, name: str) -> bytes:
        rows = self.ask("SELECT value FROM meta WHERE name = ?", name)
        if not rows or type(rows[0][0]) is not bytes:
            raise damaged(self.path, f"it does not say its {name}")
        value: bytes = rows[0][0]
        return value

    def _record_of(self, row: tuple[object, ...]) -> BlockRecord:
        try:
            return record_of_row(row)
        except BadRow as bad:
            raise damaged(self.path, f"block number {row[0]} of the tree: {bad}") from bad

    def _account_of(self, key: object, row: tuple[object, ...]) -> Account:
        try:
            return account_of_row(row)
        except BadRow as bad:
            shown = key.hex() if isinstance(key, bytes) else repr(key)
            raise damaged(self.path, f"account {shown}: {bad}") from bad


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that can only read, for one thread at a time."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def open_read_only(path: Path) -> ReadOnlyBook:
    """Open the book at `path` for reading, with or without a daemon that writes to it.

    Raises BookFault: there is none, it is not ours, it is newer or older than this program, it is damaged.
    """
    if not path.is_file():
        raise NotABook(f"there is no book at {path}", "start a node on that folder first")
    try:
        connection = connect_read_only(path)
    except sqlite3.Error as error:
        raise fault_of(error, path) from error
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return ReadOnlyBook(connection, path)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        found = schema.check_version(connection, path)
        if not schema.CURRENT.reads(found):
            raise BookFault(f"{path} is of an older version (schema {found})", "start its node once")
        schema.check_tables(connection, path)
    except sqlite3.Error as error:
        raise fault_of(error, path) from error
