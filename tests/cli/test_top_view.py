"""What `top` draws, in windows of any size."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from node.cli.text import Units
from node.cli.top_view import Seen, draw, picture

STATUS: dict[str, Any] = {
    "network": "shop",
    "height": 1042,
    "tip": "9f3c" * 16,
    "synced": True,
    "sync_reason": "up to date with 1 peer",
    "peers": 1,
    "pending": 1,
    "mining": {"mode": "on-demand", "hashrate": 650_000},
    "clock_offset_ms": -1_500,
    "last_reorg": None,
    "uptime_s": 3_700,
}
PEER = {
    "name": "bob",
    "address": "192.0.2.7:9000",
    "height": 1042,
    "latency_ms": 12,
    "bytes_in": 1_500,
    "bytes_out": 2_500_000,
}
WAITING = {
    "sender": "bean1" + "q" * 58,
    "recipient": "bean1" + "p" * 58,
    "amount": 7_50,
    "memo": "two coffees",
}
EVENT = {"time_ms": 1_700_000_000_000, "kind": "block-connected", "level": "info", "text": "block 1042 came"}


def seen(**changes: Any) -> Seen:  # noqa: ANN401 - fields of status
    found = Seen(Units(2, "BEAN"), STATUS | changes, [PEER], [WAITING])
    found.events.append(EVENT)
    found.rates.extend([1, 4, 8])
    return found


def drawn(found: Seen, columns: int = 100, rows: int = 30) -> list[str]:
    console = Console(width=columns, height=rows, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(draw(found, columns, rows), height=rows)
    return capture.get().rstrip("\n").split("\n")


def test_a_large_window_shows_everything() -> None:
    said = "\n".join(drawn(seen(), 140))
    for part in ("shop", "1042", "in sync", "bob", "12", "2.5 MB", "7.50", "two coffees", "block 1042 came"):
        assert part in said
    assert "on-demand, 650.0 kH/s ▁▄█" in said
    assert "clock 1.5 s off" in said


@pytest.mark.parametrize("columns", [20, 40, 75, 76, 120, 300])
@pytest.mark.parametrize("rows", [3, 8, 15, 16, 24, 60])
def test_no_window_is_too_small_or_overfull(columns: int, rows: int) -> None:
    found = seen()
    found.peers = [PEER] * 50
    found.pending = [WAITING] * 100
    found.events.extend([EVENT] * 100)
    lines = drawn(found, columns, rows)
    assert len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    assert "shop" in lines[0] + lines[min(1, len(lines) - 1)]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"synced": False, "sync_reason": "downloading blocks: 3 of 9"}, "not in sync: downloading blocks"),
        ({"audit": {"state": "running", "percent": 40, "findings": 0}}, "audit running 40 %, nothing found"),
        ({"audit": {"state": "idle", "findings": 2}}, "AUDIT: 2 findings in this copy"),
        ({"last_reorg": {"fork_height": 7}}, "the book was rewritten from height 7"),
        ({"peers": 0}, "clock not compared"),
    ],
)
def test_what_is_wrong_stands_at_the_top(changes: dict[str, Any], said: str) -> None:
    assert said in "\n".join(drawn(seen(**changes))[:6])


def test_nothing_that_others_say_rules_the_terminal() -> None:
    found = seen(network="a\x1b[2Jb")
    found.peers = [PEER | {"name": "\x1b]0;x\x07[bold]eve"}]
    found.events.append(EVENT | {"text": "\x1b[31m\u202e"})
    said = "\n".join(drawn(found, 140))
    assert "\x1b" not in said
    assert "\\x1b[2Jb" in said
    assert "[bold]eve" in said


@pytest.mark.parametrize(
    "values, columns, expected",
    [([], 9, ""), ([0, 0], 9, ""), ([7], 9, "█"), ([0, 7, 14], 9, "▁▄█"), ([1, 2, 3], 2, "▅█"), ([1], 0, "")],
)
def test_the_picture_has_a_bar_a_second(values: list[int], columns: int, expected: str) -> None:
    assert picture(values, columns) == expected
