"""How the node is doing: status, and watch. They change nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import Names
from node.cli.options import Command, examples
from node.cli.text import count_of, duration, printable, rate, when

if TYPE_CHECKING:
    from node.cli import show

Json = dict[str, Any]

_FOLLOW_S: Final = 0.5
LEVEL_COLOURS: Final = {"debug": "bright_black", "warning": "yellow", "error": "red"}
FAMILIES: Final = {
    "blocks": ("block-", "own-block-", "switched", "reorg", "tie"),
    "entries": ("entry-",),
    "peers": ("peer", "addresses", "clock"),
    "mining": ("mining-", "mined"),
    "audit": ("audit", "heal", "book-"),
    "node": ("start", "stop", "file-", "backup-", "page"),
}
"""What events are about, by how their kinds start."""
FAMILY_COLOURS: Final = {"blocks": "green", "entries": "cyan", "peers": "blue", "audit": "magenta"}


@click.command(
    cls=Command,
    epilog=examples(
        "status",
        "status --follow               while it catches up",
        "--wait 10 status --json       give a node time to start",
    ),
)
@click.option("--follow", is_flag=True, help="Stay until the node is in sync, with a progress bar.")
@pass_invocation
def status(invocation: Invocation, *, follow: bool) -> None:
    """Show how the node is doing, and why it is not in sync where it is not."""
    found = invocation.client().call("status")
    if follow and not found["synced"]:
        found = _follow(invocation, found)
    invocation.answer(found, lambda: _show(found, Names.of(invocation)))


def _follow(invocation: Invocation, found: Json) -> Json:
    from node.cli import show  # noqa: PLC0415 - takes longer to load than the answer to come

    with show.progress("blocks", None) as bar:
        while not found["synced"]:
            bar.at(found["height"], max(found["headers_height"], found["height"]) or None)
            time.sleep(_FOLLOW_S)
            found = invocation.client().call("status")
    return found


def _show(found: Json, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415 - the same
    from node.ledger.block import network_id  # noqa: PLC0415 - for the word about trying out alone
    from node.ledger.params import BUILT_IN  # noqa: PLC0415

    trying = found["network_id"] == network_id(BUILT_IN).hex()
    mining, reason = found["mining"], found["sync_reason"]
    synced = ("yes" if found["synced"] else "no") + (f": {reason}" if reason else "")
    show.fields(
        [
            (
                "network",
                found["network"] + (", for trying out: its coins are worth nothing" if trying else ""),
            ),
            ("network id", found["network_id"]),
            ("height", str(found["height"])),
            ("headers", str(found["headers_height"])),
            ("tip", found["tip"]),
            ("in sync", show.Cell(synced, "green" if found["synced"] else "yellow")),
            ("peers", str(found["peers"])),
            ("pending", str(found["pending"])),
            ("mining", _mining(mining)),
            ("address", names.full(found["address"])),
            *(
                [("mining pays", names.full(mining["address"]))]
                if mining["address"] != found["address"]
                else []
            ),
            ("clock", _clock(found["clock_offset_ms"] if found["peers"] else None)),
            ("last switch", _switch(found["last_reorg"])),
            *([("audit", _audit(found["audit"]))] if "audit" in found else []),
            ("to rewrite", _rewrite(found["rewrite_cost_s"])),
            ("up for", duration(found["uptime_s"])),
            ("version", found["version"]),
            ("page", found["page"] or "none"),
        ]
    )


def _mining(found: Json) -> str:
    mined = f", {rate(found['hashrate'])}" if found["hashrate"] else ""
    return f"{found['mode']}{mined}, by {found['kernel']}"


def _clock(offset_ms: int | None) -> str:
    if offset_ms is None:
        return "nobody to compare it with"
    return f"{abs(offset_ms) / 1000:.1f} s {'behind' if offset_ms > 0 else 'ahead of'} its peers"


def _audit(found: Json) -> str | show.Cell:
    from node.cli import show  # noqa: PLC0415 - the same

    if found["findings"]:
        count = count_of(found["findings"], "finding")
        return show.Cell(f"{count}: see `verify`, mend with `heal`", "bold red")
    if found["state"] == "running":
        return f"reading the book again, {found['percent']} %"
    if found["last_ms"] is None:
        return "off" if found["state"] == "off" else "not yet"
    return f"in order, {when(found['last_ms'])}"


def _switch(found: Json | None) -> str:
    if found is None:
        return "none"
    return f"{when(found.get('time_ms'))}, from height {found.get('fork_height')}"


def _rewrite(seconds: int | None) -> str:
    if seconds is None:
        return "unknown before this machine has mined"
    return f"the last 100 blocks: {duration(seconds)} of this machine's work"


@click.command(
    cls=Command,
    epilog=examples(
        "watch",
        "watch --only entries --only blocks",
        "watch --find coffee            whatever says so",
        "watch --json | jq .text       one JSON object a line",
    ),
)
@click.option(
    "--only",
    "families",
    type=click.Choice(sorted(FAMILIES)),
    multiple=True,
    help="Of these alone; may be repeated.",
)
@click.option("--find", metavar="TEXT", help="What has this in its text alone, capitals or not.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that an event must matter.",
)
@pass_invocation
def watch(invocation: Invocation, level: str, families: tuple[str, ...], find: str | None) -> None:
    """Show what happens as it happens, until Ctrl-C: the gossip, blocks, entries, peers."""
    client = invocation.client()
    if not invocation.as_json:
        click.echo("watching; Ctrl-C ends it", err=True)
    client.call("subscribe", level=level)
    for event in client.events():
        if not is_wanted(event, families, find):
            continue
        if invocation.as_json:
            click.echo(json.dumps(event))
        else:
            click.echo(_line(event))


def family_of(kind: str) -> str:
    """Return which of FAMILIES a kind of event belongs to, `node` where none is named."""
    return next((name for name, starts in FAMILIES.items() if kind.startswith(starts)), "node")


def is_wanted(event: Json, families: Sequence[str], find: str | None) -> bool:
    """Tell whether an event passes the filters; all do where there are none."""
    if families and family_of(str(event["kind"])) not in families:
        return False
    return find is None or find.casefold() in str(event["text"]).casefold()


def colour_of(event: Json) -> str:
    """Return the colour of an event's line: by what it matters, else by what it is about; empty for none."""
    return LEVEL_COLOURS.get(event["level"]) or FAMILY_COLOURS.get(family_of(str(event["kind"])), "")


def _line(event: Json) -> str:
    text, colour = printable(str(event["text"])), colour_of(event)
    return f"{when(event['time_ms'])}  {click.style(text, fg=colour) if colour else text}"
