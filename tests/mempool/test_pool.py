"""The pool of pending entries: policy, what leaves first, templates, and switches of the chain."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from node.ledger.block import Body, Coinbase, Header, encode_block
from node.ledger.entry import Entry
from node.ledger.state import ABSENT, Account
from node.mempool import Added, Mempool, Refused, block_overhead, entry_bytes, replacement_fee
from tests.building import EASY, ChainBuilder, Key, key

START = 1_700_000_001_000  # one interval after genesis: the time that entries carry where none is given
LIFETIME = 14 * 86_400_000
DRIFT = 30_000
BUILDER = ChainBuilder()
ANN, BOB, CAT = key("ann"), key("bob"), key("cat")


def pay(
    sender: Key,
    nonce: int,
    *,
    fee: int = 1,
    amount: int = 10,
    to: Key = CAT,
    memo: str = "",
    time: int = START,
) -> Entry:
    """An entry whose signature nobody looks at."""
    return BUILDER.entry(sender, to, amount, fee=fee, nonce=nonce, timestamp_ms=time, memo=memo, signed=False)


class World:
    """A pool, and the accounts of the tip that it is told of."""

    def __init__(self, *, max_entries: int = 1_000, max_bytes: int = 1 << 20) -> None:
        self.pool = Mempool(EASY, max_entries=max_entries, max_bytes=max_bytes)
        self.accounts: dict[bytes, Account] = {}
        self.tip = START

    def fund(self, owner: Key, balance: int, nonce: int = 0) -> None:
        self.accounts[owner.public] = Account(balance, nonce)

    def account_of(self, public: bytes) -> Account:
        return self.accounts.get(public, ABSENT)

    def add(self, entry: Entry, *, own: bool = False, replace: bool = True, now: int = START) -> Added:
        account = self.account_of(entry.sender)
        return self.pool.add(entry, account, self.tip, now, own=own, received_ms=now, replace=replace)

    def refusal(self, entry: Entry, *, replace: bool = True, now: int = START) -> str:
        with pytest.raises(Refused) as refused:
            self.pool.admit(entry, self.account_of(entry.sender), self.tip, now, replace=replace)
        assert refused.value.detail
        before = list(self.pool)
        with pytest.raises(Refused):
            self.add(entry, replace=replace, now=now)
        assert list(self.pool) == before
        return refused.value.code

    def template(self, maximum_bytes: int = 1 << 20, time: int = START) -> list[Entry]:
        return self.pool.template(maximum_bytes, time, self.account_of).entries


@pytest.fixture
def world() -> World:
    found = World()
    found.fund(ANN, 1_000)
    found.fund(BOB, 1_000)
    return found


def waiting(world: World) -> list[Entry]:
    return [pending.entry for pending in world.pool]


def typed_here(world: World) -> list[Entry]:
    return [pending.entry for pending in world.pool if pending.own]


# ---------------------------------------------------------------------------------------------- policy


def test_an_entry_that_is_added_waits_and_is_found_by_name(world: World) -> None:
    second, first = pay(ANN, 1), pay(ANN, 0)
    assert world.add(second) == Added(None, [])
    world.add(first, own=True)
    assert len(world.pool) == 2
    assert waiting(world) == [second, first]
    assert typed_here(world) == [first]
    found = world.pool.get(first.txid)
    assert found is not None
    assert (found.entry, found.own, found.received_ms) == (first, True, START)
    assert world.pool.pending_cost(ANN.public) == 22
    assert world.pool.pending_cost(BOB.public) == 0
    assert world.pool.size == len(first.raw) + len(second.raw)
    assert world.pool.get(bytes(32)) is None


def test_the_lowest_free_nonce_is_the_first_that_nothing_has(world: World) -> None:
    assert world.pool.lowest_free_nonce(ANN.public, 4) == 4
    for nonce in (0, 1, 3):
        world.add(pay(ANN, nonce))
    assert world.pool.lowest_free_nonce(ANN.public, 0) == 2


def test_an_entry_that_is_pending_is_refused_as_known(world: World) -> None:
    entry = pay(ANN, 0)
    world.add(entry)
    assert world.refusal(entry) == "already-pending"


def test_a_used_nonce_is_refused(world: World) -> None:
    world.fund(ANN, 1_000, nonce=3)
    assert world.refusal(pay(ANN, 2)) == "nonce-used"
    world.add(pay(ANN, 3))


def test_a_nonce_is_at_most_64_ahead(world: World) -> None:
    world.fund(ANN, 1_000, nonce=3)
    assert world.refusal(pay(ANN, 68)) == "nonce-too-far"
    world.add(pay(ANN, 67))


def test_all_that_a_sender_has_pending_is_within_its_balance(world: World) -> None:
    world.add(pay(ANN, 0, amount=498, fee=2))
    assert world.refusal(pay(ANN, 1, amount=498, fee=3)) == "overspend"
    world.add(pay(ANN, 1, amount=498, fee=2))


def test_a_replacement_counts_in_place_of_what_it_replaces(world: World) -> None:
    world.add(pay(ANN, 0, amount=990, fee=5))
    world.add(pay(ANN, 0, amount=990, fee=10))
    assert world.refusal(pay(ANN, 0, amount=990, fee=11)) == "overspend"


def test_who_has_nothing_can_send_nothing(world: World) -> None:
    assert world.refusal(pay(CAT, 0, amount=0)) == "overspend"


def test_a_fee_below_the_minimum_is_refused(world: World) -> None:
    assert world.refusal(pay(ANN, 0, fee=0)) == "fee-too-low"


def test_an_entry_waits_until_no_block_on_the_tip_can_hold_it(world: World) -> None:
    world.tip = START + LIFETIME
    assert world.refusal(pay(ANN, 0)) == "entry-expired"
    world.add(pay(ANN, 0, time=START + 1))


def test_an_entry_is_at_most_one_drift_ahead_of_the_clock(world: World) -> None:
    assert world.refusal(pay(ANN, 0, time=START + DRIFT + 1)) == "entry-from-future"
    world.add(pay(ANN, 0, time=START + DRIFT))


@pytest.mark.parametrize(
    "old, least", [(0, 1), (1, 2), (9, 10), (10, 11), (11, 13), (20, 22), (21, 24), (1_000, 1_100)]
)
def test_a_replacement_offers_a_tenth_more_rounded_up(old: int, least: int) -> None:
    assert replacement_fee(old) == least


def test_an_entry_replaces_another_of_its_nonce_for_a_better_fee_only(world: World) -> None:
    first, better = pay(ANN, 0, fee=20), pay(ANN, 0, fee=22)
    world.add(first)
    assert world.refusal(pay(ANN, 0, fee=21)) == "fee-too-low-to-replace"
    assert world.add(better) == Added(first, [])
    assert waiting(world) == [better]
    assert world.pool.winner_of(first.txid) == better.txid
    assert world.pool.winner_of(better.txid) is None
    assert world.template() == [better]


def test_a_new_payment_does_not_replace_a_pending_one_unless_it_is_meant_to(world: World) -> None:
    world.add(pay(ANN, 0, fee=1))
    assert world.refusal(pay(ANN, 0, fee=50), replace=False) == "nonce-used"


def test_what_waited_before_a_restart_is_void_by_its_nonce_or_lifetime_only(world: World) -> None:
    def back(entry: Entry, now: int = START) -> None:
        account = world.account_of(entry.sender)
        world.pool.admit(entry, account, world.tip, now, waited=True)
        world.pool.add(entry, account, world.tip, now, own=True, received_ms=START, waited=True)

    world.fund(ANN, 0, nonce=1)
    back(unpaid := pay(ANN, 1, amount=5_000))
    back(far := pay(ANN, 200))
    back(early := pay(ANN, 2), now=START - 3_600_000)
    assert waiting(world) == [unpaid, far, early]
    with pytest.raises(Refused, match="nonce-used"):
        back(pay(ANN, 0))
    with pytest.raises(Refused, match="entry-expired"):
        back(pay(ANN, 3, time=START - LIFETIME))


def test_every_refusal_reads_its_code_first() -> None:
    assert str(Refused("overspend", "it costs 5", "pay less")) == "overspend: it costs 5"


# -------------------------------------------------------------------------------------------- full pool


def full(*fees: int, max_bytes: int = 1 << 20, own: bool = False) -> World:
    """A pool filled by senders of one entry each, paying these fees."""
    world = World(max_entries=len(fees), max_bytes=max_bytes)
    for number, fee in enumerate(fees):
        world.fund(key(number), 1_000)
        world.add(pay(key(number), 0, fee=fee), own=own)
    world.fund(ANN, 1_000)
    return world


def test_a_full_pool_takes_who_pays_more_in_place_of_the_cheapest() -> None:
    world = full(5, 3, 4)
    assert world.refusal(pay(ANN, 0, fee=3)) == "mempool-full"
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=4)).evicted] == [3]
    assert [entry.fee for entry in waiting(world)] == [5, 4, 4]


def test_the_highest_nonce_of_a_sender_leaves_first() -> None:
    world = World(max_entries=3)
    world.fund(ANN, 1_000)
    world.fund(BOB, 1_000)
    for nonce, fee in enumerate((50, 1, 2)):
        world.add(pay(ANN, nonce, fee=fee))
    assert [entry.nonce for entry in world.add(pay(BOB, 0, fee=9)).evicted] == [2]
    assert [entry.nonce for entry in world.add(pay(BOB, 1, fee=9)).evicted] == [1]
    assert world.refusal(pay(BOB, 2, fee=9)) == "mempool-full"


def test_a_sender_does_not_push_out_what_its_own_entry_needs_before_it() -> None:
    world = full(5, 3, 4)
    assert world.refusal(pay(key(1), 1, fee=100)) == "mempool-full"
    world.add(pay(key(1), 0, fee=100))


def test_a_promise_that_cannot_be_mined_leaves_before_the_poorest_that_can() -> None:
    world = World(max_entries=2)
    world.fund(ANN, 1_000)
    world.fund(BOB, 1_000)
    world.fund(CAT, 1_000)
    world.add(pay(ANN, 0, fee=1))
    gap = pay(BOB, 7, fee=500)
    world.add(gap)
    assert world.refusal(pay(CAT, 5, fee=500)) == "mempool-full"
    assert world.add(pay(CAT, 0, fee=1)).evicted == [gap]


def test_who_can_pay_no_more_leaves_first() -> None:
    world = full(50, 3)
    rich = key(0)
    world.fund(rich, 20)
    world.pool.block_connected([], world.account_of, credited=[rich.public])
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=1)).evicted] == [50]


def test_who_is_paid_again_leaves_no_sooner_than_others() -> None:
    """Balances are looked at again wherever a block or an undone one has touched them."""
    for told in ("sender", "recipient", "credited"):
        world = full(50, 3)
        owner = key(0)
        world.fund(owner, 20)
        world.pool.block_disconnected([], world.account_of, START, START, debited=[owner.public])
        world.fund(owner, 1_000)
        by_entry = {
            "sender": [pay(owner, 9, to=CAT)],
            "recipient": [pay(CAT, 0, to=owner)],
            "credited": [],
        }
        credited = [owner.public] if told == "credited" else []
        world.pool.block_connected(by_entry[told], world.account_of, credited=credited)
        assert [entry.fee for entry in world.add(pay(ANN, 0, fee=60)).evicted] == [3], told


@pytest.mark.parametrize("told", ["recipient", "debited"])
def test_who_lost_coins_with_an_undone_block_leaves_first(told: str) -> None:
    world = full(50, 3)
    owner = key(0)
    world.fund(owner, 20)
    world.fund(CAT, 1_000, nonce=1)
    world.pool.block_disconnected(
        [pay(CAT, 0, to=owner)] if told == "recipient" else [],
        world.account_of,
        START,
        START,
        debited=[owner.public] if told == "debited" else [],
    )
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=1)).evicted] == [50]


def test_what_follows_a_replaced_entry_is_not_pushed_out_as_unpayable() -> None:
    small = len(pay(ANN, 0).raw)
    world = World(max_entries=10, max_bytes=4 * small)
    world.fund(ANN, 1_000)
    world.fund(BOB, 1_000)
    world.add(pay(BOB, 0, fee=2))
    for nonce, fee in enumerate((1, 2, 2)):
        world.add(pay(ANN, nonce, fee=fee))
    before = set(waiting(world))
    longer = pay(ANN, 0, fee=2, memo="m" * 60)
    with pytest.raises(Refused, match="mempool-full"):
        world.pool.admit(longer, world.account_of(ANN.public), START, START)
    assert world.refusal(longer) == "mempool-full"
    assert set(waiting(world)) == before
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=3, memo="m" * 60)).evicted] == [2]


def test_what_was_typed_here_is_never_evicted() -> None:
    world = full(5, 3, own=True)
    assert world.refusal(pay(ANN, 0, fee=900)) == "mempool-full"
    with pytest.raises(Refused, match="mempool-full"):
        world.add(pay(ANN, 0, fee=900), own=True)


def test_what_is_typed_here_finds_room_whatever_it_pays() -> None:
    world = full(5, 3, 4)
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=1), own=True).evicted] == [3]


def test_an_entry_that_is_typed_here_too_becomes_ones_own() -> None:
    world = full(5, 3)
    cheap = waiting(world)[1]
    assert world.pool.adopt(cheap.txid)
    assert typed_here(world) == [cheap]
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=6)).evicted] == [5]
    assert not world.pool.adopt(bytes(32))


def test_bytes_are_bounded_too_and_one_entry_may_push_out_several() -> None:
    small = len(pay(ANN, 0).raw)
    world = full(5, 3, 4, 6, max_bytes=4 * small)
    long = pay(ANN, 0, fee=9, memo="m" * 140)
    assert [entry.fee for entry in world.add(long).evicted] == [3, 4]
    assert world.pool.size == 2 * small + len(long.raw) <= 4 * small


def test_one_that_cannot_push_out_enough_pushes_out_nobody() -> None:
    small = len(pay(ANN, 0).raw)
    world = full(5, 3, 9, 6, max_bytes=4 * small)
    before = set(waiting(world))
    with pytest.raises(Refused, match="mempool-full"):
        world.add(pay(ANN, 0, fee=4, memo="m" * 140))
    assert set(waiting(world)) == before
    assert [entry.fee for entry in world.add(pay(ANN, 0, fee=4)).evicted] == [3]


# ---------------------------------------------------------------------------------------------- leaving


def test_a_block_takes_out_what_it_confirms_and_what_it_makes_void(world: World) -> None:
    mine, lost, later = pay(ANN, 0), pay(BOB, 0, fee=3), pay(BOB, 1)
    for entry in (mine, lost, later):
        world.add(entry)
    rival = pay(BOB, 0, fee=2, amount=500)
    world.fund(ANN, 989, nonce=1)
    world.fund(BOB, 498, nonce=1)
    settled = world.pool.block_connected([mine, rival], world.account_of)
    assert (settled.confirmed, settled.conflicted) == ([mine], [lost])
    assert world.pool.winner_of(lost.txid) == rival.txid
    assert waiting(world) == [later]


def test_an_entry_that_cannot_be_paid_any_more_waits_until_it_can(world: World) -> None:
    entry = pay(ANN, 0, amount=900)
    world.add(entry)
    world.fund(ANN, 100)
    world.pool.block_connected([], world.account_of, credited=[ANN.public])
    assert world.template() == []
    assert waiting(world) == [entry]
    world.fund(ANN, 901)
    world.pool.block_connected([], world.account_of, credited=[ANN.public])
    assert world.template() == [entry]


def test_what_is_past_its_lifetime_leaves(world: World) -> None:
    old, young = pay(ANN, 0), pay(BOB, 0, time=START + 1)
    world.add(old)
    world.add(young)
    assert world.pool.expire(START + LIFETIME - 1) == []
    assert world.pool.expire(START + LIFETIME) == [old]
    assert world.pool.expire(START + LIFETIME + 1) == [young]
    assert len(world.pool) == world.pool.size == 0


def test_an_entry_can_be_taken_out_by_name(world: World) -> None:
    entry = pay(ANN, 0)
    world.add(entry)
    assert world.pool.remove(entry.txid) == entry
    assert world.pool.remove(entry.txid) is None
    assert len(world.pool) == 0


# --------------------------------------------------------------------------------------------- switches


def test_entries_of_an_undone_block_wait_again(world: World) -> None:
    mine, other = pay(ANN, 0), pay(BOB, 0)
    world.add(mine, own=True)
    world.pool.block_connected([mine, other], world.account_of)
    returned = world.pool.block_disconnected([mine, other], world.account_of, START, START)
    assert (returned.pending, returned.lost) == ([mine, other], [])
    assert [(p.entry, p.own) for p in world.pool] == [(mine, True), (other, False)]


def test_an_entry_whose_nonce_the_new_branch_used_does_not_come_back(world: World) -> None:
    undone, stays, rival = pay(ANN, 0), pay(BOB, 0), pay(ANN, 0, fee=2)
    world.fund(ANN, 500, nonce=1)
    world.fund(BOB, 500, nonce=1)
    returned = world.pool.block_disconnected([undone, stays], world.account_of, START, START)
    assert (returned.pending, returned.lost) == ([], [])
    settled = world.pool.block_connected([rival, stays], world.account_of)
    assert (settled.confirmed, settled.conflicted) == ([], [])
    assert world.pool.winner_of(undone.txid) == rival.txid
    assert world.pool.winner_of(stays.txid) is None


def test_what_was_paid_with_coins_of_the_undone_branch_waits_for_them(world: World) -> None:
    world.fund(CAT, 0)
    entry = pay(CAT, 0, amount=5_000)
    returned = world.pool.block_disconnected([entry], world.account_of, START, START)
    assert returned.pending == [entry]
    assert world.template() == []
    world.fund(CAT, 5_001)
    world.pool.block_connected([], world.account_of, credited=[CAT.public])
    assert world.template() == [entry]


def test_nonces_ahead_do_not_count_for_what_comes_back(world: World) -> None:
    many = [pay(ANN, nonce, amount=0) for nonce in range(200)]
    returned = world.pool.block_disconnected(many, world.account_of, START, START)
    assert returned.pending == many
    assert world.template() == many


def test_what_comes_back_past_its_lifetime_is_lost(world: World) -> None:
    entry = pay(ANN, 0)
    returned = world.pool.block_disconnected([entry], world.account_of, START + LIFETIME, START)
    assert (returned.pending, returned.lost) == ([], [entry])


def test_of_two_entries_with_one_nonce_the_better_paid_waits(world: World) -> None:
    cheap, dear = pay(ANN, 0, fee=1), pay(ANN, 0, fee=9)
    world.add(dear)
    assert world.pool.block_disconnected([cheap], world.account_of, START, START).lost == [cheap]
    assert world.pool.winner_of(cheap.txid) == dear.txid
    world.pool.remove(dear.txid)
    world.add(cheap)
    assert world.pool.block_disconnected([dear], world.account_of, START, START).pending == [dear]
    assert world.pool.winner_of(cheap.txid) == dear.txid
    assert waiting(world) == [dear]


def test_what_comes_back_is_not_told_of_when_it_waits_already(world: World) -> None:
    entry = pay(ANN, 0)
    world.add(entry)
    returned = world.pool.block_disconnected([entry], world.account_of, START, START)
    assert (returned.pending, returned.lost) == ([], [])


def test_what_comes_back_to_a_full_pool_competes_like_all(world: World) -> None:
    crowded = full(5, 3)
    cheap, dear = pay(ANN, 0, fee=2), pay(ANN, 0, fee=7)
    assert crowded.pool.block_disconnected([cheap], crowded.account_of, START, START).lost == [cheap]
    returned = crowded.pool.block_disconnected([dear], crowded.account_of, START, START)
    assert returned.pending == [dear]
    assert [entry.fee for entry in returned.lost] == [3]


# --------------------------------------------------------------------------------------------- template


def test_a_template_takes_the_best_class_of_fees_first_and_then_who_came_first(world: World) -> None:
    world.fund(CAT, 1_000)
    for entry in (slow := pay(ANN, 0, fee=1), fast := pay(BOB, 0, fee=8), near := pay(CAT, 0, fee=15)):
        world.add(entry)
    assert world.template() == [fast, near, slow]


def test_earlier_nonces_come_with_a_dear_one(world: World) -> None:
    world.add(middling := pay(BOB, 0, fee=20))
    world.add(dear := pay(ANN, 2, fee=100))
    world.add(second := pay(ANN, 1, fee=1))
    world.add(first := pay(ANN, 0, fee=1))
    assert world.template() == [first, second, dear, middling]


def test_nothing_behind_a_gap_is_taken(world: World) -> None:
    world.add(first := pay(ANN, 0))
    world.add(pay(ANN, 2, fee=100))
    assert world.template() == [first]


def test_an_entry_ahead_of_the_blocks_time_waits_and_what_follows_it_too(world: World) -> None:
    world.add(first := pay(ANN, 0, time=START + DRIFT))
    world.add(second := pay(ANN, 1, fee=9))
    world.add(other := pay(BOB, 0))
    assert world.template(time=START - 1) == [other]
    assert world.template(time=START) == [first, second, other]


def test_an_entry_too_old_for_the_blocks_time_stays_until_the_tip_says_so(world: World) -> None:
    world.add(entry := pay(ANN, 0))
    assert world.template(time=START + LIFETIME + 1) == []
    assert waiting(world) == [entry]


def test_an_entry_that_no_block_can_hold_leaves_and_does_not_stop_the_template(world: World) -> None:
    used, good = pay(ANN, 0, fee=9), pay(BOB, 0)
    world.add(used)
    world.add(good)
    world.fund(ANN, 1_000, nonce=1)
    template = world.pool.template(1 << 20, START, world.account_of)
    assert template.entries == [good]
    assert template.dropped == [(used, "nonce-used")]
    assert template.fees == 1
    assert waiting(world) == [good]


def test_coins_of_the_same_block_are_not_counted_on(world: World) -> None:
    world.fund(CAT, 11)
    world.add(pay(ANN, 0, amount=500, to=CAT))
    world.add(pay(CAT, 0, fee=1))
    assert len(world.template()) == 2
    world.fund(CAT, 10)
    assert len(world.template()) == 1


def block_bytes(entries: list[Entry], note: str) -> int:
    """The size of a block that holds these, by the law's own encoding."""
    last = 2**32 - 1
    header = Header(1, last, bytes(32), bytes(32), 2**53 - 1, 0x207FFFFF, 2**64 - 1)
    body = Body(len(entries) + 1, bytes(32), bytes(32), bytes(32))
    coinbase = Coinbase(last, bytes(32), 2**53 - 1, note)
    return len(encode_block(header, body, coinbase.encode(), tuple(entry.raw for entry in entries)).raw)


@pytest.mark.parametrize("note", ["", "a note of thirty-two or more bytes", "é" * 128])
@pytest.mark.parametrize("maximum", [4_096, 5_000, 70_000])
def test_a_block_is_filled_to_its_limit_and_not_beyond(note: str, maximum: int) -> None:
    world = World()
    sizes = []
    for number in range(400):
        world.fund(key(number), 1_000)
        world.add(entry := pay(key(number), 0, memo="m" * (number % 250)))
        sizes.append(entry_bytes(entry.raw))
    chosen = world.pool.template(maximum, START, world.account_of, note=note).entries
    size = block_bytes(chosen, note)
    assert len(chosen) < 400
    assert maximum - 20 - max(sizes) < size <= maximum


def test_the_overhead_is_that_of_an_empty_block_to_a_few_bytes() -> None:
    assert 0 <= block_overhead("") - block_bytes([], "") <= 8
    assert entry_bytes(bytes(255)) == 257
    assert entry_bytes(bytes(256)) == 259


def test_a_block_that_holds_nothing_takes_nothing(world: World) -> None:
    world.add(pay(ANN, 0))
    assert world.template(maximum_bytes=block_overhead("")) == []


# --------------------------------------------------------------------------------------- linear in time


def lines_run(action: Callable[[], object]) -> int:
    """How many lines of Python ran: a measure of work that no other program disturbs."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:  # noqa: ANN401 - as sys.settrace has it
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def one_each(world: World, count: int) -> None:
    for number in range(count):
        world.fund(key(number), 1_000)
        world.add(pay(key(number), 0, fee=1 + number % 200))


def chains_backwards(world: World, count: int) -> None:
    """Each sender's highest nonce came first and pays most."""
    for number in range(0, count, 50):
        world.fund(key(number), 10_000)
        for nonce in reversed(range(50)):
            world.add(pay(key(number), nonce, fee=1 + nonce, amount=0))


def behind_gaps(world: World, count: int) -> None:
    for number in range(0, count, 50):
        world.fund(key(number), 10_000)
        for nonce in range(1, 51):
            world.add(pay(key(number), nonce, fee=nonce))


def poor(world: World, count: int) -> None:
    chains_backwards(world, count)
    for number in range(0, count, 50):
        world.fund(key(number), 100)


@pytest.mark.parametrize("fill", [one_each, chains_backwards, behind_gaps, poor])
def test_twice_the_entries_cost_a_template_twice_the_work(fill: Callable[[World, int], None]) -> None:
    work = []
    for count in (400, 800, 1_600):
        world = World(max_entries=count)
        fill(world, count)
        assert len(world.pool) == count
        work.append(lines_run(world.template))
    assert work[1] <= 2 * work[0] + 100
    assert work[2] <= 2 * work[1] + 100


@pytest.mark.parametrize("fill", [one_each, chains_backwards])
def test_what_waits_behind_a_full_block_costs_nothing(fill: Callable[[World, int], None]) -> None:
    work = []
    for count in (800, 3_200):
        world = World(max_entries=count)
        fill(world, count)
        work.append(lines_run(partial(world.template, 20_000)))
    assert work[1] <= work[0] + 100


def add_all(world: World, entries: list[Entry]) -> None:
    for entry in entries:
        world.add(entry)


def test_pushing_out_costs_the_same_whatever_the_size_of_the_pool() -> None:
    work = []
    for count in (200, 1_600):
        world = World(max_entries=count)
        one_each(world, count)
        for number in range(50):
            world.fund(key(f"late {number}"), 1_000)
        late = [pay(key(f"late {number}"), 0, fee=500) for number in range(50)]
        work.append(lines_run(partial(add_all, world, late)))
    assert work[1] <= work[0] + 100


def test_the_order_of_eviction_takes_no_more_memory_than_the_senders_need() -> None:
    world = World()
    world.fund(ANN, 10**9)
    fee = 1
    for _ in range(100):
        world.add(pay(ANN, 0, fee=fee))
        fee = replacement_fee(fee)
        world.pool.block_connected([], world.account_of, credited=[ANN.public] * 20)
    assert len(world.pool._cheapest) <= 1_003
