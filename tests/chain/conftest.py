"""A network, a node on it, and a count of what is applied to accounts."""

from __future__ import annotations

import pytest

from node.ledger import state
from node.ledger.entry import Entry
from tests.building import ChainBuilder
from tests.chaining import RICH, Applied, Node


@pytest.fixture
def builder() -> ChainBuilder:
    return ChainBuilder(RICH)


@pytest.fixture
def node(builder: ChainBuilder) -> Node:
    return Node(builder)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Applied:
    counted = Applied()
    apply_entry, undo_entry = state.apply_entry, state.undo_entry

    def apply(accounts: state.Accounts, entry: Entry) -> None:
        counted.applied += 1
        apply_entry(accounts, entry)

    def undo(accounts: state.Accounts, entry: Entry) -> None:
        counted.undone += 1
        undo_entry(accounts, entry)

    monkeypatch.setattr(state, "apply_entry", apply)
    monkeypatch.setattr(state, "undo_entry", undo)
    return counted
