"""`verify` on books with one thing wrong: each is named, at its height, and never with a traceback."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.audit import Verdict, verify
from node.audit_findings import FirstBad
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.storage.faults import BookFault, ForeignNetwork
from node.storage.port import Batch, Standing
from node.storage.reading import open_read_only
from node.storage.sqlite import open_book
from tests.building import Built, ChainBuilder, Changes, key, record_of
from tests.storage.filling import ANN, BOB, PARAMETERS, connect, filled_book, pack_index, sample_chain

BLOCKS = 6
EDITED = 3
"""Height of the block that most edits are made to."""


def verdict_of(path: Path, parameters: Parameters = PARAMETERS) -> Verdict:
    book = open_read_only(path)
    try:
        return verify(book, parameters, lambda *_: None)
    finally:
        book.close()


def first_bad(path: Path) -> FirstBad:
    verdict = verdict_of(path)
    assert not verdict.ok
    assert verdict.first_bad is not None
    return verdict.first_bad


class Edited:
    """A sound book whose rows are edited, as with the sqlite3 tool, and put back."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.built = sample_chain(BLOCKS)
        self.path = filled_book(folder, self.chain, self.built)
        self._add_side_branch()
        self._sound = self.path.read_bytes()

    def _add_side_branch(self) -> None:
        """Two blocks on block 2, the first with its body."""
        book = open_book(self.path, PARAMETERS)
        batch = Batch(1)
        stored = self.chain.block(self.built[1], miner=key("side"))
        headers_only = self.chain.block(stored, miner=key("side"))
        batch.records.append(record_of(stored, 7, parent_id=2, skip_id=1, standing=Standing.STORED))
        batch.records.append(record_of(headers_only, 8, parent_id=7, skip_id=0, standing=Standing.HEADER))
        batch.bodies.append((7, stored.raw))
        book.writer.commit([batch])
        book.close()

    def edit(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def replace_body(self, block_id: int, raw: bytes) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE bodies SET raw = ? WHERE id = ?", (raw, block_id))
        connection.close()

    def mend(self) -> None:
        self.path.write_bytes(self._sound)

    @property
    def block(self) -> Built:
        """The block that edits are made to."""
        return self.built[EDITED - 1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(tmp_path_factory.mktemp("book"))


@pytest.fixture
def book(shared: Edited) -> Iterator[Edited]:
    yield shared
    shared.mend()


# ------------------------------------------------------------------------------------------- in order


def test_a_sound_book_is_in_order(book: Edited) -> None:
    assert verdict_of(book.path) == Verdict(6, 7, 18, None)


def test_it_reads_beside_a_node_that_writes(tmp_path: Path) -> None:
    chain, built = sample_chain(4)
    path = filled_book(tmp_path, chain, built[:2])
    writing = open_book(path, PARAMETERS)
    reading = open_read_only(path)

    def meanwhile(height: int, tip: int) -> None:
        connect(writing.store, writing.writer, chain, built[2:])

    assert verify(reading, PARAMETERS, meanwhile) == Verdict(2, 3, 6, None)
    assert verdict_of(path) == Verdict(4, 5, 12, None)
    reading.close()
    writing.close()


@pytest.mark.parametrize("maturity", [1, 3, 100])
def test_coinbases_that_mature_are_credited_when_they_do(tmp_path: Path, maturity: int) -> None:
    chain = ChainBuilder(replace(PARAMETERS, maturity=maturity))
    built = chain.blocks(None, 6, miner=BOB)
    path = filled_book(tmp_path, chain, built)
    assert verdict_of(path, chain.parameters).ok


def test_how_far_it_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.audit._TOLD_AFTER", 8)
    path = filled_book(tmp_path, *sample_chain(5))
    told: list[tuple[int, int]] = []
    book = open_read_only(path)
    verify(book, PARAMETERS, lambda height, tip: told.append((height, tip)))
    book.close()
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_many_accounts_spill_and_still_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.audit._ACCOUNTS_IN_MEMORY", 2)
    path = filled_book(tmp_path, *sample_chain(5))
    assert verdict_of(path).ok


def test_another_networks_book_is_refused(book: Edited) -> None:
    with pytest.raises(ForeignNetwork, match="'elsewhere'"):
        verdict_of(book.path, replace(PARAMETERS, name="elsewhere"))


# --------------------------------------------------------------------------------------- bytes of a block


def regions(built: Built) -> dict[str, range]:
    """Where the parts of a block lie in its bytes."""
    raw = built.raw
    found = {"header": range(raw.index(built.header.raw), raw.index(built.header.raw) + 92)}
    found["roots"] = range(found["header"].stop + 2, raw.index(built.block.first_leaf))
    start = raw.index(built.block.first_leaf)
    found["coinbase"] = range(start, start + len(built.block.first_leaf))
    for position, entry in enumerate(built.block.entries, 1):
        start = raw.index(entry)
        found[str(position)] = range(start, start + len(entry))
    return found


def with_byte(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0x01]) + raw[at + 1 :]


def test_a_byte_of_an_entry_names_the_entry_and_the_txid_that_it_had(book: Edited) -> None:
    block = book.block
    for position in (1, 2, 3):
        for at in regions(block)[str(position)][::61]:
            book.replace_body(EDITED, with_byte(block.raw, at))
            found = first_bad(book.path)
            assert (found.rule, found.height, found.block) == ("entries-root", EDITED, block.hash)
            assert (found.position, found.txid) == (position, block.entries[position - 1].txid)
            assert found.found_txid not in {None, found.txid}


def test_a_byte_anywhere_in_a_block_names_the_block(book: Edited) -> None:
    block = book.block
    for at in range(0, len(block.raw), 7):
        if any(at in regions(block)[str(position)] for position in (1, 2, 3)):
            continue
        book.replace_body(EDITED, with_byte(block.raw, at))
        found = first_bad(book.path)
        assert found.height == EDITED
        if at in regions(block)["header"]:
            assert found.rule in {"body-header", "header-encoding"}
        elif at in regions(block)["roots"]:
            assert found.rule in {"body-root", "block-encoding"}
        else:
            assert found.rule in {"entries-root", "block-encoding"}


def test_an_amount_changed_for_another_is_named(book: Edited) -> None:
    entry = book.block.entries[1]
    assert b"\xcd\x27\x74" not in entry.raw
    forged = entry.raw.replace(b"cup", b"tea")
    book.replace_body(EDITED, book.block.raw.replace(entry.raw, forged))
    found = first_bad(book.path)
    assert (found.rule, found.height, found.position, found.txid) == ("entries-root", EDITED, 2, None)
    assert found.found_txid is not None


def test_an_entry_whose_index_was_changed_as_well_is_named_by_its_signature(book: Edited) -> None:
    entry = book.block.entries[1]
    book.replace_body(EDITED, book.block.raw.replace(entry.raw, with_byte(entry.raw, 120)))
    book.edit("DELETE FROM txids WHERE substr(key, 9, 4) = x'00000003'")
    found = first_bad(book.path)
    assert (found.rule, found.height, found.position) == ("entries-root", EDITED, 2)


def test_a_byte_of_a_stored_header_names_the_block(book: Edited) -> None:
    raw = book.block.header.raw
    for at in range(len(raw)):
        with contextlib.closing(sqlite3.connect(book.path)) as connection, connection:
            connection.execute("UPDATE blocks SET header = ? WHERE id = 3", (with_byte(raw, at),))
        connection.close()
        found = first_bad(book.path)
        assert (found.rule, found.height) == ("block-row", EDITED)


# --------------------------------------------------------------------------------------------- each row


@pytest.mark.parametrize(
    "statement, rule, height",
    [
        ("DELETE FROM main WHERE height = 3", "main-row", 3),
        ("DELETE FROM main WHERE height = 6", "main-row", 6),
        ("DELETE FROM main WHERE height >= 5", "main-row", 5),
        ("DELETE FROM main WHERE height = 0", "main-row", 0),
        ("DELETE FROM main", "main-row", 0),
        ("UPDATE main SET id = 7 WHERE height = 3", "main-row", 3),
        ("UPDATE main SET id = 7 WHERE height = 4", "main-row", 4),
        ("UPDATE main SET id = 5 WHERE height = 3", "main-row", 3),
        ("UPDATE main SET id = 99 WHERE height = 3", "main-row", 3),
        ("UPDATE main SET id = 'x' WHERE height = 3", "main-row", 3),
        ("UPDATE main SET id = 1 WHERE height = 0", "main-row", 0),
        ("INSERT INTO main VALUES (7, 8)", "main-row", 7),
        ("INSERT INTO main VALUES (9, 6)", "main-row", 7),
        ("INSERT INTO main VALUES (-1, 0)", "main-row", 0),
        ("DELETE FROM blocks WHERE id = 4", "block-row", 4),
        ("UPDATE blocks SET work = x'01' WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET work = 'x' WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET chain_time = 5 WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET parent_id = 1 WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET skip_id = 2 WHERE id = 6", "block-row", 6),
        ("UPDATE blocks SET history_nodes = zeroblob(32) WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET standing = 1 WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET standing = 8 WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET rule = 'overspend' WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET tail = zeroblob(8) WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET work = x'01' WHERE id = 0", "block-row", 0),
        ("UPDATE blocks SET leaf = 1 WHERE id = 3", "block-row", 3),
        ("UPDATE blocks SET leaf = 0 WHERE id = 6", "block-row", 6),
        ("DELETE FROM bodies WHERE id = 3", "body-missing", 3),
        ("UPDATE bodies SET raw = 'text' WHERE id = 3", "body-missing", 3),
        ("UPDATE bodies SET raw = x'' WHERE id = 3", "block-encoding", 3),
        ("UPDATE bodies SET raw = (SELECT raw FROM bodies WHERE id = 2) WHERE id = 3", "body-header", 3),
        ("UPDATE bodies SET raw = CAST(raw || x'00' AS BLOB) WHERE id = 0", "genesis-body", 0),
        ("UPDATE meta SET value = zeroblob(32) WHERE name = 'network_id'", "meta-row", None),
        ("UPDATE meta SET value = x'00' WHERE name = 'parameters'", "meta-row", None),
        ("DELETE FROM meta", "meta-row", None),
        ("UPDATE accounts SET balance = balance + 1 WHERE nonce > 0", "account-row", None),
        ("UPDATE accounts SET nonce = nonce + 1 WHERE nonce = 0", "account-row", None),
        ("UPDATE accounts SET balance = 'all'", "account-row", None),
        ("DELETE FROM accounts WHERE nonce = 0", "account-row", None),
        ("DELETE FROM accounts", "account-row", None),
        ("INSERT INTO accounts VALUES (zeroblob(32), 1000000, 0)", "account-row", None),
        ("INSERT INTO accounts VALUES ('mine', 1000000, 0)", "account-row", None),
        ("INSERT INTO accounts VALUES (x'', 1000000, 0)", "account-row", None),
        ("DELETE FROM segments", "index-row", 1),
        ("UPDATE segments SET txids = 1", "index-row", None),
        ("UPDATE segments SET first_height = 4", "index-row", 1),
        ("INSERT INTO txids VALUES (0, zeroblob(15))", "index-row", None),
        ("INSERT INTO history VALUES (0, zeroblob(15))", "index-row", None),
        ("DELETE FROM txids WHERE substr(key, 9) = x'00000003000002'", "index-row", 3),
        ("DELETE FROM history WHERE substr(key, 9) = x'00000003000002'", "index-row", 3),
        (
            "UPDATE txids SET key = zeroblob(15) WHERE substr(key, 9) = x'00000003000002'",
            "index-row",
            3,
        ),
        ("UPDATE history SET segment = 7", "index-row", 1),
        ("UPDATE bodies SET raw = x'00' WHERE id = 7", "side-block", 3),
        ("UPDATE bodies SET raw = (SELECT raw FROM bodies WHERE id = 2) WHERE id = 7", "side-block", 3),
        ("DELETE FROM bodies WHERE id = 7", "side-block", 3),
        ("UPDATE blocks SET parent_id = 3 WHERE id = 8", "side-block", 4),
        ("UPDATE blocks SET header = zeroblob(92) WHERE id = 8", "block-row", None),
    ],
)
def test_each_row_is_named(book: Edited, statement: str, rule: str, height: int | None) -> None:
    book.edit(statement)
    found = first_bad(book.path)
    assert (found.rule, found.height) == (rule, height), found


def test_an_index_whose_keys_share_rows_is_in_order(book: Edited) -> None:
    pack_index(book.path)
    assert verdict_of(book.path) == Verdict(6, 7, 18, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE txids SET key = substr(key, 16) WHERE key = (SELECT min(key) FROM txids)",
        "UPDATE history SET key = substr(key, 1, length(key) - 15)",
        "UPDATE txids SET key = CAST(key || x'00' AS BLOB)",
        "UPDATE history SET key = CAST(key || substr(key, 1, 15) AS BLOB)",
        "UPDATE history SET key = CAST(substr(key, 1, 15) || zeroblob(length(key) - 15) AS BLOB)",
        "UPDATE txids SET key = CAST(substr(key, 16) || substr(key, 1, 15) AS BLOB)",
        "UPDATE txids SET key = 'text'",
        "UPDATE history SET key = 5",
        "DELETE FROM history WHERE key = (SELECT min(key) FROM history)",
    ],
)
def test_an_edit_of_a_row_with_many_keys_is_seen(book: Edited, statement: str) -> None:
    pack_index(book.path)
    book.edit(statement.replace("UPDATE", "UPDATE OR REPLACE"))
    assert first_bad(book.path).rule == "index-row"


def test_a_missing_index_row_is_named_with_its_entry(book: Edited) -> None:
    book.edit("DELETE FROM txids WHERE substr(key, 9) = x'00000003000002'")
    found = first_bad(book.path)
    txid = book.block.entries[1].txid
    assert (found.position, found.txid, found.found_txid) == (2, txid, txid)


def test_any_damage_to_the_file_is_a_finding_or_a_named_fault(book: Edited) -> None:
    sound = book.path.read_bytes()
    dice = random.Random(11)
    for _ in range(100):
        content = bytearray(sound)
        at = dice.randrange(len(content))
        content[at : at + 20] = dice.randbytes(20)
        book.path.write_bytes(content)
        with contextlib.suppress(BookFault):
            verdict_of(book.path)


# ------------------------------------------------------------------------------------ rewritten for good


def wrong_entries(chain: ChainBuilder, what: str) -> list[Entry | bytes]:
    """Return entries of which the last is wrong in one way, behind a good one where that matters."""
    good = chain.entry(ANN, BOB, 1)
    match what:
        case "unsigned":
            return [good, chain.entry(BOB, ANN, 1, signed=False)]
        case "overspent":
            return [good, chain.entry(ANN, BOB, 10_000_000_00)]
        case "repeated":
            return [good, chain.entry(ANN, BOB, 1, nonce=0)]
        case "free":
            return [good, chain.entry(ANN, BOB, 1, fee=0)]
        case "old":
            return [good, chain.entry(ANN, BOB, 1, timestamp_ms=1)]
        case "malformed":
            return [good, b"\x00"]
    return [good]


def rewritten(folder: Path, changes: Changes, what: str = "sound") -> tuple[FirstBad, Built]:
    """Write a book whose block 3, and the one after it, were mined with something wrong in them."""
    chain, built = sample_chain(2)
    entries = wrong_entries(chain, what)
    built.append(chain.block(built[-1], entries, changes=changes))
    built.append(chain.block(built[-1]))
    path = filled_book(folder, chain, built)
    return first_bad(path), built[2]


@pytest.mark.parametrize(
    "changes, rule, position",
    [
        (Changes(version=2), "header-version", None),
        (Changes(bits=0x207FFFFE), "difficulty", None),
        (Changes(bits=0x1D00FFFF, mine=False), "proof-of-work", None),
        (Changes(body_root=bytes(32)), "body-root", None),
        (Changes(count=9), "entry-count", None),
        (Changes(entries_root=bytes(32)), "entries-root", None),
        (Changes(history_root=bytes(32)), "history-root", None),
        (Changes(extension_root=b"\x01" * 32), "extension-root", None),
        (Changes(coinbase_height=9), "coinbase-height", 0),
        (Changes(coinbase_amount=1_000_000_00), "coinbase-amount", 0),
    ],
)
def test_a_block_mined_against_the_rules_is_named_by_its_rule(
    tmp_path: Path, changes: Changes, rule: str, position: int | None
) -> None:
    found, block = rewritten(tmp_path, changes)
    assert (found.rule, found.height, found.block, found.position) == (rule, 3, block.hash, position)


@pytest.mark.parametrize(
    "entries, rule, position",
    [
        ("unsigned", "entry-signature", 2),
        ("overspent", "overspend", 2),
        ("repeated", "nonce-used", 2),
        ("free", "fee-too-low", 2),
        ("old", "entry-expired", 2),
        ("malformed", "entry-encoding", 2),
    ],
)
def test_an_entry_against_the_rules_is_named_by_its_rule(
    tmp_path: Path, entries: str, rule: str, position: int
) -> None:
    found, block = rewritten(tmp_path, Changes(), entries)
    leaf = block.block.leaves()[position]
    assert (found.rule, found.height, found.position) == (rule, 3, position)
    assert found.txid == found.found_txid == leaf


def test_a_block_that_the_next_one_does_not_follow_is_named(book: Edited) -> None:
    """A header and body exchanged for another block's, its row mended to fit."""
    other = book.chain.block(book.built[1], miner=BOB)
    book.replace_body(EDITED, other.raw)
    with contextlib.closing(sqlite3.connect(book.path)) as connection, connection:
        connection.execute(
            "UPDATE blocks SET header = ?, tail = ? WHERE id = ?", (other.header.raw, other.hash[-8:], EDITED)
        )
    connection.close()
    found = first_bad(book.path)
    assert (found.rule, found.height) == ("block-row", 3)


# ------------------------------------------------------------------------------------- all that is found


def all_rules(path: Path) -> list[tuple[str, int | None]]:
    book = open_read_only(path)
    try:
        return [
            (str(bad.rule), bad.height) for bad in verify(book, PARAMETERS, lambda *_: None, 100).findings
        ]
    finally:
        book.close()


def test_all_that_is_wrong_is_named_where_all_is_asked_for(book: Edited) -> None:
    book.edit(
        "UPDATE accounts SET balance = balance + 1",
        "UPDATE blocks SET chain_time = 5 WHERE id = 2",
        "DELETE FROM history WHERE key = (SELECT min(key) FROM history)",
    )
    rules = [rule for rule, _ in all_rules(book.path)]
    assert rules.count("block-row") == 1
    assert rules.count("index-row") == 1
    assert rules.count("account-row") >= 2


def test_behind_a_block_that_cannot_be_read_the_next_ones_are_judged(book: Edited) -> None:
    book.edit("DELETE FROM bodies WHERE id = 2", "UPDATE bodies SET raw = zeroblob(9) WHERE id = 5")
    assert all_rules(book.path) == [("body-missing", 2), ("block-encoding", 5)]


def test_a_long_book_is_read_in_slices_while_a_node_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.audit._SLICE", 1)
    monkeypatch.setattr("node.audit._TOLD_AFTER", 1)
    chain, built = sample_chain(6)
    path = filled_book(tmp_path, chain, built[:3])
    writing, reading = open_book(path, PARAMETERS), open_read_only(path)
    left = [built[3:]]

    def meanwhile(_: int, __: int) -> None:
        if left:
            connect(writing.store, writing.writer, chain, left.pop())

    assert verify(reading, PARAMETERS, meanwhile).blocks == 7
    reading.close()
    writing.close()
