"""What follows when the tip moves: for pending entries, relay and the log."""

from __future__ import annotations

from node.events import Submit
from node.ledger.entry import Entry
from node.messages import Headers, Inventory, Kind
from tests.building import ChainBuilder, Changes, key, with_allocations
from tests.puppets import START_MS, Puppet, Subject

PAYERS = [key(f"payer {number}") for number in range(4)]
RICH = with_allocations(dict.fromkeys(PAYERS, 1_000_00))
CHAIN = ChainBuilder(RICH)


def entry(payer: int, amount: int = 1_00) -> Entry:
    time = RICH.genesis_ms + 1_000
    return CHAIN.entry(PAYERS[payer], key("shop"), amount, nonce=0, timestamp_ms=time)


def test_entries_of_a_branch_that_was_left_wait_again_and_are_told_to_all() -> None:
    subject = Subject(RICH)
    peer, other = Puppet(subject), Puppet(subject, "other", host="203.0.113.2")
    both, only = entry(0), entry(1)
    left = CHAIN.block(None, [both, only])
    right = CHAIN.block(None, [both], miner=key("right"))
    heavier = CHAIN.block(right)
    peer.serves = {block.hash: block for block in (left, right, heavier)}
    peer.show(left)
    assert subject.height == 1
    peer.show(right, heavier)
    assert subject.tip == heavier.hash
    assert [pending.entry for pending in subject.core.mempool] == [only]
    subject.pass_time(100)
    told = [t for one in other.all(Inventory) if one.kind is Kind.ENTRY for t in one.hashes]
    assert told == [only.txid]
    assert "1 blocks undone, 2 connected" in subject.told("reorganisation")[0]


def test_a_rival_of_the_tips_own_work_is_kept_and_told_to_nobody() -> None:
    """Its accounts are not proven; who told of it would be charged for what it may break."""
    subject = Subject(RICH)
    peer, other = Puppet(subject), Puppet(subject, "other", host="203.0.113.2")
    first, rival = CHAIN.block(None), CHAIN.block(None, miner=key("rival"))
    peer.serves = {block.hash: block for block in (first, rival)}
    peer.show(first)
    other.heard.clear()
    peer.show(rival)
    assert [record.hash for record in subject.core.chain.rivals()] == [rival.hash]
    assert other.all(Headers) == []


def test_of_two_that_conflict_the_one_that_lost_is_told_of_and_goes() -> None:
    subject = Subject(RICH)
    peer = Puppet(subject)
    mine, theirs = entry(0, 1_00), entry(0, 2_00)
    subject.take(Submit(1, (mine.raw,)))
    block = CHAIN.block(None, [theirs])
    peer.serves = {block.hash: block}
    peer.show(block)
    assert not len(subject.core.mempool)
    assert mine.txid.hex()[:8] in subject.told("entry-conflicted")[0]
    assert subject.core.mempool.winner_of(mine.txid) == theirs.txid


def test_a_block_that_breaks_a_rule_is_told_of_and_charged_to_who_sent_its_body() -> None:
    subject = Subject(RICH)
    shows, sends = Puppet(subject, "shows"), Puppet(subject, "sends", host="203.0.113.2")
    bad = CHAIN.block(None, changes=Changes(coinbase_amount=1_000_000_00))
    sends.serves = {bad.hash: bad}
    sends.show(bad)
    assert "coinbase-amount" in subject.told("block-condemned")[0]
    assert not sends.is_there
    assert shows.score == 0
    assert subject.height == 0


def test_an_entry_whose_lifetime_is_over_leaves_with_a_word() -> None:
    subject = Subject(RICH)
    peer = Puppet(subject)
    time = START_MS
    old = CHAIN.entry(PAYERS[0], key("shop"), 1, nonce=0, timestamp_ms=time)
    subject.take(Submit(1, (old.raw,)))
    subject.wall_ms += RICH.lifetime_ms + 10_000
    block = CHAIN.block(None, timestamp_ms=time + RICH.lifetime_ms + 1)
    peer.serves = {block.hash: block}
    peer.show(block)
    assert not len(subject.core.mempool)
    assert subject.told("entry-expired")


def test_a_connected_block_is_told_with_who_sent_it_and_what_it_holds() -> None:
    subject = Subject(RICH)
    peer = Puppet(subject)
    block = CHAIN.block(None, [entry(0), entry(1)])
    peer.serves = {block.hash: block}
    peer.show(block)
    (text,) = subject.told("block-connected")
    assert text.startswith(f"peer {peer.key.public[:4].hex()}: block 1 {block.hash.hex()[:8]}… connected (2 ")
