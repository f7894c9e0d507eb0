"""The command that mends a copy of the book: by the node that runs on it, or by itself where none does."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any, Final

import click

from node.audit_findings import readable
from node.cli.errors import NO_NODE, CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.offline import book_path, configuration, parameters_of_damaged
from node.cli.options import Command, examples
from node.cli.text import Units, count_of, printable, when
from node.heal_report import last_report
from node.mending import mend
from node.private import PathError
from node.storage.faults import BookFault
from node.storage.files import FolderLock, holder

_LOOK_AGAIN_S: Final = 0.2
_SHOWN: Final = 20
"""Lines of findings and changes for people; --json has all."""

Json = dict[str, Any]


@click.command(cls=Command, epilog=examples("heal", "--data-dir /srv/shop heal --json"))
@click.pass_context
@pass_invocation
def heal(invocation: Invocation, ctx: click.Context) -> None:
    """Mend a book that was changed or damaged: peers give what is missing, the rest is reckoned anew.

    A running node stops for it and starts again. What was there is kept as evidence. Leaves with status 1
    where something could not be mended, and says what.
    """
    report, units = _by_node(invocation) if invocation.client_if_running() else _by_itself(invocation)
    invocation.answer(report, lambda: _show(report, units))
    if not report["ok"]:
        ctx.exit(1)


def _by_node(invocation: Invocation) -> tuple[Json, Units]:
    """Have the running node do it, and wait until it is back."""
    client = invocation.client()
    folder, units = Path(invocation.info()["data_dir"]), invocation.units()
    before = client.call("audit")["last_heal"]
    pid = holder(folder)
    client.call("heal")
    if not invocation.as_json:
        click.echo("the node stops, mends its book, and starts again", err=True)
    client.wait_for_end()
    while True:
        report = last_report(folder)
        if report is not None and (before is None or report["time_ms"] != before["time_ms"]):
            return report, units
        if _is_gone(pid):
            command = f"python cli.py --data-dir {shlex.quote(str(folder))} heal"
            hint = f"look at its log, or mend without it: {command}"
            raise CommandError("node-gone", "the node ended while it mended its book", hint, NO_NODE)
        time.sleep(_LOOK_AGAIN_S)


def _is_gone(pid: int | None) -> bool:
    """Tell whether a process has ended: the node keeps its number when it stops and starts again."""
    if pid is None:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _by_itself(invocation: Invocation) -> tuple[Json, Units]:
    path = book_path(invocation)
    if not path.is_file():
        hint = "start a node on that folder: its peers fill it"
        raise CommandError("not-a-book", f"there is no book at {path}", hint)
    parameters = parameters_of_damaged(invocation, path)
    settings, units = configuration(invocation), Units(parameters.decimals, parameters.symbol)
    with refusals(BookFault, PathError), FolderLock(path.parent):
        if invocation.as_json:
            return mend(settings, parameters, lambda *_: None), units
        from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

        with show.progress("healing", None) as bar:
            report = mend(settings, parameters, lambda _, done, total: bar.at(done, total or None))
        return report, units


def _show(report: Json, units: Units) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    if not report["findings"]:
        show.line(show.Cell("nothing to mend: the book is in order", "green"))
        return
    colour = "green" if report["ok"] else "bold red"
    found = count_of(len(report["findings"]), "finding")
    what = "mended" if report["ok"] else "not all could be mended" if report["healed"] else "not mended"
    show.line(show.Cell(f"{found}; {what}", colour))
    for one in report["findings"][:_SHOWN]:
        show.line(f"  {printable(_place(one))}{one['rule']}: {printable(one['detail'])}")
    for change in report["changes"][:_SHOWN]:
        for field in change["fields"]:
            show.line(f"  {printable(_change(change, field, units))}")
    for text in report["unhealed"]:
        show.line(show.Cell(f"  {printable(text)}", "red"))
    fetched = ", ".join(f"{count} from {name}" for name, count in report["fetched"].items())
    pairs: list[tuple[str, show.Value]] = [
        ("blocks fetched", printable(fetched)),
        ("not asked further", printable("; ".join(report["distrusted"]))),
        ("evidence", report["evidence"] or ""),
    ]
    show.fields([(name, value) for name, value in pairs if value])


def _place(found: Json) -> str:
    if found["height"] is None:
        return ""
    entry = "" if found["position"] is None else f", entry {found['position']}"
    return f"block {found['height']}{entry}: "


def _change(change: Json, field: Json, units: Units) -> str:
    if "position" in change:
        where = f"block {change['height']}, entry {change['position']}"
    else:
        where = " ".join([change["table"], *change["key"].values()])
    said, proof = (
        "nothing" if text is None else readable(field["name"], text, units.amount, when)
        for text in (field["said"], field["proof"])
    )
    return f"{where}: {field['name']} said {said}, is {proof}"
