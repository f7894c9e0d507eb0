"""How far preparing runs ahead of the signatures."""

from __future__ import annotations

import pytest

from node import chain
from tests.building import ChainBuilder
from tests.chaining import Node, Payer


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
