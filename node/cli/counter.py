"""The counter: today's takings. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import click

from node import days
from node.cli.client import Client
from node.cli.errors import WRONG_USAGE, CommandError
from node.cli.invocation import Invocation, pass_invocation
from node.cli.look import all_pending
from node.cli.named import Names, address_of
from node.cli.options import Command, examples
from node.cli.text import Units, count_of
from node.takings import Span, takings, within

Json = dict[str, Any]

_PAGE: Final = 200
"""Items of a history asked for at a time."""
_ATTEMPTS: Final = 5
"""How often a day is read again where the chain changed meanwhile."""


@click.command(
    cls=Command,
    epilog=examples("today", "today --date 2026-11-21", "today --account till --json"),
)
@click.option("--account", metavar="A", help="An address or a contact; your own without.")
@click.option("--date", "day", metavar="YYYY-MM-DD", help="Another day, in this machine's time zone.")
@pass_invocation
def today(invocation: Invocation, account: str | None, day: str | None) -> None:
    """Show what was taken in and paid out today, from whom, and what is still pending.

    An entry counts for the day of its block.
    """
    chosen = _day(day)
    client = invocation.client()
    address = invocation.info()["address"] if account is None else address_of(invocation, account)
    span = days.span_of(chosen)
    pending = [entry for entry in all_pending(client) if address in (entry["sender"], entry["recipient"])]
    found = {
        "address": address,
        "date": chosen.isoformat(),
        "from_ms": span.from_ms,
        "to_ms": span.to_ms,
        **takings(address, read_span(client, address, span)),
        "pending": takings(address, pending),
    }
    invocation.answer(found, lambda: _show(invocation, found))


def _day(text: str | None) -> date:
    if text is None:
        return days.today()
    try:
        day = date.fromisoformat(text)
        days.span_of(day)
    except (ValueError, OverflowError):
        hint = "write it as 2026-11-22"
        raise CommandError("bad-date", f"{text[:40]!a} is no date", hint, WRONG_USAGE) from None
    return day


def read_span(client: Client, address: str, span: Span) -> list[Json]:
    """Return the items of a history in a span, newest first. Raises CommandError."""
    for _ in range(_ATTEMPTS):
        try:
            return list(within(_history(client, address), span))
        except CommandError as error:
            if error.code != "chain-changed":
                raise
    raise CommandError("chain-changed", "the chain keeps changing", "try again in a moment")


def _history(client: Client, address: str) -> Iterator[Json]:
    after = None
    while page := client.call("history", address=address, limit=_PAGE, after=after):
        yield from page
        after = {name: page[-1][name] for name in ("height", "position", "block", "balance")}


def _show(invocation: Invocation, found: Json) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    units, names = invocation.units(), Names.of(invocation)
    pending = found["pending"]
    show.fields(
        [
            ("day", found["date"]),
            ("account", names.full(found["address"])),
            ("taken in", show.Cell(units.amount(found["in"]), "bold green" if found["in"] else "")),
            ("paid out", units.amount(found["out"])),
            ("fees paid", units.amount(found["fees"])),
            ("mined", units.amount(found["rewards"])),
            ("entries", str(found["entries"])),
            ("pending", _pending(pending, units)),
        ]
    )
    if not found["by"]:
        return
    show.line("")
    columns = [
        show.Column("who"),
        show.Column("entries", right=True, spare=1),
        show.Column(f"in {units.symbol}", right=True),
        show.Column("out", right=True),
    ]
    rows = [
        (names.short(by["address"]), str(by["entries"]), units.bare(by["in"]), units.bare(by["out"]))
        for by in found["by"]
    ]
    show.table(columns, rows, "")


def _pending(pending: Json, units: Units) -> str:
    if not pending["entries"]:
        return "nothing"
    entries = count_of(pending["entries"], "entry", "entries")
    return f"{entries}: {units.amount(pending['in'])} in, {units.amount(pending['out'])} out"
