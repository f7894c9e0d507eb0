"""Edits to a copy of a book, one a seed: what a friend's hand, the sqlite3 tool or a bad disk does to it."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from node.ledger import merkle, rules
from node.ledger.block import Block, Header, decode_block, decode_header, encode_block
from node.ledger.entry import decode_entry
from node.ledger.errors import RuleBroken
from tests.healing.book import changed

Rows = sqlite3.Connection
Edit = Callable[[random.Random, Rows], str]

BYTES: Final = (
    ("meta", "value"),
    *(("blocks", column) for column in ("header", "work", "history_nodes", "tail")),
    ("bodies", "raw"),
    ("accounts", "key"),
    ("txids", "key"),
    ("history", "key"),
    ("named", "value"),
)
NUMBERS: Final = (
    *(("blocks", c) for c in ("id", "chain_time", "parent_id", "skip_id", "standing", "leaf")),
    ("blocks", "first_seen_ms"),
    ("bodies", "id"),
    ("main", "height"),
    ("main", "id"),
    ("accounts", "balance"),
    ("accounts", "nonce"),
    ("segments", "id"),
    ("segments", "first_height"),
    ("segments", "txids"),
    ("txids", "segment"),
    ("history", "segment"),
)
TABLES: Final = ("meta", "blocks", "bodies", "main", "accounts", "segments", "txids", "history", "named")
KEYS: Final = {
    "meta": ("name",),
    "blocks": ("id",),
    "bodies": ("id",),
    "main": ("height",),
    "accounts": ("key",),
    "segments": ("id",),
    "txids": ("segment", "key"),
    "history": ("segment", "key"),
    "named": ("name",),
}


def _some_row(dice: random.Random, rows: Rows, table: str) -> dict[str, Any]:
    cursor = rows.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own names
    names = [column[0] for column in cursor.description]
    return dict(zip(names, dice.choice(cursor.fetchall()), strict=True))


def _set(rows: Rows, table: str, row: Mapping[str, Any], column: str, value: object) -> None:
    where = " AND ".join(f"{key} = ?" for key in KEYS[table])
    statement = f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where}"  # noqa: S608 - the same
    rows.execute(statement, (value, *(row[key] for key in KEYS[table])))


def flip_a_bit(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice(BYTES)
    row = _some_row(dice, rows, table)
    raw = bytearray(row[column] or b"\0")
    at = dice.randrange(len(raw))
    raw[at] ^= 1 << dice.randrange(8)
    _set(rows, table, row, column, bytes(raw))
    return f"bit of {table}.{column} at {at}"


def rewrite_some_bytes(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice(BYTES)
    row = _some_row(dice, rows, table)
    raw = row[column] or b"\0"
    at = dice.randrange(len(raw))
    new = raw[:at] + dice.randbytes(dice.randrange(1, 9)) + raw[at + dice.randrange(9) :]
    _set(rows, table, row, column, new)
    return f"bytes of {table}.{column} at {at}"


def change_a_number(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice(NUMBERS)
    row = _some_row(dice, rows, table)
    value = row[column] + dice.choice((1, -1, 2, 1_000, -(10**6), 2**40))
    _set(rows, table, row, column, value)
    return f"{table}.{column}: {row[column]} to {value}"


def put_another_type(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice((*BYTES, *(pair for pair in NUMBERS if pair[1] not in {"id", "height"})))
    row = _some_row(dice, rows, table)
    value = dice.choice((b"", "text", 1.5, b"\xff" * 40, "7"))
    _set(rows, table, row, column, value)
    return f"{table}.{column} = {value!r}"


def swap_two_values(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice([pair for pair in (*BYTES, *NUMBERS) if pair[1] not in KEYS[pair[0]]])
    one, other = _some_row(dice, rows, table), _some_row(dice, rows, table)
    _set(rows, table, one, column, other[column])
    _set(rows, table, other, column, one[column])
    return f"two values of {table}.{column}"


def delete_rows(dice: random.Random, rows: Rows) -> str:
    table = dice.choice(TABLES)
    count = dice.choice((1, 1, 1, 2, 5))
    for _ in range(count):
        if rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:  # noqa: S608 - the same
            row = _some_row(dice, rows, table)
            where = " AND ".join(f"{key} = ?" for key in KEYS[table])
            rows.execute(f"DELETE FROM {table} WHERE {where}", [row[key] for key in KEYS[table]])  # noqa: S608
    return f"{count} rows of {table} deleted"


def empty_a_table(dice: random.Random, rows: Rows) -> str:
    table = dice.choice(TABLES)
    rows.execute(f"DELETE FROM {table}")  # noqa: S608 - the same
    return f"{table} emptied"


def truncate_a_value(dice: random.Random, rows: Rows) -> str:
    table, column = dice.choice(BYTES)
    row = _some_row(dice, rows, table)
    raw = row[column] or b""
    _set(rows, table, row, column, raw[: dice.randrange(len(raw) + 1)])
    return f"{table}.{column} cut short"


def raise_a_balance(dice: random.Random, rows: Rows) -> str:
    row = _some_row(dice, rows, "accounts")
    _set(rows, "accounts", row, "balance", row["balance"] + dice.randrange(1, 10**6))
    return "a balance raised"


def make_an_account(dice: random.Random, rows: Rows) -> str:
    rows.execute("INSERT INTO accounts VALUES (?, ?, 0)", (dice.randbytes(32), dice.randrange(10**6)))
    return "an account out of nothing"


def forge_a_place(dice: random.Random, rows: Rows) -> str:
    table = dice.choice(("txids", "history"))
    row = _some_row(dice, rows, table)
    place = dice.randrange(20).to_bytes(4, "big") + dice.randrange(6).to_bytes(3, "big")
    prefix = dice.choice((row["key"][:8], dice.randbytes(8)))
    rows.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (row["segment"], prefix + place))  # noqa: S608
    return f"a forged place in {table}"


def move_a_place(dice: random.Random, rows: Rows) -> str:
    table = dice.choice(("txids", "history"))
    row = _some_row(dice, rows, table)
    place = dice.randrange(13).to_bytes(4, "big") + dice.randrange(6).to_bytes(3, "big")
    _set(rows, table, row, "key", row["key"][:8] + place)
    return f"a place moved in {table}"


def insert_a_row(dice: random.Random, rows: Rows) -> str:
    kind = dice.randrange(4)
    if kind == 0:
        rows.execute("INSERT INTO main VALUES (?, ?)", (dice.choice((13, 14, 99)), dice.randrange(16)))
        return "a row more in main"
    if kind == 1:
        row = _some_row(dice, rows, "bodies")
        rows.execute("INSERT INTO bodies VALUES (?, ?)", (dice.choice((16, 90)), row["raw"]))
        return "a body more"
    if kind == 2:
        row = _some_row(dice, rows, "blocks") | {"id": dice.choice((16, 90))}
        rows.execute(f"INSERT INTO blocks VALUES ({', '.join('?' * len(row))})", list(row.values()))  # noqa: S608
        return "a block twice"
    table = dice.choice(("meta", "named"))
    rows.execute(f"INSERT INTO {table} VALUES (?, ?)", (dice.choice("abc"), dice.randbytes(9)))  # noqa: S608
    return f"a row more in {table}"


def condemn(dice: random.Random, rows: Rows) -> str:
    row = _some_row(dice, rows, "blocks")
    _set(rows, "blocks", row, "standing", dice.choice((0, 1, 3, 9)))
    _set(rows, "blocks", row, "rule", dice.choice(("", "difficulty", "no-rule")))
    return f"the standing of {row['id']} (was {row['standing']})"


def _block(rows: Rows, block_id: int) -> Block:
    return decode_block(rows.execute("SELECT raw FROM bodies WHERE id = ?", (block_id,)).fetchone()[0])


def _store(rows: Rows, block_id: int, block: Block, entries: list[bytes]) -> None:
    raw = encode_block(block.header, block.body, block.first_leaf, tuple(entries)).raw
    rows.execute("UPDATE bodies SET raw = ? WHERE id = ?", (raw, block_id))


def _with_entries(dice: random.Random, rows: Rows, least: int = 1) -> tuple[int, Block]:
    blocks = [(found, _block(rows, found)) for (found,) in rows.execute("SELECT id FROM bodies").fetchall()]
    return dice.choice([(number, block) for number, block in blocks if len(block.entries) >= least])


def reorder_entries(dice: random.Random, rows: Rows) -> str:
    number, block = _with_entries(dice, rows, 2)
    entries = list(block.entries)
    one, other = dice.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]
    _store(rows, number, block, entries)
    return f"entries of block {number} in another order"


def move_an_entry(dice: random.Random, rows: Rows) -> str:
    here, block = _with_entries(dice, rows)
    there, other = _with_entries(dice, rows)
    if here == there:
        return reorder_entries(dice, rows)
    entries, others = list(block.entries), list(other.entries)
    others.insert(dice.randrange(len(others) + 1), entries.pop(dice.randrange(len(entries))))
    _store(rows, here, block, entries)
    _store(rows, there, other, others)
    return f"an entry of block {here} in block {there}"


def drop_an_entry(dice: random.Random, rows: Rows) -> str:
    number, block = _with_entries(dice, rows)
    entries = list(block.entries)
    entries.pop(dice.randrange(len(entries)))
    _store(rows, number, block, entries)
    return f"an entry of block {number} dropped"


def raise_an_amount(dice: random.Random, rows: Rows) -> str:
    number, block = _with_entries(dice, rows)
    entries = list(block.entries)
    at = dice.randrange(len(entries))
    amount = decode_entry(entries[at]).amount
    one, other = amount.to_bytes(2, "big"), (amount ^ dice.randrange(1, 60)).to_bytes(2, "big")
    entries[at] = entries[at].replace(one, other, 1)
    _store(rows, number, block, entries)
    return f"an amount in block {number}"


def reword_a_memo(dice: random.Random, rows: Rows) -> str:
    number, block = _with_entries(dice, rows)
    entries = list(block.entries)
    at = dice.randrange(len(entries))
    entries[at] = entries[at].replace(b"cup", dice.choice((b"tea", b"pup", b"jug")), 1)
    _store(rows, number, block, entries)
    return f"a memo in block {number}"


def raise_a_reward(dice: random.Random, rows: Rows) -> str:
    number = dice.randrange(1, 16)
    block = _block(rows, number)
    leaf = bytearray(block.first_leaf)
    leaf[dice.randrange(4, len(leaf))] ^= 1 << dice.randrange(8)
    raw = block.raw.replace(block.first_leaf, bytes(leaf), 1)
    rows.execute("UPDATE bodies SET raw = ? WHERE id = ?", (raw, number))
    return f"the reward of block {number}"


def another_block_in_its_place(dice: random.Random, rows: Rows) -> str:
    here, there = dice.sample(range(16), 2)
    rows.execute("UPDATE bodies SET raw = (SELECT raw FROM bodies WHERE id = ?) WHERE id = ?", (there, here))
    if dice.random() < 0.5:
        rows.execute(
            "UPDATE blocks SET (header, tail) = (SELECT header, tail FROM blocks WHERE id = ?) WHERE id = ?",
            (there, here),
        )
        return f"block {there} in the place of {here}, header too"
    return f"the bytes of block {there} in the place of {here}"


def mine_it_again(dice: random.Random, rows: Rows) -> str:
    """Make a block with other entries, its own roots and proof of work: right but for what follows it."""
    number, block = _with_entries(dice, rows)
    entries = list(block.entries)
    what = dice.randrange(3)
    if what == 0:
        entries.pop(dice.randrange(len(entries)))
    elif what == 1:
        entries.reverse()
    else:
        at = dice.randrange(len(entries))
        entries[at] = entries[at].replace(b"cup", b"mug", 1)
    leaves = [merkle.leaf_hash(one) for one in (block.first_leaf, *entries)]
    body = replace(block.body, count=len(leaves), entries_root=merkle.tree_root(leaves))
    header = _mined(block.header, body.root())
    raw = encode_block(header, body, block.first_leaf, tuple(entries)).raw
    rows.execute("UPDATE bodies SET raw = ? WHERE id = ?", (raw, number))
    row = (header.raw, header.hash[-8:], number)
    rows.execute("UPDATE blocks SET header = ?, tail = ? WHERE id = ?", row)
    return f"block {number} mined again"


def _mined(header: Header, body_root: bytes) -> Header:
    for nonce in range(1_000):
        raw = header.raw[:40] + body_root + header.raw[72:84] + nonce.to_bytes(8, "big")
        found = decode_header(raw)
        try:
            rules.sane_header(found)
        except RuleBroken:
            continue
        return found
    raise AssertionError("half of all nonces do")


def edit_a_header(dice: random.Random, rows: Rows) -> str:
    row = _some_row(dice, rows, "blocks")
    raw = bytearray(row["header"])
    raw[dice.randrange(92)] ^= 1 << dice.randrange(8)
    _set(rows, "blocks", row, "header", bytes(raw))
    if dice.random() < 0.5:
        tail = hashlib.sha256(hashlib.sha256(bytes(raw)).digest()).digest()[-8:]
        _set(rows, "blocks", row, "tail", tail)
    if dice.random() < 0.5:
        body = rows.execute("SELECT raw FROM bodies WHERE id = ?", (row["id"],)).fetchone()[0]
        rows.execute(
            "UPDATE bodies SET raw = ? WHERE id = ?", (body.replace(row["header"], bytes(raw), 1), row["id"])
        )
    return f"the header of block {row['id']}"


def cut_the_end_off(dice: random.Random, rows: Rows) -> str:
    height = dice.randrange(1, 12)
    tables = dice.sample(("main", "blocks", "bodies"), dice.randrange(1, 4))
    gone = [found for (found,) in rows.execute("SELECT id FROM main WHERE height > ?", (height,)).fetchall()]
    for table in tables:
        rows.executemany(f"DELETE FROM {table} WHERE id = ?", [(one,) for one in gone])  # noqa: S608
    return f"all above height {height} gone from {', '.join(sorted(tables))}"


def change_the_tables(dice: random.Random, rows: Rows) -> str:
    statement = dice.choice(
        (
            "DROP INDEX blocks_by_tail",
            "DROP INDEX leaves",
            "PRAGMA user_version = 7",
            "PRAGMA user_version = 0",
            "PRAGMA application_id = 5",
            "CREATE TABLE extra (a)",
            "CREATE TRIGGER t AFTER INSERT ON accounts BEGIN UPDATE accounts SET balance = balance + 1; END",
            "CREATE INDEX more ON main (id)",
            "ALTER TABLE named ADD COLUMN more",
            "ALTER TABLE accounts RENAME TO people",
            *(f"DROP TABLE {table}" for table in TABLES),
        )
    )
    rows.execute(statement)
    return statement


ROW_EDITS: Final[tuple[Edit, ...]] = (
    *(flip_a_bit, rewrite_some_bytes, change_a_number, change_a_number, put_another_type, swap_two_values),
    *(delete_rows, delete_rows, empty_a_table, truncate_a_value, raise_a_balance, make_an_account),
    *(forge_a_place, move_a_place, insert_a_row, condemn, reorder_entries, move_an_entry, drop_an_entry),
    *(raise_an_amount, reword_a_memo, raise_a_reward, another_block_in_its_place, mine_it_again),
    *(edit_a_header, cut_the_end_off, change_the_tables),
)


def edit_rows(dice: random.Random, path: Path) -> str:
    """Make one edit to the rows of a book; return what it is."""
    edit = dice.choice(ROW_EDITS)
    with closing(changed(path)) as rows:
        return f"{edit.__name__}: {edit(dice, rows)}"


def edit_bytes(dice: random.Random, path: Path) -> str:
    """Make one edit to the bytes of a book's file; return what it is."""
    content = bytearray(path.read_bytes())
    page, pages = 4096, len(content) // 4096
    kind = dice.randrange(8)
    if kind <= 2:
        at = dice.randrange(len(content) if kind else 100)
        content[at] ^= 1 << dice.randrange(8)
        what = f"bit at {at}"
    elif kind == 3:
        at = dice.randrange(len(content))
        new = dice.randbytes(dice.randrange(1, 64))
        content[at : at + len(new)] = new
        what = f"{len(new)} bytes at {at}"
    elif kind == 4:
        at = dice.randrange(pages)
        content[at * page : (at + 1) * page] = bytes(page)
        what = f"page {at} empty"
    elif kind == 5:
        one, other = dice.sample(range(pages), 2)
        first, second = (bytes(content[at * page : (at + 1) * page]) for at in (one, other))
        content[one * page : (one + 1) * page], content[other * page : (other + 1) * page] = second, first
        what = f"pages {one} and {other} swapped"
    elif kind == 6:
        del content[dice.randrange(len(content)) :]
        what = f"cut off at {len(content)}"
    else:
        content += dice.randbytes(dice.randrange(1, 9_000))
        what = "bytes behind the end"
    path.write_bytes(content)
    return f"edit_bytes: {what}"
