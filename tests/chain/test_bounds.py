"""Budgets and memory: no call does too much, and what is held is bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node import bodies, chain, checks, connecting
from node.outcomes import BlockCondemned
from node.storage.port import Standing
from tests.building import ChainBuilder, Changes
from tests.chaining import ANN, BOB, CEM, RICH, Applied, Node, Payer, sound


def test_no_call_handles_much_more_than_its_budget(work: Applied) -> None:
    builder = ChainBuilder(RICH)
    node = Node(builder, is_verified=lambda _: True)
    old = Payer(builder, signed=False).line(None, 2, entries=2_600, miner=ANN)
    new = Payer(builder, signed=False).line(None, 3, entries=2_600, miner=BOB)
    most = calls = 0
    for line in (old, new):
        node.headers(line[-1])
        for block in line:
            node.body(block)
        while node.advance(1_000) or node.saving:
            applied, undone = work.now()
            most, calls = max(most, applied + undone), calls + 1
            node.save()
        assert node.is_at(line[-1])
    assert 1_000 < most <= 1_000 + connecting.SLICE
    assert calls > 15  # 5,200 up; 5,200 down and 7,800 up


def test_many_blocks_without_entries_are_many_calls_too(builder: ChainBuilder, node: Node) -> None:
    line = builder.blocks(None, 200)
    node.headers(line[-1])
    for block in line:
        node.body(block)
    reached = [0]
    while node.advance(500):
        reached.append(node.chain.tip.height)
    assert max(after - before for before, after in pairwise(reached)) <= 26
    node.settle()
    assert node.is_at(line[-1])


def test_stored_blocks_are_read_ahead_in_slices_and_their_signatures_asked_meanwhile(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "READ_AHEAD_ENTRIES", 100)
    old = builder.blocks(None, 9, miner=CEM)
    new = Payer(builder).line(None, 10, entries=5, miner=BOB)
    node.give(*old, *new[:9])
    assert {node.standing(block) for block in new[:9]} == {Standing.STORED}
    assert node.chain.held_bytes == 0
    node.headers(new[9])
    node.body(new[9])
    while node.advance(1):
        node.save()
    # The last block's, and those of as many as fit into the bound.
    assert len(node.asked) == 1 + 5
    node.settle()
    assert node.is_at(new[-1])
    assert node.chain.held_bytes == 0


def test_signatures_are_asked_as_bodies_come_where_the_headers_are_heavier_already(
    builder: ChainBuilder, node: Node
) -> None:
    old = builder.blocks(None, 4, miner=CEM)
    new = Payer(builder).line(None, 5, entries=3, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for count, block in enumerate(new[:4], 1):
        node.body(block)
        node.advance()
        node.save()
        assert (len(node.asked), node.standing(block)) == (count, Standing.STORED)
    node.settle()
    assert node.is_at(old[-1])
    node.body(new[4])
    node.advance()
    assert len(node.asked) == 1  # what was answered is not asked again
    node.settle()
    assert node.is_at(new[-1])
    assert node.chain.held_bytes == 0


def test_signatures_are_not_asked_of_a_branch_whose_headers_are_no_heavier(
    builder: ChainBuilder, node: Node
) -> None:
    node.give(*builder.blocks(None, 4, miner=CEM))
    new = Payer(builder).line(None, 4, entries=3, miner=BOB)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    while node.advance():
        node.save()
    assert node.asked == []
    assert node.chain.held_bytes == 0


def test_a_branch_that_stops_short_holds_little_memory_and_lets_go_of_it_when_the_tip_has_overtaken_it(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_EARLY_BYTES", 3_000)
    old = builder.blocks(None, 11, miner=CEM)
    new = Payer(builder).line(None, 10, entries=5, miner=BOB)
    node.give(*old[:8])
    node.headers(new[-1])
    for block in new[:8]:
        node.body(block)
        node.settle()
        assert node.standing(block) is Standing.STORED
    held = node.chain.held_bytes
    assert 0 < held <= 3_000
    node.give(old[8])
    assert node.chain.held_bytes == held  # its headers are heavier still
    node.give(old[9])
    assert node.chain.held_bytes == 0
    node.headers(new[-1])
    for block in new[8:]:
        node.body(block)
    more = builder.blocks(new[-1], 1, miner=BOB)
    node.give(*more)
    assert node.is_at(more[-1])


def test_nobody_pays_for_what_was_checked_before_its_branch_was_whole(
    builder: ChainBuilder, node: Node
) -> None:
    """It is as if it had been stored and read again: whoever sent it may not have proven it either."""
    node.give(*builder.blocks(None, 2, miner=CEM))
    forged = builder.block(None, [builder.entry(ANN, BOB, 1, signed=False)], miner=BOB)
    branch = [forged, *builder.blocks(forged, 2)]
    node.headers(branch[-1])
    for block in branch:
        node.body(block)
        node.settle()
    (condemned,) = [one for one in node.outcomes if isinstance(one, BlockCondemned)]
    assert str(condemned.broken.rule) == "entry-signature"
    assert condemned.origin == condemned.came_from == bodies.OURSELVES


def test_early_bodies_go_when_their_branch_is_condemned(builder: ChainBuilder, node: Node) -> None:
    node.give(*builder.blocks(None, 4, miner=CEM))
    good = Payer(builder).line(None, 3, entries=3, miner=BOB)
    bad = builder.block(good[-1], changes=Changes(history_root=bytes(32)))
    branch = [*good, bad, *builder.blocks(bad, 1)]
    node.headers(branch[-1])
    for block in good:
        node.body(block)
    node.settle()
    assert node.chain.held_bytes > 0
    node.body(bad)
    node.settle()
    assert node.condemned() == [(4, "history-root")]
    assert node.chain.held_bytes == 0


def test_signatures_of_stored_blocks_are_asked_once_though_the_tip_moves_past_them(
    builder: ChainBuilder, node: Node
) -> None:
    old = builder.blocks(None, 4, miner=CEM)
    new = Payer(builder).line(None, 8, entries=3, miner=BOB)
    node.give(*old)
    node.headers(new[-1])
    for block in new:
        node.body(block)
    node.advance()
    node.save()
    asked = len(node.asked)
    more = builder.blocks(old[-1], 2, miner=CEM)
    node.headers(more[-1])
    for block in more:
        node.body(block)
        node.advance()
        node.save()
    assert node.chain.tip.hash == more[-1].hash
    assert len(node.asked) == asked == 8
    while node.asked:
        node.answer()
    node.advance()
    assert node.asked == []
    node.settle()
    assert node.is_at(new[-1])


@pytest.fixture
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bodies, chain):
        monkeypatch.setattr(module, "MAX_HELD_BYTES", 5_000)


@pytest.mark.usefixtures("_little_memory")
def test_bodies_that_wait_are_forgotten_when_they_are_too_many_and_may_come_again(
    builder: ChainBuilder, node: Node
) -> None:
    line = Payer(builder).line(None, 30, entries=2)
    node.headers(line[-1])
    for block in reversed(line[1:]):
        node.body(block)
        assert node.chain.held_bytes <= 5_000
    had = [block for block in line if node.chain.has_body(node.record(block))]
    assert 0 < len(had) < 29
    while not node.is_at(line[-1]):
        missing = [block for block in line if not node.chain.has_body(node.record(block))]
        for block in missing[:3]:
            node.body(block)
        node.settle()
    assert node.chain.held_bytes == 0


@pytest.mark.usefixtures("_little_memory")
def test_blocks_that_are_ready_are_put_aside_when_memory_is_full_and_read_again(
    builder: ChainBuilder, node: Node
) -> None:
    line = Payer(builder).line(None, 30, entries=3)
    node.headers(line[-1])
    for block in line:
        node.body(block)
        while node.advance():
            pass
        assert node.chain.held_bytes <= 5_000
        node.save()
        assert sound(node.disk)
    # None is connected yet: no signature was answered.
    assert node.chain.tip.height == 0
    assert node.chain.is_prepared(node.record(line[-1]))
    node.settle()
    assert node.is_at(line[-1])
    assert node.chain.held_bytes == 0


def test_what_the_tip_has_overtaken_goes_to_the_disk(builder: ChainBuilder, node: Node) -> None:
    old = Payer(builder).line(None, 4, entries=1)
    slow = Payer(builder).line(None, 3, entries=3, miner=BOB)
    node.headers(slow[-1])
    for block in slow:
        node.body(block)
    node.advance()
    assert node.chain.held_bytes > 0
    node.headers(old[-1])
    for block in old:
        node.body(block)
    node.advance()
    assert node.chain.tip.hash == old[-1].hash
    assert node.chain.held_bytes == 0
    node.save()
    assert sound(node.disk)
    assert {node.standing(block) for block in slow} == {Standing.STORED}
    # Late answers about what has gone do no harm.
    node.settle()
    node.give(*builder.blocks(slow[-1], 2))
    assert node.chain.tip.height == 5


def test_two_branches_that_memory_has_no_room_for_are_read_one_after_the_other(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "INLINE", 0)
    for module in (bodies, chain):
        monkeypatch.setattr(module, "MAX_HELD_BYTES", 0)
    ours = Payer(builder).line(None, 2, entries=2, miner=ANN)
    theirs = Payer(builder).line(None, 4, entries=2, miner=BOB)
    node.give(ours[0])
    node.headers(ours[-1])
    node.headers(theirs[-1])
    for block in (ours[1], *theirs):
        node.body(block)
        assert not node.advance(10_000)  # it waits for answers, and does not read now the one, now the other
        node.save()
    node.settle()
    assert node.is_at(theirs[-1])
