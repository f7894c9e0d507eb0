"""A statement to hand over: statement. It works beside a node and without one, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from node.cli.errors import refusals
from node.cli.export import open_book
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import address_of, contacts_of
from node.cli.new_file import write_new
from node.cli.options import Command, examples
from node.ledger.address import decode_address, encode_address
from node.ledger.block import network_id
from node.postings import postings
from node.printed import Seal, html
from node.query import BookDamaged
from node.settings import ConfigError
from node.statement import Line, Month, Statement, StatementRefused, read_month, statement
from node.storage.faults import BookFault

Json = dict[str, Any]


@click.command(
    name="statement",
    cls=Command,
    epilog=examples(
        "statement ann --month 2026-11 -o ann.html",
        "statement ann --json               this month, for programs",
    ),
)
@click.argument("account")
@click.option("--month", metavar="YYYY-MM", help="Of the calendar; the present one without.")
@click.option("--utc", is_flag=True, help="Times and the month in UTC, not in this machine's zone.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE.html", help="Standard output without."
)
@pass_invocation
def make(invocation: Invocation, account: str, month: str | None, *, utc: bool, output: Path | None) -> None:
    """Write a month of ACCOUNT (an address or contact) as a page to print: balances, entries, by whom.

    One HTML file that needs nothing else; any browser shows and prints it. Entries count for the month of
    their block.
    """
    zone = UTC if utc else None
    with refusals(StatementRefused):
        chosen = _this_month() if month is None else read_month(month)
    with refusals(ConfigError):
        names = {address: name for name, address in contacts_of(invocation).items()}
    address = address_of(invocation, account)
    key = decode_address(address.rpartition("1")[0], address)
    with refusals(BookFault, BookDamaged, StatementRefused), open_book(invocation) as (book, parameters):
        span = chosen.span(zone)
        found = statement(key, span, postings(book, parameters, key, span))
        tip = book.tip()
    seal = Seal(parameters, network_id(parameters), tip.height, tip.hash, tip.header.timestamp_ms)
    page = html(found, chosen, seal, names.get, zone, whole=True)
    fields = _fields(found, chosen, seal)
    if output is not None:
        write_new(output, page.encode())
        invocation.answer(fields | {"file": str(output)}, lambda: click.echo(f"wrote {output}"))
    else:
        invocation.answer(fields, lambda: click.echo(page, nl=False))


def _this_month() -> Month:
    now = datetime.now(UTC).astimezone()
    return Month(now.year, now.month)


def _fields(found: Statement, month: Month, seal: Seal) -> Json:
    """Return the statement for programs; amounts are integers of the smallest unit."""
    prefix = seal.parameters.prefix
    return {
        "address": encode_address(prefix, found.account),
        "month": month.name,
        "from_ms": found.span.from_ms,
        "to_ms": found.span.to_ms,
        "height": seal.height,
        "tip": seal.tip.hex(),
        "opening": found.opening,
        "given": found.given,
        "received": found.received,
        "mined": found.mined,
        "paid": found.paid,
        "fees": found.fees,
        "closing": found.closing,
        "entries": [_line(line, prefix) for line in found.lines],
        "by": [
            {"address": encode_address(prefix, by.counterparty)}
            | {"entries": by.entries, "received": by.received, "paid": by.paid}
            for by in found.by
        ],
    }


def _line(line: Line, prefix: str) -> Json:
    return {
        "what": line.what,
        "counterparty": None if line.counterparty is None else encode_address(prefix, line.counterparty),
        "change": line.change,
        "fee": line.fee,
        "balance": line.balance,
        "timestamp_ms": line.time_ms,
        "block_timestamp_ms": line.block_time_ms,
        "height": line.height,
        "txid": None if line.txid is None else line.txid.hex(),
        "memo": line.memo,
    }
