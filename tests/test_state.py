"""Accounts: what entries and coinbases do to them, and the exact reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.ledger.block import Coinbase, decode_block, decode_coinbase
from node.ledger.entry import Entry, decode_entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.state import (
    ABSENT,
    AccountState,
    Changes,
    StateMismatch,
    apply_coinbase,
    apply_entries,
    apply_entry,
    genesis_accounts,
    undo_coinbase,
    undo_entry,
)
from tests.building import EASY, ChainBuilder, key, with_allocations
from tests.test_params import NETWORKS, parameters_of
from tests.vectors.read import read

VECTORS = read("blocks.json")
BLOCKS = {case["name"]: case for case in VECTORS["blocks"]}
PEOPLE = [key(number).public for number in range(4)]
ANN, BOB, CAT, DAN = PEOPLE
UNSIGNED = ChainBuilder().entry(key("ann"), key("bob"), 1, signed=False)


class Ledger(dict[bytes, AccountState]):
    """Accounts in a dict, which drops (0, 0) as a store does."""

    def __missing__(self, owner: bytes) -> AccountState:
        return 0, 0

    def __setitem__(self, owner: bytes, account: AccountState) -> None:
        assert account[0] >= 0
        if account == (0, 0):
            self.pop(owner, None)
        else:
            super().__setitem__(owner, account)

    def total(self) -> int:
        return sum(balance for balance, _ in self.values())


def entry(sender: bytes, recipient: bytes, amount: int, fee: int = 0, nonce: int = 0) -> Entry:
    """Return an entry, whose signature nobody looks at here."""
    return UNSIGNED._replace(sender=sender, recipient=recipient, amount=amount, fee=fee, nonce=nonce)


def broken_by(ledger: Ledger, payment: Entry) -> Rule | None:
    """Apply an entry; return the rule it breaks, having checked that it then changed nothing."""
    before = dict(ledger)
    try:
        apply_entry(ledger, payment)
    except RuleBroken as broken:
        assert dict(ledger) == before
        return broken.rule
    return None


# ------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    "payment, rule",
    [
        (entry(ANN, BOB, 90, 10, 3), None),
        (entry(ANN, BOB, 0, 0, 3), None),
        (entry(ANN, BOB, 0, 100, 3), None),
        (entry(ANN, ANN, 90, 10, 3), None),
        (entry(DAN, BOB, 0, 0, 0), None),
        (entry(ANN, BOB, 1, 0, 2), Rule.NONCE_USED),
        (entry(ANN, BOB, 1, 0, 0), Rule.NONCE_USED),
        (entry(ANN, BOB, 1, 0, 4), Rule.NONCE_GAP),
        (entry(ANN, BOB, 1, 0, 2**53 - 1), Rule.NONCE_GAP),
        (entry(DAN, BOB, 0, 0, 1), Rule.NONCE_GAP),
        (entry(ANN, BOB, 101, 0, 3), Rule.OVERSPEND),
        (entry(ANN, BOB, 91, 10, 3), Rule.OVERSPEND),
        (entry(ANN, BOB, 0, 101, 3), Rule.OVERSPEND),
        (entry(ANN, ANN, 91, 10, 3), Rule.OVERSPEND),
        (entry(ANN, BOB, 2**53 - 1, 2**53 - 1, 3), Rule.OVERSPEND),
        (entry(DAN, BOB, 1, 0, 0), Rule.OVERSPEND),
        (entry(DAN, DAN, 1, 0, 0), Rule.OVERSPEND),
    ],
)
def test_an_entry_spends_what_is_there_once_and_in_turn(payment: Entry, rule: Rule | None) -> None:
    assert broken_by(Ledger({ANN: (100, 3)}), payment) == rule


def test_a_payment_moves_the_amount_and_takes_the_fee() -> None:
    ledger = Ledger({ANN: (100, 3)})
    apply_entry(ledger, entry(ANN, BOB, 30, 5, 3))
    assert ledger == {ANN: (65, 4), BOB: (30, 0)}


@pytest.mark.parametrize("amount", [0, 1, 95])
def test_a_payment_to_oneself_never_mints(amount: int) -> None:
    ledger = Ledger({ANN: (100, 0)})
    apply_entry(ledger, entry(ANN, ANN, amount, 5))
    assert ledger == {ANN: (95, 1)}


def test_an_emptied_account_keeps_its_nonce() -> None:
    ledger = Ledger({ANN: (100, 0)})
    apply_entry(ledger, entry(ANN, BOB, 100))
    assert ledger == {ANN: (0, 1), BOB: (100, 0)}
    assert broken_by(ledger, entry(ANN, BOB, 0)) is Rule.NONCE_USED


def test_nothing_paid_to_nobody_leaves_no_account_behind() -> None:
    ledger = Ledger({ANN: (1, 0)})
    apply_entry(ledger, entry(ANN, BOB, 0, 1))
    assert BOB not in ledger


def test_entries_of_a_block_apply_in_the_order_in_which_they_are_listed() -> None:
    first, second = entry(ANN, BOB, 50), entry(BOB, CAT, 50)
    ledger = Ledger({ANN: (50, 0)})
    assert apply_entries(ledger, [first, second], 0) == 0
    assert ledger == {ANN: (0, 1), BOB: (0, 1), CAT: (50, 0)}
    with pytest.raises(RuleBroken) as caught:
        apply_entries(Ledger({ANN: (50, 0)}), [second, first], 40)
    assert (caught.value.rule, caught.value.position) == (Rule.OVERSPEND, 40)


def test_the_entry_at_fault_is_told_by_its_place_in_the_block() -> None:
    entries = [entry(ANN, BOB, 1, 1, nonce) for nonce in (0, 1, 1)]
    with pytest.raises(RuleBroken, match=r"\(entry 9\)") as caught:
        apply_entries(Ledger({ANN: (50, 0)}), entries, 7)
    assert (caught.value.rule, caught.value.position) == (Rule.NONCE_USED, 9)


def test_fees_are_added_up() -> None:
    entries = [entry(ANN, BOB, 1, fee, nonce) for nonce, fee in enumerate((3, 0, 4))]
    assert apply_entries(Ledger({ANN: (50, 0)}), entries, 0) == 7


def test_genesis_holds_its_allocations() -> None:
    parameters = with_allocations({key(0): 5, key(1): 7}, EASY)
    assert genesis_accounts(parameters) == {ANN: (5, 0), BOB: (7, 0)}


# ------------------------------------------------------------------------------------------------- undo


class Move(NamedTuple):
    """An entry to be made: who pays whom, and which part of what there is."""

    sender: int
    recipient: int
    share: int
    fee: int


moves = st.lists(
    st.builds(Move, *(st.integers(0, 3),) * 2, st.integers(0, 4), st.integers(0, 3)), max_size=12
)


def played(ledger: Ledger, steps: Sequence[Move]) -> list[Entry]:
    """Apply valid entries made of these moves, one after the other, and return them."""
    entries = []
    for step in steps:
        balance, nonce = ledger[PEOPLE[step.sender]]
        fee = min(step.fee, balance)
        payment = entry(
            PEOPLE[step.sender], PEOPLE[step.recipient], (balance - fee) * step.share // 4, fee, nonce
        )
        apply_entry(ledger, payment)
        entries.append(payment)
    return entries


@given(st.lists(st.integers(0, 1_000), min_size=4, max_size=4), moves, st.integers(0, 3))
@example([100, 0, 0, 0], [Move(0, 0, 4, 1)], 0)
def test_undoing_a_block_is_the_exact_reverse_and_nothing_is_made_or_lost(
    balances: list[int], steps: list[Move], miner: int
) -> None:
    ledger = Ledger({PEOPLE[at]: (balance, 0) for at, balance in enumerate(balances) if balance})
    before, total = dict(ledger), ledger.total()
    entries = played(ledger, steps)
    fees = sum(payment.fee for payment in entries)
    assert ledger.total() == total - fees
    coinbase = Coinbase(1, PEOPLE[miner], 50 + fees, "")
    apply_coinbase(ledger, coinbase)
    assert ledger.total() == total + 50
    undo_coinbase(ledger, coinbase)
    for payment in reversed(entries):
        undo_entry(ledger, payment)
    assert dict(ledger) == before


@given(st.lists(st.integers(0, 1_000), min_size=4, max_size=4), moves)
def test_applying_all_at_once_is_applying_one_by_one(balances: list[int], steps: list[Move]) -> None:
    start = {PEOPLE[at]: (balance, 0) for at, balance in enumerate(balances) if balance}
    one_by_one, at_once = Ledger(start), Ledger(start)
    entries = played(one_by_one, steps)
    assert apply_entries(at_once, entries, 0) == sum(payment.fee for payment in entries)
    assert at_once == one_by_one


@pytest.mark.parametrize(
    "accounts",
    [
        {ANN: (65, 3), BOB: (30, 0)},  # not applied
        {ANN: (65, 5), BOB: (30, 0)},  # another one after it
        {ANN: (65, 4), BOB: (29, 0)},  # the money is gone
        {ANN: (65, 4)},
        {},
    ],
)
def test_undoing_what_was_not_done_is_named_and_changes_nothing(accounts: dict[bytes, AccountState]) -> None:
    ledger = Ledger(accounts)
    with pytest.raises(StateMismatch):
        undo_entry(ledger, entry(ANN, BOB, 30, 5, 3))
    assert ledger == accounts


def test_a_coinbase_that_was_spent_cannot_be_undone_before_what_spent_it() -> None:
    ledger = Ledger({ANN: (49, 1)})
    with pytest.raises(StateMismatch, match="miner of block 7"):
        undo_coinbase(ledger, Coinbase(7, ANN, 50, ""))
    assert ledger == {ANN: (49, 1)}


# ----------------------------------------------------------------------------------------------- changes


def test_changes_are_seen_here_and_leave_what_lies_below_alone() -> None:
    below = Ledger({ANN: (100, 0), BOB: (1, 1)})
    changes = Changes(below.__getitem__)
    apply_entry(changes, entry(ANN, CAT, 100))
    assert changes[ANN] == (0, 1)
    assert changes[BOB] == (1, 1)
    assert changes == {ANN: (0, 1), CAT: (100, 0)}
    assert below == {ANN: (100, 0), BOB: (1, 1)}


def test_an_account_that_goes_back_to_nothing_is_told_as_absent() -> None:
    below = Ledger({ANN: (100, 0)})
    changes = Changes(below.__getitem__)
    payment = entry(ANN, CAT, 100)
    apply_entry(changes, payment)
    undo_entry(changes, payment)
    assert changes == {ANN: (100, 0), CAT: ABSENT}


# ----------------------------------------------------------------------------------------------- vectors


def connected(ledger: Ledger, name: str, *, undo: bool = False) -> None:
    """Apply a block of the vectors to the accounts after its parent, or take it back."""
    case = BLOCKS[name]
    maturity = NETWORKS[case["network"]]["parameters"]["maturity"]
    block = decode_block(bytes.fromhex(case["block"]))
    entries = [decode_entry(raw) for raw in block.entries]
    at: dict[str, Any] | None = case
    for _ in range(maturity):
        at = BLOCKS.get(at["parent"]) if at is not None else None
    matured = decode_coinbase(bytes.fromhex(at["coinbase"])) if at is not None else None
    if not undo:
        apply_entries(ledger, entries, 0)
    if matured is not None:
        (undo_coinbase if undo else apply_coinbase)(ledger, matured)
    if undo:
        for payment in reversed(entries):
            undo_entry(ledger, payment)


def accounts_after(name: str, network: str) -> Ledger:
    """Return what the vectors say the accounts are after a block, or genesis."""
    if name == "genesis":
        return Ledger(genesis_accounts(parameters_of(NETWORKS[network]["parameters"])))
    return Ledger({bytes.fromhex(k): (account[0], account[1]) for k, *account in BLOCKS[name]["accounts"]})


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_changes_the_accounts_as_the_vectors_say_both_ways(name: str) -> None:
    before = accounts_after(BLOCKS[name]["parent"], BLOCKS[name]["network"])
    after = accounts_after(name, BLOCKS[name]["network"])
    ledger = Ledger(before)
    connected(ledger, name)
    assert ledger == after
    connected(ledger, name, undo=True)
    assert ledger == before


def test_leaving_one_branch_for_another_ends_in_the_accounts_of_the_other() -> None:
    slow, fast = ["slow1", "slow2", "slow3", "slow4"], ["fast1", "fast2", "fast3"]
    ledger = accounts_after("slow4", "steep")
    for name in reversed(slow):
        connected(ledger, name, undo=True)
    for name in fast:
        connected(ledger, name)
    assert ledger == accounts_after("fast3", "steep")


def test_no_money_is_made_but_by_coinbases_that_have_matured() -> None:
    parameters = replace(EASY, maturity=2)
    chain = ChainBuilder(parameters)
    blocks = chain.blocks(None, 4, miner=key("ann"))
    totals = [sum(balance for balance, _ in chain.accounts_at(block).values()) for block in blocks]
    assert totals == [0, 0, 50_00, 100_00]
