"""What `top` draws: the node at a glance, in whatever room the terminal has. Draws nothing itself.

What is shown was said by someone else: nothing is taken for markup, and all of it goes through `printable`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from node.cli.status import colour_of
from node.cli.text import Units, count_of, duration, printable, rate, short, short_address, size

Json = dict[str, Any]

KEPT_EVENTS: Final = 500
KEPT_RATES: Final = 60
"""Seconds of hash rates in the little picture."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_NARROW: Final = 76
"""Columns below which everything stands in one column."""
_LOW: Final = 16
"""Rows below which there is room for the head and the log alone."""
_HEAD_ROWS: Final = 4
_FRAME_ROWS: Final = 2


@dataclass(slots=True)
class Seen:
    """What was heard of the node so far."""

    units: Units
    status: Json
    peers: list[Json] = field(default_factory=list)
    pending: list[Json] = field(default_factory=list)
    events: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    rates: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_RATES))


def draw(seen: Seen, columns: int, rows: int) -> RenderableType:
    """Return the whole screen."""
    screen = Layout()
    head = _HEAD_ROWS + (_FRAME_ROWS if columns >= _NARROW else 0)
    parts = [Layout(_head(seen, columns), name="head", size=min(head, rows))]
    left = rows - head - 1
    if rows >= _LOW:
        high = max(5, left // 2)
        middle = Layout(name="middle", size=high)
        peers = Layout(_peers(seen, high, columns))
        pending = Layout(_pending(seen, high))
        if columns >= _NARROW:
            middle.split_row(peers, pending)
        else:
            middle.split_column(peers, pending)
        parts.append(middle)
        left -= high
    if left > 0:
        parts.append(Layout(_log(seen, left), name="log"))
    parts.append(Layout(Text("q leaves", style="dim"), name="foot", size=1))
    screen.split_column(*parts)
    return screen


def _head(seen: Seen, columns: int) -> RenderableType:
    status = seen.status
    mining = status["mining"]
    synced = (
        Text("in sync", style="green")
        if status["synced"]
        else Text(f"not in sync: {printable(str(status['sync_reason']))}", style="yellow")
    )
    first = Text.assemble(
        (printable(str(status["network"])), "bold"),
        f"  block {status['height']} {short(status['tip'])}  ",
        synced,
        no_wrap=True,
        overflow="ellipsis",
    )
    peers, pending = count_of(status["peers"], "peer"), f"{status['pending']} pending"
    second = Text(
        f"{peers}, {pending}, up {duration(status['uptime_s'])}, clock {_clock(status)}", overflow="ellipsis"
    )
    mined = f"mining {mining['mode']}" + (f", {rate(mining['hashrate'])} " if mining["hashrate"] else " ")
    third = Text(mined + picture(list(seen.rates), max(0, columns - len(mined) - 4)), overflow="ellipsis")
    for line in (second, third):
        line.no_wrap = True
    return (
        Panel(Group(first, second, _audit(status), third), padding=(0, 1))
        if columns >= _NARROW
        else Group(first, second, third, _audit(status))
    )


def _clock(status: Json) -> str:
    if not status["peers"] or status["clock_offset_ms"] is None:
        return "not compared"
    return f"{abs(status['clock_offset_ms']) / 1000:.1f} s off"


def _audit(status: Json) -> Text:
    """Return what the audit found, and the last deep switch; both may be unknown."""
    audit = status.get("audit") or {}
    parts = []
    style = ""
    if audit.get("findings"):
        parts.append(f"AUDIT: {count_of(audit['findings'], 'finding')} in this copy")
        style = "bold red"
    elif audit:
        at = "" if audit.get("percent") is None else f" {audit['percent']} %"
        parts.append(f"audit {printable(str(audit.get('state', '')))}{at}, nothing found")
    if status["last_reorg"] is not None:
        parts.append(f"the book was rewritten from height {status['last_reorg'].get('fork_height')}")
        style = style or "yellow"
    return Text(", ".join(parts), style=style, no_wrap=True, overflow="ellipsis")


def picture(values: list[int], columns: int) -> str:
    """Return the last values as bars, one a column, the highest as high as can be."""
    shown = values[-columns:] if columns else []
    top = max(shown, default=0)
    if not top:
        return ""
    return "".join(_BARS[value * (len(_BARS) - 1) // top] for value in shown)


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", expand=True)


def _peers(seen: Seen, rows: int, columns: int) -> RenderableType:
    drawn = _table()
    for title, right in (("peer", False), ("height", True), ("ms", True), ("in", True), ("out", True)):
        drawn.add_column(title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    room = max(0, rows - 3 if columns >= _NARROW else rows // 2 - 3)
    for peer in seen.peers[:room]:
        behind = "yellow" if peer["height"] < seen.status["height"] else ""
        drawn.add_row(
            Text(printable(str(peer.get("name") or peer["address"]))),
            Text(str(peer["height"]), style=behind),
            "" if peer["latency_ms"] is None else str(peer["latency_ms"]),
            size(peer["bytes_in"]),
            size(peer["bytes_out"]),
        )
    return Panel(drawn, title=f"peers {len(seen.peers)}", title_align="left", padding=(0, 1))


def _pending(seen: Seen, rows: int) -> RenderableType:
    drawn = _table()
    for title, right in (("from", False), ("to", False), (seen.units.symbol, True), ("for", False)):
        drawn.add_column(title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for entry in seen.pending[: max(0, rows - 3)]:
        drawn.add_row(
            short_address(entry["sender"]),
            short_address(entry["recipient"]),
            seen.units.bare(entry["amount"]),
            Text(printable(str(entry["memo"]))),
        )
    return Panel(drawn, title=f"pending {seen.status['pending']}", title_align="left", padding=(0, 1))


def _log(seen: Seen, rows: int) -> RenderableType:
    lines = list(seen.events)[-max(0, rows - 2) :]
    drawn = [
        Text.assemble(
            (f"{_time(event['time_ms'])}  ", "dim"),
            (printable(str(event["text"])), colour_of(event)),
            no_wrap=True,
            overflow="ellipsis",
        )
        for event in lines
    ]
    drawn = drawn or [Text("what happens from now on stands here", style="dim")]
    return Panel(Group(*drawn), title="log", title_align="left", padding=(0, 1))


def _time(milliseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(milliseconds // 1_000, UTC).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "        "
