"""The book for an accountant: its postings as rows of CSV, JSON lines or Parquet, written as they come.

Writes to the file it is given and touches nothing else. Amounts stand twice: as exact decimal units and as
integers of the smallest unit. Rows go out as they come in, so memory does not grow with the book.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import ModuleType
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from node.ledger.address import encode_address
from node.ledger.amount import format_amount
from node.postings import Posting

COLUMNS: Final = (
    *("block_time", "time", "height", "position", "txid", "kind", "account", "account_name"),
    *("counterparty", "counterparty_name", "change", "balance", "currency"),
    *("change_units", "balance_units", "nonce", "memo"),
)
"""`docs/export.md` says what each holds. New ones come last."""

_ADDRESSES: Final = 16_384
"""Kept, for making one takes 50 us and a book has the same people on every line."""
_TIMES: Final = 256
"""Kept, for the rows of an entry follow each other, and so do those of a block."""
_ROWS_AT_ONCE: Final = 5_000
"""Of Parquet."""
_DIGITS: Final = 18
"""Of a decimal in Parquet: any sum of a ledger has at most 16."""
_STARTS_A_FORMULA: Final = frozenset("=+-@\t\r'＝＋－＠")  # noqa: RUF001 - spreadsheets take the wide ones too


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ParquetMissing(Exception):
    """The package that writes Parquet is not installed."""

    code: Final = "parquet-missing"
    message: Final = "Parquet is written by a package that is not installed: pyarrow"
    hint: Final = "install it: python -m pip install 'pyarrow>=21,<27'"


@dataclass(frozen=True, slots=True)
class Labels:
    """How keys, amounts and times are written."""

    prefix: str
    """Of addresses."""
    decimals: int
    symbol: str
    name_of: Callable[[str], str | None]
    """The owner's name for an address."""
    zone: tzinfo | None
    """Of times; None: that of this machine, as it was at each time."""


class _Row(NamedTuple):
    """One row, its values in the order of COLUMNS as JSON has them."""

    block_time: str | None
    time: str | None
    height: int
    position: int | None
    txid: str | None
    kind: str
    account: str
    account_name: str | None
    counterparty: str | None
    counterparty_name: str | None
    change: str
    balance: str
    currency: str
    change_units: int
    balance_units: int
    nonce: int | None
    memo: str


class _Writer(Protocol):
    """Writes rows to a file."""

    def write(self, row: _Row, posting: Posting) -> None:
        """Write one row."""

    def end(self) -> None:
        """Write what is left; the file stays open."""


def write(file: BinaryIO, form: Format, found: Iterable[Posting], labels: Labels) -> int:
    """Write the postings as rows, a header first where the format has one; return how many rows.

    Raises ParquetMissing, and what the postings raise.
    """
    writer = _WRITERS[form](file, labels)
    shown = lru_cache(_ADDRESSES)(lambda key: encode_address(labels.prefix, key))
    when = lru_cache(_TIMES)(lambda time_ms: moment(time_ms, labels.zone))
    count = 0
    for count, posting in enumerate(found, 1):  # noqa: B007 - the last number is the answer
        writer.write(_row(posting, labels, shown, when), posting)
    writer.end()
    return count


def moment(time_ms: int, zone: tzinfo | None) -> str | None:
    """Return Unix milliseconds as ISO 8601 with milliseconds and offset; None for what no calendar holds."""
    try:
        found = datetime.fromtimestamp(time_ms // 1_000, UTC).replace(microsecond=time_ms % 1_000 * 1_000)
        return found.astimezone(zone).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: `'` before one that it could.

    Also before one that starts with `'`, so that a reader gets the text back by taking one `'` off.
    """
    return f"'{text}" if text[:1] in _STARTS_A_FORMULA and text else text


def _row(
    posting: Posting, labels: Labels, shown: Callable[[bytes], str], when: Callable[[int], str | None]
) -> _Row:
    account = shown(posting.account)
    counterparty = None if posting.counterparty is None else shown(posting.counterparty)
    return _Row(
        block_time=when(posting.block_time_ms),
        time=when(posting.time_ms),
        height=posting.height,
        position=posting.position,
        txid=None if posting.txid is None else posting.txid.hex(),
        kind=posting.kind.value,
        account=account,
        account_name=labels.name_of(account),
        counterparty=counterparty,
        counterparty_name=None if counterparty is None else labels.name_of(counterparty),
        change=format_amount(posting.change, labels.decimals),
        balance=format_amount(posting.balance, labels.decimals),
        currency=labels.symbol,
        change_units=posting.change,
        balance_units=posting.balance,
        nonce=posting.nonce,
        memo=posting.memo,
    )


class _Utf8:
    """A text file over a file of bytes, which stays its owner's to close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode())


class _Csv:
    """RFC 4180 in UTF-8; what is not known is empty."""

    def __init__(self, file: BinaryIO, _labels: Labels) -> None:
        self._file = file
        self._csv = csv.writer(_Utf8(file))
        self._csv.writerow(COLUMNS)

    def write(self, row: _Row, _posting: Posting) -> None:
        self._csv.writerow(row._replace(memo=harmless(row.memo)))

    def end(self) -> None:
        self._file.flush()


class _Jsonl:
    """One object a line; amounts in decimal units are strings, for many readers make floats of numbers."""

    def __init__(self, file: BinaryIO, _labels: Labels) -> None:
        self._file = file

    def write(self, row: _Row, _posting: Posting) -> None:
        fields = dict(zip(COLUMNS, row, strict=True))
        self._file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def end(self) -> None:
        self._file.flush()


class _Parquet:
    """Typed columns: times are UTC milliseconds, decimal units are decimals."""

    def __init__(self, file: BinaryIO, labels: Labels) -> None:
        self._arrow, parquet = _arrow()
        self._decimals = labels.decimals
        self._schema = _schema(self._arrow, labels.decimals)
        self._parquet = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._columns: Sequence[list[object]] = [[] for _ in COLUMNS]

    def write(self, row: _Row, posting: Posting) -> None:
        typed = row._asdict() | {
            "block_time": posting.block_time_ms,
            "time": posting.time_ms,
            "change": Decimal(posting.change).scaleb(-self._decimals),
            "balance": Decimal(posting.balance).scaleb(-self._decimals),
        }
        for column, value in zip(self._columns, typed.values(), strict=True):
            column.append(value)
        if len(self._columns[0]) >= _ROWS_AT_ONCE:
            self._flush()

    def end(self) -> None:
        self._flush()
        self._parquet.close()

    def _flush(self) -> None:
        arrays = [
            self._arrow.array(column, field.type)
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._parquet.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
        for column in self._columns:
            column.clear()


def check_available(form: Format) -> None:
    """Raise ParquetMissing where the format needs a package that is not installed."""
    if form is Format.PARQUET:
        _arrow()


def _arrow() -> tuple[ModuleType, ModuleType]:
    # Here and not at the top: an extra, which only those who want Parquet install.
    try:
        import pyarrow as pa  # noqa: PLC0415 - it may be missing
        from pyarrow import parquet  # noqa: PLC0415 - the same
    except ImportError:
        raise ParquetMissing from None
    return pa, parquet


def _schema(arrow: ModuleType, decimals: int) -> Any:  # noqa: ANN401 - pyarrow has no types
    amount, time = arrow.decimal128(_DIGITS, decimals), arrow.timestamp("ms", tz="UTC")
    types = {"block_time": time, "time": time, "change": amount, "balance": amount}
    types |= dict.fromkeys(("height", "position", "change_units", "balance_units", "nonce"), arrow.int64())
    return arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])


_WRITERS: Final[dict[Format, Callable[[BinaryIO, Labels], _Writer]]] = {
    Format.CSV: _Csv,
    Format.JSONL: _Jsonl,
    Format.PARQUET: _Parquet,
}
