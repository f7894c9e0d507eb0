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
from node.storage.rows import KEY_BYTES, Row

_MOST_VALUES: Final = 3_072
"""Of one statement: a tenth of what SQLite allows."""

# Takes apart `packed`, which is `count` keys side by side. Two digits count quicker than a statement that
# calls itself: 0.4 us for a key that comes behind all others of its table, in the place of 0.7.
_DIGITS: Final = 128
_KEYS_AT_ONCE: Final = _DIGITS**2
_KEYS: Final = f"""
    WITH digit (n) AS (VALUES {", ".join(f"({n})" for n in range(_DIGITS))}),
    packed (key) AS (
        SELECT substr(:packed, (high.n * {_DIGITS} + low.n) * {KEY_BYTES} + 1, {KEY_BYTES})
        FROM digit AS high CROSS JOIN digit AS low LIMIT :count
    )
"""  # noqa: S608 - constants
# {table} is one of two names, never input.
_ADD_KEYS: Final = _KEYS + "INSERT INTO {table} SELECT :segment, key FROM packed"  # noqa: S608
_MISSING_KEYS: Final = (
    _KEYS  # noqa: S608
    + "SELECT key FROM packed WHERE NOT EXISTS "
    "(SELECT 1 FROM {table} AS t WHERE t.segment = :segment AND t.key = packed.key)"
)


def write_rows(connection: sqlite3.Connection, into: str, rows: Sequence[Row], then: str = "") -> None:
    """Run `into VALUES (...), ... then` over all rows, which have the same number of columns."""
    at = 0
    while at < len(rows):
        columns = len(rows[at])
        # A power of two each time: few statements in all, and so few shapes that each stays prepared.
        size = 1 << min(_MOST_VALUES // columns, len(rows) - at).bit_length() - 1
        values = ", ".join([f"({', '.join('?' * columns)})"] * size)
        packed = list(chain.from_iterable(rows[at : at + size]))
        connection.execute(f"{into} VALUES {values} {then}", packed)
        at += size


def add_keys(connection: sqlite3.Connection, table: str, segment: int, keys: Iterable[bytes]) -> None:
    """Put keys into table `txids` or `history`. One that is there already is an IntegrityError."""
    ordered = sorted(keys)  # so that one page after the other is filled
    for part in _parts(ordered):
        connection.execute(_ADD_KEYS.format(table=table), _packed(segment, part))


def missing_keys(
    connection: sqlite3.Connection, table: str, segment: int, keys: Sequence[bytes]
) -> list[bytes]:
    """Return which of the keys are not in table `txids` or `history`."""
    return [
        key
        for part in _parts(keys)
        for (key,) in connection.execute(_MISSING_KEYS.format(table=table), _packed(segment, part))
    ]


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


def _parts(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[at : at + _KEYS_AT_ONCE] for at in range(0, len(keys), _KEYS_AT_ONCE))


def _packed(segment: int, keys: Sequence[bytes]) -> dict[str, object]:
    return {"packed": b"".join(keys), "count": len(keys), "segment": segment}
