"""Exports as people ask for them: from the book on the disk, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks.books import lay
from node.cli import export as command
from node.ledger.params import Parameters
from node.postings import Posting, postings
from node.storage.reading import ReadOnlyBook
from node.storage.sqlite import BOOK_NAME
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode


@pytest.fixture
def kept(lonely: Shell, node: FakeNode) -> Shell:
    """A shell beside a stored book, and no node."""
    lay(node.parameters, [block.raw for block in node.top.path()[1:]], node.folder)
    lonely.type("contact", "add", "bob", address(BOB))
    return lonely


@contextmanager
def in_zone(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own zone, for as long as the block lasts."""
    with monkeypatch.context() as here:
        here.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_without_a_file_it_goes_to_standard_output(kept: Shell) -> None:
    found = rows(kept.type("export").stdout)
    assert {row["account"] for row in found} == {address(OWNER), address(BOB)}
    assert "bob" in {row["account_name"] for row in found}
    assert {row["currency"] for row in found} == {"TEST"}


def test_a_main_chain_with_a_gap_is_told_of_as_damage(kept: Shell) -> None:
    with closing(sqlite3.connect(kept.folder / BOOK_NAME)) as book, book:
        book.execute("DELETE FROM main WHERE height = 1")
    error = kept.fail("export", "--output", "book.csv")
    assert error["code"] == "book-damaged"
    assert error["message"] == "there is no block at height 1, below the tip"


def test_an_account_is_named_by_its_contact_and_ends_with_its_balance(kept: Shell, node: FakeNode) -> None:
    found = rows(kept.type("export", "--account", "bob").stdout)
    assert {row["account"] for row in found} == {address(BOB)}
    assert int(found[-1]["balance_units"]) == node.book.account(BOB.public).balance
    assert found == rows(kept.type("export", "--account", address(BOB).upper()).stdout)


def test_a_file_is_named_by_its_ending_and_told_of(kept: Shell, tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    told = kept.ask("export", "--output", str(path))
    lines = path.read_text().splitlines()
    assert told == {"file": str(path), "format": "jsonl", "rows": len(lines)}
    assert json.loads(lines[0])["kind"] == "reward"
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept.type("export", "-o", str(tmp_path / "book.parquet")).exit_code == 0
    assert (tmp_path / "book.parquet").read_bytes().startswith(b"PAR1")


def test_days_are_of_the_readers_zone_or_utc(kept: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = rows(kept.type("export", "--utc").stdout)  # all on the evening of 14 November 2023
    assert {row["block_time"][:10] for row in everything} == {"2023-11-14"}
    assert rows(kept.type("export", "--from", "2023-11-14", "--to", "2023-11-14").stdout) == everything
    assert rows(kept.type("export", "--to", "2023-11-13").stdout) == []
    opening = rows(kept.type("export", "--from", "2023-11-15").stdout)
    assert {row["kind"] for row in opening} == {"opening"}
    with in_zone("Asia/Tokyo", monkeypatch):
        local = rows(kept.type("export", "--from", "2023-11-15", "--to", "2023-11-15").stdout)
    assert {row["block_time"][:10] + row["block_time"][-6:] for row in local} == {"2023-11-15+09:00"}
    assert [row["txid"] for row in local if row["kind"] != "opening"] == [row["txid"] for row in everything]
    utc = rows(kept.type("export", "--utc", "--from", "2023-11-15").stdout)
    assert {row["kind"] for row in utc} == {"opening"}
    timed = rows(kept.type("export", "--from", "2023-11-14T22:13:22Z", "--to", "2023-11-14T22:13:23Z").stdout)
    assert {row["height"] for row in timed if row["kind"] != "opening"} == {"2"}


@pytest.mark.parametrize(
    "words, status, code",
    [
        (["--from", "yesterday"], 2, "bad-date"),
        (["--to", "2026-13-01"], 2, "bad-date"),
        (["--to", "9999-12-31"], 2, "bad-date"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], 2, "bad-date"),
        (["--format", "xlsx"], 2, "usage"),
        (["--account", "nobody"], 2, "bad-address"),
        (["--output", "no/such/folder/book.csv"], 1, "path"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(
    kept: Shell, words: list[str], status: int, code: str
) -> None:
    output = [] if "--output" in words else ["--output", "book.csv"]
    assert kept.fail("export", *words, *output, status=status)["code"] == code
    assert not Path("book.csv").exists()


def test_json_tells_of_a_file_and_wants_one(kept: Shell) -> None:
    result = kept.type("--json", "export")
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["code"] == "usage"


def test_without_a_book_there_is_nothing_to_export(lonely: Shell) -> None:
    error = lonely.fail("export", "-o", "book.csv")
    assert "no book" in error["message"]


def test_names_that_cannot_be_read_are_told_of_before_anything_is_written(
    kept: Shell, node: FakeNode
) -> None:
    (node.folder / "contacts.toml").write_text("bob =\n")
    assert "contacts.toml:1" in kept.fail("export", "-o", "book.csv", status=2)["message"]


def test_an_export_that_is_broken_off_leaves_nothing_half(
    kept: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(book: ReadOnlyBook, parameters: Parameters, *_: object) -> Iterator[Posting]:
        yield next(postings(book, parameters))
        raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(command, "postings", broken_off)
    assert kept.type("export", "-o", str(tmp_path / "book.csv")).exit_code == 130
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_takes_the_place_of_no_other_file_link_or_device(kept: Shell, tmp_path: Path) -> None:
    kept_file, link = tmp_path / "book.csv", tmp_path / "link.csv"
    kept_file.write_text("of last month")
    link.symlink_to(kept_file)
    for taken in (kept_file, link, Path("/dev/null")):
        assert kept.fail("export", "-o", str(taken))["code"] == "file-exists"
    assert kept_file.read_text() == "of last month"
    assert link.is_symlink()


def test_a_book_whose_balances_were_edited_is_not_exported_as_if_true(kept: Shell, node: FakeNode) -> None:
    import sqlite3  # noqa: PLC0415 - the forger's tool

    with sqlite3.connect(node.folder / "book.sqlite") as forger:
        forger.execute("UPDATE accounts SET balance = balance + 1 WHERE key = ?", (BOB.public,))
    assert kept.fail("export", "-o", "book.csv")["code"] == "book-damaged"
    assert not Path("book.csv").exists()
