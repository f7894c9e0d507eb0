"""Many rows in few statements give the same tables as one by one."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator

import pytest

from node.ledger.state import ABSENT, Account
from node.storage import bulk, schema


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(connection)
    yield connection
    connection.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 1_000])
def test_any_number_of_rows_is_written(connection: sqlite3.Connection, count: int) -> None:
    rows = [(number, bytes([number % 256])) for number in range(count)]
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    bulk.write_rows(connection, "INSERT INTO bodies", rows)
    connection.set_trace_callback(None)
    assert connection.execute("SELECT id, raw FROM bodies ORDER BY id").fetchall() == rows
    assert len(statements) <= count // 256 + 8


def test_an_older_sqlite_takes_fewer_rows_at_once(connection: sqlite3.Connection) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 9)
    rows = [(number, bytes([number])) for number in range(100)]
    bulk.write_rows(connection, "INSERT INTO bodies", rows)
    assert connection.execute("SELECT id, raw FROM bodies ORDER BY id").fetchall() == rows


@pytest.mark.parametrize("count", [2, 300, 16_384, 16_385, 40_000])
def test_any_number_of_keys_is_put_and_found(connection: sqlite3.Connection, count: int) -> None:
    dice = random.Random(3)
    keys = [dice.randbytes(15) for _ in range(count)]
    here = keys[: count * 3 // 5]
    bulk.add_keys(connection, "txids", 2, here)
    assert bulk.missing_keys(connection, "txids", 2, keys) == keys[len(here) :]
    assert bulk.missing_keys(connection, "txids", 3, keys) == keys
    found = connection.execute("SELECT segment, key FROM txids ORDER BY key").fetchall()
    assert found == [(2, key) for key in sorted(here)]
    with pytest.raises(sqlite3.IntegrityError):
        bulk.add_keys(connection, "txids", 2, keys[:1])


@pytest.mark.parametrize("count", [1, 15, 16, 17, 300, 40_000])
def test_keys_that_share_rows_are_found_and_get_rows_of_their_own(
    connection: sqlite3.Connection, count: int
) -> None:
    dice = random.Random(count)
    keys = [dice.randbytes(15) for _ in range(count)]
    bulk.add_keys(connection, "history", 7, keys, to_a_row=16)
    assert connection.execute("SELECT count(*) FROM history").fetchall() == [(-(-count // 16),)]
    others = [dice.randbytes(15) for _ in range(300)]
    others += [keys[0][:14] + bytes([keys[0][14] ^ 1]), bytes(15), b"\xff" * 15]
    assert bulk.missing_keys(connection, "history", 7, keys + others) == others
    bulk.unpack_rows(connection, "history", 7)
    found = connection.execute("SELECT segment, key FROM history ORDER BY key").fetchall()
    assert found == [(7, key) for key in sorted(keys)]


def test_a_key_in_another_row_than_its_own_is_missing(connection: sqlite3.Connection) -> None:
    keys = [bytes([number]) * 15 for number in range(1, 33)]
    bulk.add_keys(connection, "txids", 0, keys, to_a_row=16)
    moved = b"".join([*keys[16:31], keys[3]])
    connection.execute("UPDATE txids SET key = ? WHERE key > ?", (moved, keys[16]))
    connection.execute(
        "UPDATE txids SET key = ? WHERE key < ?", (b"".join([*keys[:3], *keys[4:16]]), keys[1])
    )
    assert bulk.missing_keys(connection, "txids", 0, keys) == [keys[3], keys[31]]


def test_accounts_are_set_and_absent_ones_taken_out(connection: sqlite3.Connection) -> None:
    dice = random.Random(4)
    first = {dice.randbytes(32): Account(dice.randrange(2**53), dice.randrange(2**53)) for _ in range(300)}
    first[bytes(32)] = Account(2**53 - 1, 0)
    bulk.set_accounts(connection, first)
    gone = dict.fromkeys(sorted(first)[::2], ABSENT)
    bulk.set_accounts(connection, gone | {b"\xff" * 32: ABSENT, b"\x01" * 32: Account(0, 1)})
    left = {key: account for key, account in first.items() if key not in gone} | {b"\x01" * 32: Account(0, 1)}
    rows = connection.execute("SELECT key, balance, nonce FROM accounts").fetchall()
    assert {key: Account(balance, nonce) for key, balance, nonce in rows} == left
    assert all(type(value) is int for row in rows for value in row[1:])
