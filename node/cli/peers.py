"""Commands about other nodes: peers, peer add, peer remove, peer ban, peer unban."""

from __future__ import annotations

from typing import Any

import click

from node.cli.invocation import Invocation, pass_invocation
from node.cli.options import Command, Group, examples
from node.cli.text import duration, printable, short, size, when

Json = dict[str, Any]


@click.command(cls=Command)
@pass_invocation
def peers(invocation: Invocation) -> None:
    """List the nodes that this one is connected to."""
    found = invocation.client().call("peers")
    invocation.answer(found, lambda: _show(found))


def _show(found: list[Json]) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    columns = [
        show.Column("peer"),
        show.Column("address", spare=1),
        show.Column("way"),
        show.Column("height", right=True),
        show.Column("latency", right=True, spare=2),
        show.Column("in", right=True, spare=5),
        show.Column("out", right=True, spare=5),
        show.Column("score", right=True, spare=3),
        show.Column("for", right=True),
        show.Column("agent", spare=4),
        show.Column("id", spare=6),
    ]
    rows = [
        (
            peer.get("name") or short(peer["node_id"]),
            peer["address"],
            peer["direction"],
            str(peer["height"]),
            "" if peer["latency_ms"] is None else f"{peer['latency_ms']} ms",
            size(peer["bytes_in"]),
            size(peer["bytes_out"]),
            str(peer["score"]),
            duration(peer["connected_s"]),
            peer["agent"],
            short(peer["node_id"]),
        )
        for peer in found
    ]
    show.table(columns, rows, "no peers")


@click.group(cls=Group)
def peer() -> None:
    """Choose whom to connect to, and whom not."""


@peer.command(epilog=examples("peer add 192.0.2.7:9000", "peer add shop.example:9000"))
@click.argument("address", metavar="HOST:PORT")
@pass_invocation
def add(invocation: Invocation, address: str) -> None:
    """Connect to a node, now and after a restart; peers.toml stays as it is."""
    _command(invocation, "add", address)


@peer.command()
@click.argument("address", metavar="HOST:PORT")
@pass_invocation
def remove(invocation: Invocation, address: str) -> None:
    """Connect to a node no more, and disconnect now."""
    _command(invocation, "remove", address)


@peer.command()
@click.argument("who", metavar="HOST-or-NODE-ID")
@pass_invocation
def ban(invocation: Invocation, who: str) -> None:
    """Refuse a host or a node for a while, and disconnect it now."""
    _command(invocation, "ban", who)


@peer.command()
@click.argument("who", metavar="HOST-or-NODE-ID")
@pass_invocation
def unban(invocation: Invocation, who: str) -> None:
    """Let a host or a node in again."""
    _command(invocation, "unban", who)


def _command(invocation: Invocation, action: str, target: str) -> None:
    result = invocation.client().call("peer", action=action, target=target)
    until = result.get("until_ms")
    said = {"add": "added", "remove": "removed", "ban": "banned", "unban": "unbanned"}[action]
    text = f"{said} {printable(target)}" + (f" until {when(until)}" if until else "")
    invocation.answer(result, lambda: click.echo(text))
