"""A daemon is killed again and again while it mines and takes payments: nothing that it told of is lost."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from tests.acceptance.nodes import QUICK, CallRefused, Client, Lab, Node, Payer, with_coins
from tests.building import ChainBuilder, key

pytestmark = pytest.mark.acceptance

KILLS = int(os.environ.get("ACCEPTANCE_KILLS", "60"))
LONGEST_LIFE_S = 0.4
"""From the first answer to the end; drawn anew each time."""
SLOWEST = 3
"""By so much it may be longer, up to what a start takes: where that is slow, less happens in a time."""
ALL_LIVES_S = 4 * KILLS
"""On a machine that needs more than this for all of them, the rest are left out."""
STILLBORN = 8
"""Each so many-eth is ended before it answers."""
TYPED = 5
"""In each so many-eth life a payment is typed too."""

PARAMETERS = replace(with_coins(QUICK, key("payer")), genesis_bits=0x1F00FFFF, easiest_bits=0x1F00FFFF)
"""2^16 hashes a block: some are found in a life, and death comes in the middle of a search."""


@dataclass(slots=True)
class Witness:
    """What the node told of."""

    blocks: dict[int, str] = field(default_factory=dict)
    txids: list[str] = field(default_factory=list)

    def watch(self, client: Client) -> None:
        """Note each block that the node says it has connected, until it goes away."""
        with client, suppress(OSError):
            client.call("subscribe", level="debug")
            while True:
                told = client.read().get("params", {})
                if told.get("kind") == "block-connected":
                    self.blocks[told["fields"]["height"]] = told["fields"]["hash"]

    def pay(self, client: Client, payer: Payer, address: str) -> None:
        """Hand over entries, and note each txid that comes back, until the node goes away."""
        with client, suppress(OSError):
            # An entry may have been taken in the last life without an answer.
            payer.nonce = client.call("balance", address=payer.address)["next_nonce"]
            while True:
                nonce = payer.nonce
                try:
                    raw = payer.entry(address, 1, memo=f"payment {nonce}")
                    self.txids.append(client.call("submit", entry=raw)["txid"])
                except CallRefused as refused:
                    if refused.code != "nonce-too-far":
                        raise
                    payer.nonce = nonce  # a block must come first
                    time.sleep(0.01)

    def type(self, node: Node, address: str) -> None:
        """Pay as people do; a txid that was printed counts."""
        done = node.run("--json", "send", address, "0.01", "--memo", "typed")
        if done.returncode == 0:
            self.txids.append(json.loads(done.stdout)["txid"])


def live_and_die(node: Node, witness: Witness, payer: Payer, life_s: float, *, types: bool) -> None:
    """Let the node mine and take payments for a while, then end it."""
    address = node.status()["address"]
    threads = [
        threading.Thread(target=witness.watch, args=(node.connect(),)),
        threading.Thread(target=witness.pay, args=(node.connect(), payer, address)),
    ]
    if types:
        threads.append(threading.Thread(target=witness.type, args=(node, payer.address)))
    for thread in threads:
        thread.start()
    time.sleep(life_s)  # nothing is waited for: death comes at any moment
    node.kill()
    for thread in threads:
        thread.join()


def check(node: Node, blocks: Mapping[int, str], txids: Sequence[str]) -> None:
    """All these blocks are in the book, and these payments in it or waiting."""
    with node.connect() as client:
        for height, told in blocks.items():
            found = client.call("block", name=height)["hash"]
            assert found == told, f"block {height} {told[:8]} was told of, and now {found[:8]} is there"
        for txid in txids:
            status = client.call("tx", txid=txid)["status"]
            assert status in {"pending", "confirmed"}, f"{txid[:8]} was taken, and now it is {status}"


def test_a_node_killed_again_and_again_opens_each_time_and_loses_nothing_that_it_told_of(lab: Lab) -> None:
    dice = random.Random(KILLS)
    payer = Payer(key("payer"), ChainBuilder(PARAMETERS))
    node = lab.node("ann", "--mine", "on", network=lab.network(PARAMETERS))
    told, new, began = Witness(), Witness(), time.monotonic()
    kills = 0
    for life in range(KILLS):
        if time.monotonic() - began > ALL_LIVES_S:
            break
        kills += 1
        if life % STILLBORN == STILLBORN - 1:
            node.launch()
            time.sleep(dice.uniform(0, 0.6))  # nothing is waited for here either
            node.kill()
            continue
        launched = time.monotonic()
        node.start()
        longest_s = min(max(LONGEST_LIFE_S, time.monotonic() - launched), SLOWEST * LONGEST_LIFE_S)
        check(node, new.blocks, new.txids)
        new = Witness()
        live_and_die(node, new, payer, dice.uniform(0, longest_s), types=life % TYPED == 0)
        told.blocks |= new.blocks
        told.txids += new.txids
    node.start()
    check(node, told.blocks, told.txids)
    assert node.cli("verify")["ok"]
    took = time.monotonic() - began
    print(f"{kills} kills in {took:.0f} s: {len(told.blocks)} blocks and {len(told.txids)} payments told of")
    assert len(told.blocks) > kills // 10
    assert len(told.txids) > kills // 2
