"""The statement of an account over a span of time: lines, totals, and by whom, from the book's postings.

Touches nothing. What an entry posts to one account is one line here: what went out with its fee, a reward
with the fees of its block. Opening balance and all changes give the closing balance, by the same integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Final, NamedTuple

from node.postings import Kind, Posting
from node.takings import Span

MAX_LINES: Final = 20_000
"""Some 600 printed pages, and what one answer of the page may hold."""

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""Written out, as strftime's names follow the machine's language."""
_MINED: Final = (Kind.REWARD, Kind.FEES)


class StatementRefused(Exception):
    """A statement that cannot be made; `hint` is the next thing to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.code = code
        self.message = message
        self.hint = hint


class Line(NamedTuple):
    """One entry, reward or allocation."""

    what: str
    """`in`, `out`, `self`, `mined` or `allocation`."""
    counterparty: bytes | None
    """Key, 32 bytes; None where nobody stands on the other side."""
    change: int
    """Of the balance, the fee included; smallest units."""
    fee: int
    balance: int
    """After it."""
    time_ms: int
    """The payer's own; Unix milliseconds."""
    block_time_ms: int
    height: int
    txid: bytes | None
    memo: str


class By(NamedTuple):
    """What passed between the account and another one."""

    counterparty: bytes
    entries: int
    received: int
    paid: int
    """Without fees."""


@dataclass(frozen=True, slots=True)
class Statement:
    """An account over a span of time. Amounts are integers of the smallest unit."""

    account: bytes
    span: Span
    opening: int
    lines: tuple[Line, ...]
    received: int
    paid: int
    """Without fees."""
    fees: int
    mined: int
    """Rewards, with the fees in their blocks."""
    given: int
    """Allocated with the network itself."""
    closing: int
    by: tuple[By, ...]
    """Who paid most first, then who was paid most."""


class Month(NamedTuple):
    """A month of the calendar."""

    year: int
    number: int
    """1 to 12."""

    @property
    def name(self) -> str:
        """As ISO 8601 writes it: `2026-11`."""
        return f"{self.year:04}-{self.number:02}"

    @property
    def title(self) -> str:
        """As people read it: `November 2026`."""
        return f"{_MONTHS[self.number - 1]} {self.year}"

    def span(self, zone: tzinfo | None) -> Span:
        """Return it in a time zone; None: that of this machine."""
        following = Month(self.year + self.number // 12, self.number % 12 + 1)
        return Span(_begin(self, zone), _begin(following, zone))


def read_month(text: str) -> Month:
    """Return a month written as `2026-11`. Raises StatementRefused(bad-month)."""
    year, _, number = text.partition("-")
    if (
        len(year) == 4
        and len(number) == 2
        and text.replace("-", "", 1).isascii()
        and (year + number).isdigit()
    ):
        month = Month(int(year), int(number))
        if 1970 <= month.year <= 9998 and 1 <= month.number <= 12:
            return month
    raise StatementRefused("bad-month", f"{text[:20]!a} is no month", "write it as 2026-11")


def statement(account: bytes, span: Span, found: Iterable[Posting]) -> Statement:
    """Return the statement of these postings, which are the account's in that span.

    Raises StatementRefused(too-long), and what the postings raise.
    """
    opening, lines = 0, []
    for line in _lines(found):
        if isinstance(line, int):
            opening = line
            continue
        lines.append(line)
        if len(lines) > MAX_LINES:
            hint = "use `export`, which has no bound"
            raise StatementRefused("too-long", f"more than {MAX_LINES} entries", hint)
    return Statement(
        account,
        span,
        opening,
        tuple(lines),
        received=sum(line.change for line in lines if line.what == "in"),
        paid=-sum(line.change + line.fee for line in lines if line.what == "out"),
        fees=sum(line.fee for line in lines),
        mined=sum(line.change for line in lines if line.what == "mined"),
        given=sum(line.change for line in lines if line.what == "allocation"),
        closing=lines[-1].balance if lines else opening,
        by=_by(lines),
    )


def _lines(found: Iterable[Posting]) -> Iterator[Line | int]:
    """Yield the opening balance where there is one, then what each entry or reward made."""
    for _, group in groupby(found, lambda posting: (posting.height, posting.txid, posting.kind in _MINED)):
        parts = list(group)
        if parts[0].kind is Kind.OPENING:
            yield parts[0].balance
        else:
            yield _line(parts)


def _line(parts: list[Posting]) -> Line:
    first = parts[0]
    kinds = {part.kind for part in parts}
    if Kind.OUT in kinds and Kind.IN in kinds:
        what = "self"
    elif first.kind in _MINED:
        what = "mined"
    else:
        what = first.kind.value
    return Line(
        what,
        None if what == "self" else first.counterparty,
        change=sum(part.change for part in parts),
        fee=-sum(part.change for part in parts if part.kind is Kind.FEE),
        balance=parts[-1].balance,
        time_ms=first.time_ms,
        block_time_ms=first.block_time_ms,
        height=first.height,
        txid=first.txid,
        memo=first.memo,
    )


def _by(lines: Iterable[Line]) -> tuple[By, ...]:
    found: dict[bytes, By] = {}
    for line in lines:
        if line.counterparty is not None:
            by = found.get(line.counterparty, By(line.counterparty, 0, 0, 0))
            received = line.change if line.what == "in" else 0
            paid = -line.change - line.fee if line.what == "out" else 0
            found[line.counterparty] = By(
                line.counterparty, by.entries + 1, by.received + received, by.paid + paid
            )
    return tuple(sorted(found.values(), key=lambda by: (-by.received, -by.paid, by.counterparty)))


def _begin(month: Month, zone: tzinfo | None) -> int:
    begin = datetime(month.year, month.number, 1, tzinfo=zone)
    return max(0, round(begin.timestamp() * 1_000))
