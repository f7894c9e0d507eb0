"""Peers: those that are there, and choosing them."""

from __future__ import annotations

import pytest

from node.events import PeerCommand
from tests.cli.conftest import Shell
from tests.cli.test_look import WIDTHS, widest
from tests.fake_node import FakeNode

PEER = {
    "address": "192.0.2.7:9000",
    "name": "bob\x1b[2J",
    "direction": "out",
    "node_id": "9f" * 32,
    "agent": "indelible/1.0 [red]",
    "height": 1042,
    "latency_ms": 12,
    "bytes_in": 1_234_567,
    "bytes_out": 999,
    "score": 0,
    "connected_s": 7_300,
}


def test_peers_have_the_fields_of_the_table(shell: Shell, node: FakeNode) -> None:
    assert shell.ask("peers") == []
    node.peer_list = [PEER]
    assert shell.ask("peers") == [PEER]


@pytest.mark.parametrize("columns", WIDTHS)
def test_peers_fit_the_terminal(shell: Shell, node: FakeNode, columns: int) -> None:
    node.peer_list = [PEER, PEER | {"latency_ms": None, "direction": "in"}]
    shown = shell.type("peers", columns=columns).stdout
    assert widest(shown) <= columns
    assert "\\x1b[2J" in shown
    assert "\x1b" not in shown
    assert "1042" in shown


def test_nobody_is_there(shell: Shell) -> None:
    assert shell.type("peers").stdout.strip() == "no peers"


@pytest.mark.parametrize(
    "action, target",
    [("add", "h.example:9000"), ("remove", "[::1]:9"), ("ban", "10.0.0.1"), ("unban", "9f" * 32)],
)
def test_a_peer_is_chosen(shell: Shell, node: FakeNode, action: str, target: str) -> None:
    assert shell.ask("peer", action, target) == {"action": action, "target": target}
    assert node.posted == [PeerCommand(1, action, target)]
    assert target in shell.type("peer", action, target).stdout


def test_a_peer_that_is_not_there_is_not_found(shell: Shell) -> None:
    assert shell.fail("peer", "remove", "nobody:1")["code"] == "not-found"


@pytest.mark.parametrize(
    "words", [["peer"], ["peer", "add"], ["peer", "add", "a:1", "b:2"], ["peer", "hug", "a:1"]]
)
def test_half_a_command_is_wrong_usage(shell: Shell, words: list[str]) -> None:
    assert shell.type(*words).exit_code == 2


def test_a_target_without_end_is_refused(shell: Shell) -> None:
    assert shell.fail("peer", "add", "x" * 301, status=2)["code"] == "invalid-params"
