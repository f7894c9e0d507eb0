"""Relay: what is told to whom, what is handed out, and how often."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from node.events import PeerDrained, PeerGone, Submit
from node.ledger.entry import Entry
from node.ledger.rules import SaneBlock
from node.messages import (
    BlockMessage,
    Entries,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    Kind,
    NotFound,
    Reject,
)
from node.storage.port import BlockRecord
from tests.building import ChainBuilder, key, with_allocations
from tests.puppets import START_MS, Puppet, Subject

PAYERS = [key(f"payer {number}") for number in range(40)]
RICH = with_allocations(dict.fromkeys(PAYERS, 1_000_00))
CHAIN = ChainBuilder(RICH)
MAIN = CHAIN.blocks(None, 70)


def entry(payer: int, nonce: int = 0, *, fee: int = 1) -> Entry:
    return CHAIN.entry(PAYERS[payer], key("shop"), 1_00, nonce=nonce, timestamp_ms=START_MS, fee=fee)


def told_of(peer: Puppet) -> list[bytes]:
    """Txids that a peer was told of."""
    return [txid for told in peer.all(Inventory) if told.kind is Kind.ENTRY for txid in told.hashes]


def two(**options: str) -> tuple[Subject, Puppet, Puppet]:
    subject = Subject(RICH, **options)  # type: ignore[arg-type] # texts
    return subject, Puppet(subject, "one"), Puppet(subject, "two", host="203.0.113.2")


def submit(subject: Subject, *entries: Entry, replaces: bool = False) -> object:
    request = subject.number() + 1_000
    subject.take(Submit(request, tuple(one.raw for one in entries), replaces))
    return subject.answers[request]


def test_an_entry_is_fetched_from_who_told_of_it_and_told_to_the_others_together() -> None:
    subject, one, two_ = two()
    entries = [entry(number) for number in range(10)]
    one.say(Inventory(Kind.ENTRY, tuple(e.txid for e in entries)))
    assert one.all(GetData)[-1].hashes == tuple(e.txid for e in entries)
    one.say(Entries(tuple(e.raw for e in entries)))
    assert not two_.all(Inventory)
    subject.pass_time(100)
    assert two_.all(Inventory) == [Inventory(Kind.ENTRY, tuple(e.txid for e in entries))]
    assert not one.all(Inventory), "it has them"


def test_what_is_asked_for_is_handed_out_and_the_rest_named() -> None:
    subject, one, _ = two()
    mine = entry(0)
    submit(subject, mine)
    one.say(GetData(Kind.ENTRY, (mine.txid, bytes(32))))
    assert one.all(Entries) == [Entries((mine.raw,))]
    assert one.all(NotFound) == [NotFound(Kind.ENTRY, (bytes(32),))]


def test_own_entries_are_offered_again_until_a_peer_has_them() -> None:
    subject, one, two_ = two()
    mine = entry(0)
    submit(subject, mine)
    subject.pass_time(40_000)
    assert told_of(one) == told_of(two_) == [mine.txid] * 3
    two_.say(GetData(Kind.ENTRY, (mine.txid,)))
    subject.pass_time(60_000)
    assert told_of(one) == [mine.txid] * 3


def test_an_own_entry_that_a_peer_would_not_take_is_offered_again() -> None:
    """What it lacked may come: room, the entry before it, a clock set right."""
    subject, one, two_ = two()
    mine, theirs = entry(0), entry(1)
    submit(subject, mine)
    one.say(Inventory(Kind.ENTRY, (theirs.txid,)))
    one.say(Entries((theirs.raw,)))
    two_.say(GetData(Kind.ENTRY, (mine.txid,)))
    subject.pass_time(20_000)
    before = told_of(two_).count(mine.txid)
    for refused in (mine, theirs):
        two_.say(Reject("entry-from-future", refused.txid))
    subject.pass_time(20_000)
    assert told_of(two_).count(mine.txid) == before + 1
    assert told_of(two_).count(theirs.txid) == 1, "whose entry it is offers it"


def test_an_own_entry_that_was_replaced_is_offered_no_more_and_looked_for_no_more() -> None:
    subject, one, _ = two()
    first, second = entry(0), entry(0, fee=50)
    submit(subject, first)
    submit(subject, second, replaces=True)
    subject.pass_time(100)
    one.say(GetData(Kind.ENTRY, (second.txid,)))
    subject.pass_time(20_000)
    assert first.txid not in told_of(one)
    subject.core.gossip.entry_gone(second.txid)
    deadline = subject.core.gossip.deadline(subject.now())
    assert deadline is None


def test_an_own_entry_is_told_of_again_now_and_then_as_long_as_it_waits() -> None:
    """Who had it may have had to let it go, for want of room or in a restart, and would not ask for it."""
    subject, one, _ = two()
    own, theirs = entry(0), entry(1)
    submit(subject, own)
    one.say(Inventory(Kind.ENTRY, (theirs.txid,)))
    one.say(Entries((theirs.raw,)))
    subject.pass_time(100)
    one.say(GetData(Kind.ENTRY, (own.txid,)))
    subject.pass_time(100_000)
    before = told_of(one).count(own.txid)
    subject.pass_time(120_000)
    assert told_of(one).count(own.txid) == before + 1
    assert subject.core.gossip.heard_by(own.txid) > 0
    subject.core.gossip.entry_gone(own.txid)
    subject.pass_time(300_000)
    assert told_of(one).count(own.txid) == before + 1
    assert theirs.txid not in told_of(one)


def test_who_asked_in_vain_for_an_entry_is_told_when_it_comes_back() -> None:
    """It was mined before the question came, and the block was undone."""
    subject, _, two_ = two()
    own = entry(0)
    submit(subject, own)
    subject.pass_time(100)
    assert told_of(two_) == [own.txid]
    subject.core.mempool.remove(own.txid)
    two_.say(GetData(Kind.ENTRY, (own.txid,)))
    submit(subject, own)
    subject.pass_time(100)
    assert told_of(two_) == [own.txid] * 2


def test_who_heard_of_an_entry_is_counted_and_an_own_one_only_once_a_peer_took_it() -> None:
    subject, one, two_ = two()
    theirs, own = entry(1), entry(2)
    assert subject.core.gossip.heard_by(theirs.txid) == 0
    one.say(Inventory(Kind.ENTRY, (theirs.txid,)))
    one.say(Entries((theirs.raw,)))
    assert subject.core.gossip.heard_by(theirs.txid) == 1
    submit(subject, own)
    subject.pass_time(100)
    assert subject.core.gossip.heard_by(theirs.txid) == 2
    assert subject.core.gossip.heard_by(own.txid) == 0, "told to both, but nobody asked for it yet"
    two_.say(GetData(Kind.ENTRY, (own.txid,)))
    assert subject.core.gossip.heard_by(own.txid) == 2
    subject.take(PeerGone(two_.number, "gone"))
    assert subject.core.gossip.heard_by(own.txid) == 1


def test_a_new_peer_is_told_of_all_that_waits() -> None:
    subject, _, _ = two()
    entries = [entry(number) for number in range(5)]
    submit(subject, *entries)
    late = Puppet(subject, "late", host="203.0.113.3")
    subject.pass_time(100)
    assert told_of(late) == [e.txid for e in entries]


def test_a_refusal_by_policy_costs_nothing_and_is_not_asked_for_again_before_the_next_tip() -> None:
    subject, one, two_ = two()
    broke = CHAIN.entry(key("nobody"), key("shop"), 5, nonce=0, timestamp_ms=START_MS)
    one.say(Entries((broke.raw,)))
    assert [reject.code for reject in one.all(Reject)] == ["overspend"]
    assert one.score == 0
    two_.say(Inventory(Kind.ENTRY, (broke.txid,)))
    assert not [asked for asked in two_.all(GetData) if asked.kind is Kind.ENTRY]
    one.serves = {MAIN[0].hash: MAIN[0]}
    one.show(MAIN[0])
    two_.say(Inventory(Kind.ENTRY, (broke.txid,)))
    assert [asked for asked in two_.all(GetData) if asked.kind is Kind.ENTRY]
    assert subject.height == 1


@pytest.mark.parametrize("what", ["signature", "form"])
def test_a_bad_signature_and_a_malformed_entry_ban_who_sent_them_and_nobody_else(what: str) -> None:
    subject, one, two_ = two()
    good = entry(0)
    raw = good.raw[:-1] + bytes([good.raw[-1] ^ 1]) if what == "signature" else b"\x99\x01"
    one.say(Entries((raw,)))
    assert not one.is_there
    assert two_.score == 0
    two_.say(Entries((good.raw,)))
    assert good.txid in subject.core.mempool


def test_entries_that_found_no_room_to_be_checked_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.intake.MAX_IN_CHECK", 20)
    subject, one, _ = two()
    subject.checks_held = deque()
    entries = [entry(number) for number in range(30)]
    by_txid = {e.txid: e for e in entries}
    one.say(Inventory(Kind.ENTRY, tuple(by_txid)))
    seen = 0
    for _ in range(10):
        asked = [txid for get in one.all(GetData) for txid in get.hashes if txid in by_txid]
        fresh, seen = asked[seen:], len(asked)
        assert len(fresh) <= 10
        if fresh:
            one.say(Entries(tuple(by_txid[txid].raw for txid in fresh)))
        subject.answer_checks()
        subject.checks_held = deque()
    assert len(subject.core.mempool) == 30


# ------------------------------------------------------------------------------------------------- blocks


def holding(count: int) -> tuple[Subject, Puppet]:
    subject = Subject(RICH)
    source = Puppet(subject, "source", host="203.0.113.9")
    source.serves = {block.hash: block for block in MAIN}
    source.show(*MAIN[:count])
    assert subject.height == count
    return subject, source


def test_headers_are_told_after_what_the_asker_has_up_to_where_it_stops() -> None:
    subject, _ = holding(20)
    peer = Puppet(subject)
    peer.say(GetHeaders((bytes(32), MAIN[4].hash), MAIN[9].hash))
    assert peer.all(Headers)[-1].raws == tuple(block.header.raw for block in MAIN[5:10])
    peer.say(GetHeaders((bytes(32),)))
    assert peer.all(Headers)[-1].raws == tuple(block.header.raw for block in MAIN[:20])


def test_a_new_tip_is_told_by_headers_to_who_knows_its_parent_and_by_hash_to_the_others() -> None:
    subject, source = holding(20)
    knows, behind, blank = (Puppet(subject, n, host=f"203.0.113.{i}") for i, n in enumerate("abc", 20))
    knows.say(GetHeaders((MAIN[19].hash,)))
    behind.say(GetHeaders((MAIN[2].hash,), MAIN[4].hash))
    for peer in (knows, behind, blank):
        peer.heard.clear()
    source.show(MAIN[20])
    assert knows.heard == [Headers((MAIN[20].header.raw,))]
    assert behind.heard == blank.heard == [Inventory(Kind.BLOCK, (MAIN[20].hash,))]
    source.show(MAIN[21])
    assert knows.heard[-1] == Headers((MAIN[21].header.raw,))
    assert blank.heard[-1] == Inventory(Kind.BLOCK, (MAIN[21].hash,)), "it never asked, and knows none yet"


def test_blocks_leave_as_fast_as_they_are_read_and_the_missing_are_named() -> None:
    subject, _ = holding(3)
    peer = Puppet(subject)
    peer.say(GetData(Kind.BLOCK, (MAIN[1].hash, bytes(32), MAIN[50].hash)))
    assert peer.all(NotFound) == [NotFound(Kind.BLOCK, (bytes(32), MAIN[50].hash))]
    subject.take(PeerDrained(peer.number, 1 << 30))
    peer.heard.clear()
    peer.say(GetData(Kind.BLOCK, (MAIN[1].hash,)))
    assert not peer.heard, "it has not read what it got before"
    subject.take(PeerDrained(peer.number, 0))
    assert len(peer.heard) == 1


def test_no_step_reads_more_than_two_blocks_for_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, _ = holding(12)
    peer = Puppet(subject)
    chain, steps = subject.core.chain, Counter[int]()
    load = chain.load

    def counted(record: BlockRecord) -> SaneBlock:
        steps[subject.steps] += 1
        return load(record)

    monkeypatch.setattr(chain, "load", counted)
    peer.say(GetData(Kind.BLOCK, tuple(block.hash for block in MAIN[:9])))
    assert peer.all(BlockMessage) == [BlockMessage(block.raw) for block in MAIN[:9]]
    assert max(steps.values()) == 2


def test_who_asks_again_for_what_is_on_its_way_pays_nothing_who_asks_for_too_much_does() -> None:
    subject, _ = holding(70)
    peer = Puppet(subject)
    subject.take(PeerDrained(peer.number, 1 << 30))
    for _ in range(10):
        peer.say(GetData(Kind.BLOCK, tuple(block.hash for block in MAIN[:16])))
    assert peer.score == 0
    peer.say(GetData(Kind.BLOCK, tuple(block.hash for block in MAIN[:70])))
    assert peer.score == 20


def test_a_peer_that_left_is_forgotten() -> None:
    subject, one, two_ = two()
    subject.take(PeerGone(one.number, "gone"))
    submit(subject, entry(0))
    subject.pass_time(100)
    assert not one.all(Inventory)
    assert len(two_.all(Inventory)) == 1
