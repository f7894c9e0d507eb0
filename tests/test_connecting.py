"""A block applied to accounts and taken back: whole, in slices, and as it was before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node import connecting
from node.bodies import OURSELVES, Bodies, Held
from node.connecting import Connecting
from node.ledger.block import decode_block
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock, sane_block
from node.ledger.state import AccountState, StateMismatch
from node.storage.memory import memory_disk, open_memory
from node.storage.port import Batch, BlockRecord
from node.tree import Tree
from tests.building import EASY, Built, ChainBuilder, Changes, key, record_of, with_allocations

PEOPLE = tuple(key(name) for name in ("ann", "bob", "cem"))
ANN, BOB, CEM = PEOPLE
RICH = with_allocations({ANN: 1_000_00, BOB: 1_000_00})


class Accounts(dict[bytes, AccountState]):
    """Accounts as a plain dict."""

    def __missing__(self, owner: bytes) -> AccountState:
        return 0, 0

    def there(self) -> dict[bytes, tuple[int, int]]:
        return {owner: (balance, nonce) for owner, (balance, nonce) in self.items() if balance or nonce}


class Desk:
    """What connects blocks, over a store that holds them all."""

    def __init__(self, parameters: Parameters, *line: Built) -> None:
        self.parameters = parameters
        self.store, _ = open_memory(memory_disk(parameters))
        self.tree = Tree(self.store)
        self.bodies = Bodies(parameters, self.store, self.tree)
        self.connecting = Connecting(parameters, self.tree, self.bodies)
        batch = Batch(1)
        for block_id, block in enumerate(line, 1):
            batch.records.append(record_of(block, block_id))
            batch.bodies.append((block_id, block.raw))
        self.store.stage(batch)
        genesis = dict(parameters.allocations)
        self.accounts = Accounts((owner, (amount, 0)) for owner, amount in genesis.items())

    def record(self, block: Built) -> BlockRecord:
        return self.store.record(block.height)

    def apply(self, block: Built, bad: tuple[int, ...] = ()) -> list[int]:
        sane = sane_block(decode_block(block.raw), self.parameters)
        held = Held(self.record(block), sane, OURSELVES, entries=list(block.entries), bad=list(bad))
        return list(self.connecting.apply(held, self.accounts))

    def undo(self, block: Built) -> list[int]:
        return list(self.connecting.undo(self.record(block), self.accounts))


entries = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 40)), min_size=0, max_size=6
)


def line_of(builder: ChainBuilder, wanted: list[list[tuple[int, int, int]]]) -> list[Built]:
    """Return blocks whose payments are all covered; what is not is left out."""
    line: list[Built] = []
    nonces = dict.fromkeys((person.public for person in PEOPLE), 0)
    for number, payments in enumerate(wanted):
        parent = line[-1] if line else None
        balances = {k: v[0] for k, v in builder.accounts_at(parent or builder.genesis).items()}
        made: list[Entry] = []
        for sender, recipient, amount in payments:
            who, whom = PEOPLE[sender], PEOPLE[recipient]
            if balances.get(who.public, 0) < amount + 1:
                continue
            balances[who.public] -= amount + 1
            balances[whom.public] = balances.get(whom.public, 0) + amount
            made.append(builder.entry(who, whom, amount, nonce=nonces[who.public], signed=False))
            nonces[who.public] += 1
        line.append(builder.block(parent, made, miner=PEOPLE[number % 3]))
    return line


@settings(max_examples=60, deadline=None)
@given(wanted=st.lists(entries, min_size=1, max_size=5), maturity=st.integers(0, 3), size=st.integers(1, 4))
def test_undoing_is_the_exact_reverse_of_applying(
    wanted: list[list[tuple[int, int, int]]], maturity: int, size: int
) -> None:
    parameters = replace(with_allocations({ANN: 50, BOB: 7}), maturity=maturity)
    builder = ChainBuilder(parameters)
    line = line_of(builder, wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "SLICE", size)
        desk = Desk(parameters, *line)
        for block in line:
            desk.apply(block)
            assert desk.accounts.there() == builder.accounts_at(block)
        for block in reversed(line):
            assert desk.accounts.there() == builder.accounts_at(block)
            desk.undo(block)
        assert desk.accounts.there() == builder.accounts_at(builder.genesis)


def test_both_ways_yield_what_was_done_in_slices() -> None:
    builder = ChainBuilder(RICH)
    block = builder.block(None, [builder.entry(ANN, CEM, 1, signed=False) for _ in range(1_100)])
    desk = Desk(RICH, block)
    assert desk.apply(block) == [500, 500, 100, 20]
    assert desk.undo(block) == [500, 500, 100, 500, 500, 100, 20]  # first it is taken apart


def test_the_first_bad_signature_is_named_before_anything_is_applied() -> None:
    builder = ChainBuilder(RICH)
    block = builder.block(None, [builder.entry(ANN, CEM, 1) for _ in range(4)])
    desk = Desk(RICH, block)
    with pytest.raises(RuleBroken) as caught:
        desk.apply(block, bad=(1, 3))
    assert (caught.value.rule, caught.value.position) == ("entry-signature", 1)
    assert desk.accounts.there() == builder.accounts_at(builder.genesis)


def test_an_entry_that_does_not_fit_is_named_by_its_place_in_the_block() -> None:
    builder = ChainBuilder(RICH)
    good = [builder.entry(ANN, CEM, 1, signed=False) for _ in range(700)]
    block = builder.block(None, [*good, builder.entry(CEM, ANN, 9_000, signed=False)])
    desk = Desk(RICH, block)
    with pytest.raises(RuleBroken) as caught:
        desk.apply(block)
    assert (caught.value.rule, caught.value.position) == ("overspend", 700)


def test_the_coinbase_is_reward_and_fees_to_the_unit() -> None:
    builder = ChainBuilder(RICH)
    paid = [builder.entry(ANN, CEM, 1, fee=3, signed=False)]
    for amount in (50_02, 50_04):
        block = builder.block(None, paid, changes=Changes(coinbase_amount=amount))
        with pytest.raises(RuleBroken) as caught:
            Desk(RICH, block).apply(block)
        assert caught.value.rule == "coinbase-amount"


def test_what_one_mines_can_be_spent_in_a_later_block_not_in_its_own() -> None:
    builder = ChainBuilder(EASY)
    block = builder.block(None, [builder.entry(CEM, ANN, 1, signed=False)], miner=CEM)
    with pytest.raises(RuleBroken) as caught:
        Desk(EASY, block).apply(block)
    assert caught.value.rule == "overspend"


@pytest.mark.parametrize("maturity", [0, 1, 2])
def test_the_one_who_is_credited_is_known_also_for_blocks_long_gone(maturity: int) -> None:
    parameters = replace(RICH, maturity=maturity)
    builder = ChainBuilder(parameters)
    line: list[Built] = []
    for number in range(6):
        line.append(builder.block(line[-1] if line else None, miner=PEOPLE[number % 3]))
    for order in (line, line[::-1]):
        desk = Desk(parameters, *line)
        for block in order:
            assert block.coinbase is not None
            found = desk.connecting.credited_by(desk.record(block), block.coinbase)
            matured = block.height - maturity
            expected = line[matured - 1].coinbase if matured >= 1 else None
            assert found == expected


def test_coinbases_of_blocks_just_connected_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = replace(RICH, maturity=3)
    builder = ChainBuilder(parameters)
    line = builder.blocks(None, 8)
    desk = Desk(parameters, *line)
    read: list[int] = []
    load = desk.bodies.load

    def noted(record: BlockRecord) -> SaneBlock:
        read.append(record.height)
        return load(record)

    monkeypatch.setattr(desk.bodies, "load", noted)
    for block in line:
        desk.apply(block)
    assert read == []
    monkeypatch.setattr(connecting, "_COINBASES", 2)
    for block in reversed(line):
        desk.undo(block)
    # Each block undone is read; so is the one whose coinbase had matured, where it is out of mind.
    assert read[:4] == [8, 7, 6, 3]
    assert len(desk.connecting._coinbases) <= 9


def test_accounts_that_were_never_so_cannot_be_undone() -> None:
    builder = ChainBuilder(RICH)
    block = builder.block(None, [builder.entry(ANN, CEM, 5, signed=False)], miner=BOB)
    for owner, account in ((ANN, (0, 0)), (CEM, (4, 0)), (BOB, (5, 0))):
        desk = Desk(RICH, block)
        desk.apply(block)
        desk.accounts[owner.public] = account
        with pytest.raises(StateMismatch):
            desk.undo(block)
