"""How the node is doing, and what happens there, as people and programs see it."""

from __future__ import annotations

import json
import threading

import pytest

from node.cli import status as status_command
from node.cli.status import colour_of, is_wanted
from node.events import Level
from node.ledger.block import network_id
from node.ledger.params import BUILT_IN
from tests.cli.conftest import Shell
from tests.cli.test_look import WIDTHS, widest
from tests.fake_node import FakeNode, Served

STATUS = {
    *("network", "network_id", "height", "tip", "work", "headers_height", "synced", "sync_reason", "peers"),
    *(
        "pending",
        "mining",
        "address",
        "clock_offset_ms",
        "last_reorg",
        "rewrite_cost_s",
        "uptime_s",
        "version",
        "page",
    ),
}


def test_status_has_the_fields_of_the_table(shell: Shell) -> None:
    found = shell.ask("status")
    assert set(found) == STATUS
    assert set(found["mining"]) == {"mode", "hashrate", "kernel", "address"}
    assert (found["height"], found["work"], found["synced"], found["sync_reason"]) == (
        4,
        "0x8",
        True,
        "no peers",
    )


@pytest.mark.parametrize("columns", WIDTHS)
def test_status_fits_the_terminal(shell: Shell, columns: int) -> None:
    assert widest(shell.type("status", columns=columns).stdout) <= columns


def test_people_read_durations_rates_and_reasons(shell: Shell, node: FakeNode) -> None:
    node.status_changes = {
        "synced": False,
        "sync_reason": "behind peer bob",
        "peers": 2,
        "clock_offset_ms": -1_500,
        "rewrite_cost_s": 100_000,
        "uptime_s": 3_700,
        "mining": {"mode": "on", "hashrate": 1_234_567, "kernel": "abacus", "address": "test1other"},
        "last_reorg": {"time_ms": 1_700_000_000_000, "fork_height": 7},
        "page": "http://127.0.0.1:10000/",
    }
    shown = shell.type("status").stdout
    for said in (
        "http://127.0.0.1:10000/",
        *(
            "no: behind peer bob",
            "1.5 s ahead of its peers",
            "1 day 3 h",
            "1 h 1 min",
            "on, 1.2 MH/s, by abacus",
        ),
        *("test1other", "from height 7", "2023-11-14 22:13:20 +00:00"),
    ):
        assert said in shown
    node.status_changes = {
        "rewrite_cost_s": None,
        "last_reorg": None,
        "network_id": network_id(BUILT_IN).hex(),
    }
    shown = shell.type("status").stdout
    for said in ("unknown before this machine has mined", "for trying out", "nobody to compare it with"):
        assert said in shown


def test_status_follows_until_the_node_is_in_sync(
    shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_command, "_FOLLOW_S", 0.0)
    answers = iter([False, False, True])
    plain = node.status
    node.status = lambda: plain() | {"synced": next(answers, True)}  # type: ignore[method-assign]
    assert shell.ask("status", "--follow")["synced"] is True
    assert next(answers, None) is None


def watched(
    shell: Shell, serving: Served, node: FakeNode, *words: str, columns: int = 80
) -> tuple[str, str, int]:
    """Run `watch` while the node tells three things and then stops."""

    def happen() -> None:
        serving.wait_for_subscriber()
        serving.tell("block-connected", "peer bob: block 5 9f3c… connected (12 entries, +2 ms)")
        serving.tell("peer-odd", "peer \x1b[31m\u202e: odd", Level.WARNING)
        serving.tell("quiet", "hardly matters", Level.DEBUG)
        serving.stop()

    thread = threading.Thread(target=happen)
    thread.start()
    result = shell.type(*words, columns=columns)
    thread.join()
    return result.stdout, result.stderr, result.exit_code


def test_watch_prints_the_gossip_as_people_read_it(shell: Shell, serving: Served, node: FakeNode) -> None:
    output, error, status = watched(shell, serving, node, "watch")
    assert output.splitlines() == [
        "2023-11-14 22:21:40 +00:00  peer bob: block 5 9f3c… connected (12 entries, +2 ms)",
        "2023-11-14 22:21:40 +00:00  peer \\x1b[31m\\u202e: odd",
    ]
    assert status == 3
    assert "went away" in error


def test_watch_prints_one_json_object_a_line(shell: Shell, serving: Served, node: FakeNode) -> None:
    output, error, status = watched(shell, serving, node, "watch", "--level", "debug", "--json")
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["level"] for event in events] == ["info", "warning", "debug"]
    assert all(set(event) == {"time_ms", "kind", "level", "text", "fields"} for event in events)
    assert json.loads(error)["code"] == "node-gone"
    assert status == 3


def test_watch_can_be_told_what_to_show(shell: Shell, serving: Served, node: FakeNode) -> None:
    output, _, _ = watched(shell, serving, node, "watch", "--only", "peers")
    assert [line.split("  ", 1)[1] for line in output.splitlines()] == ["peer \\x1b[31m\\u202e: odd"]
    found = shell.type("watch", "--only", "nothing")
    assert found.exit_code == 2


@pytest.mark.parametrize(
    "families, find, wanted",
    [
        ((), None, True),
        (("blocks",), None, True),
        (("entries", "blocks"), None, True),
        (("entries",), None, False),
        ((), "BOB: block", True),
        ((), "carol", False),
        (("entries",), "bob", False),
    ],
)
def test_an_event_passes_by_what_it_is_about_and_what_it_says(
    families: tuple[str, ...], find: str | None, *, wanted: bool
) -> None:
    event = {"kind": "block-connected", "level": "info", "text": "peer bob: block 5"}
    assert is_wanted(event, families, find) is wanted


@pytest.mark.parametrize(
    "kind, level, colour",
    [
        ("block-connected", "info", "green"),
        ("block-connected", "error", "red"),
        ("entry-pending", "info", "cyan"),
        ("whatever", "info", ""),
        ("whatever", "debug", "bright_black"),
    ],
)
def test_a_line_is_coloured_by_what_matters_most(kind: str, level: str, colour: str) -> None:
    assert colour_of({"kind": kind, "level": level}) == colour


@pytest.mark.parametrize(
    "audit,shown",
    [
        ({"state": "off", "percent": 0, "last_ms": None, "findings": 0}, "off"),
        ({"state": "waiting", "percent": 0, "last_ms": None, "findings": 0}, "not yet"),
        ({"state": "running", "percent": 40, "last_ms": 0, "findings": 0}, "reading the book again, 40 %"),
        ({"state": "waiting", "percent": 100, "last_ms": 0, "findings": 0}, "in order, "),
        ({"state": "waiting", "percent": 100, "last_ms": 0, "findings": 2}, "2 findings: see `verify`"),
    ],
)
def test_what_the_audit_found_is_shown(
    node: FakeNode, shell: Shell, audit: dict[str, object], shown: str
) -> None:
    node.status_changes = {"audit": audit}
    line = next(line for line in shell.type("status").stdout.splitlines() if line.startswith("audit"))
    assert shown in line
