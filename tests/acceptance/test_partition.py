"""Two halves of a network are parted, go on by themselves, and meet again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import QUICK, Lab, Node, Payer, agreed, connected, until, with_coins
from tests.acceptance.proxy import Proxy
from tests.building import ChainBuilder, key

pytestmark = pytest.mark.acceptance

LIGHT, HEAVY = 3, 8
"""Blocks that each half mines meanwhile."""


@pytest.fixture
def network(lab: Lab) -> Path:
    return lab.network(QUICK)


@pytest.fixture
def halves(lab: Lab, network: Path) -> Iterator[tuple[Proxy, list[Node]]]:
    """Four nodes in a line, with a proxy in its middle, and a common beginning that pays the ends."""
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    with Proxy(target=bob.port) as proxy:
        across = f"127.0.0.1:{proxy.port}"
        carol = lab.node("carol", "--mine", "off", network=network, peers=[across]).start()
        dave = lab.node("dave", "--mine", "off", network=network, peers=[carol.address]).start()
        for node, peers in ((ann, 1), (bob, 2), (carol, 2), (dave, 1)):
            connected(node, peers)
        ann.cli("mine", "1")
        agreed([ann, bob, carol, dave], 1)
        dave.cli("mine", "1")
        agreed([ann, bob, carol, dave], 2)
        yield proxy, [ann, bob, carol, dave]


def test_two_halves_that_mined_and_paid_agree_on_the_heavier_and_lose_no_payment(
    halves: tuple[Proxy, list[Node]],
) -> None:
    proxy, [ann, bob, carol, dave] = halves
    proxy.part()
    connected(bob, 1)
    connected(carol, 1)

    to_bob = ann.cli("send", bob.status()["address"], "7", "--memo", "in the lighter half")["txid"]
    ann.cli("mine", str(LIGHT))
    to_carol = dave.cli("send", carol.status()["address"], "9", "--memo", "in the heavier half")["txid"]
    dave.cli("mine", str(HEAVY))
    lighter = agreed([ann, bob], 2 + LIGHT)
    heavier = agreed([carol, dave], 2 + HEAVY)
    assert bob.call("tx", txid=to_bob)["status"] == "confirmed"
    assert bob.call("tx", txid=to_carol)["status"] == "unknown"

    proxy.join()
    assert agreed([ann, bob, carol, dave], 2 + HEAVY) == heavier
    for node in (ann, bob, carol, dave):
        assert node.call("tx", txid=to_carol)["status"] == "confirmed"
    until(
        lambda: all(node.call("tx", txid=to_bob)["status"] == "pending" for node in (ann, bob, carol, dave)),
        "the lighter half's payment waits again, everywhere",
    )
    sides = {tip["hash"]: (tip["status"], tip["branch_length"]) for tip in bob.cli("tips")}
    assert sides[lighter] == ("valid-fork", LIGHT)
    assert sides[heavier][0] == "active"

    dave.cli("mine", "1")
    agreed([ann, bob, carol, dave], 3 + HEAVY)
    assert ann.call("tx", txid=to_bob)["status"] == "confirmed"
    assert bob.call("balance")["confirmed"] == 7_00
    assert ann.cli("verify")["ok"]


def test_a_node_killed_right_after_a_switch_still_has_what_came_back(
    halves: tuple[Proxy, list[Node]],
) -> None:
    proxy, [ann, bob, carol, dave] = halves
    proxy.part()
    connected(bob, 1)
    txid = ann.cli("send", bob.status()["address"], "7", "--memo", "undone")["txid"]
    ann.cli("mine", "1")
    dave.cli("mine", "3")
    agreed([ann, bob], 3)
    agreed([carol, dave], 5)
    proxy.join()
    until(lambda: ann.height() == 5, "ann has switched")
    for node in (ann, bob, carol, dave):
        node.kill()
    ann.start()
    until(
        lambda: ann.call("tx", txid=txid)["status"] == "pending",
        "the payment waits, with nobody to tell of it",
    )
    ann.cli("mine", "1")
    assert ann.cli("tx", txid)["status"] == "confirmed"


def test_a_switch_that_undoes_many_blocks_is_loud(halves: tuple[Proxy, list[Node]]) -> None:
    proxy, [ann, bob, carol, dave] = halves
    proxy.part()
    ann.cli("mine", "6")
    dave.cli("mine", "12")
    agreed([ann, bob], 8)
    agreed([carol, dave], 14)
    proxy.join()
    agreed([ann, bob, carol, dave], 14)
    last = ann.cli("status")["last_reorg"]
    assert (last["old_height"], last["fork_height"]) == (8, 2)
    assert 9 <= last["new_height"] <= 14, "the switch happens as soon as the other branch is heavier"
    until(lambda: "WARNING switched to a heavier branch: 6 blocks undone" in ann.log(), "the log tells of it")
    assert dave.cli("status")["last_reorg"] is None


def test_a_cable_that_is_pulled_is_noticed_and_what_was_missed_is_fetched(
    halves: tuple[Proxy, list[Node]],
) -> None:
    proxy, [ann, bob, carol, dave] = halves
    proxy.clog()
    dave.cli("mine", "2")
    agreed([carol, dave], 4)
    assert bob.height() == 2
    proxy.join()
    agreed([ann, bob, carol, dave], 4)


def test_halves_that_mined_the_same_payment_end_on_one_tip(lab: Lab) -> None:
    payer = key("payer")
    parameters = with_coins(QUICK, payer)
    network = lab.network(parameters)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    raw = Payer(payer, ChainBuilder(parameters)).entry(bob.status()["address"], 5_00)
    txid = ann.call("submit", entry=raw)["txid"]
    until(lambda: bob.status()["pending"] == 1, "the payment is pending at bob")
    with ann.connect() as one, bob.connect() as other:
        one.send("mine", count=1)
        other.send("mine", count=1)
        one.answer()
        other.answer()
    ann.cli("mine", "1")
    agreed([ann, bob])
    assert ann.call("tx", txid=txid)["status"] == bob.call("tx", txid=txid)["status"] == "confirmed"
    assert bob.call("balance")["confirmed"] % 50_00 in {5_00, 5_01}, "paid once"


def test_on_demand_nodes_settle_a_tie_by_themselves(halves: tuple[Proxy, list[Node]]) -> None:
    proxy, [ann, bob, carol, dave] = halves
    proxy.part()
    ann.cli("mine", "2")
    dave.cli("mine", "2")
    agreed([ann, bob], 4)
    agreed([carol, dave], 4)
    for node in (bob, carol):
        node.stop()
        node.command[node.command.index("--mine") + 1] = "on-demand"
        node.start()
    proxy.join()
    agreed([ann, bob, carol, dave], 5)
