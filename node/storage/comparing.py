"""Two books side by side: the rows in which a damaged one differs from the healed one. Reads both, by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.storage.rows import KEY_BYTES, KEYS_OF_ROW

_TABLES: Final = {
    # Table: its key's columns, and the others. Left out is what the node notes for itself alone, and the
    # segments that an index is cut into.
    "meta": (("name",), ("value",)),
    "blocks": (
        ("id",),
        ("header", "work", "chain_time", "parent_id", "skip_id", "history_nodes", "rule", "tail", "leaf"),
    ),
    "main": (("height",), ("id",)),
    "accounts": (("key",), ("balance", "nonce")),
    "txids": (("key",), ()),
    "history": (("key",), ()),
    "named": (("name",), ("value",)),
}


_INDEX: Final = ("txids", "history")


class Row(NamedTuple):
    """One row that differs."""

    table: str
    key: dict[str, Any]
    said: dict[str, Any] | None
    """The other columns as the damaged book has them; None where it has no such row."""
    proof: dict[str, Any] | None
    """As the healed one has them; None where there is no such row."""


class Body(NamedTuple):
    """The bytes of one block that differ."""

    id: int
    said: bytes | None
    proof: bytes | None


def differing_rows(old: Path, new: Path, most: int) -> Iterator[Row]:
    """Yield up to `most` rows a table; a table of the old book that cannot be read is passed over."""
    with closing(_both(old, new)) as connection:
        for table, (keys, others) in _TABLES.items():
            columns = ", ".join((*keys, *others))
            try:
                said = _only_in(connection, "damaged", "main", table, columns, most)
                proof = _only_in(connection, "main", "damaged", table, columns, most)
            except sqlite3.Error:
                continue
            width = len(keys)
            left = {row[:width]: row[width:] for row in said}
            right = {row[:width]: row[width:] for row in proof}
            for key in [*left, *(key for key in right if key not in left)]:
                yield Row(
                    table,
                    dict(zip(keys, key, strict=True)),
                    dict(zip(others, left[key], strict=True)) if key in left else None,
                    dict(zip(others, right[key], strict=True)) if key in right else None,
                )


def differing_bodies(old: Path, new: Path, most: int) -> Iterator[Body]:
    """Yield up to `most` blocks whose bytes differ; none where the old book's cannot be read."""
    query = """
        SELECT id, d.raw, m.raw FROM main.bodies AS m LEFT JOIN damaged.bodies AS d USING (id)
        WHERE d.raw IS NOT m.raw ORDER BY id LIMIT ?
    """
    with closing(_both(old, new)) as connection:
        try:
            for block_id, said, proof in connection.execute(query, (most,)):
                yield Body(block_id, said if isinstance(said, bytes) else None, proof)
        except sqlite3.Error:
            return


def _both(old: Path, new: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(new.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("ATTACH ? AS damaged", (old.absolute().as_uri() + "?mode=ro",))
    except sqlite3.Error:
        connection.execute("ATTACH ':memory:' AS damaged")
    return connection


def _only_in(
    connection: sqlite3.Connection, one: str, other: str, table: str, columns: str, most: int
) -> list[tuple[Any, ...]]:
    here, there = _source(one, table), _source(other, table)
    query = f"SELECT {columns} FROM {here} EXCEPT SELECT {columns} FROM {there} LIMIT ?"  # noqa: S608 - constants
    return connection.execute(query, (most,)).fetchall()


def _source(book: str, table: str) -> str:
    """Return where a table's rows come from: of the index its keys, however many stand in a row."""
    if table not in _INDEX:
        return f"{book}.{table}"
    numbers = ", ".join(f"({number})" for number in range(KEYS_OF_ROW))
    return f"""(
        WITH piece (number) AS (VALUES {numbers})
        SELECT substr(t.key, number * {KEY_BYTES} + 1, {KEY_BYTES}) AS key FROM {book}.{table} AS t
        JOIN piece ON number * {KEY_BYTES} < length(t.key)
    )"""  # noqa: S608 - constants
