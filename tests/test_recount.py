"""An account worked out anew from the blocks is the one that they make, or none is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node import recount as module
from node.ledger.state import Account
from node.recount import recount
from node.storage.port import StorageFault
from tests.building import Built, ChainBuilder, Key, key
from tests.chaining import ANN, BOB, CEM, RICH, Node, Payer

MINER = key("miner")


def counted(node: Node, owner: Key) -> Account | None:
    """Return the account, and see that each step has its price."""
    work = recount(node.chain.parameters, node.store, node.chain.tree, node.chain.load, owner.public)
    while True:
        try:
            assert next(work) >= 20
        except StopIteration as done:
            found: Account | None = done.value
            return found


@pytest.mark.parametrize("maturity", [0, 2])
@pytest.mark.parametrize("pages", [1, 256])
def test_every_account_is_counted_as_the_blocks_make_it(
    maturity: int, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PLACES", pages)
    builder = ChainBuilder(replace(RICH, maturity=maturity))
    node = Node(builder)
    ann, bob = Payer(builder), Payer(builder, BOB)
    tip: Built | None = None
    for number in range(5):
        # Two entries of one block stand in the index side by side; one pays its own sender.
        paid = [*ann.pay(2), *ann.pay(1, ANN), *bob.pay(1, ANN)]
        tip = builder.block(tip, paid, miner=(MINER, CEM)[number % 2])
        node.give(tip)
    assert tip is not None
    for owner in (ANN, BOB, CEM, MINER):
        assert counted(node, owner) == node.store.account(owner.public)
    assert counted(node, key("nobody")) == (0, 0)


def test_what_is_not_durable_yet_is_counted_too() -> None:
    builder = ChainBuilder(RICH)
    node = Node(builder)
    payer = Payer(builder)
    first = payer.line(None, 2, entries=2)
    node.give(*first)
    line = payer.line(first[-1], 2, entries=1, miner=CEM)
    node.headers(line[-1])
    for block in line:
        node.body(block)
    while node.advance():
        pass
    while node.asked:
        node.answer()
    node.advance()
    assert (node.store.durable_tip().height, node.chain.tip.height) == (2, 4)
    for owner in (ANN, CEM):
        assert counted(node, owner) == node.store.account(owner.public)


def test_an_account_that_was_edited_differs() -> None:
    builder = ChainBuilder(RICH)
    node = Node(builder)
    node.give(*Payer(builder).line(None, 3))
    right = node.disk.accounts[ANN.public]
    node.disk.accounts[ANN.public] = (5, right[1])
    again = Node(builder, node.disk)
    assert counted(again, ANN) == right != again.store.account(ANN.public)


def test_nothing_is_said_of_an_account_in_too_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BLOCKS", 3)
    builder = ChainBuilder(RICH)
    node = Node(builder)
    payer = Payer(builder)
    line = payer.line(None, 4)
    node.give(*line[:3])
    assert counted(node, ANN) is not None
    node.give(line[3])
    assert counted(node, ANN) is None
    assert counted(node, BOB) == (1_000_000_00, 0)


def test_nothing_is_said_while_a_switch_is_on_its_way_to_the_disk() -> None:
    builder = ChainBuilder(RICH)
    node = Node(builder)
    node.give(*Payer(builder).line(None, 2, miner=CEM))
    other = Payer(builder).line(None, 3, entries=2, miner=BOB)
    node.headers(other[-1])
    for block in other:
        node.body(block)
    while node.advance():
        pass
    assert node.chain.tip.hash == other[-1].hash
    assert counted(node, ANN) is None
    node.save()
    assert counted(node, ANN) == node.store.account(ANN.public)


def test_a_block_that_was_edited_is_named() -> None:
    builder = ChainBuilder(RICH)
    node = Node(builder)
    line = Payer(builder).line(None, 3)
    node.give(*line)
    node.disk.bodies[2] = line[0].raw
    with pytest.raises(StorageFault, match="was changed here"):
        counted(node, ANN)
