"""Payments among daemons: typed on one, mined on another, read on a third."""

from __future__ import annotations

import json
import random
import select
import time
from typing import Any

import pytest

from tests.acceptance.nodes import QUICK, Lab, agreed, confirmed, connected, until, within

pytestmark = pytest.mark.acceptance


def test_a_payment_typed_on_one_node_mined_on_another_is_read_on_a_third(lab: Lab) -> None:
    ann, bob, carol = lab.line("ann", "bob", "carol", flags=("--mine", "off"))
    ann.cli("mine", "1")
    agreed([ann, bob, carol], 1)

    recipient = carol.cli("status")["address"]
    typed_ms = time.time_ns() // 1_000_000
    txid = ann.cli("send", recipient, "7.50", "--memo", "two flat whites ☕")["txid"]
    until(lambda: bob.status()["pending"] == 1, "the payment is pending at bob")
    (block_hash,) = bob.cli("mine", "1")

    confirmed(carol, txid)
    agreed([ann, bob, carol], 2)
    seen = {node.name: node.cli("tx", txid) for node in (ann, bob, carol)}
    for entry in seen.values():
        assert entry.pop("settled")["verdict"] == "likely", "each by what it knows itself"
    assert seen["ann"] == seen["bob"] == seen["carol"]
    found = seen["carol"]
    assert (found["block"], found["height"], found["position"]) == (block_hash, 2, 1)
    assert (found["amount"], found["fee"], found["nonce"]) == (7_50, 1, 0)
    assert (found["memo"], found["recipient"]) == ("two flat whites ☕", recipient)
    assert found["sender"] == ann.status()["address"]
    assert 0 <= found["timestamp_ms"] - typed_ms < 60_000
    assert found["block_timestamp_ms"] == carol.cli("block", block_hash)["timestamp_ms"]
    assert (carol.cli("balance")["confirmed"], bob.cli("balance")["confirmed"]) == (7_50, 50_01)


def test_payments_typed_at_random_nodes_bring_all_to_one_tip_within_fifteen_seconds(lab: Lab) -> None:
    nodes = lab.line("ann", "bob", "carol")
    addresses = [node.status()["address"] for node in nodes]
    for height, node in enumerate(nodes, 1):
        node.cli("mine", "1")
        agreed(nodes, height)

    dice = random.Random(20)

    def twenty_payments() -> float:
        txids = []
        for number in range(20):
            payer = dice.choice(nodes)
            amount, memo = f"0.{dice.randrange(1, 99):02}", f"payment {number}"
            txids.append(payer.cli("send", dice.choice(addresses), amount, "--memo", memo)["txid"])
        last = time.monotonic()
        for node in nodes:
            for txid in txids:
                confirmed(node, txid)
        agreed(nodes, 4)
        return time.monotonic() - last

    took = within(15, twenty_payments, "one tip", tries=3)
    until(lambda: not any(node.status()["pending"] for node in nodes), "nothing is pending")
    tip = agreed(nodes)
    print(f"20 payments at 3 nodes: one tip {took:.1f} s after the last")
    assert len({node.cli("block", tip)["hash"] for node in nodes}) == 1


def test_a_late_joiner_catches_up_and_pays_from_what_it_earned(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    ann.cli("mine", "60")
    txid = ann.cli("send", bob.status()["address"], "5", "--memo", "before carol came")["txid"]
    ann.cli("mine", "1")
    carol = lab.node("carol", "--mine", "on-demand", network=network, peers=[bob.address]).start()
    agreed([ann, bob, carol], 61)
    until(lambda: carol.status()["synced"], "carol says that she is in sync")
    assert carol.cli("tx", txid)["memo"] == "before carol came"

    ann.cli("send", carol.status()["address"], "3")
    until(lambda: carol.cli("balance")["confirmed"] >= 3_00, "carol has been paid")
    back = carol.cli("send", ann.status()["address"], "1.25", "--memo", "thanks")["txid"]
    assert confirmed(ann, back)["memo"] == "thanks"


def test_friends_start_a_book_of_their_own_with_the_file_that_one_of_them_made(lab: Lab) -> None:
    ann = lab.node("ann", "--mine", "off")
    ann.cli("network", "new", "corner-shop", "--symbol", "CUP", "--decimals", "0", "--min-fee", "1")
    path = lab.folder / "corner-shop.toml"
    assert ann.refused("network", "new", "corner-shop").status == 1, "never overwritten"
    ann.command += ["--config", str(path)]
    ann.start()
    bob = lab.node("bob", "--mine", "off", network=path, peers=[ann.address]).start()
    connected(bob, 1)
    assert ann.status()["network"] == bob.status()["network"] == "corner-shop"
    assert "for trying out" not in ann.log()
    assert ann.call("info")["symbol"] == "CUP"
    settings = {row["name"]: row for row in bob.cli("config")}
    assert settings["network.symbol"]["origin"].startswith(str(path))


def test_a_node_that_was_away_finds_what_it_missed_when_it_comes_back(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    ann.cli("mine", "2")
    agreed([ann, bob], 2)
    bob.stop()
    txid = ann.cli("send", ann.status()["address"], "1")["txid"]
    ann.cli("mine", "3")
    assert ann.cli("tx", txid)["status"] == "confirmed"
    bob.start()
    connected(bob, 1)
    agreed([ann, bob], 5)
    assert bob.cli("tx", txid)["status"] == "confirmed"


def test_a_peer_that_is_away_does_not_hold_a_payment_up(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann = lab.node("ann", "--mine", "off", network=network, peers=["127.0.0.1:1", "127.0.0.1:2"]).start()
    ann.cli("mine", "1")
    txid = ann.cli("send", ann.status()["address"], "1", "--memo", "to myself")["txid"]
    assert ann.cli("tx", txid)["status"] == "pending"
    ann.cli("mine", "1")
    assert ann.cli("tx", txid)["status"] == "confirmed"
    assert ann.cli("balance")["confirmed"] == 100_00, (
        "paying oneself mints nothing: the fee came back as miner's"
    )


def test_the_gossip_is_watched_as_it_happens_until_the_node_ends(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    with node.begin("--json", "watch") as watching:
        assert watching.stdout is not None
        found: list[dict[str, Any]] = []
        while not found:  # the watcher may take a moment to begin
            node.call("mine", count=1)
            ready, _, _ = select.select([watching.stdout], [], [], 1)
            found = [json.loads(watching.stdout.readline())] if ready else []
        assert (found[0]["kind"], found[0]["level"]) == ("block-connected", "info")
        assert found[0]["text"].startswith("mined here: block ")
        node.stop()
        assert watching.wait(60) == 3


def test_two_calls_to_mine_at_once_give_each_its_own_blocks(lab: Lab) -> None:
    ann = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    with ann.connect() as first, ann.connect() as second:
        first.send("mine", count=5)
        second.send("mine", count=5)
        hashes = [*first.answer(), *second.answer()]
    assert len(set(hashes)) == 10
    chain = {block["hash"] for block in ann.cli("blocks", "--limit", "20")}
    assert chain >= set(hashes)
