"""Commands about the copy of the book on this machine's disk: verify. They work without a node."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from node.audit import Verdict
from node.audit import verify as verify_book
from node.audit_findings import FirstBad
from node.cli.errors import refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.offline import book_path, parameters_of
from node.cli.options import Command, examples
from node.cli.text import count_of
from node.storage.faults import BookFault
from node.storage.reading import open_read_only

Json = dict[str, Any]


@click.command(cls=Command, epilog=examples("verify", "--data-dir /srv/shop verify --json"))
@click.pass_context
@pass_invocation
def verify(invocation: Invocation, ctx: click.Context) -> None:
    """Read the whole book again: hash every stored byte, check every signature and balance.

    Names the first bad entry, and leaves with status 1 then. A node may run meanwhile.
    """
    path = book_path(invocation)
    with refusals(BookFault), closing(open_read_only(path)) as book:
        parameters = parameters_of(invocation, book)
        if invocation.as_json:
            verdict = verify_book(book, parameters, lambda *_: None)
        else:
            from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

            with show.progress("verifying", None) as bar:
                verdict = verify_book(book, parameters, bar.at)
    _answer(invocation, ctx, verdict, path)


def _answer(invocation: Invocation, ctx: click.Context, verdict: Verdict, path: Path) -> None:
    fields = {
        "height": verdict.height,
        "blocks": verdict.blocks,
        "transactions": verdict.transactions,
        "ok": verdict.ok,
        "first_bad": None if verdict.first_bad is None else _bad_fields(verdict.first_bad),
    }
    invocation.answer(fields, lambda: _show(verdict, path))
    if not verdict.ok:
        ctx.exit(1)


def _bad_fields(bad: FirstBad) -> Json:
    return {
        "height": bad.height,
        "position": bad.position,
        "txid": None if bad.txid is None else bad.txid.hex(),
        "found_txid": None if bad.found_txid is None else bad.found_txid.hex(),
        "rule": str(bad.rule),
    }


def _show(verdict: Verdict, path: Path) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    done = f"{count_of(verdict.blocks, 'block')}, {count_of(verdict.transactions, 'entry', 'entries')}"
    bad = verdict.first_bad
    if bad is None:
        show.line(show.Cell(f"ok: {done}, every hash, signature and balance", "green"))
        return
    show.line(show.Cell(f"{path} was changed or damaged", "bold red"))
    pairs: list[tuple[str, show.Value]] = [
        ("rule", str(bad.rule)),
        ("what", bad.detail),
        ("height", "" if bad.height is None else str(bad.height)),
        ("block", "" if bad.block is None else bad.block.hex()),
        ("position", "" if bad.position is None else _position(bad.position)),
        ("txid", "" if bad.txid is None else bad.txid.hex()),
        ("found txid", "" if bad.found_txid is None else bad.found_txid.hex()),
        ("in order", done),
        ("next", f"stop the node, then: python cli.py --data-dir {path.parent} rebuild"),
    ]
    show.fields([(name, value) for name, value in pairs if value])


def _position(position: int) -> str:
    return f"{position} (the reward)" if position == 0 else str(position)
