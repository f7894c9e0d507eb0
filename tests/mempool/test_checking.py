"""Entries whose signatures are being checked, what was verified, and the bounded memory under it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mempool import Checked, Held, InCheck, Refused, Verified
from node.recent import Recent
from tests.building import ChainBuilder, Key, key

BUILDER = ChainBuilder()
ANN, BOB = key("ann"), key("bob")


def held(sender: Key, nonce: int, *, origin: int = 7) -> Held:
    entry = BUILDER.entry(sender, BOB, 1, nonce=nonce, signed=False)
    return Held(entry, own=False, received_ms=5, origin=origin)


def holding(*all_held: Held, **bounds: int) -> InCheck:
    in_check = InCheck(**bounds)
    for one in all_held:
        in_check.hold(one)
    return in_check


def test_an_entry_stays_until_its_verdict() -> None:
    one = held(ANN, 0)
    in_check = holding(one)
    assert one.entry.txid in in_check
    assert len(in_check) == 1
    assert in_check.settle(one.entry.txid, valid=True) == [Checked(one, valid=True)]
    assert one.entry.txid not in in_check
    assert len(in_check) == 0


def test_the_entries_are_there_in_order_of_arrival() -> None:
    first, second, other = held(ANN, 0), held(ANN, 1), held(BOB, 0)
    in_check = holding(first, other, second)
    assert list(in_check.entries()) == [first.entry, other.entry, second.entry]


def test_the_next_of_a_sender_waits_for_no_older_one() -> None:
    first, second, other = held(ANN, 0), held(ANN, 1), held(BOB, 0)
    in_check = holding(first, second, other)
    assert [in_check.is_next(one.entry) for one in (first, second, other)] == [True, False, True]
    assert list(in_check.txids) == [one.entry.txid for one in (first, second, other)]
    in_check.settle(first.entry.txid, valid=False)
    assert in_check.is_next(second.entry)


def test_one_senders_entries_come_back_in_order() -> None:
    first, second, third, other = held(ANN, 0), held(ANN, 1), held(ANN, 2), held(BOB, 0)
    in_check = holding(first, second, third, other)
    assert in_check.settle(second.entry.txid, valid=False) == []
    assert in_check.settle(other.entry.txid, valid=True) == [Checked(other, valid=True)]
    assert in_check.settle(first.entry.txid, valid=True) == [
        Checked(first, valid=True),
        Checked(second, valid=False),
    ]
    assert in_check.settle(third.entry.txid, valid=True) == [Checked(third, valid=True)]


def test_a_verdict_on_nothing_changes_nothing() -> None:
    assert InCheck().settle(bytes(32), valid=True) == []


def test_an_entry_that_is_being_checked_is_not_taken_twice() -> None:
    one = held(ANN, 0)
    in_check = holding(one)
    with pytest.raises(Refused, match="already-in-check"):
        in_check.hold(one)


def test_no_more_are_held_than_the_bound() -> None:
    one = held(ANN, 0)
    in_check = holding(one, held(BOB, 0), max_entries=2)
    with pytest.raises(Refused, match="checks-full"):
        in_check.hold(held(key("cat"), 0))
    in_check.settle(one.entry.txid, valid=True)
    in_check.hold(held(key("cat"), 0))


def test_no_sender_takes_all_the_places() -> None:
    in_check = holding(held(ANN, 0), held(ANN, 1), max_per_sender=2)
    with pytest.raises(Refused, match="checks-full"):
        in_check.hold(held(ANN, 2))
    in_check.hold(held(BOB, 0))


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=12), st.randoms(use_true_random=False))
def test_whatever_the_order_of_verdicts_each_entry_comes_back_once_in_its_senders_order(
    plan: list[tuple[int, bool]], random: Random
) -> None:
    entries = [held(key(sender), nonce) for nonce, (sender, _) in enumerate(plan)]
    verdicts = {one.entry.txid: valid for one, (_, valid) in zip(entries, plan, strict=True)}
    in_check = holding(*entries)
    shuffled = list(entries)
    random.shuffle(shuffled)
    back: list[Checked] = []
    for one in shuffled:
        back += in_check.settle(one.entry.txid, valid=verdicts[one.entry.txid])
    assert len(in_check) == 0
    assert {checked.held.entry.txid: checked.valid for checked in back} == verdicts
    for sender in range(3):
        order = [c.held.entry.nonce for c in back if c.held.entry.sender == key(sender).public]
        assert order == sorted(order)


def test_what_was_verified_is_remembered_up_to_the_bound() -> None:
    verified = Verified(bound=2)
    for number in range(3):
        verified.add(bytes([number]) * 32)
    assert len(verified) == 2
    assert bytes(32) not in verified
    assert b"\x01" * 32 in verified
    assert b"\x02" * 32 in verified


def test_the_oldest_is_forgotten_first_and_what_is_noted_again_is_new() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.note("a", 1)
    recent.note("b", 2)
    recent.note("a", 3)
    recent.note("c", 4)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (3, None, 4)
    assert recent.forget("a") == 3
    assert recent.forget("a") is None
    assert len(recent) == 1
