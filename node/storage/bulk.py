"""Many rows with few calls into SQLite.

Python's `executemany` gives up the interpreter's lock and takes it again for every row; beside a thread that
reckons, each time may cost a switch interval of 5 ms (measured: a block of 2,000 entries took five seconds).
So rows go in as one packed value that a statement takes apart by itself, or some hundreds a statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from node.ledger.state import ABSENT, Account
from node.storage.rows import Row, pack_accounts

_MOST_ROWS: Final = 256
"""Of one statement: with the widest table, 12 columns, a tenth of the values that SQLite allows."""

# Each takes apart `packed`, which is `count` values of one width side by side.
_KEY_STEPS: Final = "WITH RECURSIVE step (at) AS (SELECT 1 UNION ALL SELECT at + 15 FROM step LIMIT :count) "
_PUT_ACCOUNTS: Final = """
    WITH RECURSIVE step (at) AS (SELECT 1 UNION ALL SELECT at + 64 FROM step LIMIT :count)
    REPLACE INTO accounts SELECT substr(:packed, at, 32),
        CAST(substr(:packed, at + 32, 16) AS INTEGER), CAST(substr(:packed, at + 48, 16) AS INTEGER) FROM step
"""
_DROP_ACCOUNTS: Final = """
    WITH RECURSIVE step (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM step LIMIT :count)
    DELETE FROM accounts WHERE key IN (SELECT substr(:packed, at, 32) FROM step)
"""
# {table} is one of two names, never input.
_ADD_KEYS: Final = _KEY_STEPS + "INSERT INTO {table} SELECT :segment, substr(:packed, at, 15) FROM step"  # noqa: S608
_DROP_KEYS: Final = (
    _KEY_STEPS  # noqa: S608
    + "DELETE FROM {table} WHERE segment = :segment AND key IN (SELECT substr(:packed, at, 15) FROM step)"
)
_MISSING_KEYS: Final = (
    _KEY_STEPS  # noqa: S608
    + "SELECT substr(:packed, at, 15) FROM step WHERE NOT EXISTS "
    "(SELECT 1 FROM {table} WHERE segment = :segment AND key = substr(:packed, at, 15))"
)


def write_rows(connection: sqlite3.Connection, into: str, rows: Sequence[Row], then: str = "") -> None:
    """Run `into VALUES (...), ... then` over all rows, which have the same number of columns."""
    at = 0
    while at < len(rows):
        # A power of two each time: few statements in all, and so few shapes that each stays prepared.
        size = min(_MOST_ROWS, 1 << (len(rows) - at).bit_length() - 1)
        part = rows[at : at + size]
        values = ", ".join([f"({', '.join('?' * len(part[0]))})"] * size)
        connection.execute(f"{into} VALUES {values} {then}", list(chain.from_iterable(part)))
        at += size


def add_keys(connection: sqlite3.Connection, table: str, segment: int, keys: Iterable[bytes]) -> None:
    """Put keys into table `txids` or `history`. One that is there already is an IntegrityError."""
    _over_keys(connection, _ADD_KEYS.format(table=table), segment, keys)


def drop_keys(connection: sqlite3.Connection, table: str, segment: int, keys: Iterable[bytes]) -> None:
    """Take keys out of table `txids` or `history`."""
    _over_keys(connection, _DROP_KEYS.format(table=table), segment, keys)


def missing_keys(
    connection: sqlite3.Connection, table: str, segment: int, keys: Sequence[bytes]
) -> list[bytes]:
    """Return which of the keys are not in table `txids` or `history`."""
    values = {"packed": b"".join(keys), "count": len(keys), "segment": segment}
    return [key for (key,) in connection.execute(_MISSING_KEYS.format(table=table), values)]


def put_accounts(connection: sqlite3.Connection, accounts: Iterable[tuple[bytes, Account]]) -> None:
    """Set accounts in table `accounts`, ABSENT among them, as they are."""
    held = sorted(accounts)
    connection.execute(_PUT_ACCOUNTS, {"packed": pack_accounts(held), "count": len(held)})


def set_accounts(connection: sqlite3.Connection, accounts: Iterable[tuple[bytes, Account]]) -> None:
    """Set accounts in table `accounts`; ABSENT takes one out."""
    put, drop = [], []
    for key, account in accounts:
        if account == ABSENT:
            drop.append(key)
        else:
            put.append((key, account))
    if put:
        put_accounts(connection, put)
    if drop:
        connection.execute(_DROP_ACCOUNTS, {"packed": b"".join(drop), "count": len(drop)})


def _over_keys(connection: sqlite3.Connection, statement: str, segment: int, keys: Iterable[bytes]) -> None:
    # Sorted, so that one page after the other is filled; twice the same where an account pays itself.
    ordered = sorted(set(keys))
    if ordered:
        values = {"packed": b"".join(ordered), "count": len(ordered), "segment": segment}
        connection.execute(statement, values)
