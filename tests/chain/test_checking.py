"""How far preparing runs ahead of the signatures."""

from __future__ import annotations

import pytest

from node import chain
from node.storage.port import Standing
from tests.building import ChainBuilder
from tests.chaining import ANN, BOB, CEM, Node, Payer


@pytest.mark.parametrize("size", [3, 4, 20])
def test_no_block_is_prepared_while_too_many_signatures_are_unchecked(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(chain, "MAX_IN_CHECK", 10)
    line = Payer(builder).line(None, 12, entries=size)
    node.headers(line[-1])
    for block in line:
        node.body(block)
    most = 0
    while not node.is_at(line[-1]):
        while node.advance():
            pass
        unchecked = sum(len(asked.items) for asked in node.asked)
        assert unchecked <= 10 + size
        most = max(most, unchecked)
        if node.asked:
            node.answer()
        node.save()
    assert most > 10


def test_a_block_that_waits_to_be_prepared_when_the_one_before_it_is_condemned_is_let_go(
    builder: ChainBuilder, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_IN_CHECK", 2)
    bad = builder.block(None, [builder.entry(CEM, ANN, 10**9)])
    heir = builder.block(bad)
    other = Payer(builder).line(None, 1, entries=3, miner=BOB)[0]
    node.headers(heir, other)
    for block in (bad, other, heir):
        node.body(block)
    node.advance()
    assert node.condemned() == [(1, "overspend")]
    assert node.standing(heir) is Standing.CONDEMNED
    node.settle()
    assert node.is_at(other)
    assert node.standing(heir) is Standing.CONDEMNED
    assert node.chain.held_bytes == 0
