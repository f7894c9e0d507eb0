"""Postings: every change of every balance in the ledger's order, adding up to the ledger to the unit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.params import Parameters
from node.postings import ALWAYS, Kind, Posting, postings
from node.query import BookDamaged
from node.takings import Span
from tests.building import EASY, Built, ChainBuilder, key, with_allocations
from tests.memory_book import MemoryBook

PEOPLE = [key(name) for name in ("ann", "bob", "cleo")]
ANN, BOB, CLEO = PEOPLE
FOUNDED = with_allocations({ANN: 500_00, BOB: 3}, EASY)

payments = st.tuples(
    st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 1, 7_00]), st.sampled_from([1, 5])
)
books = st.lists(st.tuples(st.integers(0, 2), st.lists(payments, max_size=4)), min_size=1, max_size=8)
networks = st.builds(
    lambda maturity, halving: replace(FOUNDED, maturity=maturity, halving_interval=halving),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([0, 2]),
)

Blocks = list[tuple[int, list[tuple[int, int, int, int]]]]


def built(parameters: Parameters, blocks: Blocks) -> tuple[ChainBuilder, Built]:
    """The book of these blocks; payments that nobody could make are left out."""
    chain = ChainBuilder(parameters)
    tip: Built | None = None
    for miner, wanted in blocks:
        balances = {owner.public: 0 for owner in PEOPLE}
        known = chain.accounts_at(tip) if tip else {k: (amount, 0) for k, amount in parameters.allocations}
        balances |= {public: balance for public, (balance, _) in known.items()}
        entries = []
        for sender, recipient, amount, fee in wanted:
            payer = PEOPLE[sender]
            if balances[payer.public] >= amount + fee:
                balances[payer.public] -= amount + fee
                entries.append(chain.entry(payer, PEOPLE[recipient], amount, fee=fee, memo=f"{amount}"))
        tip = chain.block(tip, entries, miner=PEOPLE[miner])
    assert tip is not None
    return chain, tip


@settings(deadline=None)
@given(networks, books)
def test_all_postings_add_up_to_the_ledger_to_the_unit(parameters: Parameters, blocks: Blocks) -> None:
    chain, tip = built(parameters, blocks)
    book = MemoryBook(chain, tip)
    sums: Counter[bytes] = Counter()
    for posting in postings(book, parameters):
        sums[posting.account] += posting.change
        assert posting.balance == sums[posting.account]
    assert {k: v for k, v in sums.items() if v} == {k: b for k, (b, _) in chain.accounts_at(tip).items() if b}


@settings(deadline=None)
@given(networks, books, st.integers(0, 2), st.integers(-1, 9), st.integers(0, 9))
def test_one_account_is_what_all_say_of_it_and_a_span_begins_with_its_balance(
    parameters: Parameters, blocks: Blocks, who: int, first: int, length: int
) -> None:
    chain, tip = built(parameters, blocks)
    book = MemoryBook(chain, tip)
    owner = PEOPLE[who].public
    everything = [posting for posting in postings(book, parameters) if posting.account == owner]
    assert list(postings(book, parameters, owner)) == everything
    times = [block.block.header.timestamp_ms for block in tip.path()]
    from_ms = times[min(first, len(times) - 1)] if first >= 0 else 0
    to_ms = times[min(first + length, len(times) - 1)] if length else 1 << 60
    found = list(postings(book, parameters, owner, Span(from_ms, to_ms)))
    within = [posting for posting in everything if from_ms <= posting.block_time_ms < to_ms]
    if from_ms <= parameters.genesis_ms:
        assert found == within
        return
    before = sum(posting.change for posting in everything if posting.block_time_ms < from_ms)
    assert (found[0].kind, found[0].change, found[0].balance) == (Kind.OPENING, before, before)
    assert found[1:] == within
    whole = list(postings(book, parameters, None, Span(from_ms, to_ms)))
    assert [p for p in whole if p.account == owner and p.kind is not Kind.OPENING] == within


def test_a_payment_is_posted_to_both_and_its_fee_to_the_miner() -> None:
    chain = ChainBuilder(FOUNDED)
    paid = chain.entry(ANN, BOB, 7_00, fee=5, memo="coffee")
    alone = chain.entry(ANN, ANN, 1_00, fee=2)
    block = chain.block(None, [paid, alone], miner=CLEO, note="hello")
    found = [
        (
            posting.kind,
            posting.account,
            posting.counterparty,
            posting.change,
            posting.balance,
            posting.position,
        )
        for posting in postings(MemoryBook(chain, block), FOUNDED)
        if posting.height
    ]
    ann, bob, cleo = (owner.public for owner in PEOPLE)
    assert found == [
        (Kind.OUT, ann, bob, -7_00, 493_00, 1),
        (Kind.FEE, ann, None, -5, 492_95, 1),
        (Kind.IN, bob, ann, 7_00, 7_03, 1),
        (Kind.OUT, ann, ann, -1_00, 491_95, 2),
        (Kind.FEE, ann, None, -2, 491_93, 2),
        (Kind.IN, ann, ann, 1_00, 492_93, 2),
        (Kind.REWARD, cleo, None, 50_00, 50_00, 0),
        (Kind.FEES, cleo, None, 7, 50_07, 0),
    ]


def test_a_reward_that_matures_later_is_posted_then_with_its_own_time() -> None:
    parameters = replace(EASY, maturity=2)
    chain = ChainBuilder(parameters)
    first = chain.block(miner=ANN)
    book = MemoryBook(chain, chain.block(chain.block(first, miner=BOB), miner=BOB))
    (reward,) = postings(book, parameters, ANN.public)
    mined = first.block
    leaf = next(iter(mined.leaves()))
    assert (reward.height, reward.time_ms, reward.txid) == (3, mined.header.timestamp_ms, leaf)
    assert reward.block_time_ms > reward.time_ms


def test_sums_that_are_not_the_ledgers_are_told_as_damage() -> None:
    chain = ChainBuilder(FOUNDED)
    book = MemoryBook(chain, chain.block(miner=CLEO))
    book.accounts[ANN.public] = (500_01, 0)
    for account in (None, ANN.public):
        with pytest.raises(BookDamaged, match="add up"):
            list(postings(book, FOUNDED, account))
    del book.accounts[ANN.public]
    with pytest.raises(BookDamaged, match="add up"):
        list(postings(book, FOUNDED))
    assert [posting.change for posting in postings(book, FOUNDED, BOB.public, ALWAYS)] == [3]


def test_progress_ends_at_the_tip() -> None:
    chain = ChainBuilder()
    told: list[tuple[int, int]] = []
    found: list[Posting] = list(
        postings(MemoryBook(chain, chain.blocks(None, 3)[-1]), EASY, progress=lambda *at: told.append(at))
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert len(found) == 3
