"""top: the whole node on one screen, kept true. It changes nothing, and leaves the terminal as it was."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

import click
from rich.live import Live

from node.cli import show
from node.cli.client import Client
from node.cli.errors import CommandError
from node.cli.invocation import Invocation, pass_invocation
from node.cli.options import Command
from node.cli.top_view import Seen, draw

Json = dict[str, Any]

_LOOK_S: Final = 1.0
"""Between two questions to the node."""
_DRAW_S: Final = 0.2
"""Between two looks at the keyboard and the size of the window."""
_LISTED: Final = 100
"""Pending entries asked for."""


@click.command(cls=Command)
@pass_invocation
def top(invocation: Invocation) -> None:
    """Show peers, pending entries, mining, log and audit on one screen, until `q` or Ctrl-C."""
    if invocation.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()) or _is_dumb():
        hint = "use `status` or `status --json`, and `watch` for what happens"
        raise CommandError("no-terminal", "top needs a terminal that it can draw on", hint)
    client = invocation.client()
    units = invocation.units()
    client.call("subscribe", level="info")
    seen = Seen(units, client.call("status"))
    with _keyboard(), suppress(KeyboardInterrupt), _screen() as live:
        while not _left(client, seen, live):
            pass


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in {"", "dumb", "unknown"}


def _left(client: Client, seen: Seen, live: Live) -> bool:
    """Ask the node, then draw until it is to be asked again; True once somebody wants to leave."""
    seen.status = client.call("status", on_event=seen.events.append)
    seen.peers = client.call("peers", on_event=seen.events.append)
    seen.pending = client.call("pending", limit=_LISTED, on_event=seen.events.append)
    seen.rates.append(int(seen.status["mining"]["hashrate"]))
    until = time.monotonic() + _LOOK_S
    while time.monotonic() < until:
        width, height = live.console.size  # asked anew each time: a window may be pulled larger
        live.update(draw(seen, width, height), refresh=True)
        if _wants_to_leave(_DRAW_S):
            return True
    return False


def _wants_to_leave(seconds: float) -> bool:
    """Wait for a key; True for `q` and for a terminal that is gone."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return False
    typed = os.read(sys.stdin.fileno(), 64)
    return not typed or b"q" in typed.lower()


@contextmanager
def _screen() -> Iterator[Live]:
    console = show.console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield live


@contextmanager
def _keyboard() -> Iterator[None]:
    """Take keys as they are typed, unseen; whatever happens, the terminal is as it was afterwards."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    handlers = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setcbreak(keyboard)
        yield
    finally:
        with suppress(termios.error):  # the terminal itself is gone
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
