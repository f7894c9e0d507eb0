"""Statements: one line an entry, and an opening balance that all lines turn into the closing one."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node import statement as module
from node.ledger.params import Parameters
from node.postings import ALWAYS, postings
from node.statement import By, Month, StatementRefused, read_month, statement
from node.takings import Span
from tests.building import ChainBuilder
from tests.memory_book import MemoryBook
from tests.test_postings import ANN, BOB, CLEO, FOUNDED, PEOPLE, Blocks, books, built, networks


@settings(deadline=None)
@given(networks, books, st.integers(0, 2), st.integers(0, 8))
def test_opening_and_totals_give_the_closing_balance(
    parameters: Parameters, blocks: Blocks, who: int, first: int
) -> None:
    chain, tip = built(parameters, blocks)
    book = MemoryBook(chain, tip)
    owner = PEOPLE[who].public
    times = [block.block.header.timestamp_ms for block in tip.path()]
    span = Span(times[min(first, len(times) - 1)], ALWAYS.to_ms)
    found = statement(owner, span, postings(book, parameters, owner, span))
    assert found.closing == book.account(owner).balance
    assert found.opening + sum(line.change for line in found.lines) == found.closing
    assert (
        found.opening + found.given + found.received + found.mined - found.paid - found.fees == found.closing
    )
    balance = found.opening
    for line in found.lines:
        balance += line.change
        assert line.balance == balance
    assert sum(by.received for by in found.by) == found.received
    assert sum(by.paid for by in found.by) == found.paid
    touching = [
        entry
        for block in tip.path()
        if block.block.header.timestamp_ms >= span.from_ms
        for entry in block.entries
        if owner in (entry.sender, entry.recipient)
    ]
    assert [line.txid for line in found.lines if line.what in {"in", "out", "self"}] == [
        e.txid for e in touching
    ]


def test_an_entry_is_one_line_with_its_fee_and_a_block_one_with_its_fees() -> None:
    chain = ChainBuilder(FOUNDED)
    paid = chain.entry(ANN, BOB, 7_00, fee=5, memo="coffee")
    alone = chain.entry(ANN, ANN, 1_00, fee=2)
    block = chain.block(None, [paid, alone], miner=ANN)
    book = MemoryBook(chain, block)
    found = statement(ANN.public, ALWAYS, postings(book, FOUNDED, ANN.public))
    assert [(line.what, line.change, line.fee, line.balance) for line in found.lines] == [
        ("allocation", 500_00, 0, 500_00),
        ("out", -7_05, 5, 492_95),
        ("self", -2, 2, 492_93),
        ("mined", 50_07, 0, 543_00),
    ]
    assert (found.paid, found.fees, found.mined, found.given) == (7_00, 7, 50_07, 500_00)
    assert found.by == (By(BOB.public, 1, 0, 7_00),)
    assert found.lines[1].memo == "coffee"
    assert found.lines[1].counterparty == BOB.public


def test_an_account_that_nothing_happened_to_has_an_empty_statement() -> None:
    chain = ChainBuilder(FOUNDED)
    book = MemoryBook(chain, chain.block())
    found = statement(CLEO.public, ALWAYS, postings(book, FOUNDED, CLEO.public))
    assert (found.opening, found.closing, found.lines, found.by) == (0, 0, (), ())


def test_too_long_a_statement_points_to_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 2)
    chain = ChainBuilder()
    book = MemoryBook(chain, chain.blocks(None, 3, miner=ANN)[-1])
    with pytest.raises(StatementRefused, match="export"):
        statement(ANN.public, ALWAYS, postings(book, chain.parameters, ANN.public))


def test_a_month_begins_and_ends_at_midnight_of_its_zone() -> None:
    assert Month(2026, 11).span(UTC) == Span(1_793_491_200_000, 1_796_083_200_000)
    assert Month(2026, 12).span(UTC) == Span(1_796_083_200_000, 1_798_761_600_000)
    berlin = Month(2026, 10).span(ZoneInfo("Europe/Berlin"))  # an hour is turned back within it
    assert berlin.to_ms - berlin.from_ms == (31 * 24 + 1) * 3_600_000
    assert Month(1970, 1).span(ZoneInfo("Asia/Tokyo")).from_ms == 0


def test_a_month_is_written_as_a_calendar_does() -> None:
    assert read_month("2026-11") == Month(2026, 11)
    assert Month(2026, 1).name == "2026-01"
    assert Month(2026, 11).title == "November 2026"


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "11-2026", "2026-1", "٢٠٢٦-11", "9999-12", "0001-01"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(StatementRefused, match="no month"):
        read_month(text)
