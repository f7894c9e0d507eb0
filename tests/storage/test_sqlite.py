"""The book's file: whose it is, what version, who may read it, and what a bad disk gets."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.storage import sqlite
from node.storage.faults import (
    BookFault,
    Damaged,
    DiskFull,
    ForeignNetwork,
    InUse,
    NewerBook,
    NotABook,
)
from node.storage.port import Batch, Connected, Place, StorageFault, Switch
from node.storage.reading import open_read_only
from node.storage.schema import CURRENT
from node.storage.sqlite import BOOK_NAME, open_book
from tests.building import ChainBuilder, record_of
from tests.storage.filling import ANN, PARAMETERS, connect, filled_book, pack_index, sample_chain


def edit(path: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)
    connection.close()


def refused(path: Path, kind: type[BookFault]) -> str:
    with pytest.raises(kind) as caught:
        open_book(path, PARAMETERS)
    return str(caught.value)


# --------------------------------------------------------------------------------------------- opening


def test_a_book_and_its_companions_are_for_their_owner_alone(tmp_path: Path) -> None:
    book = open_book(tmp_path / "new" / BOOK_NAME, PARAMETERS)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert modes == {BOOK_NAME: 0o600, f"{BOOK_NAME}-wal": 0o600, f"{BOOK_NAME}-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert book.notices == ()
    book.close()


def test_a_book_that_was_open_to_others_is_closed_to_them_and_told_of(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    path.chmod(0o644)
    book = open_book(path, PARAMETERS)
    assert "was open to others" in book.notices[0]
    book.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    filled_book(tmp_path, *sample_chain(1))
    assert [path.name for path in tmp_path.iterdir()] == [BOOK_NAME]


def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    header = path.read_bytes()[:100]
    assert header[68:72] == b"INDB"
    assert header[60:64] == (2).to_bytes(4, "big")


def test_every_commit_is_synced(tmp_path: Path) -> None:
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    assert book.writer.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert book.writer.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    book.close()


def test_a_book_of_another_network_is_refused_with_both_names(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    theirs = replace(PARAMETERS, name="the other shop")
    with pytest.raises(ForeignNetwork) as caught:
        open_book(path, theirs)
    assert "'for-tests'" in str(caught.value)
    assert "'the other shop'" in str(caught.value)
    assert "--data-dir" in caught.value.hint


def test_networks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    with pytest.raises(ForeignNetwork) as caught:
        open_book(path, replace(PARAMETERS, minimum_fee=7))
    ours = ChainBuilder(PARAMETERS).network_id.hex()[:8]
    assert f"'for-tests' ({ours})" in str(caught.value)


def test_a_newer_book_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    edit(path, "PRAGMA user_version = 7")
    assert "schema 7, this one knows 2): update this program" in refused(path, NewerBook)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / BOOK_NAME
    edit(path, "CREATE TABLE moz_places (id)")
    before = path.read_bytes()
    assert "another program's database" in refused(path, NotABook)
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("content", [b"my diary", bytes(5_000), b"SQLite format 3\0" + b"\xff" * 4_096])
def test_what_is_no_database_is_named_with_the_command_that_remakes_it(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / BOOK_NAME
    path.write_bytes(content)
    path.chmod(0o600)
    assert f"python cli.py --data-dir {tmp_path} rebuild" in refused(path, Damaged)


def test_a_book_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / BOOK_NAME
    path.touch(0o600)
    book = open_book(path, PARAMETERS)
    assert book.store.tip().height == 0
    book.close()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "file" in refused(tmp_path / "file" / "deeper" / BOOK_NAME, BookFault)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / BOOK_NAME).mkdir()
    assert "is a folder: move it away" in refused(tmp_path / BOOK_NAME, NotABook)


def test_a_python_with_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "OLDEST_SQLITE", (99, 0, 0))
    assert "SQLite" in refused(tmp_path / BOOK_NAME, BookFault)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(1))
    edit(path, "DROP TABLE history")
    assert "it has no table history" in refused(path, Damaged)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bodies SET raw = substr(raw, 2) WHERE id = 6",
        "UPDATE bodies SET raw = (SELECT raw FROM bodies WHERE id = 5) WHERE id = 6",
        "UPDATE bodies SET raw = 'text' WHERE id = 6",
        "DELETE FROM bodies WHERE id = 6",
        "UPDATE blocks SET header = zeroblob(92) WHERE id = 6",
        "UPDATE blocks SET standing = 9 WHERE id = 6",
        "UPDATE blocks SET parent_id = 3 WHERE id = 6",
        "DELETE FROM blocks WHERE id = 6",
        "DELETE FROM main WHERE height = 5",
        "DELETE FROM main",
        "DELETE FROM meta",
        "UPDATE meta SET value = 7 WHERE name = 'network_id'",
        "UPDATE meta SET value = x'90' WHERE name = 'parameters'",
    ],
)
def test_what_is_wrong_at_the_tip_is_seen_at_once(tmp_path: Path, statement: str) -> None:
    path = filled_book(tmp_path, *sample_chain(6))
    edit(path, statement)
    assert f"python cli.py --data-dir {tmp_path} rebuild" in refused(path, Damaged)


# -------------------------------------------------------------------------------------------- upgrading

TWO = replace(
    CURRENT,
    version=4,
    create=(*CURRENT.create, "CREATE TABLE votes (id INTEGER PRIMARY KEY)"),
    upgrades={
        2: ("CREATE TABLE votes (id INTEGER PRIMARY KEY)", "INSERT INTO votes VALUES (1)"),
        3: ("UPDATE votes SET id = id + 10",),
    },
)
"""Made up: two steps on from today's."""


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_an_older_book_is_brought_up_step_by_step(tmp_path: Path) -> None:
    chain, built = sample_chain(2)
    path = filled_book(tmp_path, chain, built)
    book = open_book(path, PARAMETERS, tables=TWO)
    assert "brought up from schema 2 to 4" in book.notices[0]
    assert book.reader.ask("SELECT id FROM votes") == [(11,)]
    assert book.store.tip().hash == built[-1].hash
    book.close()
    assert version_of(path) == 4


def test_a_way_up_that_fails_leaves_the_book_as_it_was(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(2))
    broken = replace(TWO, upgrades={2: TWO.upgrades[2], 3: ("UPDATE nothing SET id = 1",)})
    with pytest.raises(BookFault):
        open_book(path, PARAMETERS, tables=broken)
    assert version_of(path) == 2
    open_book(path, PARAMETERS).close()


def test_a_book_of_version_1_goes_on_as_it_is(tmp_path: Path) -> None:
    chain, built = sample_chain(4)
    path = filled_book(tmp_path, chain, built[:3])
    edit(path, "PRAGMA user_version = 1")
    book = open_book(path, PARAMETERS)
    assert "brought up from schema 1 to 2" in book.notices[0]
    connect(book.store, book.writer, chain, built[3:])
    for block in built:
        for position, entry in enumerate(block.entries, 1):
            assert book.store.places_of(entry.txid) == [Place(block.height, position)]
    book.close()


def test_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(2))
    with pytest.raises(Damaged, match="schema 2 never was"):
        open_book(path, PARAMETERS, tables=replace(TWO, upgrades={3: TWO.upgrades[3]}))


# ---------------------------------------------------------------------------------------------- writing


def test_a_full_disk_is_named_and_nothing_of_the_batch_is_written(tmp_path: Path) -> None:
    chain, built = sample_chain(3)
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    connect(book.store, book.writer, chain, built[:2])
    pages = book.writer.connection.execute("PRAGMA page_count").fetchone()[0]
    book.writer.connection.execute(f"PRAGMA max_page_count = {pages}")
    batch = Batch(3)
    batch.bodies.append((3, bytes(100_000)))
    batch.values["note"] = b"early"
    with pytest.raises(DiskFull, match=r"book\.sqlite is full: free some space, then start the node again"):
        book.writer.commit([batch])
    assert book.reader.value("note") is None
    book.writer.connection.execute("PRAGMA max_page_count = 1000000")
    connect(book.store, book.writer, chain, built[2:], first_number=4)
    assert book.reader.tip().hash == built[2].hash
    book.close()


def test_a_group_of_batches_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    _, built = sample_chain(2)
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    good, bad = Batch(1), Batch(2)
    record = record_of(built[0], 1)
    good.records.append(record)
    good.bodies.append((1, built[0].raw))
    assert built[0].coinbase is not None
    joins = Connected(record, built[0].coinbase, built[0].coinbase_leaf, built[0].entries)
    good.connected.append(joins)
    bad.connected.append(joins)
    with pytest.raises(StorageFault):
        book.writer.commit([good, bad])
    assert book.reader.next_id() == 1
    book.writer.commit([good])
    assert book.reader.tip() == record
    book.close()


def test_a_stored_body_that_is_no_block_any_more_is_named(tmp_path: Path) -> None:
    chain, built = sample_chain(2)
    path = filled_book(tmp_path, chain, built)
    book = open_book(path, PARAMETERS)
    book.writer.connection.execute("UPDATE bodies SET raw = x'00' WHERE id = 2")
    other = record_of(chain.block(built[0], note="another"), 3, parent_id=1)
    batch = Batch(1, records=[other], switch=Switch(book.store.record(1), other))
    with pytest.raises(Damaged, match="rebuild"):
        book.writer.commit([batch])
    book.writer.connection.execute("DELETE FROM bodies WHERE id = 2")
    with pytest.raises(Damaged, match="the body of block 2 is missing"):
        book.writer.commit([batch])
    book.close()


@pytest.mark.parametrize("table", ["txids", "history"])
@pytest.mark.parametrize("edited", ["CAST(key || x'00' AS BLOB)", "substr(key, 2)", "x''", "'text'"])
def test_a_row_of_the_index_that_is_no_row_of_keys_is_named_and_nothing_is_written(
    tmp_path: Path, table: str, edited: str
) -> None:
    chain, built = sample_chain(2)
    path = filled_book(tmp_path, chain, built)
    pack_index(path)
    edit(path, f"UPDATE {table} SET key = {edited} WHERE key = (SELECT min(key) FROM {table})")  # noqa: S608 - of two names
    book = open_book(path, PARAMETERS)
    other = record_of(chain.block(built[0], note="another"), 3, parent_id=1)
    batch = Batch(1, records=[other], switch=Switch(book.store.record(1), other))
    with pytest.raises(Damaged, match=f"a row of table {table} is not a whole number of keys.*rebuild"):
        book.writer.commit([batch])
    assert book.reader.tip().hash == built[1].hash
    book.close()


def test_another_program_that_writes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.0)
    book = open_book(tmp_path / BOOK_NAME, PARAMETERS)
    other = sqlite3.connect(tmp_path / BOOK_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InUse, match=r"another program holds .*book\.sqlite: close it"):
        book.writer.commit([Batch(1, values={"a": b"1"})])
    other.close()
    book.close()


def test_a_book_left_by_a_killed_node_opens_with_all_that_was_committed(tmp_path: Path) -> None:
    chain, built = sample_chain(3)
    book = open_book(tmp_path / "alive" / BOOK_NAME, PARAMETERS)
    connect(book.store, book.writer, chain, built)
    # What a killed process leaves: the file and what is written ahead; nothing was closed.
    for number, names in enumerate([("", "-wal"), ("", "-wal", "-shm")]):
        (tmp_path / str(number)).mkdir()
        for name in names:
            shutil.copy(tmp_path / "alive" / f"{BOOK_NAME}{name}", tmp_path / str(number))
        path = tmp_path / str(number) / BOOK_NAME
        read = open_read_only(path)
        assert read.tip().hash == built[-1].hash
        read.close()
        again = open_book(path, PARAMETERS)
        assert again.store.tip().hash == built[-1].hash
        again.close()
    book.close()


# ------------------------------------------------------------------------------------------ any damage


def read_everything(path: Path) -> None:
    book = open_book(path, PARAMETERS)
    try:
        store = book.store
        store.tip(), store.leaves(), store.value("x"), store.main_headers(0, 100)
        for height in range(store.tip().height + 1):
            record = store.main_at(height)
            if record is not None:
                store.body(record.id)
                store.find(record.hash)
        store.account(ANN.public)
        store.history_of(ANN.public, Place(1_000, 0), 100)
        book.writer.commit([Batch(1, values={"x": b"y"})])
    finally:
        book.close()


def fault_of_reading(path: Path) -> BookFault | None:
    try:
        read_everything(path)
    except BookFault as fault:
        return fault
    return None


def overwrite(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at : at + 40] = dice.randbytes(40)


def flip(content: bytearray, dice: random.Random) -> None:
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(len(content)) :]


@pytest.mark.parametrize("damage", [overwrite, flip, cut])
def test_any_damage_is_named_or_does_no_harm(
    tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    path = filled_book(tmp_path, *sample_chain(6))
    sound = path.read_bytes()
    dice = random.Random(7)
    for _ in range(60):
        content = bytearray(sound)
        damage(content, dice)
        path.write_bytes(content)
        fault = fault_of_reading(path)
        assert fault is None or (str(path) in fault.message and fault.hint)
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
