"""Commands that set a running node to work, or to rest: mine, stop."""

from __future__ import annotations

from typing import Any, Final

import click

from node.cli.invocation import Invocation, pass_invocation
from node.cli.options import Command, examples

_MAX: Final = 100_000
"""Blocks in one request."""


@click.command(cls=Command, epilog=examples("mine", "mine 10", "mine 1 --json"))
@click.argument("count", type=click.IntRange(1, _MAX), default=1, metavar="[N]")
@pass_invocation
def mine(invocation: Invocation, count: int) -> None:
    """Mine N blocks (1 without); each pays its reward to the node's wallet.

    Waits until they are on the disk. Works in every mining mode, with or without peers. Ctrl-C gives up.
    """
    if invocation.as_json:
        invocation.answer(invocation.client().call("mine", count=count), lambda: None)
        return
    for block_hash in _mine_visibly(invocation, count):
        click.echo(f"mined {block_hash}")


def _mine_visibly(invocation: Invocation, count: int) -> list[str]:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    client = invocation.client()
    done = 0
    with show.progress("mining", count) as bar:

        def heard(event: dict[str, Any]) -> None:
            nonlocal done
            if event["kind"] == "block-connected" and event["fields"].get("mined_here"):
                done += 1
                bar.at(min(done, count))
            elif event["kind"] == "mining-held":
                bar.say(event["text"])

        client.call("subscribe", level="info")
        hashes: list[str] = client.call("mine", count=count, on_event=heard)
    return hashes


@click.command(cls=Command)
@pass_invocation
def stop(invocation: Invocation) -> None:
    """Stop the node, and wait until it is gone."""
    client = invocation.client()
    client.call("stop")
    client.wait_for_end()
    invocation.answer({"stopped": True}, lambda: click.echo("stopped"))
