"""Heavier branches that are bad somewhere, and proofs on the side that outlive them."""

from __future__ import annotations

import pytest

from node import proving
from tests.building import Built, ChainBuilder, key
from tests.chaining import ANN, BOB, CEM, Applied, Node, Payer, sound


@pytest.mark.parametrize("bad_at", [0, 1, 2, 3, 4, 5])
def test_a_heavier_branch_that_is_bad_somewhere_is_never_followed_further(
    builder: ChainBuilder, node: Node, bad_at: int
) -> None:
    old = Payer(builder).line(None, 4, entries=2, miner=CEM)
    node.give(*old)
    payer = Payer(builder)
    branch: list[Built] = []
    for number in range(6):
        entries = [builder.entry(ANN, BOB, 1, nonce=999)] if number == bad_at else payer.pay(2)
        branch.append(builder.block(branch[-1] if branch else None, entries, miner=BOB))
    node.headers(branch[-1])
    for block in branch:
        node.body(block)
    node.settle()
    # Up to the bad block it is a branch like others: the fifth good block passes the tip.
    assert node.is_at(branch[4] if bad_at == 5 else old[-1])
    assert node.condemned() == [(bad_at + 1, "nonce-gap")]
    assert sound(node.disk)
    assert node.chain.held_bytes == 0


def test_a_forged_payment_of_a_million_is_never_adopted(builder: ChainBuilder, node: Node) -> None:
    old = Payer(builder).line(None, 3)
    node.give(*old)
    forged = builder.block(None, [builder.entry(ANN, BOB, 1_000_000, signed=False)])
    branch = [forged, *builder.blocks(forged, 9)]
    node.give(*branch)
    assert node.is_at(old[-1])
    assert node.condemned() == [(1, "entry-signature")]


def test_fresh_bad_tips_on_a_proven_branch_do_not_have_it_proven_again(
    builder: ChainBuilder, node: Node, work: Applied
) -> None:
    old = Payer(builder).line(None, 10, entries=4, miner=ANN)
    node.give(*old)
    payer = Payer(builder)
    prefix = payer.line(None, 10, entries=4, miner=BOB)
    node.give(*prefix)
    assert work.now() == (40, 0)
    for number in range(5):
        bad = builder.block(prefix[-1], [builder.entry(ANN, CEM, 1, nonce=500 + number)], miner=CEM)
        node.give(bad)
        assert node.condemned()[number:] == [(11, "nonce-gap")]
        # The first one has the branch proven; the others cost only themselves.
        assert work.now() == ((41, 40) if number == 0 else (1, 0))
        assert node.is_at(old[-1])
    good = builder.block(prefix[-1], payer.pay(1))
    node.give(good)
    assert work.now() == (1, 0)
    assert node.is_at(good)


def test_a_kept_proof_follows_the_tip_that_moves_below_it(
    builder: ChainBuilder, node: Node, work: Applied
) -> None:
    ann, bob = Payer(builder), Payer(builder, BOB)
    old = ann.line(None, 5, entries=2, miner=CEM)
    node.give(*old)
    payer = Payer(builder)
    prefix = payer.line(None, 5, entries=2, miner=BOB)
    bad = builder.block(prefix[-1], [builder.entry(ANN, CEM, 1, nonce=77)])
    node.give(*prefix, bad)
    # The tip's accounts change; those on the side must not.
    tip = old[-1]
    for _ in range(3):
        tip = builder.block(tip, [*ann.pay(1, BOB), *bob.pay(2, ANN)], miner=ANN)
        node.give(tip)
    work.now()
    heavier = payer.line(prefix[-1], 4, entries=1, miner=ANN)
    node.give(*heavier)
    assert work.now() == (4, 0)
    assert node.is_at(heavier[-1])


def test_a_kept_proof_is_brought_to_another_branch_where_that_is_nearer(
    builder: ChainBuilder, node: Node, work: Applied
) -> None:
    old = Payer(builder).line(None, 6, entries=3, miner=ANN)
    node.give(*old)
    payer = Payer(builder)
    prefix = payer.line(None, 6, entries=3, miner=BOB)
    node.give(*prefix, builder.block(prefix[-1], [builder.entry(ANN, CEM, 1, nonce=77)]))
    work.now()
    # Another branch leaves the proven one two blocks before its end.
    payer.nonce -= 6
    other = payer.line(prefix[3], 3, entries=1, miner=CEM)
    node.give(*other)
    assert work.now() == (3, 6)
    assert node.is_at(other[-1])


def test_a_proof_that_is_further_than_the_tip_is_left(
    builder: ChainBuilder, node: Node, work: Applied
) -> None:
    ann = Payer(builder)
    old = ann.line(None, 6, entries=3, miner=ANN)
    node.give(*old)
    prefix = Payer(builder).line(None, 6, entries=3, miner=BOB)
    node.give(*prefix, builder.block(prefix[-1], [builder.entry(ANN, CEM, 1, nonce=77)]))
    work.now()
    ann.nonce -= 3
    other = ann.line(old[4], 2, entries=1, miner=CEM)
    node.give(*other)
    assert work.now() == (2, 3)
    assert node.is_at(other[-1])


def test_a_proof_that_is_not_used_does_not_grow_for_ever(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "PROOF_KEPT_BLOCKS", 3)
    old = builder.blocks(None, 3, miner=ANN)
    prefix = builder.blocks(None, 3, miner=BOB)
    node.give(*old)
    node.give(*prefix, builder.block(prefix[-1], [builder.entry(CEM, ANN, 1_000)]))
    assert node.chain._proving._proof is not None
    scratch = node.chain._proving._proof.scratch
    tip = old[-1]
    for number in range(4):
        tip = builder.block(tip, miner=key(number))
        node.give(tip)
        assert (node.chain._proving._proof is not None) == (number < 3)
    assert len(scratch) == 0
    heavier = builder.blocks(prefix[-1], 6, miner=CEM)
    node.give(*heavier)
    assert node.is_at(heavier[-1])


def test_a_proof_that_is_used_stays(
    builder: ChainBuilder, node: Node, work: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "PROOF_KEPT_BLOCKS", 3)
    old = builder.blocks(None, 3, miner=ANN)
    node.give(*old)
    prefix = Payer(builder).line(None, 3, entries=1, miner=BOB)
    node.give(*prefix, builder.block(prefix[-1], [builder.entry(CEM, ANN, 1_000, nonce=0)]))
    assert work.now() == (4, 0)
    for _ in range(4):
        old = builder.blocks(old[-1], 2, miner=ANN)
        node.give(*old)
        prefix = builder.blocks(prefix[-1], 2, miner=BOB)
        node.give(*prefix, builder.block(prefix[-1], [builder.entry(CEM, ANN, 1_000, nonce=0)]))
        # The branch is proven two blocks further each time; its payments are not applied again.
        assert work.now() == (1, 0)
