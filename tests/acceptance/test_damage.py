"""Someone edits a copy of the book, or its disk does: it is noticed, named, and mended from what is left."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from node.ledger.block import decode_block
from node.ledger.entry import decode_entry
from node.storage.sqlite import BOOK_NAME
from tests.acceptance.nodes import QUICK, Lab, Node, agreed

pytestmark = pytest.mark.acceptance


class Paid(NamedTuple):
    """A node that is stopped, and a payment in its book."""

    node: Node
    txid: str
    height: int
    memo: str


@pytest.fixture(scope="module")
def made(shared_lab: Lab) -> Paid:
    """A book, to be copied."""
    node = shared_lab.node("ann", "--mine", "off", network=shared_lab.network(QUICK)).start()
    node.cli("mine", "2")
    memo = "rent for November"
    txid = node.cli("send", node.status()["address"], "12.34", "--memo", memo)["txid"]
    node.cli("send", node.status()["address"], "1")
    node.cli("mine", "3")
    height = node.cli("tx", txid)["height"]
    node.stop()
    return Paid(node, txid, height, memo)


@pytest.fixture
def paid(lab: Lab, made: Paid) -> Paid:
    """A copy of its own for each test."""
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK))
    shutil.copytree(made.node.folder, node.folder)
    return made._replace(node=node)


def edit(node: Node, statement: str) -> None:
    """Change the book with the tool that people have, or with the library under it where it is not there."""
    path = node.folder / BOOK_NAME
    if shutil.which("sqlite3"):
        subprocess.run(["sqlite3", str(path), statement], check=True, capture_output=True)
    else:
        with closing(sqlite3.connect(path)) as book, book:
            book.execute(statement)


def forge(paid: Paid) -> bytes:
    """Change the month in the memo of the payment, as stored; return the block's bytes as they are now."""
    raw = body_of(paid.node, paid.height)
    assert raw.count(b"November") == 1
    forged = raw.replace(b"November", b"December")
    found = f"(SELECT id FROM main WHERE height = {paid.height})"  # noqa: S608 - both numbers and hex of ours
    edit(paid.node, f"UPDATE bodies SET raw = x'{forged.hex()}' WHERE id = {found}")  # noqa: S608 - the same
    return forged


def body_of(node: Node, height: int) -> bytes:
    with closing(sqlite3.connect(node.folder / BOOK_NAME)) as book:
        (raw,) = book.execute(
            "SELECT raw FROM bodies JOIN main USING (id) WHERE height = ?", (height,)
        ).fetchone()
        return bytes(raw)


def test_a_byte_of_a_stored_entry_that_was_edited_is_named_to_the_entry(paid: Paid) -> None:
    node = paid.node
    assert node.cli("verify")["ok"]
    forged = forge(paid)

    told = node.cli("verify", status=1)
    assert not told["ok"]
    bad = told["first_bad"]
    assert (bad["height"], bad["txid"]) == (paid.height, None) or bad["txid"] == paid.txid
    found = [decode_entry(entry).txid.hex() for entry in decode_block(forged).entries]
    assert bad["position"] == 1 + found.index(bad["found_txid"])
    assert bad["found_txid"] != paid.txid
    assert bad["rule"]
    said = node.run("verify")
    assert said.returncode == 1
    assert "rebuild" in said.stdout


def test_a_running_node_never_serves_what_was_edited(paid: Paid) -> None:
    node = paid.node
    forge(paid)
    node.start()
    refused = node.refused("tx", paid.txid)
    assert refused.status == 1
    assert refused.code == "book-damaged"
    assert "verify" in refused.hint
    assert node.status()["height"] == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET balance = balance + 100000000",
        "DELETE FROM accounts",
        "DELETE FROM bodies WHERE id = 3",
        "UPDATE blocks SET header = zeroblob(92) WHERE id = 3",
        "DELETE FROM main WHERE height = 5",
    ],
)
def test_an_edited_table_is_named_and_a_rebuild_mends_it(paid: Paid, lab: Lab, statement: str) -> None:
    node = paid.node
    friend = lab.node("bob", "--mine", "off", network=lab.folder / "network.toml", peers=[node.address])
    shutil.copytree(node.folder, friend.folder, ignore=shutil.ignore_patterns("identity", "wallets"))
    edit(node, statement)
    assert not node.cli("verify", status=1)["ok"]
    node.run("rebuild")  # what it had to leave out comes from peers
    node.start()
    friend.start()
    agreed([node, friend], 5)
    assert node.cli("verify")["ok"]
    assert node.cli("tx", paid.txid)["memo"] == paid.memo


def test_a_book_overwritten_in_the_middle_is_refused_with_the_command_that_remakes_it(paid: Paid) -> None:
    node = paid.node
    path = node.folder / BOOK_NAME
    content = bytearray(path.read_bytes())
    content[100:4_096] = b"\xa5" * 3_996
    path.write_bytes(content)
    node.launch()
    assert node.wait() == 1
    last = node.log().splitlines()[-1]
    assert str(path) in last
    assert "rebuild" in last


def test_a_book_that_is_no_database_is_refused_by_name(paid: Paid) -> None:
    path = paid.node.folder / BOOK_NAME
    path.write_bytes(b"Dear diary, today I was not a database. " * 200)
    paid.node.launch()
    assert paid.node.wait() == 1
    assert str(path) in paid.node.log().splitlines()[-1]


def test_a_book_cut_off_after_a_backup_is_named(paid: Paid) -> None:
    path = paid.node.folder / BOOK_NAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2)
    paid.node.launch()
    assert paid.node.wait() == 1
    last = paid.node.log().splitlines()[-1]
    assert str(path) in last
    assert "rebuild" in last


def test_rebuild_and_verify_leave_a_running_node_alone(paid: Paid) -> None:
    node = paid.node.start()
    assert node.cli("verify")["ok"]
    refused = node.refused("rebuild")
    assert "in use" in refused.message
    assert node.status()["height"] == 5
    assert Path(node.folder / BOOK_NAME).exists()
