"""The tables of a book, their version, and the way up from older ones. SQL and a connection; opens nothing.

What changes the tables is a new version: a new list of CREATE statements, and one step more in `upgrades`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from node.storage.faults import NewerBook, NotABook, damaged

APPLICATION_ID: Final = 0x494E4442
"""`INDB`, in the header of the file: says whose database it is, to us and to the `file` command."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of the tables."""

    version: int
    """From 1; stands in the file's header (user_version)."""
    create: tuple[str, ...]
    """The statements that make a new book."""
    upgrades: Mapping[int, tuple[str, ...]]
    """The statements that lead from each earlier version to the one after it."""

    def reads(self, version: int) -> bool:
        """Tell whether tables of this version can be read as they are: no step from there changes any."""
        return all(self.upgrades.get(step) == () for step in range(version, self.version))

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables, read off the statements."""
        words = (statement.split() for statement in self.create)
        return frozenset(found[2] for found in words if found[:2] == ["CREATE", "TABLE"])


CURRENT: Final = Schema(
    version=2,
    create=(
        # What the book is: `network_id` and `parameters`, the encoded ones.
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        # The tree; ids in order of arrival. `tail` is searched by, `leaf` is 1 for a block without children.
        """
        CREATE TABLE blocks (
            id INTEGER PRIMARY KEY, header BLOB NOT NULL, work BLOB NOT NULL, chain_time INTEGER NOT NULL,
            parent_id INTEGER NOT NULL, skip_id INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL,
            history_nodes BLOB NOT NULL, standing INTEGER NOT NULL, rule TEXT NOT NULL,
            tail BLOB NOT NULL, leaf INTEGER NOT NULL
        )
        """,
        "CREATE INDEX blocks_by_tail ON blocks (tail)",
        "CREATE INDEX leaves ON blocks (leaf) WHERE leaf = 1",
        # Whole blocks as they came, uncompressed, so that their bytes can be read with any tool.
        "CREATE TABLE bodies (id INTEGER PRIMARY KEY, raw BLOB NOT NULL)",
        "CREATE TABLE main (height INTEGER PRIMARY KEY, id INTEGER NOT NULL)",
        """
        CREATE TABLE accounts (
            key BLOB PRIMARY KEY, balance INTEGER NOT NULL, nonce INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        # The index over the main chain, with rows as in rows.py; `txids` is how many a segment holds.
        """
        CREATE TABLE segments (
            id INTEGER PRIMARY KEY, first_height INTEGER NOT NULL, txids INTEGER NOT NULL
        )
        """,
        "CREATE TABLE txids (segment INTEGER, key BLOB, PRIMARY KEY (segment, key)) WITHOUT ROWID",
        "CREATE TABLE history (segment INTEGER, key BLOB, PRIMARY KEY (segment, key)) WITHOUT ROWID",
        # Small values that the core keeps by name.
        "CREATE TABLE named (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    ),
    # In version 1 every key of the index had a row of its own, as it still may have.
    upgrades=MappingProxyType({1: ()}),
)


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether the file has no table yet: it is new, or its making was cut short."""
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_schema").fetchone()[0])


def create(connection: sqlite3.Connection, schema: Schema = CURRENT) -> None:
    """Make the tables, within the caller's transaction."""
    for statement in schema.create:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.version}")


def check_version(connection: sqlite3.Connection, path: Path, schema: Schema = CURRENT) -> int:
    """Return the version of the file's tables, at most the one known here.

    Raises NotABook for another program's file, NewerBook for a later version of this one.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise NotABook(f"{path} is another program's database", "name another folder with --data-dir")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > schema.version:
        raise NewerBook(
            f"{path} was written by a newer Indelible (schema {found}, this one knows {schema.version})",
            "update this program, or name another folder with --data-dir",
        )
    return found


def upgrade(connection: sqlite3.Connection, path: Path, schema: Schema = CURRENT) -> int:
    """Bring older tables up, all steps in one transaction; return the version that was found."""
    found = check_version(connection, path, schema)
    if found == schema.version:
        return found
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(found, schema.version):
            if version not in schema.upgrades:
                raise damaged(path, f"schema {version} never was")
            for statement in schema.upgrades[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.version}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return found


def check_tables(connection: sqlite3.Connection, path: Path, schema: Schema = CURRENT) -> None:
    """Raise Damaged, naming it, where a table is missing."""
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    missing = sorted(schema.tables - found)
    if missing:
        raise damaged(path, f"it has no table {missing[0]}")
