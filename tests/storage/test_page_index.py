"""The page's index as a file: sums that no integer of SQLite holds, and what its faults say."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from node.storage.page_index import BlockRow, Change, Growth, IndexFault, PageIndex
from node.storage.port import Place

KEY = bytes(range(32))
MOST = 2**53 - 1
"""Of one entry's amount."""


@pytest.fixture
def index(tmp_path: Path) -> PageIndex:
    return PageIndex(tmp_path / "page.sqlite", bytes(32))


def block(height: int, entries: int) -> Change:
    """Return what a block adds in which somebody is paid the most that an entry can pay, again and again."""
    change = Change()
    change.blocks.append(BlockRow(height, bytes([height]) * 32, height, 1, 1, entries))
    change.hours[7] = (1, 1, 1, entries, entries * MOST)
    change.accounts[KEY] = Growth(0, entries)
    change.takings[KEY, 7] = (entries, entries * MOST)
    return change


def sums(index: PageIndex) -> list[tuple[int, int]]:
    """Return entries and amount by hour, which are the same by account."""
    found = [(row.entries, row.amount) for row in index.hours(0, 10)]
    assert [(row.entries, row.amount) for row in index.takings(KEY, 0, 10)] == found
    assert all(type(amount) is int for _, amount in found)
    return found


@pytest.mark.parametrize(
    "blocks",
    [(1_024,), (1_025,), (5_000,), (600, 600, 600), (1_000, 1, 1_000), (1_100, 1_100), (1, 2_000, 1)],
    ids=str,
)
def test_sums_beyond_what_sqlite_counts_are_nearly_right_and_leave_nothing_behind(
    index: PageIndex, blocks: tuple[int, ...]
) -> None:
    for height, entries in enumerate(blocks):
        index.add(block(height, entries))
        ((counted, amount),) = sums(index)
        assert counted == sum(blocks[: height + 1])
        assert amount == pytest.approx(counted * MOST, rel=1e-12)
    for height in reversed(range(1, len(blocks))):
        index.rewind(block(height, blocks[height]))
        ((counted, amount),) = sums(index)
        assert counted == sum(blocks[:height])
        assert amount == pytest.approx(counted * MOST, rel=1e-9)
    index.rewind(block(0, blocks[0]))
    assert sums(index) == []
    assert index.by_entries(10) == []
    assert index.newest(10) == []


def test_sums_below_that_are_exact(index: PageIndex) -> None:
    index.add(block(0, 1_000))
    index.add(block(1, 24))
    assert sums(index) == [(1_024, 1_024 * MOST)]
    index.rewind(block(1, 24))
    assert sums(index) == [(1_000, 1_000 * MOST)]


def edit(index: PageIndex, statement: str) -> None:
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute(statement)


def overwrite(index: PageIndex) -> None:
    """Let the file's pages hold something else, and leave its head."""
    edit(index, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = index.path.read_bytes()
    index.path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))


@pytest.mark.parametrize(
    "damage",
    [
        overwrite,
        lambda index: index.path.write_bytes(b"no database" * 1_000),
        lambda index: index.path.unlink(),
        lambda index: edit(index, "DROP TABLE hours"),
        lambda index: edit(index, "ALTER TABLE hours RENAME COLUMN hour TO day"),
    ],
    ids=["overwritten", "another file", "gone", "a table is missing", "a column is missing"],
)
def test_a_damaged_file_is_told_from_others_and_can_be_made_anew(
    index: PageIndex, damage: Callable[[PageIndex], object]
) -> None:
    index.add(block(0, 1))
    damage(index)
    with pytest.raises(IndexFault, match="is damaged") as caught:
        index.hours(0, 10)
    assert caught.value.is_damage
    index.remake()
    assert index.hours(0, 10) == []
    index.add(block(0, 1))
    assert sums(index) == [(1, MOST)]


def test_a_block_that_is_there_already_is_damage(index: PageIndex) -> None:
    index.add(block(0, 1))
    with pytest.raises(IndexFault) as caught:
        index.add(block(0, 1))
    assert caught.value.is_damage
    assert sums(index) == [(1, MOST)], "it is added whole or not at all"


def test_a_file_that_another_holds_is_not_damaged(index: PageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(block(0, 1))
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))
    with closing(sqlite3.connect(index.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexFault, match="cannot be used now") as caught:
            index.add(block(1, 1))
        assert not caught.value.is_damage
        other.execute("ROLLBACK")
    index.add(block(1, 1))
    assert sums(index) == [(2, 2 * MOST)]


def test_a_file_that_another_holds_is_not_thrown_away_when_it_is_opened(
    index: PageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(block(0, 1))
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))
    with closing(sqlite3.connect(index.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IndexFault, match="cannot be used now"):
            PageIndex(index.path, bytes(32))
    assert sums(PageIndex(index.path, bytes(32))) == [(1, MOST)]


@pytest.mark.parametrize(
    "change", ["DELETE FROM meta", "UPDATE meta SET value = 5", "UPDATE meta SET value = x'05'"]
)
def test_an_index_without_its_secret_is_made_anew(index: PageIndex, change: str) -> None:
    edit(index, f"{change} WHERE name = 'secret'")
    assert len(PageIndex(index.path, bytes(32)).secret()) == 32


@pytest.mark.parametrize(
    "statement,read",
    [
        ("UPDATE blocks SET hash = 'abc'", lambda index: index.newest()),
        ("UPDATE blocks SET hash = x'00'", lambda index: index.newest()),
        ("UPDATE blocks SET hash = 5", lambda index: index.hash_at(0)),
        ("UPDATE blocks SET time_ms = 'noon'", lambda index: index.newest()),
        ("UPDATE blocks SET work = 1.5", lambda index: index.newest()),
        ("ALTER TABLE blocks ADD COLUMN more", lambda index: index.newest()),
        ("UPDATE hours SET blocks = 'many'", lambda index: index.hours(0, 1)),
        ("UPDATE hours SET amount = 9e999", lambda index: index.hours(0, 1)),
        ("UPDATE takings SET amount = 'much'", lambda index: index.takings(KEY, 0, 1)),
        ("UPDATE accounts SET key = x'0102'", lambda index: index.by_balance(1)),
        ("UPDATE accounts SET balance = 'little'", lambda index: index.by_entries(1)),
        ("UPDATE meta SET value = 7 WHERE name = 'secret'", lambda index: index.secret()),
        ("DELETE FROM meta", lambda index: index.secret()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_was_edited_into_another_kind_is_damage(
    index: PageIndex, statement: str, read: Callable[[PageIndex], object]
) -> None:
    index.add(block(0, 1))
    read(index)
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(IndexFault, match="none that it writes") as caught:
        read(index)
    assert caught.value.is_damage
    index.remake()
    index.add(block(0, 1))
    read(index)


def test_words_are_looked_for_below_any_place_that_can_be_asked_for(index: PageIndex) -> None:
    change = block(1, 1)
    change.memos.append((Place(1, 1), "coffee"))
    index.add(change)
    assert index.find_memos("coffee", 10, Place(2**53 - 1, 0)) == [Place(1, 1)]
