"""When a node mines, on what, and for whom."""

from __future__ import annotations

from node.events import Forget, Mine, MineBlocks, Refuse, Solved, Submit
from node.ledger import difficulty
from node.ledger.block import decode_header, hash_header
from node.ledger.entry import Entry
from node.ledger.state import Account
from node.mempool import Mempool
from node.messages import BlockMessage, Entries, GetData, Headers, Kind, Reject
from tests.building import ChainBuilder, key, with_allocations
from tests.puppets import START_MS, Puppet, Subject

PAYERS = [key(f"payer {number}") for number in range(4)]
RICH = with_allocations(dict.fromkeys(PAYERS, 1_000_00))
CHAIN = ChainBuilder(RICH)


def entry(payer: int, nonce: int = 0, amount: int = 1_00) -> Entry:
    return CHAIN.entry(PAYERS[payer], key("shop"), amount, nonce=nonce, timestamp_ms=START_MS)


def nonce_for(job: Mine) -> int:
    nonce = 0
    while int.from_bytes(hash_header(job.prefix + nonce.to_bytes(8, "big")), "big") > job.target:
        nonce += 1
    return nonce


def solve(subject: Subject) -> None:
    """Find the nonce of what is being mined."""
    job = subject.mining
    assert job is not None
    subject.take(Solved(job.job, nonce_for(job)))


def typed(subject: Subject, *entries: Entry) -> None:
    subject.take(Submit(subject.number() + 1_000, tuple(one.raw for one in entries)))


def test_what_is_typed_here_starts_the_search_at_once_and_peers_entries_after_a_random_time() -> None:
    subject = Subject(RICH, mode="on-demand")
    peer = Puppet(subject)
    peer.say(Entries((entry(0).raw,)))
    waits = subject.mining is None
    subject.pass_time(2_001)
    assert subject.mining is not None
    assert waits, "the dice of this seed are not 0"
    other = Subject(RICH, mode="on-demand")
    typed(other, entry(0))
    assert other.mining is not None


def test_off_mines_only_what_it_is_asked_for_and_on_mines_always() -> None:
    off, on = Subject(RICH, mode="off"), Subject(RICH, mode="on")
    typed(off, entry(0))
    assert off.mining is None
    assert on.mining is not None
    off.take(MineBlocks(1, 1))
    solve(off)
    assert len(off.answers[1]) == 1  # type: ignore[arg-type] # a list of hashes
    assert off.mining is None


def test_a_request_starts_again_on_a_new_tip_and_counts_its_own_blocks_only() -> None:
    subject = Subject(RICH)
    peer = Puppet(subject)
    subject.take(MineBlocks(1, 2))
    first = subject.mining
    theirs = CHAIN.block(None, timestamp_ms=START_MS - 5)
    peer.serves = {theirs.hash: theirs}
    peer.show(theirs)
    second = subject.mining
    assert first is not None
    assert second is not None
    assert decode_header(second.prefix + bytes(8)).previous == theirs.hash
    subject.take(Solved(first.job, nonce_for(first)))
    assert subject.height == 1, "an old job is of no use"
    solve(subject)
    assert 1 not in subject.answers
    solve(subject)
    assert len(subject.answers[1]) == 2  # type: ignore[arg-type] # a list of hashes
    assert subject.height == 3


def test_a_request_of_one_who_left_is_mined_no_more() -> None:
    subject = Subject(RICH)
    subject.take(MineBlocks(1, 5))
    subject.take(Forget(1))
    assert subject.mining is None


def test_too_many_requests_are_refused_with_what_to_do() -> None:
    subject = Subject(RICH)
    for number in range(1, 18):
        subject.take(MineBlocks(number, 1))
    refused = subject.answers[17]
    assert isinstance(refused, Refuse)
    assert refused.code == "busy"


def test_a_bad_pending_entry_leaves_the_template_and_never_stops_the_mining() -> None:
    subject = Subject(RICH, mode="on-demand")
    pool: Mempool = subject.core.mempool
    planted = entry(0, amount=5_000_00)
    rich = Account(1 << 40, 0)
    pool.add(planted, rich, 0, START_MS, own=True, received_ms=0)
    used = CHAIN.entry(PAYERS[2], key("shop"), 1, nonce=0, timestamp_ms=RICH.genesis_ms - 20 * 86_400_000)
    pool.add(used, rich, 0, START_MS, own=True, received_ms=0)
    typed(subject, entry(1))
    solve(subject)
    assert subject.height == 1
    assert entry(1).txid not in pool
    subject.pass_time(5_000)
    assert subject.mining is None, "and what cannot be mined is not tried for ever"
    typed(subject, entry(1, nonce=1))
    solve(subject)
    assert subject.height == 2


def test_a_block_of_more_entries_than_one_step_takes_is_awaited_before_the_next_is_begun() -> None:
    subject = Subject(RICH, mode="on")
    begun = []
    typed(subject, *(entry(0, nonce) for nonce in range(60)))
    subject.pass_time(1_500)
    for _ in range(3):
        job = subject.mining
        assert job is not None
        begun.append(decode_header(job.prefix + bytes(8)).previous)
        solve(subject)
    assert len(set(begun)) == 3, "never twice on one tip"


def test_a_clock_set_back_while_a_block_was_mined_makes_no_block_from_the_future() -> None:
    subject = Subject(RICH, mode="on")
    job = subject.mining
    assert job is not None
    subject.wall_ms -= 3_600_000
    subject.take(Solved(job.job, nonce_for(job)))
    assert subject.height == 0
    assert subject.core.chain.headers.best.height == 0
    solve(subject)
    assert subject.height == 1


def test_a_tip_from_our_future_is_mined_on_when_its_time_has_come() -> None:
    subject = Subject(RICH, mode="on")
    peer = Puppet(subject)
    ahead = CHAIN.block(None, timestamp_ms=START_MS + 30_000)
    peer.serves = {ahead.hash: ahead}
    peer.show(ahead)
    assert subject.height == 1
    assert subject.mining is None
    subject.pass_time(50)
    job = subject.mining
    assert job is not None
    assert decode_header(job.prefix + bytes(8)).timestamp_ms == START_MS + 30_001


def test_a_tie_is_ended_on_demand_though_nothing_is_pending() -> None:
    subject = Subject(RICH, mode="on-demand")
    peer = Puppet(subject)
    for miner in ("left", "right"):
        block = CHAIN.block(None, miner=key(miner))
        peer.serves[block.hash] = block
        peer.show(block)
    subject.pass_time(2_001)
    assert subject.mining is not None
    solve(subject)
    assert subject.height == 2
    subject.pass_time(2_001)
    assert subject.mining is None


def test_a_template_is_brought_up_to_date_and_takes_new_entries_after_a_second() -> None:
    subject = Subject(RICH, mode="on-demand")
    typed(subject, entry(0))
    first = subject.mining
    typed(subject, entry(1))
    assert subject.mining == first
    subject.pass_time(1_100)
    assert subject.mining != first
    second = subject.mining
    subject.pass_time(10_100)
    assert subject.mining != second


def test_what_was_mined_is_handed_out_with_the_work_that_was_asked_for() -> None:
    subject = Subject(RICH, mode="on")
    peer = Puppet(subject)
    peer.show()
    solve(subject)
    header = decode_header(peer.all(Headers)[-1].raws[-1]) if peer.all(Headers) else None
    block_hash = header.hash if header else subject.tip
    assert int.from_bytes(block_hash, "big") <= difficulty.bits_to_target(RICH.easiest_bits)
    peer.say(GetData(Kind.BLOCK, (block_hash,)))
    assert len(peer.all(BlockMessage)) == 1


def test_a_peer_that_refuses_a_block_mined_here_is_told_of_and_one_that_refuses_another_is_not() -> None:
    subject = Subject(RICH)
    peer = Puppet(subject)
    subject.take(MineBlocks(1, 1))
    solve(subject)
    peer.say(Reject("overspend", bytes(32)), Reject("overspend", subject.tip))
    (told,) = subject.told("block-refused")
    assert "which was mined here (overspend)" in told
    assert peer.score == 0
