"""Networks at their worst, as far as TCP goes: nodes agree in the end, and nobody is blamed for a line."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.nodes import SWIFT, Lab, Node, agreed, confirmed, connected, until
from tests.acceptance.proxy import Proxy, Way

pytestmark = pytest.mark.acceptance

SEED = int(os.environ.get("ACCEPTANCE_SEED", "1"))
RESETS = int(os.environ.get("ACCEPTANCE_RESETS", "2"))
LONG = 80
"""Blocks of a chain that is fetched while things go wrong."""


@pytest.fixture
def network(lab: Lab) -> Path:
    return lab.network(SWIFT)


@pytest.fixture
def proxies() -> Iterator[ExitStack]:
    """Closes the proxies that a test opens."""
    with ExitStack() as stack:
        yield stack


def through(proxies: ExitStack, node: Node) -> tuple[Proxy, str]:
    """Return a proxy to a node, and its address."""
    proxy = proxies.enter_context(Proxy(target=node.port))
    return proxy, f"127.0.0.1:{proxy.port}"


def nobody_was_blamed(nodes: Sequence[Node]) -> None:
    """What a line does is no fault of the peer at its other end."""
    for node in nodes:
        charged = [line for line in node.log().splitlines() if "(cost " in line or "banned" in line]
        assert not charged, f"{node.name}: {charged} (ACCEPTANCE_SEED={SEED})"
        assert all(peer["score"] == 0 for peer in node.call("peers"))


def test_slow_lines_and_small_pieces_hold_nothing_up(lab: Lab, network: Path, proxies: ExitStack) -> None:
    ann = lab.node("ann", "--mine", "off", network=network).start()
    nodes = [ann]
    for name in ("bob", "carol"):
        proxy, across = through(proxies, nodes[-1])
        proxy.misbehave(SEED, longest_piece=700, longest_delay_s=0.004)
        nodes.append(lab.node(name, "--mine", "off", network=network, peers=[across]).start())
    carol = nodes[-1]
    ann.call("mine", count=10)
    agreed(nodes, 10)
    there = ann.cli("send", carol.status()["address"], "5")["txid"]
    until(lambda: carol.call("tx", txid=there)["status"] == "pending", "carol knows of it")
    carol.call("mine", count=10)
    agreed(nodes, 20)
    back = carol.cli("send", ann.status()["address"], "1")["txid"]
    until(lambda: ann.call("tx", txid=back)["status"] == "pending", "ann knows of it")
    ann.call("mine", count=1)
    agreed(nodes, 21)
    assert confirmed(ann, there)["height"] == 11
    assert confirmed(carol, back)["height"] == 21
    nobody_was_blamed(nodes)


def test_a_block_of_what_is_pending_everywhere_travels_by_short_ids(lab: Lab, network: Path) -> None:
    nodes = lab.line("ann", "bob", "carol", network=network, flags=("--mine", "off"))
    ann, carol = nodes[0], nodes[-1]
    ann.call("mine", count=1)
    agreed(nodes, 1)
    for number in range(10):
        ann.cli("send", carol.status()["address"], "1", "--memo", f"{number} " + "m" * 250)
    until(lambda: all(node.status()["pending"] == 10 for node in nodes), "all have the entries")
    before = sum(peer["bytes_in"] for peer in carol.call("peers"))
    ann.call("mine", count=1)
    agreed(nodes, 2)
    size = carol.cli("block", "2")["size"]
    assert size > 4_000
    assert sum(peer["bytes_in"] for peer in carol.call("peers")) - before < size // 2
    nobody_was_blamed(nodes)


def test_connections_that_break_in_the_middle_of_blocks_only_cost_time(
    lab: Lab, network: Path, proxies: ExitStack
) -> None:
    dice = random.Random(SEED)
    ann = lab.node("ann", "--mine", "off", network=network).start()
    ann.call("mine", count=LONG)
    proxy, across = through(proxies, ann)
    broken = []

    def break_again() -> None:
        broken.append(len(proxy.recorded))
        proxy.reset()
        if len(broken) < RESETS:
            proxy.arm(dice.randrange(1_000, 12_000), break_again)

    proxy.after(dice.randrange(1_000, 12_000), break_again)
    bob = lab.node("bob", "--mine", "off", network=network, peers=[across]).start()
    agreed([ann, bob], LONG)
    until(lambda: len(broken) == RESETS or bob.height() == LONG, "it broke, or it was too late")
    connected(bob, 1)
    nobody_was_blamed([ann, bob])
    assert broken, f"nothing broke (ACCEPTANCE_SEED={SEED})"


def test_a_line_that_stalls_in_the_middle_of_a_frame_is_gone_around(
    lab: Lab, network: Path, proxies: ExitStack
) -> None:
    dice = random.Random(SEED)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    ann.call("mine", count=LONG)
    agreed([ann, bob], LONG)
    stalled, late = [], []
    for name, ways in (("both", ()), ("there", (Way.THERE,)), ("back", (Way.BACK,))):
        proxy, across = through(proxies, ann)
        proxy.after(dice.randrange(1_000, 12_000), proxy.stall(*ways))
        late.append(lab.node(name, "--mine", "off", network=network, peers=[across, bob.address]))
        stalled.append(proxy)
    for node in late:
        node.start()
    agreed([ann, bob, *late], LONG)
    ann.call("mine", count=1)
    agreed([ann, bob, *late], LONG + 1)
    for proxy in stalled:
        proxy.join()
    for node in late:
        connected(node, 2)
    nobody_was_blamed([ann, bob, *late])


def test_a_peer_that_vanished_without_a_word_is_taken_back_when_it_calls_again(
    lab: Lab, network: Path, proxies: ExitStack
) -> None:
    ann = lab.node("ann", "--mine", "off", network=network).start()
    proxy, across = through(proxies, ann)
    bob = lab.node("bob", "--mine", "off", network=network, peers=[across]).start()
    connected(ann, 1)
    proxy.vanish()
    ann.call("mine", count=3)  # told to nobody: the connection that ann has leads nowhere
    agreed([ann, bob], 3)
    nobody_was_blamed([ann, bob])


def test_two_nodes_connected_many_times_over_keep_one_connection(
    lab: Lab, network: Path, proxies: ExitStack
) -> None:
    ann = lab.node("ann", "--mine", "off", network=network)
    ways = [through(proxies, ann)[1] for _ in range(3)]
    bob = lab.node("bob", "--mine", "off", network=network, peers=[ann.address, *ways])
    ann.command += ["--peer", bob.address, "--peer", through(proxies, bob)[1]]
    for node in (ann, bob):
        node.start()
    for node in (ann, bob):
        connected(node, 1)
    ann.call("mine", count=2)
    agreed([ann, bob], 2)
    txid = ann.cli("send", bob.status()["address"], "1")["txid"]
    until(lambda: bob.call("tx", txid=txid)["status"] == "pending", "bob knows of it")
    bob.call("mine", count=2)
    agreed([ann, bob], 4)
    nobody_was_blamed([ann, bob])
