"""Receipts on the command line: made from the copy on the disk, checked without any node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import main
from node.network_file import format_network
from node.storage.port import Batch, Standing
from node.storage.sqlite import BOOK_NAME, open_book
from tests.building import Built, ChainBuilder, record_of
from tests.cli.conftest import BOB, Shell
from tests.cli.test_look import WIDTHS, widest
from tests.fake_node import FakeNode
from tests.storage.filling import PARAMETERS, filled_book, sample_chain
from tests.vectors.read import read

CHECKED = {
    *("ok", "kind", "anchored_to", "anchor", "work", "network", "network_id", "symbol", "decimals", "height"),
    *("block", "block_timestamp_ms", "tip_height", "tip", "tip_timestamp_ms", "entry"),
}
ENTRY = {*("txid", "position", "timestamp_ms", "sender", "recipient", "amount", "fee", "nonce", "memo")}
TIP = {"held", "status", "hash", "height", "rewritten_at", "tip_height", "tip", "proof"}


@pytest.fixture
def book(lonely: Shell) -> tuple[ChainBuilder, list[Built]]:
    """A book of six blocks in the folder of a node that does not run."""
    chain, built = sample_chain(6)
    filled_book(lonely.folder, chain, built)
    return chain, built


def add_branch(folder: Path, blocks: list[Built], standing: Standing) -> None:
    """Put a side branch into the stored tree of blocks."""
    with_book = open_book(folder / BOOK_NAME, PARAMETERS)
    try:
        fork = blocks[0].parent
        assert fork is not None
        parent_id, batch = fork.height, Batch(1)
        for number, block in enumerate(blocks, with_book.store.next_id()):
            record = record_of(block, number, parent_id=parent_id, skip_id=parent_id, standing=standing)
            batch.records.append(record)
            batch.bodies.append((number, block.raw))
            parent_id = number
        with_book.store.stage(batch)
        with_book.writer.commit([batch])
        with_book.store.settle(1)
    finally:
        with_book.close()


# ------------------------------------------------------------------------------------------ receipt


def test_a_receipt_goes_by_file_from_one_to_another_who_has_no_node(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    _, built = book
    entry, tip = built[2].entries[1], built[-1]
    made = lonely.ask("receipt", entry.txid.hex(), "-o", "cup.json")
    assert made == {
        "file": "cup.json",
        "bytes": (tmp_path / "cup.json").stat().st_size,
        "txid": entry.txid.hex(),
        "height": 3,
        "block": built[2].hash.hex(),
        "tip_height": 6,
        "tip": tip.hash.hex(),
    }
    elsewhere = Shell.__new__(Shell)  # only its `type` is asked, on a folder that is not there
    elsewhere.__dict__.update(vars(lonely), folder=tmp_path / "nowhere")
    found = elsewhere.ask("check-receipt", "cup.json", "--trust", tip.hash.hex().upper())
    assert set(found) == CHECKED
    assert set(found["entry"]) == ENTRY
    assert found["anchored_to"] == tip.hash.hex()
    assert (found["ok"], found["kind"], found["anchor"]) == (True, "receipt", "tip")
    assert (found["entry"]["amount"], found["entry"]["memo"]) == (entry.amount, "cup 2.1")
    assert (found["network"], found["symbol"], found["decimals"]) == ("for-tests", "TEST", 2)
    assert found["work"] == "0x4"
    assert not (tmp_path / "nowhere").exists()


def test_a_receipt_is_printed_as_the_very_bytes_of_its_file(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    txid = book[1][2].entries[0].txid.hex()
    printed = lonely.type("receipt", txid).stdout
    assert printed == lonely.type("--json", "receipt", txid.upper()).stdout
    assert json.loads(printed)["format"] == "indelible-receipt-1"
    lonely.type("receipt", txid, "-o", "cup.json")
    assert (tmp_path / "cup.json").read_text() == printed
    checked = CliRunner().invoke(main, ["--json", "check-receipt", "-"], input=printed)
    assert json.loads(checked.stdout)["entry"]["txid"] == txid


def test_a_reward_has_a_receipt_too(lonely: Shell, book: tuple[ChainBuilder, list[Built]]) -> None:
    block = book[1][3]
    lonely.ask("receipt", block.coinbase_leaf.hex(), "-o", "reward.json")
    found = lonely.ask("check-receipt", "reward.json", "--trust", f"4:{block.hash.hex()}")
    assert found["anchor"] == "block"
    assert set(found["entry"]) == ENTRY
    assert (found["entry"]["sender"], found["entry"]["amount"]) == (None, 50_03)
    assert "nobody: it is a reward" in lonely.type("check-receipt", "reward.json").stdout


def test_a_receipt_can_lead_to_a_block_that_the_reader_knows(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    _, built = book
    txid = built[2].entries[0].txid.hex()
    for number, name in enumerate(("4", built[3].hash.hex())):
        lonely.ask("receipt", txid, "--tip", name, "-o", f"{number}.json")
        assert (
            lonely.ask("check-receipt", f"{number}.json", "--trust", built[3].hash.hex())["tip_height"] == 4
        )
    assert lonely.fail("receipt", txid, "--tip", "2", status=2)["code"] == "bad-tip"
    assert lonely.fail("receipt", txid, "--tip", "7")["code"] == "not-found"
    assert lonely.fail("receipt", txid, "--tip", "x", status=2)["code"] == "bad-hash"


@pytest.mark.usefixtures("book")
def test_an_entry_that_is_not_in_the_book_has_no_receipt(lonely: Shell) -> None:
    assert lonely.fail("receipt", "ab" * 32)["code"] == "not-found"
    assert lonely.fail("receipt", "xy" * 32, status=2)["code"] == "bad-txid"
    assert lonely.fail("receipt", "abab", status=2)["code"] == "bad-txid"


def test_the_first_digits_are_enough_while_the_node_runs(
    shell: Shell, node: FakeNode, chain: ChainBuilder
) -> None:
    path = [block for block in node.top.path() if block.height]
    filled_book(shell.folder, chain, path)
    txid = path[-1].entries[0].txid.hex()
    assert shell.ask("receipt", txid[:10], "-o", "cup.json")["txid"] == txid


def test_a_file_that_exists_is_not_overwritten(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    built = book[1]
    assert lonely.fail("receipt", built[2].entries[0].txid.hex(), "-o", "kept")["code"] == "file-exists"
    assert lonely.fail("check-tip", built[2].hash.hex(), "-o", "kept")["code"] == "file-exists"
    assert lonely.fail("receipt", built[2].entries[0].txid.hex(), "-o", "no/where")["code"] == "path"
    assert (tmp_path / "kept").read_text() == "kept"


def test_without_a_book_there_is_nothing_to_prove(lonely: Shell) -> None:
    assert lonely.fail("receipt", "ab" * 32)["code"] == "not-a-book"
    assert lonely.fail("check-tip", "ab" * 32)["code"] == "not-a-book"


# ------------------------------------------------------------------------------------ check-receipt


def test_people_read_what_is_proven_and_what_to_compare(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    built = book[1]
    lonely.type("receipt", built[2].entries[1].txid.hex(), "-o", "cup.json")
    shown = lonely.type("check-receipt", "cup.json", columns=200)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == f"consistent, not anchored: compare tip {built[-1].hash.hex()}"
    assert "1.01 TEST" in shown.stdout
    assert "cup 2.1" in shown.stdout
    assert "about 4 hashes: that of its two headers alone, no more is proven" in shown.stdout
    assert lines[-2] == f"  python cli.py check-tip 6:{built[-1].hash.hex()}"
    assert "\\x" not in shown.stdout
    shown = lonely.type("check-receipt", "cup.json", "--trust", built[-1].hash.hex(), columns=200)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == f"anchored to {built[-1].hash.hex()}"
    assert "compare tip" not in shown.stdout


def test_a_hash_that_it_does_not_lead_to_is_status_1(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    built = book[1]
    lonely.type("receipt", built[2].entries[1].txid.hex(), "-o", "cup.json")
    for trust in ("ab" * 32, built[3].hash.hex(), book[0].network_id.hex(), f"5:{built[-1].hash.hex()}"):
        assert lonely.fail("check-receipt", "cup.json", "--trust", trust)["code"] == "not-anchored"
    for trust in ("ab", "x:" + "ab" * 32, "1:"):
        assert lonely.fail("check-receipt", "cup.json", "--trust", trust, status=2)["code"] == "bad-hash"


VECTORS = read("receipts.json")


@pytest.mark.parametrize("bad", VECTORS["bad"][::6], ids=lambda bad: bad["why"])
def test_a_forged_file_is_status_1_with_the_part_named(
    bad: dict[str, str], lonely: Shell, tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_bytes(bad["file"].encode())
    error = lonely.fail("check-receipt", "bad.json")
    assert error["code"] == "receipt-refused"
    assert error["message"].startswith(f"{bad['part']}: ")


def test_a_file_that_is_not_there_or_no_file_is_said_to_be(lonely: Shell, tmp_path: Path) -> None:
    assert lonely.fail("check-receipt", "nothing.json")["code"] == "path"
    assert lonely.fail("check-receipt", str(tmp_path))["message"].endswith("is no regular file")
    (tmp_path / "long.json").write_bytes(b" " * 262_145)
    assert "longer than 262144" in lonely.fail("check-receipt", "long.json")["message"]


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_is_shown_fits_the_terminal(columns: int, lonely: Shell, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(VECTORS["good"][0]["file"])
    shown = lonely.type("check-receipt", "good.json", columns=columns)
    assert shown.exit_code == 0
    lines = [line for line in shown.stdout.splitlines() if "compare tip" not in line and "python" not in line]
    assert widest("\n".join(lines[:-2])) <= columns


# ---------------------------------------------------------------------------------------- check-tip


def test_an_older_tip_is_still_part_of_the_book(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    built = book[1]
    old = built[2].hash.hex()
    found = lonely.ask("check-tip", f"3:{old.upper()}")
    assert set(found) == TIP
    assert (found["held"], found["status"], found["hash"], found["height"]) == (True, "held", old, 3)
    assert (found["rewritten_at"], found["tip_height"], found["tip"]) == (None, 6, built[-1].hash.hex())
    shown = lonely.type("check-tip", old, "-o", "proof.json", columns=200)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("still part of the book at height 3; 3 blocks added since\n")
    assert json.loads((tmp_path / "proof.json").read_text()) == found["proof"]
    checked = lonely.ask("check-receipt", "proof.json", "--trust", old)
    assert (checked["kind"], checked["anchor"], checked["entry"]) == ("extension", "block", None)
    shown = lonely.type("check-receipt", "proof.json", "--trust", old, columns=200)
    assert shown.stdout.startswith(f"anchored to {old}\nits tip is not: compare tip {built[-1].hash.hex()}\n")
    shown = lonely.type("check-receipt", "proof.json", columns=200)
    assert "the history up to block 3 was only added to" in shown.stdout


def test_today_s_tip_and_genesis_are_part_of_the_book(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    chain, built = book
    assert lonely.ask("check-tip", built[-1].hash.hex())["held"] is True
    assert "; 0 blocks added since" in lonely.type("check-tip", built[-1].hash.hex(), columns=200).stdout
    assert lonely.ask("check-tip", chain.network_id.hex())["proof"] is None
    assert lonely.fail("check-tip", chain.network_id.hex(), "-o", "x")["code"] == "no-proof"


def test_a_rewritten_book_is_status_1_and_the_height_is_named(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    chain, built = book
    side = chain.blocks(built[1], 2, miner=BOB)
    add_branch(lonely.folder, side, Standing.PROVEN)
    old = side[-1].hash.hex()
    found = lonely.ask("check-tip", old, "-o", "proof.json", status=1)
    assert (found["held"], found["status"], found["height"]) == (False, "rewritten", 4)
    assert (found["rewritten_at"], found["proof"]) == (3, None)
    shown = lonely.type("check-tip", old, columns=200)
    assert shown.exit_code == 1
    assert shown.stdout.startswith("no longer: the book was rewritten at height 3\n")
    assert not (tmp_path / "proof.json").exists()


def test_a_branch_that_broke_a_rule_or_is_not_here_yet_is_told_apart(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    chain, built = book
    invalid, ahead = chain.blocks(built[3], 1, miner=BOB), chain.blocks(built[-1], 1, miner=BOB)
    add_branch(lonely.folder, invalid, Standing.CONDEMNED)
    add_branch(lonely.folder, ahead, Standing.HEADER)
    assert lonely.ask("check-tip", invalid[0].hash.hex(), status=1)["status"] == "invalid"
    assert "breaks a rule" in lonely.type("check-tip", invalid[0].hash.hex(), columns=200).stdout
    assert lonely.ask("check-tip", ahead[0].hash.hex(), status=1)["status"] == "ahead"
    assert lonely.type("check-tip", ahead[0].hash.hex(), columns=200).stdout.startswith("not yet: ")


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    "named, said",
    [
        ("ab" * 32, "not known to this copy: "),
        ("9:" + "ab" * 32, "not known to this copy, which ends at block 6"),
        ("5:" + "ab" * 32, "no: this copy has another block at height 5"),
    ],
)
def test_what_this_copy_never_saw_is_said_to_be_unknown(lonely: Shell, named: str, said: str) -> None:
    found = lonely.ask("check-tip", named, status=1)
    assert (found["held"], found["status"], found["rewritten_at"]) == (False, "unknown", None)
    shown = lonely.type("check-tip", named, columns=250)
    assert shown.exit_code == 1
    assert shown.stdout.startswith(said)


def test_a_slip_in_what_was_written_down_is_named(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]]
) -> None:
    block = book[1][2].hash.hex()
    assert lonely.fail("check-tip", f"4:{block}", status=2)["code"] == "bad-tip"
    for typed in ("", "3", block[:-1], f":{block}", f"-1:{block}", f"3:{block}:3", "zz" * 32):
        assert lonely.fail("check-tip", "--", typed, status=2)["code"] == "bad-hash"


def test_the_network_of_a_file_can_be_named(
    lonely: Shell, book: tuple[ChainBuilder, list[Built]], tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(format_network(PARAMETERS))
    block = book[1][2].hash.hex()
    assert lonely.ask("--config", str(own), "check-tip", block)["held"] is True


def test_addresses_and_amounts_are_those_of_the_receipts_own_network(lonely: Shell, tmp_path: Path) -> None:
    """The reader's own settings say nothing about a file from elsewhere."""
    good = next(row for row in VECTORS["good"] if row["network"] == "steep")
    (tmp_path / "steep.json").write_text(good["file"])
    found = lonely.ask("check-receipt", "steep.json")
    assert found["entry"]["recipient"].startswith("dexter1")
    assert (found["decimals"], found["network_id"]) == (0, good["network_id"])
