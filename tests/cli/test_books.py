"""The copy on the disk: read again, named where it was changed, and remade."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from node.network_file import format_network
from node.query import Query
from node.remembered import network_of, remember
from node.storage.files import FolderLock
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME
from tests.building import Built, ChainBuilder
from tests.cli.conftest import Shell
from tests.cli.test_look import WIDTHS, widest
from tests.storage.filling import PARAMETERS, filled_book, sample_chain

FIELDS = {"height", "blocks", "transactions", "ok", "first_bad"}
BAD = {"height", "position", "txid", "found_txid", "rule", "fields"}


@pytest.fixture
def book(lonely: Shell) -> tuple[ChainBuilder, list[Built]]:
    """A book of six blocks in the folder of a node that does not run."""
    chain, built = sample_chain(6)
    filled_book(lonely.folder, chain, built)
    return chain, built


def edit_memo(folder: Path, height: int, at: int = 100) -> None:
    """Change one byte of a stored entry, as with the sqlite3 tool."""
    with contextlib.closing(sqlite3.connect(folder / BOOK_NAME)) as connection, connection:
        (raw,) = connection.execute("SELECT raw FROM bodies WHERE id = ?", (height,)).fetchone()
        changed = bytearray(raw)
        changed[-at] ^= 1  # inside the last entry
        connection.execute("UPDATE bodies SET raw = ? WHERE id = ?", (bytes(changed), height))
    connection.close()


def test_a_book_in_order_is_said_to_be(lonely: Shell, book: tuple[ChainBuilder, list[Built]]) -> None:
    found = lonely.ask("verify")
    entries = sum(len(block.entries) for block in book[1])
    assert found == {
        "height": 6,
        "blocks": 7,
        "transactions": entries,
        "ok": True,
        "first_bad": None,
        "findings": [],
    }
    assert lonely.type("verify").stdout.startswith("ok: 7 blocks, ")


@pytest.mark.usefixtures("book")
def test_a_book_of_version_1_is_read_again_without_its_node(lonely: Shell) -> None:
    with contextlib.closing(sqlite3.connect(lonely.folder / BOOK_NAME)) as connection, connection:
        connection.execute("PRAGMA user_version = 1")
    assert lonely.ask("verify")["ok"]


def test_a_changed_byte_is_named_and_the_status_is_1(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    edit_memo(lonely.folder, 3)
    found = lonely.ask("verify", status=1)
    assert set(found) == FIELDS | {"findings"}
    assert set(found["first_bad"]) == BAD
    assert (found["ok"], found["height"], found["first_bad"]["height"]) == (False, 6, 3)
    assert [field["name"] for field in found["first_bad"]["fields"]] == ["txid", "recipient"]
    assert found["findings"][0]["fields"] == found["first_bad"]["fields"]
    shown = lonely.type("verify")
    assert shown.exit_code == 1
    assert "was changed or damaged" in shown.stdout
    assert shown.stdout.endswith(f"  python cli.py --data-dir {lonely.folder} rebuild\n")


@pytest.mark.usefixtures("book")
def test_people_read_a_raised_balance_in_units_and_programs_as_it_is(lonely: Shell) -> None:
    with contextlib.closing(sqlite3.connect(lonely.folder / BOOK_NAME)) as connection, connection:
        connection.execute("UPDATE accounts SET balance = balance + 1")
    connection.close()
    fields = lonely.ask("verify", status=1)["first_bad"]["fields"]
    (balance,) = (field for field in fields if field["name"] == "balance")
    said, proof = int(balance["said"]), int(balance["proof"])
    assert said == proof + 1
    cents, symbol = 10**PARAMETERS.decimals, PARAMETERS.symbol
    assert PARAMETERS.decimals == 2
    said_text, proof_text = (f"{value // cents}.{value % cents:02} {symbol}" for value in (said, proof))
    shown = " ".join(lonely.type("verify").stdout.split())
    assert f"balance says {said_text}; proven is {proof_text}" in shown
    healed = lonely.type("heal").stdout
    assert f"balance said {said_text}, is {proof_text}" in " ".join(healed.split())


@pytest.mark.usefixtures("book")
def test_an_entry_that_nothing_at_hand_tells_is_said_to_be_fetched_by_heal(lonely: Shell) -> None:
    edit_memo(lonely.folder, 3)
    assert "heal` fetches" not in lonely.type("verify").stdout
    edit_memo(lonely.folder, 3, at=80)
    shown = " ".join(lonely.type("verify").stdout.split())
    assert "knows only that it was another; `heal` fetches what it said" in shown


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("columns", WIDTHS)
def test_the_verdict_fits_the_terminal(lonely: Shell, columns: int) -> None:
    edit_memo(lonely.folder, 3)
    lines = lonely.type("verify", columns=columns).stdout.splitlines()
    assert widest("\n".join(line for line in lines if str(lonely.folder) not in line)) <= columns


@pytest.mark.usefixtures("book")
def test_a_book_is_remade_from_its_own_blocks(lonely: Shell) -> None:
    with contextlib.closing(sqlite3.connect(lonely.folder / BOOK_NAME)) as connection, connection:
        connection.execute("UPDATE accounts SET balance = balance + 1")
    connection.close()
    assert lonely.ask("verify", status=1)["ok"] is False
    assert lonely.ask("rebuild")["ok"] is True
    assert lonely.ask("verify")["ok"] is True


@pytest.mark.usefixtures("book")
def test_a_lost_block_is_named_and_the_status_is_1(lonely: Shell) -> None:
    edit_memo(lonely.folder, 3)
    found = lonely.ask("rebuild", status=1)
    assert set(found) == FIELDS
    assert (found["height"], found["ok"], found["first_bad"]["height"]) == (2, False, 3)
    assert lonely.ask("verify")["height"] == 2


@pytest.mark.usefixtures("book")
def test_people_read_what_was_kept_and_where_the_old_book_is(lonely: Shell) -> None:
    shown = lonely.type("rebuild")
    assert shown.exit_code == 0
    assert "nothing was lost" in shown.stdout
    assert "damaged-1" in shown.stdout
    edit_memo(lonely.folder, 3)
    shown = lonely.type("rebuild")
    assert shown.exit_code == 1
    assert "its peers give the rest" in shown.stdout


@pytest.mark.usefixtures("book")
def test_a_book_that_a_node_works_on_is_not_remade(lonely: Shell) -> None:
    with FolderLock(lonely.folder):
        assert lonely.fail("rebuild")["code"] == "in-use"
        assert lonely.ask("verify")["ok"] is True  # reading does no harm


def test_where_there_is_no_book_it_is_said(lonely: Shell) -> None:
    assert lonely.fail("verify")["code"] == "not-a-book"
    assert lonely.fail("rebuild")["code"] == "not-a-book"


def test_a_book_past_reading_is_remade_for_the_network_that_the_folder_remembers(
    lonely: Shell, tmp_path: Path
) -> None:
    (lonely.folder / BOOK_NAME).write_bytes(b"hello" * 1_000)
    remember(lonely.folder, network_of(PARAMETERS))
    refused = lonely.fail("rebuild")
    assert refused["code"] == "foreign-network"
    assert "--config" in refused["hint"]
    own = tmp_path / "own.toml"
    own.write_text(format_network(PARAMETERS))
    assert lonely.ask("--config", str(own), "rebuild", status=1)["height"] == 0
    assert lonely.ask("verify")["ok"] is True


def test_a_file_that_is_no_book_is_named(lonely: Shell) -> None:
    (lonely.folder / BOOK_NAME).write_bytes(b"hello" * 1_000)
    assert lonely.type("verify").exit_code == 1
    assert "Traceback" not in lonely.type("verify").stderr


@pytest.mark.usefixtures("book")
def test_the_book_names_its_network_unless_a_file_does(lonely: Shell, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(format_network(PARAMETERS))
    assert lonely.ask("--config", str(own), "verify")["ok"] is True
    other = tmp_path / "other.toml"
    other.write_text(format_network(PARAMETERS).replace(f'"{PARAMETERS.name}"', '"another"'))
    assert lonely.fail("--config", str(other), "verify")["code"] == "foreign-network"
    assert lonely.fail("--config", str(other), "rebuild")["code"] == "foreign-network"
    assert lonely.ask("wallet", "show")["address"].startswith(f"{PARAMETERS.prefix}1")


@pytest.mark.usefixtures("book")
def test_a_book_that_lies_about_its_network_is_judged_by_its_first_block(lonely: Shell) -> None:
    with contextlib.closing(sqlite3.connect(lonely.folder / BOOK_NAME)) as connection, connection:
        connection.execute("UPDATE meta SET value = zeroblob(32) WHERE name = 'network_id'")
    connection.close()
    assert lonely.ask("verify", status=1)["first_bad"]["rule"] == "meta-row"


def test_questions_are_answered_from_a_real_book(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    """What the commands ask of a fake node, here of the store itself."""
    chain, built = book
    path = lonely.folder / BOOK_NAME
    stored = open_read_only(path)
    try:
        query = Query(stored, PARAMETERS)
        assert [block["height"] for block in query.blocks(100)] == [6, 5, 4, 3, 2, 1, 0]
        for owner, (balance, nonce) in chain.accounts_at(built[-1]).items():
            items = query.history(owner, 1_000)
            assert items[0]["balance"] == query.balance(owner)["confirmed"] == balance
            assert query.balance(owner)["next_nonce"] == nonce
            assert all(query.tx(bytes.fromhex(item["txid"]))["status"] == "confirmed" for item in items)
        assert [tip["status"] for tip in query.tips()] == ["active"]
    finally:
        stored.close()
