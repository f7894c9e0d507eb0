"""A book in one SQLite file: made, checked and opened here; WAL, every commit synced to the disk.

Touches the disk. Two connections: one reads, on the core's thread (`reading` under `overlay`), one writes, on
the writer's (`writing`). What opening costs does not depend on the length of the chain.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.ledger import codec, rules
from node.ledger.block import Block, decode_block, genesis_block
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.ledger.state import genesis_accounts
from node.private import FILE_MODE, PathError, make_private_folder, tighten
from node.storage import bulk, schema
from node.storage.faults import BookFault, ForeignNetwork, NotABook, damaged, fault_of
from node.storage.genesis import genesis_record
from node.storage.overlay import OverlaidStore
from node.storage.reading import ReadOnlyBook, connect_read_only
from node.storage.rows import row_of_record
from node.storage.schema import CURRENT, Schema
from node.storage.scratch import SpillingScratch
from node.storage.writing import SqliteWriter

BOOK_NAME: Final = "book.sqlite"
"""Of the file, in the data folder."""
OLDEST_SQLITE: Final = (3, 24, 0)
"""The first with INSERT ... ON CONFLICT DO UPDATE."""

_PAGE_BYTES: Final = 4_096
"""The unit that is written again when a byte of it changes: small, for accounts change here and there."""
_CACHE_KIB: Final = 32_768
_CHECKPOINT_PAGES: Final = 4_096
"""The write-ahead file is folded in at 16 MB: many changes of a page become one, and starting stays quick."""
_WAL_LIMIT_BYTES: Final = 64 << 20
"""To which the write-ahead file is cut back after a large transaction."""
_BUSY_S: Final = 30.0
"""How long to wait for another program (the sqlite3 tool) that writes to the file; seconds."""


@dataclass(frozen=True, slots=True)
class SqliteBook:
    """An open book: what the core uses, and what the writer's thread does."""

    store: OverlaidStore
    """Satisfies port.Store."""
    writer: SqliteWriter
    """Satisfies port.Writer."""
    reader: ReadOnlyBook
    """What lies under the store; for its own thread alone."""
    notices: tuple[str, ...]
    """Sentences for the log: permissions that were tightened, tables that were brought up."""

    def close(self) -> None:
        """Close both connections, the writer's last: it folds the write-ahead file in."""
        self.reader.close()
        self.writer.close()


def open_book(path: Path, parameters: Parameters, *, tables: Schema = CURRENT) -> SqliteBook:
    """Open the book at `path`, made with its genesis block where there is none.

    Raises BookFault: ForeignNetwork, NewerBook, NotABook, Damaged (with the command that remakes it),
    DiskFull, InUse. Whoever opens holds the folder's lock (`files.FolderLock`).
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise BookFault(
            f"this Python has SQLite {sqlite3.sqlite_version}", "use a Python with SQLite 3.24 or later"
        )
    notices = _prepare_file(path)
    try:
        with contextlib.ExitStack() as opened:
            writing = opened.enter_context(contextlib.closing(_connect_for_writing(path)))
            if schema.is_empty(writing):
                _make(writing, parameters, tables)
            found = schema.upgrade(writing, path, tables)
            if found < tables.version:
                notices.append(f"{path} was brought up from schema {found} to {tables.version}")
            reader = ReadOnlyBook(opened.enter_context(contextlib.closing(connect_read_only(path))), path)
            schema.check_tables(writing, path, tables)
            _check(reader, parameters)
            opened.pop_all()
    except sqlite3.Error as error:
        raise fault_of(error, path) from error
    store = OverlaidStore(reader, SpillingScratch)
    return SqliteBook(store, SqliteWriter(writing, path), reader, tuple(notices))


def _prepare_file(path: Path) -> list[str]:
    """Make sure of a file for its owner alone; return sentences about what was open to others."""
    try:
        if not path.parent.exists():
            make_private_folder(path.parent)
        # SQLite would give it the modes of the day; its companions (-wal, -shm) take after it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        said = tighten(path, FILE_MODE)
    except PathError as error:
        raise BookFault(error.message, error.hint) from None
    except IsADirectoryError:
        raise NotABook(
            f"{path} is a folder",
            "move it away and put a copy of the book there, or start without: peers fill it",
        ) from None
    except OSError as error:
        raise BookFault(
            f"cannot open {path} ({error.strerror})", "look at its owner, its permissions and the disk"
        ) from None
    return [said] if said else []


def _connect_for_writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        connection.close()
        raise BookFault(f"the file system of {path} cannot share memory", "keep the book on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    # On macOS an ordinary sync leaves the data in the drive's own memory; no difference elsewhere.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    return connection


def _make(connection: sqlite3.Connection, parameters: Parameters, tables: Schema) -> None:
    """Make a new book with genesis, whole or not at all."""
    genesis = genesis_block(parameters)
    connection.execute("BEGIN IMMEDIATE")
    schema.create(connection, tables)
    meta = [("network_id", genesis.header.hash), ("parameters", parameters.encode())]
    bulk.write_rows(connection, "INSERT INTO meta", meta)
    bulk.write_rows(connection, "INSERT INTO blocks", [row_of_record(genesis_record(parameters), leaf=True)])
    bulk.write_rows(connection, "INSERT INTO bodies", [(0, genesis.raw)])
    bulk.write_rows(connection, "INSERT INTO main", [(0, 0)])
    bulk.set_accounts(connection, genesis_accounts(parameters))
    connection.execute("COMMIT")


def _check(book: ReadOnlyBook, parameters: Parameters) -> None:
    """Look at what costs little: the network, genesis, and the block at the tip, hashed again."""
    genesis = genesis_block(parameters)
    if book.network_id() != genesis.header.hash:
        raise ForeignNetwork(
            f"{book.path} is a book of the network {_network_name(book)}, "
            f"not of {_shown(parameters.name, genesis.header.hash)}",
            "name its own network's file with --config, or another folder with --data-dir",
        )
    if book.record(0).header != genesis.header or book.parameters() != parameters.encode():
        raise damaged(book.path, "its genesis block is another one than it says")
    tip = book.tip()
    if tip.height and tip.parent_id != book.main_id(tip.height - 1):
        raise damaged(book.path, f"block {tip.height} does not follow the one before")
    if tip.height:
        try:
            block: Block = decode_block(book.body(tip.id) or b"")
            rules.sane_block(block, parameters)
        except RuleBroken as broken:
            raise damaged(book.path, f"block {tip.height}: {broken}") from None
        if block.header != tip.header:
            raise damaged(book.path, f"block {tip.height} is stored under another's header")


def _network_name(book: ReadOnlyBook) -> str:
    """Return the name of the network that the book says it is of."""
    try:
        name = codec.decode(book.parameters())[1]
    except (codec.NotCanonical, TypeError, IndexError, KeyError):
        name = "?"
    return _shown(str(name), book.network_id())


def _shown(name: str, network_id: bytes) -> str:
    # Two networks may have the same name.
    return f"{name!a} ({network_id.hex()[:8]})"
