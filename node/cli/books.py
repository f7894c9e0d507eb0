"""Commands about the copy of the book on this machine's disk: verify, rebuild. They work without a node."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from node.audit import Verdict
from node.audit import verify as verify_book
from node.audit_files import bad_files
from node.audit_findings import Difference, FirstBad, readable
from node.cli.errors import refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.offline import book_path, parameters_of, parameters_of_damaged
from node.cli.options import Command, examples
from node.cli.text import Units, count_of, printable, when
from node.heal import MOST_FINDINGS
from node.storage.faults import BookFault
from node.storage.reading import open_read_only
from node.storage.rebuild import Rebuilt
from node.storage.rebuild import rebuild as rebuild_book

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
            verdict = verify_book(book, parameters, lambda *_: None, MOST_FINDINGS)
        else:
            from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

            with show.progress("verifying", None) as bar:
                verdict = verify_book(book, parameters, bar.at, MOST_FINDINGS)
    bad = bad_files(path.parent, parameters, live=invocation.client_if_running() is not None)
    findings = (*verdict.findings, *(one.finding() for one in bad))
    verdict = replace(verdict, first_bad=next(iter(findings), None), findings=findings)
    units = Units(parameters.decimals, parameters.symbol)
    _answer(invocation, ctx, verdict, lambda: _show_verdict(verdict, path, units))


@click.command(cls=Command, epilog=examples("rebuild", "--data-dir /srv/shop rebuild"))
@click.pass_context
@pass_invocation
def rebuild(invocation: Invocation, ctx: click.Context) -> None:
    """Remake a damaged book from its own stored blocks; peers give the rest once the node runs.

    The node must not run. The old file stays beside the new one, as evidence. Names the first block that was
    lost, and leaves with status 1 then.
    """
    path = book_path(invocation)
    parameters = parameters_of_damaged(invocation, path)
    with refusals(BookFault):
        if invocation.as_json:
            rebuilt = rebuild_book(path, parameters, lambda *_: None)
        else:
            from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

            with show.progress("rebuilding", None) as bar:
                rebuilt = rebuild_book(path, parameters, lambda done, total: bar.at(done, total or None))
    units = Units(parameters.decimals, parameters.symbol)
    _answer(invocation, ctx, rebuilt, lambda: _show_rebuilt(rebuilt, units))


def _answer(
    invocation: Invocation, ctx: click.Context, found: Verdict | Rebuilt, show: Callable[[], None]
) -> None:
    fields: Json = {
        "height": found.height,
        "blocks": found.blocks,
        "transactions": found.transactions,
        "ok": found.ok,
        "first_bad": None if found.first_bad is None else _bad_fields(found.first_bad),
    }
    if isinstance(found, Verdict):
        fields["findings"] = [bad.as_json() for bad in found.findings]
    invocation.answer(fields, show)
    if not found.ok:
        ctx.exit(1)


def _bad_fields(bad: FirstBad) -> Json:
    return {
        "height": bad.height,
        "position": bad.position,
        "txid": None if bad.txid is None else bad.txid.hex(),
        "found_txid": None if bad.found_txid is None else bad.found_txid.hex(),
        "rule": str(bad.rule),
        "fields": [field._asdict() for field in bad.fields],
    }


def _show_verdict(verdict: Verdict, path: Path, units: Units) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    if verdict.first_bad is None:
        show.line(show.Cell(f"ok: {_counted(verdict)}, every hash, signature and balance", "green"))
        return
    show.line(show.Cell(f"{path} was changed or damaged", "bold red"))
    _show_bad(verdict.first_bad, units, [("in order", _counted(verdict))])
    if len(verdict.findings) > 1:
        show.line(f"and {count_of(len(verdict.findings) - 1, 'finding')} more; --json has all")
    command = f"  python cli.py --data-dir {shlex.quote(str(path.parent))}"
    show.line("mend it, with the help of peers:")
    show.line(f"{command} heal")
    show.line("or, with none, keep what is still good:")
    show.line(f"{command} rebuild")


def _show_rebuilt(rebuilt: Rebuilt, units: Units) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    kept = f"the new book has {_counted(rebuilt)}"
    if rebuilt.first_bad is None:
        show.line(show.Cell(f"ok: {kept}; nothing was lost", "green"))
        show.fields([("old book", str(rebuilt.evidence))])
        return
    lost = f"{count_of(rebuilt.lost, 'block')} lost" if rebuilt.lost else "nothing tells how many were lost"
    show.line(show.Cell(f"{kept}; {lost}, from this on:", "yellow"))
    next_step = "start the node: its peers give the rest"
    _show_bad(rebuilt.first_bad, units, [("old book", str(rebuilt.evidence)), ("next", next_step)])


def _counted(found: Verdict | Rebuilt) -> str:
    return f"{count_of(found.blocks, 'block')}, {count_of(found.transactions, 'entry', 'entries')}"


def _show_bad(bad: FirstBad, units: Units, more: Sequence[tuple[str, str]]) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    pairs: list[tuple[str, show.Value]] = [
        ("rule", str(bad.rule)),
        ("what", bad.detail),
        ("height", "" if bad.height is None else str(bad.height)),
        ("block", "" if bad.block is None else bad.block.hex()),
        ("position", "" if bad.position is None else _position(bad.position)),
        ("txid", "" if bad.txid is None else bad.txid.hex()),
        ("found txid", "" if bad.found_txid is None else bad.found_txid.hex()),
        *((f"{field.name} says", _said(field, units)) for field in bad.fields),
        ("proof", _untold(bad)),
        *more,
    ]
    show.fields([(name, value) for name, value in pairs if value])


def _said(field: Difference, units: Units) -> str:
    said, proof = (
        None if text is None else printable(readable(field.name, text, units.amount, when))
        for text in (field.said, field.proof)
    )
    shown = "nothing" if said is None else said
    return shown if proof is None else f"{shown}; proven is {proof}"


def _untold(bad: FirstBad) -> str:
    """Return where to get what an entry said, where nothing at hand tells; else ""."""
    if bad.height is None or not bad.fields or any(field.proof is not None for field in bad.fields):
        return ""
    knows = "only that it was another" if bad.txid is None else "its fingerprint only, the txid"
    return f"knows {knows}; `heal` fetches what it said"


def _position(position: int) -> str:
    return f"{position} (the reward)" if position == 0 else str(position)
