"""Signatures go to the driver's threads in chunks, and whoever asked hears of the bad ones, once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.checks import SignatureChecks, SignatureItem
from node.events import CheckSignatures
from node.ledger import signature
from node.outbox import Outbox
from node.storage.memory import memory_disk, open_memory
from tests.building import EASY, key

ANN = key("ann")


class Threads:
    """The driver's part: takes what is asked, answers in any order."""

    def __init__(self) -> None:
        self.out = Outbox(open_memory(memory_disk(EASY))[0])
        self.checks = SignatureChecks(self.out)
        self.heard: list[list[int]] = []
        self.asked: list[CheckSignatures] = []

    def ask(self, items: list[SignatureItem]) -> None:
        self.checks.ask(items, self.heard.append)
        self.asked += [effect for effect in self.out.drain() if isinstance(effect, CheckSignatures)]

    def answer(self, index: int = 0) -> None:
        asked = self.asked.pop(index)
        # Messages of these tests say themselves whether they are well signed.
        self.checks.answered(asked.job, [message != b"bad" for _, message, _ in asked.items])


def items(count: int, bad: tuple[int, ...] = ()) -> list[SignatureItem]:
    return [(bytes(32), b"bad" if index in bad else b"good", bytes(64)) for index in range(count)]


def signed(message: bytes, *, well: bool) -> SignatureItem:
    proof = signature.sign(ANN.seed, message)
    return ANN.public, message if well else message + b"!", proof


def test_nothing_to_check_is_answered_at_once() -> None:
    threads = Threads()
    threads.ask([])
    assert (threads.heard, threads.asked) == ([[]], [])


def test_one_or_two_are_checked_at_once_and_really() -> None:
    threads = Threads()
    threads.ask([signed(b"a", well=True)])
    threads.ask([signed(b"a", well=False)])
    threads.ask([signed(b"a", well=True), signed(b"b", well=False)])
    assert threads.heard == [[], [0], [1]]
    assert threads.asked == []


def test_many_go_to_the_threads_in_even_chunks_of_at_most_1000() -> None:
    threads = Threads()
    threads.ask(items(3))
    threads.ask(items(2_100))
    assert [len(asked.items) for asked in threads.asked] == [3, 700, 700, 700]
    assert len({asked.job for asked in threads.asked}) == 4
    assert threads.checks.in_flight == 2_103


@pytest.mark.parametrize(
    "count, chunks",
    [(3, [3]), (49, [49]), (50, [25, 25]), (101, [51, 50]), (501, [251, 250]), (2_000, [500] * 4)],
)
def test_where_nothing_else_is_checked_all_threads_share_it_unless_it_is_little(
    count: int, chunks: list[int]
) -> None:
    threads = Threads()
    threads.ask(items(count))
    assert [len(asked.items) for asked in threads.asked] == chunks


def test_nobody_hears_before_the_last_chunk_is_answered() -> None:
    threads = Threads()
    threads.ask(items(2_100, bad=(2_099, 3, 1_000)))
    threads.answer(4)
    for _ in range(3):
        threads.answer(0)
    assert threads.heard == []
    assert threads.checks.in_flight == 420
    threads.answer()
    assert threads.heard == [[3, 1_000, 2_099]]
    assert threads.checks.in_flight == 0


def test_an_answer_that_leaves_signatures_out_never_passes_for_valid() -> None:
    threads = Threads()
    threads.ask(items(10))
    with pytest.raises(AssertionError, match="9 answers for 10 signatures"):
        threads.checks.answered(threads.asked[0].job, [True] * 9)
    assert threads.heard == []


def test_an_answer_that_was_given_before_is_the_drivers_mistake() -> None:
    threads = Threads()
    threads.ask(items(3))
    job = threads.asked[0].job
    threads.answer()
    with pytest.raises(KeyError):
        threads.checks.answered(job, [True] * 3)


@settings(max_examples=40)
@given(st.lists(st.integers(3, 700), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_answers_in_any_order_reach_each_who_asked(sizes: list[int], dice: random.Random) -> None:
    threads = Threads()
    asked = [tuple(sorted(dice.sample(range(size), dice.randrange(min(size, 4))))) for size in sizes]
    for size, bad in zip(sizes, asked, strict=True):
        threads.ask(items(size, bad))
    while threads.asked:
        threads.answer(dice.randrange(len(threads.asked)))
    assert sorted(threads.heard) == sorted(list(bad) for bad in asked)
    assert threads.checks.in_flight == 0
