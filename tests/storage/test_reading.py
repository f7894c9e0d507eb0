"""Reading beside a daemon that writes: what is there, what one answer sees, and what is not in order."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from node.ledger.state import Account
from node.storage.faults import BookFault, Damaged, NewerBook, NotABook
from node.storage.port import Place
from node.storage.reading import ReadOnlyBook, open_read_only
from node.storage.sqlite import BOOK_NAME, open_book
from tests.storage.filling import ANN, BOB, CEM, PARAMETERS, connect, filled_book, sample_chain
from tests.storage.test_sqlite import edit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled_book(tmp_path, *sample_chain(6, entries=4))


def test_it_answers_as_the_store_does(path: Path) -> None:
    chain, built = sample_chain(6, entries=4)
    book = open_read_only(path)
    assert book.network_id() == chain.network_id
    assert book.parameters() == PARAMETERS.encode()
    assert book.tip().hash == built[-1].hash
    assert book.body(3) == built[2].raw
    assert book.body(99) is None
    assert book.main_at(4) == book.record(4) == book.find(built[3].hash)
    assert book.main_at(7) is None
    assert book.find(bytes(32)) is None
    assert [leaf.id for leaf in book.leaves()] == [6]
    assert book.places_of(built[2].entries[1].txid) == [Place(3, 2)]
    assert book.places_of(built[2].coinbase_leaf) == [Place(3, 0)]
    assert book.history_of(ANN.public, Place(2, 0), 3) == [Place(1, 4), Place(1, 3), Place(1, 2)]
    assert book.value("nothing") is None
    assert {ANN.public, BOB.public, CEM.public} == {key for key, _ in book.accounts_after(b"", 10)}
    book.close()


def test_counts_are_of_the_main_chain(path: Path) -> None:
    book = open_read_only(path)
    assert book.counts() == (7, 24)
    book.close()


def test_a_new_book_counts_genesis(tmp_path: Path) -> None:
    path = filled_book(tmp_path / "new", *sample_chain(0))
    book = open_read_only(path)
    assert book.counts() == (1, 0)
    book.close()


def test_blocks_and_accounts_come_in_pages(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.storage.reading._ROWS_AT_ONCE", 2)
    chain, built = sample_chain(6, entries=4)
    book = open_read_only(path)
    assert [record.height for record in book.main_from(0)] == [0, 1, 2, 3, 4, 5, 6]
    assert [record.height for record in book.main_from(5)] == [5, 6]
    expected = {key: Account(*account) for key, account in chain.accounts_at(built[-1]).items()}
    found: dict[bytes, Account] = {}
    after = b""
    while page := book.accounts_after(after, 2):
        found.update(page)
        after = page[-1][0]
    assert found == expected
    book.close()


def test_one_answer_sees_one_state(tmp_path: Path) -> None:
    chain, built = sample_chain(4)
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    connect(book.store, book.writer, chain, built[:2])
    read = open_read_only(tmp_path / BOOK_NAME)
    with read.snapshot():
        before = read.tip(), read.account(ANN.public), read.counts()
        connect(book.store, book.writer, chain, built[2:], first_number=3)
        assert (read.tip(), read.account(ANN.public), read.counts()) == before
    assert read.tip().hash == built[3].hash
    read.close()
    book.close()


def test_a_state_is_fixed_when_it_is_asked_for(tmp_path: Path) -> None:
    chain, built = sample_chain(2)
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    read = open_read_only(tmp_path / BOOK_NAME)
    with read.snapshot():
        connect(book.store, book.writer, chain, built)
        assert read.tip().height == 0
    read.close()
    book.close()


def test_it_cannot_write(path: Path) -> None:
    book = open_read_only(path)
    with pytest.raises(BookFault):
        book.ask("DELETE FROM main")
    book.close()


def test_where_there_is_no_book_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotABook, match=r"there is no book at .*book\.sqlite: start a node"):
        open_read_only(tmp_path / BOOK_NAME)
    assert not (tmp_path / BOOK_NAME).exists()


def test_newer_older_and_foreign_files_are_refused(path: Path) -> None:
    edit(path, "PRAGMA user_version = 3")
    with pytest.raises(NewerBook):
        open_read_only(path)
    edit(path, "PRAGMA user_version = 0")
    with pytest.raises(BookFault, match=r"older version \(schema 0\): start its node once"):
        open_read_only(path)
    edit(path, "PRAGMA application_id = 5")
    with pytest.raises(NotABook):
        open_read_only(path)
    path.write_bytes(b"my diary")
    with pytest.raises(Damaged):
        open_read_only(path)


@pytest.mark.parametrize("height", [7, 2**63 - 1])
def test_a_tip_that_stands_at_another_height_is_damage(path: Path, height: int) -> None:
    edit(path, f"INSERT INTO main VALUES ({height}, 2)")  # noqa: S608 - numbers of its own
    with (
        contextlib.closing(open_read_only(path)) as book,
        pytest.raises(Damaged, match=f"block 2 stands at height {height} of the main chain"),
    ):
        book.tip()


def test_a_book_of_version_1_is_read_as_it_is(path: Path) -> None:
    edit(path, "PRAGMA user_version = 1")
    _, built = sample_chain(6, entries=4)
    with contextlib.closing(open_read_only(path)) as book:
        assert book.tip().hash == built[-1].hash
        assert book.places_of(built[2].entries[1].txid) == [Place(3, 2)]


@pytest.mark.parametrize("value", ["'text'", "5", "zeroblob(7)", "x''"])
def test_a_row_of_the_index_that_holds_no_keys_is_passed_over(path: Path, value: str) -> None:
    book = open_read_only(path)
    tip = book.tip()
    (place,) = book.history_of(ANN.public, Place(tip.height + 1, 0), 1)
    for table in ("txids", "history"):
        lowest = f"(SELECT min(key) FROM {table})"  # noqa: S608 - of this list
        edit(path, f"UPDATE {table} SET key = {value} WHERE key = {lowest}")  # noqa: S608 - of these lists
    assert book.places_of(b"\xff" * 32) == book.places_of(bytes(32)) == []
    assert book.history_of(b"\xff" * 32, Place(tip.height + 1, 0), 1) == []
    assert book.history_of(ANN.public, Place(tip.height + 1, 0), 1) == [place]
    book.close()


@pytest.mark.parametrize(
    "statement, read, named",
    [
        ("UPDATE accounts SET balance = 'many'", lambda book: book.account(ANN.public), "account "),
        ("UPDATE accounts SET balance = -1", lambda book: book.account(ANN.public), "account "),
        (
            "UPDATE accounts SET nonce = 9007199254740992",
            lambda book: book.accounts_after(b"", 9),
            "account ",
        ),
        ("UPDATE blocks SET work = 5 WHERE id = 2", lambda book: book.record(2), "block number 2"),
        ("UPDATE blocks SET rule = x'ff' WHERE id = 2", lambda book: book.main_at(2), "block number 2"),
        (
            "UPDATE blocks SET standing = 7 WHERE id = 2",
            lambda book: list(book.main_from(0)),
            "block number 2",
        ),
        ("UPDATE blocks SET header = x'00' WHERE id = 2", lambda book: book.record(2), "block number 2"),
        (
            "UPDATE blocks SET header = CAST(substr(header, 1, 91) || x'77' AS BLOB) WHERE id = 2",
            lambda book: book.record(2),
            "hashes to another block",
        ),
        (
            "UPDATE blocks SET header = (SELECT header FROM blocks WHERE id = 3) WHERE id = 2",
            lambda book: book.main_headers(0, 9),
            "header of block 2",
        ),
        (
            "DELETE FROM blocks WHERE id = 2",
            lambda book: book.main_at(2),
            "block number 2 of the tree is missing",
        ),
        ("UPDATE bodies SET raw = 'x' WHERE id = 2", lambda book: book.body(2), "body of block number 2"),
        ("DELETE FROM main", lambda book: book.tip(), "main chain is empty"),
        ("DROP TABLE named", lambda book: book.value("x"), "no such table"),
    ],
)
def test_a_row_that_cannot_be_is_named(
    path: Path, statement: str, read: Callable[[ReadOnlyBook], object], named: str
) -> None:
    book = open_read_only(path)
    edit(path, statement)
    with pytest.raises(Damaged, match=named) as caught:
        read(book)
    assert f"python cli.py --data-dir {path.parent} rebuild" in caught.value.hint
    book.close()


def test_a_part_of_a_body_is_read_alone(path: Path) -> None:
    book = open_read_only(path)
    raw = book.body(3)
    assert raw is not None
    assert book.part_of_body(3, 0, len(raw)) == raw
    assert book.part_of_body(3, 40, 9) == raw[40:49]
    assert book.part_of_body(3, len(raw) - 2, 9) == raw[-2:]
    book.close()


@pytest.mark.parametrize(
    "statement, block_id, start",
    [
        ("DELETE FROM bodies WHERE id = 3", 3, 0),
        ("DROP TABLE bodies", 3, 0),
        ("UPDATE bodies SET raw = x'00' WHERE id = 3", 3, 50),
        ("UPDATE bodies SET raw = 7 WHERE id = 3", 3, 0),
    ],
)
def test_a_part_that_cannot_be_read_is_none(path: Path, statement: str, block_id: int, start: int) -> None:
    book = open_read_only(path)
    edit(path, statement)
    assert book.part_of_body(block_id, start, 9) is None
    book.close()


def test_text_that_is_no_text_is_named(path: Path) -> None:
    book = open_read_only(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE blocks SET rule = CAST(x'ff' AS TEXT) WHERE id = 2")
    connection.close()
    with pytest.raises(Damaged):
        book.record(2)
    book.close()
