"""Remaking a damaged book: what is still right is kept, by the rules, and the old file stays as evidence."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from node.audit import verify
from node.ledger import codec
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.ledger.state import Account
from node.storage import rebuild as module
from node.storage.faults import DiskFull, ForeignNetwork, InUse, NotABook
from node.storage.files import FolderLock
from node.storage.port import Batch, Standing, Switch
from node.storage.reading import open_read_only
from node.storage.rebuild import Rebuilt, rebuild
from node.storage.sqlite import BOOK_NAME, SqliteBook, open_book
from tests.building import Built, ChainBuilder, key, record_of
from tests.storage.filling import ANN, BOB, PARAMETERS, connect, filled_book, sample_chain
from tests.storage.test_sqlite import edit

SWITCHES = codec.encode(((network_id(PARAMETERS), 0),))
"""A value that a node keeps by name: it left genesis once, at genesis."""


def rebuilt(path: Path) -> Rebuilt:
    return rebuild(path, PARAMETERS, lambda *_: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A book of six blocks with three entries each, a side branch of two on block 2, and a named value."""
    chain, built = sample_chain(6)
    path = filled_book(tmp_path, chain, built)
    book = open_book(path, PARAMETERS)
    batch = Batch(1, values={"unsaved_switches": SWITCHES})
    side = chain.blocks(built[1], 2, miner=key("side"))
    for block_id, block in enumerate(side, 7):
        parent_id = 2 if block_id == 7 else 7
        record = record_of(block, block_id, parent_id=parent_id, skip_id=1, standing=Standing.STORED)
        batch.records.append(replace(record, first_seen_ms=block.timestamp_ms + block_id))
        batch.bodies.append((block_id, block.raw))
    book.writer.commit([batch])
    book.close()
    return path


def in_order(path: Path) -> bool:
    book = open_read_only(path)
    try:
        return verify(book, PARAMETERS, lambda *_: None).ok
    finally:
        book.close()


def test_a_sound_book_comes_out_as_it_went_in(path: Path) -> None:
    before = open_read_only(path)
    expected = [before.record(block_id) for block_id in range(before.next_id())]
    bodies = [before.body(block_id) for block_id in range(before.next_id())]
    accounts = before.accounts_after(b"", 100)
    before.close()
    content = path.read_bytes()
    told: list[tuple[int, int]] = []
    result = rebuild(path, PARAMETERS, lambda *progress: told.append(progress))
    assert result == Rebuilt(6, 7, 18, None, 0, path.with_name(f"{BOOK_NAME}.damaged-1"), "")
    assert result.ok
    assert told == [(0, 9), (9, 9)]
    names = [BOOK_NAME, f"{BOOK_NAME}.damaged-1", "lock"]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    after = open_read_only(path)
    found = [after.record(block_id) for block_id in range(after.next_id())]
    assert [(r.hash, r.work, r.first_seen_ms, r.history_nodes) for r in found] == [
        (r.hash, r.work, r.first_seen_ms, r.history_nodes) for r in expected
    ]
    assert [after.body(block_id) for block_id in range(after.next_id())] == bodies
    assert after.accounts_after(b"", 100) == accounts
    assert [leaf.id for leaf in after.leaves()] == [6, 8]
    assert after.value("unsaved_switches") == SWITCHES
    after.close()
    assert in_order(path)
    assert result.evidence.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET balance = balance + 1",
        "DELETE FROM accounts",
        "DELETE FROM txids",
        "DROP TABLE history",
        "DELETE FROM main",
        "UPDATE main SET id = 7 WHERE height = 3",
        "UPDATE blocks SET work = x'ffff'",
        "UPDATE blocks SET header = zeroblob(92)",
        "DELETE FROM blocks",
        "DROP TABLE blocks",
        "DELETE FROM meta",
        "DROP TABLE named",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 0",
    ],
)
def test_whatever_can_be_reckoned_again_is(path: Path, statement: str) -> None:
    edit(path, statement)
    result = rebuilt(path)
    assert (result.height, result.blocks, result.transactions, result.lost) == (6, 7, 18, 0)
    assert in_order(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bodies SET raw = zeroblob(500) WHERE id = 4",
        "DELETE FROM bodies WHERE id = 4",
        "UPDATE bodies SET raw = (SELECT raw FROM bodies WHERE id = 3) WHERE id = 4",
    ],
)
def test_what_follows_a_lost_block_keeps_its_headers_and_waits_for_peers(path: Path, statement: str) -> None:
    edit(path, statement)
    result = rebuilt(path)
    # The side branch of two blocks on block 2 has more work now than the three blocks that are left.
    assert (result.height, result.lost) == (4, 3)
    assert result.first_bad is not None
    assert (result.first_bad.height, str(result.first_bad.rule)) == (5, "body-missing")
    book = open_read_only(path)
    assert [record.standing for record in map(book.record, range(9))].count(Standing.HEADER) == 3
    assert [leaf.height for leaf in book.leaves()] == [6, 4]
    book.close()
    assert in_order(path)


def test_an_edited_entry_is_refused_like_anyones(tmp_path: Path) -> None:
    chain, built = sample_chain(4)
    path = filled_book(tmp_path, chain, built)
    raw = built[2].raw.replace(b"cup 2.1", b"tea 2.1")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bodies SET raw = ? WHERE id = 3", (raw,))
    connection.close()
    result = rebuilt(path)
    assert (result.height, result.blocks, result.lost, result.ok) == (2, 3, 2, False)
    assert result.first_bad is not None
    assert (result.first_bad.rule, result.first_bad.height, result.first_bad.block) == (
        "entries-root",
        3,
        built[2].hash,
    )
    assert in_order(path)


def test_a_block_of_which_nothing_is_left_ends_its_branch(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(4))
    edit(path, "DELETE FROM bodies WHERE id = 3")
    edit(path, "DELETE FROM blocks WHERE id = 3")
    result = rebuilt(path)
    assert (result.height, result.lost) == (2, 2)
    assert result.first_bad is not None
    assert result.first_bad.height == 3
    assert in_order(path)


def forged_branch(chain: ChainBuilder, built: list[Built]) -> list[Built]:
    """A longer branch from genesis on, with a payment that nobody signed in its second block."""
    at = chain.block(None, miner=BOB)
    forged = [at]
    for number in range(len(built) + 1):
        entries = [chain.entry(ANN, BOB, 1_000, nonce=0, signed=False)] if number == 0 else []
        at = chain.block(at, entries, miner=BOB)
        forged.append(at)
    return forged


def test_a_heavier_branch_against_the_rules_is_left(tmp_path: Path) -> None:
    chain, built = sample_chain(3)
    path = filled_book(tmp_path, chain, built)
    book = open_book(path, PARAMETERS)
    batch = Batch(1)
    parent_id = 0
    for block_id, block in enumerate(forged_branch(chain, built), 4):
        record = record_of(block, block_id, parent_id=parent_id, skip_id=0)
        batch.records.append(record)
        batch.bodies.append((block_id, block.raw))
        parent_id = block_id
    batch.switch = Switch(book.store.record(0), batch.records[-1])
    batch.accounts = {BOB.public: Account(1_000_000_00, 0)}
    book.store.stage(batch)
    book.writer.commit([batch])
    book.close()
    result = rebuilt(path)
    assert (result.height, result.transactions) == (3, 9)
    assert result.first_bad is not None
    book_after = open_read_only(path)
    assert book_after.tip().hash == built[-1].hash
    assert book_after.record(5).standing is Standing.CONDEMNED
    book_after.close()
    assert in_order(path)


def test_condemned_blocks_are_left_out(path: Path) -> None:
    edit(path, "UPDATE blocks SET standing = 3, rule = 'overspend' WHERE id >= 7")
    result = rebuilt(path)
    assert (result.height, result.lost, result.ok) == (6, 0, True)


def test_what_was_written_ahead_counts(tmp_path: Path) -> None:
    chain, built = sample_chain(3)
    alive = tmp_path / "alive"
    book = open_book(alive / BOOK_NAME, PARAMETERS)
    connect(book.store, book.writer, chain, built)
    killed = tmp_path / "killed"
    shutil.copytree(alive, killed)
    book.close()
    assert (killed / f"{BOOK_NAME}-wal").stat().st_size > 0
    result = rebuilt(killed / BOOK_NAME)
    assert (result.height, result.ok) == (3, True)
    assert in_order(killed / BOOK_NAME)
    evidence = open_read_only(result.evidence)
    assert evidence.tip().hash == built[-1].hash
    evidence.close()


@pytest.mark.parametrize("content", [b"", b"my diary", bytes(8_192), b"SQLite format 3\0" + b"\xff" * 9_000])
def test_a_file_of_which_nothing_can_be_read_is_set_aside_for_an_empty_book(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    result = rebuilt(path)
    assert (result.height, result.blocks, result.transactions) == (0, 1, 0)
    assert result.evidence.read_bytes() == content
    assert not result.ok
    assert result.trouble
    assert in_order(path)


def test_any_page_may_be_gone(path: Path) -> None:
    sound = path.read_bytes()
    for page in range(len(sound) // 4_096):
        for rubbish in (bytes(4_096), b"\xa5" * 4_096):
            path.write_bytes(sound[: page * 4_096] + rubbish + sound[(page + 1) * 4_096 :])
            result = rebuilt(path)
            assert in_order(path)
            assert result.ok == (result.height == 6), page
            result.evidence.unlink()


def test_evidence_is_never_overwritten(path: Path) -> None:
    names = [rebuilt(path).evidence.name for _ in range(3)]
    assert names == [f"{BOOK_NAME}.damaged-{number}" for number in (1, 2, 3)]


def test_without_hard_links_it_is_renamed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    content = path.read_bytes()
    monkeypatch.setattr("os.link", refuse)
    assert rebuilt(path).evidence.read_bytes() == content
    assert in_order(path)


def test_a_folder_in_use_is_refused(path: Path) -> None:
    with FolderLock(path.parent), pytest.raises(InUse, match="is in use by another node"):
        rebuilt(path)


def test_where_there_is_no_book_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotABook, match="start a node"):
        rebuilt(tmp_path / BOOK_NAME)
    (tmp_path / BOOK_NAME).mkdir()
    with pytest.raises(NotABook, match="move away what is there"):
        rebuilt(tmp_path / BOOK_NAME)


def test_another_networks_book_is_left_alone(path: Path) -> None:
    content = path.read_bytes()
    with pytest.raises(ForeignNetwork):
        rebuild(path, replace(PARAMETERS, name="elsewhere"), lambda *_: None)
    assert path.read_bytes() == content
    assert not list(path.parent.glob("*.new*"))
    assert not list(path.parent.glob("*.damaged*"))


def test_a_full_disk_leaves_the_old_book_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes()

    def small(new_path: Path, *_: object) -> SqliteBook:
        book = open_book(new_path, PARAMETERS)
        book.writer.connection.execute("PRAGMA max_page_count = 1")
        return book

    monkeypatch.setattr(module, "open_book", small)
    with pytest.raises(DiskFull):
        rebuilt(path)
    assert path.read_bytes() == content
    assert not list(path.parent.glob("*.new*"))
    assert not list(path.parent.glob("*.damaged*"))


def test_a_new_book_that_could_not_be_folded_in_does_not_take_the_old_ones_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: somebody who reads keeps SQLite from folding it in when it is closed."""
    before = path.read_bytes()
    with contextlib.ExitStack() as held:

        def make_and_read(new_path: Path, parameters: Parameters) -> SqliteBook:
            book = open_book(new_path, parameters)
            reader = held.enter_context(contextlib.closing(open_read_only(new_path)))
            held.enter_context(reader.snapshot())
            return book

        monkeypatch.setattr(module, "open_book", make_and_read)
        with pytest.raises(DiskFull, match=r"book\.sqlite\.new could not be finished: make room"):
            rebuilt(path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert rebuilt(path).ok


def test_large_books_are_committed_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENTRIES_AT_ONCE", 5)
    monkeypatch.setattr(module, "_BATCHES_AT_ONCE", 3)
    assert rebuilt(path).ok
    assert in_order(path)


def test_a_making_that_was_cut_short_is_not_taken_back_from_the_new_book(path: Path) -> None:
    header = struct.pack(
        ">IIIII", 0, 1, 0, 512, 4_096
    )  # an empty file before, as SQLite's rollback journal says
    hot = (bytes.fromhex("d9d505f920a163d7") + header).ljust(512, b"\0")
    path.write_bytes(b"")
    beside = path.with_name(f"{BOOK_NAME}-journal")
    beside.write_bytes(hot)
    result = rebuilt(path)
    assert not beside.exists()
    assert result.evidence.with_name(f"{result.evidence.name}-journal").read_bytes() == hot
    assert in_order(path)
