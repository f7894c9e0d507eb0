"""Exports: every format says the same, adds up to the ledger, and does nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.export import COLUMNS, Format, Labels, ParquetMissing, check_available, harmless, moment, write
from node.ledger.address import encode_address
from node.ledger.params import Parameters
from node.postings import Posting, postings
from tests.building import Built, ChainBuilder, key
from tests.memory_book import MemoryBook
from tests.test_postings import ANN, BOB, FOUNDED, PEOPLE, Blocks, books, built, networks

ANN_ADDRESS = encode_address("test", ANN.public)
LABELS = Labels("test", 2, "TEST", {ANN_ADDRESS: "ann"}.get, UTC)


def exported(
    form: Format, parameters: Parameters, chain: ChainBuilder, tip: Built, account: bytes | None = None
) -> bytes:
    file = io.BytesIO()
    found = postings(MemoryBook(chain, tip), parameters, account)
    rows = write(file, form, found, LABELS)
    content = file.getvalue()
    assert rows == len(read(form, content))
    return content


def read(form: Format, content: bytes) -> list[dict[str, Any]]:
    """The rows as a reader of that format has them."""
    if form is Format.CSV:
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    if form is Format.JSONL:
        return [json.loads(line) for line in content.splitlines()]
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def alike(row: dict[str, Any]) -> dict[str, Any]:
    """A row as CSV would have it, whatever format it is of."""
    texts = {}
    for name, value in row.items():
        if hasattr(value, "isoformat"):
            shown = value.isoformat(timespec="milliseconds")
        else:
            shown = "" if value is None else str(value)
        texts[name] = harmless(shown) if name == "memo" else shown
    return texts


@settings(deadline=None)
@given(networks, books)
def test_the_sums_of_every_export_are_the_balances_to_the_unit(
    parameters: Parameters, blocks: Blocks
) -> None:
    chain, tip = built(parameters, blocks)
    wanted = {
        encode_address("test", owner): balance
        for owner, (balance, _) in chain.accounts_at(tip).items()
        if balance
    }
    for form in Format:
        sums: Counter[str] = Counter()
        decimals: Counter[str] = Counter()
        for row in read(form, exported(form, parameters, chain, tip)):
            sums[row["account"]] += int(row["change_units"])
            decimals[row["account"]] += Decimal(row["change"])  # type: ignore[assignment] # exact, as ints are
            assert int(row["balance_units"]) == sums[row["account"]]
            assert Decimal(row["balance"]) == decimals[row["account"]]
        assert {account: total for account, total in sums.items() if total} == wanted
        assert all(decimals[account] * 100 == total for account, total in sums.items())


@settings(deadline=None)
@given(networks, books, st.integers(0, 2))
def test_all_formats_say_the_same(parameters: Parameters, blocks: Blocks, who: int) -> None:
    chain, tip = built(parameters, blocks)
    for account in (None, PEOPLE[who].public):
        as_csv, as_jsonl, as_parquet = (
            [alike(row) for row in read(form, exported(form, parameters, chain, tip, account=account))]
            if form is not Format.CSV
            else read(form, exported(form, parameters, chain, tip, account=account))
            for form in Format
        )
        assert as_csv == as_jsonl == as_parquet


def test_a_row_says_who_what_and_when() -> None:
    chain = ChainBuilder(FOUNDED)
    paid = chain.entry(ANN, BOB, 7_00, fee=5, memo='=HYPERLINK("http://x")', timestamp_ms=1_700_000_000_999)
    content = exported(Format.CSV, FOUNDED, chain, chain.block(None, [paid]))
    assert content.startswith(",".join(COLUMNS).encode() + b"\r\n")
    row = next(row for row in read(Format.CSV, content) if row["kind"] == "in")
    assert row == {
        "block_time": "2023-11-14T22:13:21.000+00:00",
        "time": "2023-11-14T22:13:20.999+00:00",
        "height": "1",
        "position": "1",
        "txid": paid.txid.hex(),
        "kind": "in",
        "account": encode_address("test", BOB.public),
        "account_name": "",
        "counterparty": ANN_ADDRESS,
        "counterparty_name": "ann",
        "change": "7.00",
        "balance": "7.03",
        "currency": "TEST",
        "change_units": "700",
        "balance_units": "703",
        "nonce": "0",
        "memo": '\'=HYPERLINK("http://x")',
    }


@pytest.mark.parametrize("memo", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "＝1", "＠x"])  # noqa: RUF001 - meant
def test_what_a_spreadsheet_could_calculate_is_made_text_and_can_be_read_back(memo: str) -> None:
    assert harmless(memo) == "'" + memo
    assert harmless(memo).removeprefix("'") == memo


@pytest.mark.parametrize("memo", ["", "coffee", "2 = 1 + 1", "ä", '"quoted"'])
def test_a_harmless_memo_stays_as_it_is(memo: str) -> None:
    assert harmless(memo) == memo


def test_negative_amounts_stay_numbers() -> None:
    chain = ChainBuilder(FOUNDED)
    rows = read(
        Format.CSV, exported(Format.CSV, FOUNDED, chain, chain.block(None, [chain.entry(ANN, BOB, 7_00)]))
    )
    assert "-7.00" in [row["change"] for row in rows]
    assert "-700" in [row["change_units"] for row in rows]


@pytest.mark.parametrize(
    "zone, shown",
    [
        (UTC, "2026-07-01T10:00:00.007+00:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "2026-07-01T06:30:00.007-03:30"),
        (ZoneInfo("Europe/Berlin"), "2026-07-01T12:00:00.007+02:00"),
    ],
)
def test_a_time_has_its_milliseconds_and_its_offset(zone: tzinfo, shown: str) -> None:
    assert moment(1_782_900_000_007, zone) == shown


def test_a_time_that_no_calendar_holds_is_left_out() -> None:
    assert moment(2**53 - 1, UTC) is None


def test_without_the_package_for_parquet_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    check_available(Format.CSV)
    with pytest.raises(ParquetMissing) as missing:
        check_available(Format.PARQUET)
    assert "pip install" in missing.value.hint


def test_rows_go_out_as_they_come() -> None:
    chain = ChainBuilder(FOUNDED)
    book = MemoryBook(chain, chain.blocks(None, 20, miner=key("ann"))[-1])
    file = io.BytesIO()
    sizes = []

    def watched() -> Iterator[Posting]:
        for posting in postings(book, FOUNDED):
            sizes.append(file.tell())
            yield posting

    write(file, Format.JSONL, watched(), LABELS)
    assert sizes == sorted(set(sizes))
