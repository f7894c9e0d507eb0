"""Many rows with few calls into SQLite.

Python's `executemany` gives up the interpreter's lock and takes it again for every row; beside a thread that
reckons, each time may cost a switch interval of 5 ms (measured: a block of 2,000 entries took five seconds).
So rows go in some hundreds a statement, and keys, which all have one width, as one packed value that a
statement takes apart by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from node.ledger.state import ABSENT, AccountState
from node.storage.rows import KEY_BYTES, BadRow, Row, keys_of_row

_MOST_VALUES: Final = 3_072
"""Of one statement: a tenth of what SQLite allows; three times what it did before 3.32."""

# Takes apart `packed`, which is `count` pieces of `width` side by side, the last one perhaps shorter. Two
# digits count quicker than a statement that calls itself.
_DIGITS: Final = 128
_PIECES_AT_ONCE: Final = _DIGITS**2
_PIECES: Final = f"""
    WITH digit (n) AS (VALUES {", ".join(f"({n})" for n in range(_DIGITS))}),
    piece (key) AS (
        SELECT substr(:packed, (high.n * {_DIGITS} + low.n) * :width + 1, :width)
        FROM digit AS high CROSS JOIN digit AS low LIMIT :count
    )
"""  # noqa: S608 - constants
# {table} is one of two names, never input.
_ADD_KEYS: Final = _PIECES + "INSERT INTO {table} SELECT :segment, key FROM piece"  # noqa: S608
_OTHER_ROWS: Final = (
    f"FROM {{table}} WHERE segment = ? AND (length(key) <> {KEY_BYTES} OR typeof(key) <> 'blob')"
)
"""Those that are not one key each."""
# The last row that begins with the key or below it, and where in it the key is.
_KEY_AT: Final = f"""
    SELECT (instr(t.key, piece.key) - 1) % {KEY_BYTES} FROM {{table}} AS t
    WHERE t.segment = :segment AND t.key < CAST(piece.key || x'{"ff" * KEY_BYTES}' AS BLOB)
    ORDER BY t.key DESC LIMIT 1
"""  # noqa: S608
_MISSING_KEYS: Final = _PIECES + f"SELECT key FROM piece WHERE ifnull(({_KEY_AT}), -1) <> 0"  # noqa: S608


def write_rows(connection: sqlite3.Connection, into: str, rows: Sequence[Row], then: str = "") -> None:
    """Run `into VALUES (...), ... then` over all rows, which have the same number of columns."""
    most = min(_MOST_VALUES, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))
    at = 0
    while at < len(rows):
        columns = len(rows[at])
        # A power of two each time: few statements in all, and so few shapes that each stays prepared.
        size = 1 << min(most // columns, len(rows) - at).bit_length() - 1
        values = ", ".join([f"({', '.join('?' * columns)})"] * size)
        packed = list(chain.from_iterable(rows[at : at + size]))
        connection.execute(f"{into} VALUES {values} {then}", packed)
        at += size


def add_keys(
    connection: sqlite3.Connection, table: str, segment: int, keys: Iterable[bytes], to_a_row: int = 1
) -> None:
    """Put keys into table `txids` or `history`, so many to a row; more than one into an empty segment only.

    One that is there already, as a row of its own, is an IntegrityError.
    """
    packed = b"".join(sorted(keys))
    width = KEY_BYTES * to_a_row
    for at in range(0, len(packed), width * _PIECES_AT_ONCE):
        part = packed[at : at + width * _PIECES_AT_ONCE]
        connection.execute(_ADD_KEYS.format(table=table), _pieces(segment, part, width))


def unpack_rows(connection: sqlite3.Connection, table: str, segment: int) -> None:
    """Give each key of a segment of table `txids` or `history` a row of its own.

    Raises BadRow where a row is not a whole number of keys: behind a gap, each would be another one.
    """
    others = _OTHER_ROWS.format(table=table)
    rows = connection.execute(f"SELECT key {others}", (segment,)).fetchall()
    if any(type(row) is not bytes or not row or len(row) % KEY_BYTES for (row,) in rows):
        raise BadRow(f"a row of table {table} is not a whole number of keys")
    connection.execute(f"DELETE {others}", (segment,))
    add_keys(connection, table, segment, [key for (row,) in rows for key in keys_of_row(row)])


def missing_keys(
    connection: sqlite3.Connection, table: str, segment: int, keys: Sequence[bytes]
) -> list[bytes]:
    """Return which of the keys are not in table `txids` or `history`, each in the row where it belongs."""
    found = []
    for at in range(0, len(keys), _PIECES_AT_ONCE):
        pieces = _pieces(segment, b"".join(keys[at : at + _PIECES_AT_ONCE]), KEY_BYTES)
        found += [key for (key,) in connection.execute(_MISSING_KEYS.format(table=table), pieces)]
    return found


def put_accounts(connection: sqlite3.Connection, accounts: Mapping[bytes, AccountState]) -> None:
    """Set accounts in table `accounts`, ABSENT among them, as they are."""
    write_rows(connection, "REPLACE INTO accounts", [(key, *accounts[key]) for key in sorted(accounts)])


def set_accounts(connection: sqlite3.Connection, accounts: Mapping[bytes, AccountState]) -> None:
    """Set accounts in table `accounts`; ABSENT takes one out."""
    gone = [key for key, account in accounts.items() if account == ABSENT]
    if gone:
        accounts = {key: account for key, account in accounts.items() if account != ABSENT}
        write_rows(connection, "DELETE FROM accounts WHERE key IN (", [(key,) for key in gone], ")")
    put_accounts(connection, accounts)


def _pieces(segment: int, packed: bytes, width: int) -> dict[str, object]:
    return {"packed": packed, "width": width, "count": -(-len(packed) // width), "segment": segment}
