"""The book for the accountant: export. It works beside a node and without one, and changes nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from node import export as rows
from node.cli.errors import WRONG_USAGE, CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import address_of, contacts_of
from node.cli.new_file import refuse_taken
from node.cli.offline import book_path, parameters_of
from node.cli.options import Command, examples
from node.cli.text import count_of
from node.export import Format, Labels, ParquetMissing
from node.ledger.address import decode_address
from node.ledger.params import Parameters
from node.postings import ALWAYS, Progress, postings
from node.private import PathError, writing_private_file
from node.query import BookDamaged
from node.settings import ConfigError
from node.storage.faults import BookFault
from node.storage.reading import ReadOnlyBook, open_read_only
from node.takings import Span

_DAY: Final = timedelta(days=1)


@click.command(
    cls=Command,
    epilog=examples(
        "export -o book.csv                         the whole book",
        "export --account ann --from 2026-11-01 -o ann.csv",
        "export --format jsonl | jq .memo",
        "export -o book.parquet                     needs pyarrow",
    ),
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    help="How rows are written; as FILE ends, or csv, without.",
)
@click.option("--account", metavar="A", help="Of this address or contact alone; all without.")
@click.option("--from", "first", metavar="DATE", help="From this day on: 2026-11-01, or 2026-11-01T08:00.")
@click.option("--to", "last", metavar="DATE", help="To the end of this day, or to just before this time.")
@click.option("--utc", is_flag=True, help="Days and times in UTC, not in this machine's zone.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Standard output without."
)
@pass_invocation
def export(
    invocation: Invocation,
    form: str | None,
    account: str | None,
    first: str | None,
    last: str | None,
    *,
    utc: bool,
    output: Path | None,
) -> None:
    """Write every change of every balance as a row, in the order of the book.

    The changes of an account add up to its balance to the unit. Days count by the time of the block.
    """
    chosen = _format(form, output)
    _check_output(invocation, chosen, output)
    zone = UTC if utc else None
    span = read_span(first, last, zone)
    with refusals(ParquetMissing, ConfigError):
        rows.check_available(chosen)
        names = {address: name for name, address in contacts_of(invocation).items()}
    key = None
    if account is not None:
        address = address_of(invocation, account)
        key = decode_address(address.rpartition("1")[0], address)
    with refusals(BookFault, BookDamaged, PathError), open_book(invocation) as (book, parameters):
        labels = Labels(parameters.prefix, parameters.decimals, parameters.symbol, names.get, zone)
        with _progress(quiet=output is None and sys.stdout.isatty()) as progress, _target(output) as file:
            count = rows.write(file, chosen, postings(book, parameters, key, span, progress), labels)
    if output is not None:
        answer = {"file": str(output), "format": chosen.value, "rows": count}
        invocation.answer(answer, lambda: click.echo(f"wrote {output}: {count_of(count, 'row')}"))


@contextmanager
def open_book(invocation: Invocation) -> Iterator[tuple[ReadOnlyBook, Parameters]]:
    """Open the book of the node that is meant, as it is at this moment. Raises BookFault, CommandError."""
    with closing(open_read_only(book_path(invocation))) as book:
        parameters = parameters_of(invocation, book)
        with book.snapshot():
            yield book, parameters


def read_span(first: str | None, last: str | None, zone: tzinfo | None) -> Span:
    """Return the span from the first day to the end of the last one. Raises CommandError(bad-date)."""
    from_ms = ALWAYS.from_ms if first is None else read_moment(first, zone, is_end=False)
    to_ms = ALWAYS.to_ms if last is None else read_moment(last, zone, is_end=True)
    if from_ms >= to_ms:
        raise CommandError(
            "bad-date", f"{last} ends before {first} begins", "name the earlier one with --from"
        )
    return Span(from_ms, to_ms)


def read_moment(text: str, zone: tzinfo | None, *, is_end: bool) -> int:
    """Return a typed day or time as Unix milliseconds; the end of a day where `is_end`."""
    try:
        if len(text) == len("2026-11-01"):
            day = date.fromisoformat(text) + (_DAY if is_end else timedelta())
            found = datetime(day.year, day.month, day.day, tzinfo=zone)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
        # Without a zone it is this machine's, with the offset of that very day.
        return max(0, int(found.astimezone(UTC).timestamp() * 1_000))
    except (ValueError, OverflowError):
        hint = "write it as 2026-11-01, or 2026-11-01T08:00"
        raise CommandError("bad-date", f"{text[:40]!a} is no date", hint, WRONG_USAGE) from None


def _format(form: str | None, output: Path | None) -> Format:
    if form is not None:
        return Format(form)
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in list(Format) else Format.CSV


def _check_output(invocation: Invocation, form: Format, output: Path | None) -> None:
    if output is not None:
        return
    if invocation.as_json:
        raise CommandError("usage", "--json tells of a file", "name one: --output FILE", WRONG_USAGE)
    if form is Format.PARQUET and sys.stdout.isatty():
        raise CommandError(
            "bad-output", "Parquet is nothing for a terminal", "name a file: --output book.parquet"
        )


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    """Yield standard output, or a file that is there whole at the end, or not at all."""
    if output is None:
        yield sys.stdout.buffer
        return
    refuse_taken(output)
    # Asked to end, it ends as by Ctrl-C, so that nothing half stays behind.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with writing_private_file(output) as file:
            yield file
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: Any) -> None:  # noqa: ANN401 - whatever a signal brings
    raise KeyboardInterrupt


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """Draw a bar on standard error, where that is a terminal and rows do not go to the same one."""
    if quiet:
        yield lambda _done, _last: None
        return
    from node.cli import show  # noqa: PLC0415 - rich loads slowly

    with show.progress("exporting", None) as bar:
        yield bar.at
