"""Statements as people ask for them: one file to hand over, or the same for programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.books import lay
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode

MONTH = "2023-11"


@pytest.fixture
def kept(lonely: Shell, node: FakeNode) -> Shell:
    """A shell beside a stored book, and no node."""
    lay(node.parameters, [block.raw for block in node.top.path()[1:]], node.folder)
    lonely.ask("contact", "add", "bob", address(BOB))
    return lonely


def test_a_statement_for_programs_adds_up(kept: Shell, node: FakeNode) -> None:
    found = kept.ask("statement", "bob", "--month", MONTH, "--utc")
    assert (found["address"], found["month"]) == (address(BOB), MONTH)
    assert found["closing"] == node.book.account(BOB.public).balance
    assert found["opening"] + sum(entry["change"] for entry in found["entries"]) == found["closing"]
    assert found["by"] == [{"address": address(OWNER), "entries": 1, "received": 7_50, "paid": 0}]
    assert found["tip"] == node.top.hash.hex()
    after = kept.ask("statement", "bob", "--month", "2023-12")
    assert (after["opening"], after["entries"], after["closing"]) == (found["closing"], [], found["closing"])


def test_the_page_needs_nothing_but_itself_and_shows_names_and_memos_as_text(
    kept: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "bob.html"
    result = kept.type("statement", "bob", "--month", MONTH, "-o", str(path))
    assert result.stdout == f"wrote {path}\n"
    page = path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "November 2023" in page
    assert "<bdi>bob</bdi>" in page
    assert "coffee [bold]x[/] ☕ 日本" in page
    assert "7.50" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert kept.type("statement", "bob", "--month", MONTH).stdout == page


@pytest.mark.parametrize(
    "words, status, code",
    [
        (["bob", "--month", "November"], 2, "bad-month"),
        (["nobody"], 2, "bad-address"),
        ([], 2, "usage"),
        (["bob", "--month", MONTH, "-o", "no/such/folder/bob.html"], 1, "path"),
    ],
)
def test_what_has_no_statement_is_refused_by_name(
    kept: Shell, words: list[str], status: int, code: str
) -> None:
    assert kept.fail("statement", *words, status=status)["code"] == code


def test_without_a_month_it_is_the_present_one(kept: Shell, node: FakeNode) -> None:
    found = kept.ask("statement", "bob")
    assert found["entries"] == []
    assert found["opening"] == node.book.account(BOB.public).balance
