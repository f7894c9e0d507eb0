"""Branches: the heaviest valid one leads, the first seen of equals, proven before the old one is left."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from node.ledger import codec
from node.noted import LAST_REORG
from node.outcomes import BlockStored, Switched
from node.storage.port import Batch, Place, Standing
from node.storage.sqlite import open_book
from tests.building import Built, ChainBuilder
from tests.chaining import ANN, BOB, CEM, LATE_MS, RICH, Node, Payer, sound


@pytest.mark.parametrize("depth", [1, 2, 3, 6, 15])
def test_a_heavier_branch_takes_over_from_any_depth(builder: ChainBuilder, node: Node, depth: int) -> None:
    trunk = Payer(builder, BOB).line(None, 2)
    old = Payer(builder).line(trunk[-1], depth, entries=3, miner=ANN)
    new = Payer(builder).line(trunk[-1], depth + 1, entries=2, miner=BOB)
    node.give(*trunk, *old)
    assert node.is_at(old[-1])
    node.headers(new[-1])
    for block in new:
        before = node.chain.tip.hash
        node.body(block)
        node.settle()
        assert sound(node.disk)
        assert node.chain.tip.hash in (before, new[-1].hash)
    assert node.is_at(new[-1])
    (switch,) = node.switches()
    assert (switch.old.hash, switch.new.hash) == (old[-1].hash, new[-1].hash)
    assert switch.fork.hash == trunk[-1].hash
    # The old branch stays, proven.
    assert {node.standing(block) for block in old} == {Standing.PROVEN}


@pytest.mark.parametrize("seed", range(4))
def test_a_branch_that_comes_in_any_order_takes_over(builder: ChainBuilder, node: Node, seed: int) -> None:
    old = Payer(builder).line(None, 4, entries=2)
    new = Payer(builder).line(None, 7, entries=3, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    shuffled = new[:]
    random.Random(seed).shuffle(shuffled)
    for block in shuffled:
        node.body(block)
        node.settle()
        assert sound(node.disk)
    assert node.is_at(new[-1])
    assert node.chain.held_bytes == 0


def test_the_old_tip_is_served_until_the_switch_and_the_switch_is_one_batch(
    builder: ChainBuilder, node: Node
) -> None:
    old = Payer(builder).line(None, 5, entries=2)
    new = Payer(builder).line(None, 6, entries=2, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    states: list[bytes] = []
    while node.advance(1) or node.asked or node.saving:
        states.append(node.chain.tip.hash)
        if node.asked:
            node.answer()
        node.save(1)
        assert node.disk.records[node.disk.main[-1]].hash in (old[-1].hash, new[-1].hash)
        accounts = {owner: tuple(account) for owner, account in node.disk.accounts.items()}
        tip = old[-1] if node.disk.records[node.disk.main[-1]].hash == old[-1].hash else new[-1]
        assert accounts == builder.accounts_at(tip)
    assert set(states) <= {old[-1].hash, new[-1].hash}
    assert node.is_at(new[-1])


def test_a_branch_with_as_much_work_changes_nothing_and_is_a_rival(builder: ChainBuilder, node: Node) -> None:
    first = builder.blocks(None, 3, miner=ANN)
    second = builder.blocks(None, 3, miner=BOB)
    node.give(*first)
    node.give(*second)
    assert node.is_at(first[-1])
    assert [rival.hash for rival in node.chain.rivals()] == [second[-1].hash]
    assert [type(outcome) for outcome in node.outcomes[-3:]] == [BlockStored] * 3
    again = Node(builder, node.disk)
    again.settle()
    assert again.is_at(first[-1])
    assert [rival.hash for rival in again.chain.rivals()] == [second[-1].hash]
    # One block ends it, on either side.
    again.give(builder.block(second[-1]))
    assert again.chain.tip.height == 4
    assert again.chain.rivals() == []


def test_of_two_heavier_branches_of_equal_work_the_first_seen_is_taken(
    builder: ChainBuilder, node: Node
) -> None:
    base = builder.block()
    first = builder.blocks(None, 3, miner=ANN)
    second = builder.blocks(base, 2, miner=BOB)
    node.give(base)
    node.headers(first[-1])
    node.headers(second[-1])
    for block in (*second, *first):
        node.body(block)
    node.settle()
    # Though the second one is an extension of the tip, and no undoing.
    assert node.is_at(first[-1])


def test_the_tip_goes_on_while_a_heavier_branch_waits_for_its_signatures(
    builder: ChainBuilder, node: Node
) -> None:
    old = Payer(builder).line(None, 3, entries=1)
    new = Payer(builder).line(None, 6, entries=3, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    node.advance()
    more = builder.block(old[-1])
    node.headers(more)
    node.body(more)
    node.advance()
    assert node.chain.tip.hash == more.hash
    node.settle()
    assert node.is_at(new[-1])


@pytest.mark.parametrize("after", range(1, 40, 3))
def test_the_tip_may_move_at_any_moment_of_the_proof(builder: ChainBuilder, after: int) -> None:
    node = Node(builder, is_verified=lambda _: True)
    bob = Payer(builder, BOB, signed=False)
    # Both branches and what extends the tip meanwhile touch the same accounts.
    old = Payer(builder, signed=False).line(None, 4, entries=2, miner=CEM)
    new = Payer(builder, signed=False).line(None, 7, entries=3, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    for _ in range(after):
        node.advance(1)
    more = builder.block(old[-1], bob.pay(2, ANN), miner=ANN)
    last = builder.block(more, bob.pay(1, CEM), miner=CEM)
    node.headers(last)
    node.body(more)
    node.advance(1)
    node.body(last)
    node.settle()
    assert node.is_at(new[-1])
    assert sound(node.disk)


def test_two_branches_that_pass_each_other_in_turn_are_followed_back_and_forth(
    builder: ChainBuilder, node: Node
) -> None:
    lines = [Payer(builder, ANN), Payer(builder, BOB)]
    tips: list[Built | None] = [None, None]
    node.give(builder.block())
    for turn in range(6):
        side = turn % 2
        line = lines[side].line(tips[side], (3, 4, 2, 2, 2, 2)[turn], entries=2, miner=(ANN, BOB)[side])
        tips[side] = line[-1]
        node.give(*line)
        tip = tips[side]
        assert tip is not None
        assert node.is_at(tip)
    assert len(node.switches()) == 6
    assert sound(node.disk)


def test_blocks_that_were_proven_once_are_not_verified_again(builder: ChainBuilder, node: Node) -> None:
    left = Payer(builder).line(None, 2, entries=3, miner=ANN)
    right = Payer(builder).line(None, 3, entries=3, miner=BOB)
    node.give(*left)
    node.give(*right)
    more = builder.blocks(left[-1], 2)
    node.headers(more[-1])
    for block in more:
        node.body(block)
    while node.advance() or node.saving:
        node.save()
        assert node.asked == []
    assert node.is_at(more[-1])


def switched(builder: ChainBuilder, undone: int, seen_ms: int, now_ms: int) -> tuple[Node, Switched]:
    node = Node(builder)
    old = builder.blocks(None, undone, miner=ANN)
    new = builder.blocks(None, undone + 1, miner=BOB)
    node.headers(old[0], now_ms=seen_ms)
    node.headers(old[-1], now_ms=now_ms)
    for block in old:
        node.body(block)
    node.settle(now_ms)
    node.headers(new[-1], now_ms=now_ms)
    for block in new:
        node.body(block)
    node.settle(now_ms)
    (switch,) = node.switches()
    return node, switch


@pytest.mark.parametrize(
    "undone, ago_ms, loud",
    [
        (1, 0, False),
        (5, 3_600_000, False),
        (6, 0, True),
        (3, 3_600_001, True),
        (1, 3_600_001, True),
        (1, 3_600_000, False),
    ],
)
def test_a_deep_or_late_switch_is_loud_and_remembered(
    builder: ChainBuilder, undone: int, ago_ms: int, loud: bool
) -> None:
    now_ms = LATE_MS
    node, switch = switched(builder, undone, now_ms - ago_ms, now_ms)
    assert switch.loud == loud
    assert switch.at_ms == now_ms
    remembered = node.store.value(LAST_REORG)
    assert remembered == (switch.remembered.encode() if loud else None)
    if remembered is not None:
        assert codec.decode(remembered) == (
            now_ms,
            0,
            undone,
            switch.old.hash,
            undone + 1,
            switch.new.hash,
        )
        assert node.disk.values[LAST_REORG] == remembered


# ------------------------------------------------------------------------------------------- over a file


def test_a_deep_switch_names_its_ends_and_not_what_lies_between(builder: ChainBuilder, node: Node) -> None:
    old = builder.blocks(None, 150, miner=ANN)
    new = builder.blocks(None, 151, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    batches: list[Batch] = []
    while node.advance() or node.saving:
        batches += node.saving
        node.save()
    assert node.is_at(new[-1])
    (batch,) = [batch for batch in batches if batch.switch is not None]
    assert (batch.records, batch.bodies, batch.connected, batch.accounts) == ([], [], [], {})


def test_a_book_in_a_file_follows_the_same_way_and_opens_again(builder: ChainBuilder, tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    book = open_book(path, RICH)
    book.writer._main._segment_txids = 8  # so that blocks leave and join across segments
    node = Node(builder, book=(book.store, book.writer))
    trunk = Payer(builder, BOB).line(None, 3, entries=2)
    old = Payer(builder).line(trunk[-1], 12, entries=3, miner=CEM)
    payer = Payer(builder)
    new = payer.line(trunk[-1], 13, entries=2, miner=BOB)
    node.give(*trunk, *old)
    node.give(*new)
    bad = builder.block(old[-1], [builder.entry(CEM, ANN, 10**9, nonce=0)])
    node.give(bad, *builder.blocks(bad, 3))
    assert node.condemned() == [(16, "overspend")]
    book.close()
    book = open_book(path, RICH)
    again = Node(builder, book=(book.store, book.writer))
    assert again.chain.tip.hash == again.chain.headers.best.hash == new[-1].hash
    tip = payer.line(new[-1], 1)[0]
    again.give(tip)
    for owner, account in builder.accounts_at(tip).items():
        assert book.store.account(owner) == account
    for block in tip.path()[1:]:
        for position, entry in enumerate(block.entries, 1):
            assert book.store.places_of(entry.txid) == [Place(block.height, position)]
    for block in old:
        assert book.store.places_of(block.coinbase_leaf) == []
    book.close()
