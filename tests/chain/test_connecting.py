"""Blocks that extend the tip: in order, out of order, our own; and what each is told with."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from node import chain
from node.ledger.errors import RuleBroken
from node.ledger.rules import sane_block
from node.outcomes import BlockConnected
from node.storage.port import Standing
from tests.building import Built, ChainBuilder, key
from tests.chaining import ANN, BOB, CEM, PEER, RICH, Node, Payer, sound


def test_blocks_connect_in_order_and_each_is_told_with_its_batch(builder: ChainBuilder, node: Node) -> None:
    line = Payer(builder).line(None, 5, entries=3, miner=BOB)
    for block in line:
        node.give(block)
        assert node.is_at(block)
        assert node.standing(block) is Standing.PROVEN
    told = [outcome for outcome in node.outcomes if isinstance(outcome, BlockConnected)]
    assert [outcome.record.hash for outcome in told] == [block.hash for block in line]
    assert [tuple(outcome.entries) for outcome in told] == [block.entries for block in line]
    assert {(outcome.origin, outcome.credited) for outcome in told} == {(PEER, (BOB.public,))}
    assert len(told) == len(node.outcomes)
    assert sound(node.disk)


def test_a_block_is_one_batch_with_its_body_its_accounts_and_its_place(
    builder: ChainBuilder, node: Node
) -> None:
    block = builder.block(None, Payer(builder).pay(2))
    node.headers(block)
    node.save()
    node.body(block)
    while node.advance() or node.asked:
        while node.asked:
            node.answer()
    (batch,) = node.saving
    assert [record.standing for record in batch.records] == [Standing.PROVEN]
    assert batch.bodies == [(1, block.raw)]
    assert [joined.record.id for joined in batch.connected] == [1]
    assert set(batch.accounts) == {ANN.public, CEM.public, key("miner").public}
    outcome = node.outcomes[-1]
    assert isinstance(outcome, BlockConnected)
    assert outcome.batch == batch.number
    assert node.store.durable_tip().height == 0


def test_a_block_says_whether_others_at_hand_follow_it(builder: ChainBuilder, node: Node) -> None:
    line = Payer(builder).line(None, 3, entries=1)
    node.headers(line[-1])
    for block in line:
        node.body(block)
    while node.advance() or node.asked:
        while node.asked:
            node.answer()
    assert [batch.followed for batch in node.saving if batch.connected] == [True, True, False]


@pytest.mark.parametrize("seed", range(6))
def test_bodies_in_any_order_make_the_same_book(builder: ChainBuilder, node: Node, seed: int) -> None:
    line = Payer(builder).line(None, 8, entries=2)
    node.headers(line[-1])
    shuffled = line[:]
    random.Random(seed).shuffle(shuffled)
    for block in shuffled:
        node.body(block)
        node.settle()
        assert sound(node.disk)
    assert node.is_at(line[-1])
    assert node.connected() == list(range(1, 9))
    assert node.chain.held_bytes == 0


def test_bodies_all_at_once_connect_in_order(builder: ChainBuilder, node: Node) -> None:
    line = Payer(builder).line(None, 8, entries=4)
    node.headers(line[-1])
    for block in reversed(line):
        node.body(block)
    node.settle()
    assert node.is_at(line[-1])
    assert node.connected() == list(range(1, 9))


def test_a_body_without_a_known_header_is_refused(builder: ChainBuilder, node: Node) -> None:
    with pytest.raises(RuleBroken) as caught:
        node.body(builder.block())
    assert caught.value.rule == "unknown-parent"


def test_a_body_that_came_before_is_not_wanted_again(builder: ChainBuilder, node: Node) -> None:
    first, second = builder.blocks(None, 2)
    node.headers(second)
    assert node.body(second) is not None
    assert node.body(second) is None
    assert node.body(first) is not None
    node.settle()
    assert node.body(first) is None
    assert node.body(second) is None
    assert node.connected() == [1, 2]


def test_a_body_counts_as_had_from_the_moment_it_came(builder: ChainBuilder, node: Node) -> None:
    first, second = builder.blocks(None, 2)
    node.headers(second)
    assert not node.chain.has_body(node.record(second))
    node.body(second)
    assert node.chain.has_body(node.record(second))
    assert not node.chain.is_prepared(node.record(second))
    node.body(first)
    while node.advance():
        pass
    assert node.chain.is_prepared(node.record(second))


def test_a_block_of_our_own_needs_no_signatures_checked(builder: ChainBuilder, node: Node) -> None:
    block = builder.block(None, Payer(builder, signed=False).pay(5))
    node.headers(block)
    taken = node.chain.offer_own(sane_block(block.block, RICH), list(block.entries))
    assert taken == node.record(block)
    assert node.chain.offer_own(sane_block(block.block, RICH), list(block.entries)) is None
    node.settle()
    assert node.is_at(block)


def test_a_block_of_our_own_that_is_wrong_is_condemned_all_the_same(
    builder: ChainBuilder, node: Node
) -> None:
    old = builder.entry(ANN, BOB, 1, timestamp_ms=RICH.genesis_ms - RICH.lifetime_ms)
    block = builder.block(None, [old])
    node.headers(block)
    node.chain.offer_own(sane_block(block.block, RICH), [old])
    node.settle()
    assert node.condemned() == [(1, "entry-expired")]


def test_what_was_verified_is_not_verified_again(builder: ChainBuilder) -> None:
    entries = Payer(builder).pay(10)
    known = {entry.txid for entry in entries[:6]}
    node = Node(builder, is_verified=known.__contains__)
    block = builder.block(None, entries)
    node.headers(block)
    node.body(block)
    node.advance()
    (asked,) = node.asked
    assert [public for public, _, _ in asked.items] == [ANN.public] * 4
    assert [proof for _, _, proof in asked.items] == [entry.signature for entry in entries[6:]]
    node.settle()
    assert node.is_at(block)


def test_nothing_is_connected_before_its_signatures_are_answered(builder: ChainBuilder, node: Node) -> None:
    line = Payer(builder).line(None, 3, entries=3)
    node.headers(line[-1])
    for block in line:
        node.body(block)
    assert not node.advance()
    assert len(node.asked) == 3
    node.answer(2)
    node.answer(1)
    assert not node.advance()
    assert node.chain.tip.height == 0
    node.answer()
    node.advance()
    assert node.chain.tip.height == 3


def test_connecting_waits_for_a_disk_that_is_behind(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_UNSAVED_ENTRIES", 100)
    line = Payer(builder).line(None, 10, entries=1)
    node.headers(line[-1])
    node.save()
    for block in line:
        node.body(block)
    assert not node.advance()
    reached = node.chain.tip.height
    assert 0 < reached < 10
    assert not node.advance()
    assert node.chain.tip.height == reached
    node.save()
    node.advance()
    assert node.chain.tip.height > reached
    node.settle()
    assert node.is_at(line[-1])


@pytest.mark.parametrize("maturity", [1, 3, 10])
def test_a_coinbase_is_credited_when_it_matures_across_switches_too(maturity: int) -> None:
    builder = ChainBuilder(replace(RICH, maturity=maturity))
    node = Node(builder)
    miners = [key(f"miner {number}") for number in range(30)]
    trunk: list[Built] = []
    for number in range(6):
        trunk.append(builder.block(trunk[-1] if trunk else None, miner=miners[number]))
        node.give(trunk[-1])
        assert node.is_at(trunk[-1])
    told = [outcome for outcome in node.outcomes if isinstance(outcome, BlockConnected)]
    assert [outcome.credited for outcome in told] == [
        (miners[number - maturity].public,) if number >= maturity else () for number in range(6)
    ]
    branch = [trunk[2]]
    for number in range(10, 15):
        branch.append(builder.block(branch[-1], miner=miners[number]))
    node.give(*branch[1:])
    assert node.is_at(branch[-1])
    back = [trunk[-1]]
    for number in range(20, 24):
        back.append(builder.block(back[-1], miner=miners[number]))
    node.give(*back[1:])
    assert node.is_at(back[-1])
    again = Node(builder, node.disk)
    last = builder.block(back[-1])
    again.give(last)
    assert again.is_at(last)


def test_what_has_not_matured_cannot_be_spent() -> None:
    builder = ChainBuilder(replace(RICH, maturity=2))
    node = Node(builder)
    first, second = builder.blocks(None, 2, miner=CEM)
    node.give(first, second)
    early = builder.block(second, [builder.entry(CEM, ANN, 1_00, nonce=0)])
    node.give(early)
    assert node.condemned() == [(3, "overspend")]
    matured = builder.block(second, miner=BOB)
    node.give(matured, builder.block(matured, [builder.entry(CEM, ANN, 1_00, nonce=0)]))
    assert node.chain.tip.height == 4
