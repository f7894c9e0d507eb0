"""Facts for the verdict on an entry: from the book, its branches, and what the node sees."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from node.query import Query
from node.storage.port import Standing
from node.weighing import Seen
from tests.building import EASY, Built, ChainBuilder, key, record_of
from tests.memory_book import MemoryBook

ANN, BOB, CLEO = key("ann"), key("bob"), key("cleo")
CHAIN = ChainBuilder()
FIRST = CHAIN.block(miner=ANN)
PAID = CHAIN.entry(ANN, BOB, 7_00, nonce=0)
OTHER = CHAIN.entry(ANN, CLEO, 7_00, nonce=0)
SECOND = CHAIN.block(FIRST, [PAID])
MAIN = CHAIN.blocks(SECOND, 6)
"""The payment is 7 deep at the last of them."""
LATER_MS = EASY.genesis_ms + 10_000_000


def verdict(tip: Built, seen: Seen, branches: Sequence[Sequence[Built]] = (), txid: bytes = PAID.txid) -> str:
    book = MemoryBook(CHAIN, tip)
    for branch in branches:
        book.add_branch(branch, Standing.PROVEN)
    found = Query(book, EASY).weighed(txid, None, seen)
    assert list(found["settled"]) == ["verdict", "rule", "reason"]
    return str(found["settled"]["rule"])


def seen(*heights: int, now_ms: int = LATER_MS) -> Seen:
    return Seen(now_ms, heights)


@pytest.mark.parametrize(
    "tip, known, rule",
    [
        (MAIN[-1], (8, 8), "settled"),
        (MAIN[-1], (2, 2), "settled"),
        (MAIN[-1], (2, 1), "few-copies"),
        (MAIN[-1], (1,), "few-copies"),
        (MAIN[-1], (), "alone"),
        (SECOND, (2,), "settled"),
    ],
)
def test_peers_count_that_know_the_main_chain_up_to_the_entrys_block(
    tip: Built, known: tuple[int, ...], rule: str
) -> None:
    assert verdict(tip, seen(*known)) == rule


def test_a_fresh_block_is_shallow_until_it_has_stood_for_four_intervals() -> None:
    first_seen = record_of(SECOND, 2).first_seen_ms
    assert verdict(SECOND, seen(2, now_ms=first_seen + 3_999)) == "shallow"
    assert verdict(SECOND, seen(2, now_ms=first_seen + 4_000)) == "settled"
    assert verdict(SECOND, seen(2, now_ms=first_seen - 4_000)) == "shallow", "a clock that was set back"


def test_blocks_that_this_machine_redoes_at_once_are_not_deep() -> None:
    first_seen = record_of(MAIN[-1], 2).first_seen_ms
    at = Seen(first_seen, (8,))
    work = 7 * 2  # of half of all hashes
    assert verdict(MAIN[-1], at) == "settled"
    assert verdict(MAIN[-1], at._replace(hashrate=work // 2)) == "settled"
    assert verdict(MAIN[-1], at._replace(hashrate=work // 2 + 1)) == "shallow"


def test_a_branch_with_as_much_work_that_lacks_the_entry_leaves_it_open() -> None:
    level = CHAIN.blocks(FIRST, 1, miner=CLEO)
    assert verdict(SECOND, seen(2), [level]) == "heavier-branch"
    holding = CHAIN.blocks(SECOND, 1, miner=CLEO)
    assert verdict(MAIN[0], seen(3), [holding]) == "settled", "that branch holds the entry too"


def test_a_branch_is_near_while_it_grows_and_lacks_little() -> None:
    branch = CHAIN.blocks(FIRST, 1, miner=CLEO)
    first_seen = record_of(branch[0], 9).first_seen_ms
    growing, resting = seen(3, now_ms=first_seen + 3_999), seen(3, now_ms=first_seen + 10_000)
    assert verdict(MAIN[0], growing, [branch]) == "near-branch"
    assert verdict(MAIN[1], growing, [branch]) == "near-branch"
    assert verdict(MAIN[2], growing, [branch]) == "shallow", "three blocks ahead"
    assert verdict(MAIN[0], resting, [branch]) == "settled"


def test_a_rival_entry_in_a_near_branch_is_found_and_the_same_entry_is_none() -> None:
    rival = [CHAIN.block(FIRST, [OTHER], miner=CLEO)]
    assert verdict(MAIN[0], seen(3), [rival]) == "rival-entry"
    assert verdict(MAIN[-1], seen(8), [rival]) == "settled", "far behind"
    same = [CHAIN.block(FIRST, [PAID], miner=CLEO)]
    assert verdict(MAIN[0], seen(3), [same]) == "settled"


def test_branches_without_bytes_or_past_reading_are_no_reason_to_fail() -> None:
    book = MemoryBook(CHAIN, MAIN[0])
    branch = CHAIN.blocks(FIRST, 2, miner=CLEO)
    book.add_branch(branch, Standing.HEADER, bodies=False)
    assert Query(book, EASY).weighed(PAID.txid, None, seen(3))["settled"]["rule"] == "heavier-branch"
    book.bodies[book.ends[-1].id] = b"\x94\x00"
    assert Query(book, EASY).weighed(PAID.txid, None, seen(3))["settled"]["rule"] == "heavier-branch"
    condemned = MemoryBook(CHAIN, MAIN[0])
    condemned.add_branch(branch, Standing.CONDEMNED)
    assert Query(condemned, EASY).weighed(PAID.txid, None, seen(3))["settled"]["rule"] == "settled"


def test_a_reward_and_an_unknown_entry_have_a_verdict_too() -> None:
    assert verdict(MAIN[-1], seen(8), txid=FIRST.coinbase_leaf) == "settled"
    assert verdict(MAIN[-1], seen(8), txid=bytes(32)) == "unknown"
