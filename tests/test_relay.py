"""Compact blocks between peers: passed on before they are known to be good, put together, and whose fault."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from hashlib import blake2b

import pytest

from node import relay
from node.events import PeerData, PeerGone
from node.frames import encode
from node.ledger.block import hash_header
from node.ledger.entry import Entry
from node.messages import (
    BlockEntries,
    BlockMessage,
    CompactBlock,
    Entries,
    GetBlockEntries,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    Kind,
    NotFound,
    Reject,
)
from node.relay import MAX_PARTIALS, MAX_VERSIONS, MAX_WAITED_FOR
from tests.building import Built, ChainBuilder, Changes, key, with_allocations
from tests.puppets import START_MS, Puppet, Subject

PAYERS = [key(f"payer {number}") for number in range(8)]
RICH = with_allocations(dict.fromkeys(PAYERS, 1_000_00))
CHAIN = ChainBuilder(RICH)
TRUNK = CHAIN.blocks(None, 3)
TIME_MS = START_MS - 10_000


def entry(payer: int, amount: int = 1_00) -> Entry:
    return CHAIN.entry(PAYERS[payer], key("shop"), amount, timestamp_ms=TIME_MS)


ENTRIES = [entry(number) for number in range(8)]
BLOCK = CHAIN.block(TRUNK[-1], ENTRIES, timestamp_ms=TIME_MS)


def compact(block: Built) -> CompactBlock:
    ids = ids_of(block, list(block.block.leaves()[1:]))
    return CompactBlock(block.header.raw, block.block.body, block.block.first_leaf, ids)


def ids_of(block: Built, txids: list[bytes]) -> bytes:
    """As in docs/protocol.md, written down again."""
    hashes = (blake2b(txid, digest_size=6, key=block.hash, person=b"indelible/short") for txid in txids)
    return b"".join(one.digest() for one in hashes)


def meet(subject: Subject, name: str, host: int, *, features: int = 1, blocks: list[Built] = TRUNK) -> Puppet:
    peer = Puppet(subject, name, host=f"203.0.113.{host}", features=features)
    peer.serves = {block.hash: block for block in blocks}
    if blocks:
        peer.show(*blocks)
    return peer


def told_pending(subject: Subject, peer: Puppet, entries: list[Entry]) -> None:
    peer.say(Inventory(Kind.ENTRY, tuple(e.txid for e in entries)))
    peer.say(Entries(tuple(e.raw for e in entries)))
    assert len(subject.core.mempool) == len(entries)


@pytest.fixture
def subject() -> Subject:
    return Subject(RICH)


@pytest.fixture
def one(subject: Subject) -> Puppet:
    return meet(subject, "one", 1)


@pytest.fixture
def other(subject: Subject, one: Puppet) -> Puppet:
    assert subject.height == 3
    return meet(subject, "other", 2)


# ---------------------------------------------------------------------------------------- put together


def test_a_block_of_pending_entries_is_put_together_and_nothing_is_asked(
    subject: Subject, one: Puppet
) -> None:
    told_pending(subject, one, ENTRIES)
    one.say(compact(BLOCK))
    assert subject.tip == BLOCK.hash
    assert subject.store.body(subject.core.chain.tip.id) == BLOCK.raw
    assert BLOCK.hash not in one.asked_blocks()
    assert not one.all(GetBlockEntries)
    assert not len(subject.core.mempool)
    assert "block 4" in subject.told("block-connected")[-1]


def test_what_is_missing_is_asked_for_by_position_of_who_sent_it(subject: Subject, one: Puppet) -> None:
    told_pending(subject, one, [ENTRIES[at] for at in (0, 2, 3, 6)])
    one.say(compact(BLOCK))
    assert one.all(GetBlockEntries) == [GetBlockEntries(BLOCK.hash, (1, 4, 5, 7))]
    one.say(BlockEntries(BLOCK.hash, tuple(ENTRIES[at].raw for at in (1, 4, 5, 7))))
    assert subject.tip == BLOCK.hash
    assert BLOCK.hash not in one.asked_blocks()
    assert one.score == 0


def test_entries_whose_signatures_are_being_checked_are_at_hand_too(subject: Subject, one: Puppet) -> None:
    subject.checks_held = deque()
    one.say(Entries(tuple(e.raw for e in ENTRIES)))
    one.say(compact(BLOCK))
    assert not one.all(GetBlockEntries)
    subject.answer_checks()
    assert subject.tip == BLOCK.hash


def test_a_forged_entry_that_is_being_checked_is_found_out_in_the_block(
    subject: Subject, one: Puppet
) -> None:
    forged = CHAIN.entry(PAYERS[0], key("eve"), 1_00, timestamp_ms=TIME_MS, signed=False)
    block = CHAIN.block(TRUNK[-1], [forged], timestamp_ms=TIME_MS)
    one.say(compact(block))
    one.say(BlockEntries(block.hash, (forged.raw,)))
    assert subject.tip == TRUNK[-1].hash
    assert "entry-signature" in subject.told("block-condemned")[0]
    assert one.score == 0, "who passes a block on has not checked its signatures"


def test_short_ids_that_lead_astray_lead_to_the_whole_block_and_cost_nothing(
    subject: Subject, one: Puppet
) -> None:
    others = [entry(number, 2_00) for number in range(8)]
    told_pending(subject, one, others)
    one.serves[BLOCK.hash] = BLOCK
    one.say(replace(compact(BLOCK), short_ids=ids_of(BLOCK, [e.txid for e in others])))
    assert not one.all(GetBlockEntries)
    assert BLOCK.hash in one.asked_blocks()
    assert subject.tip == BLOCK.hash
    assert one.score == 0


def test_entries_that_do_not_fit_lead_to_the_whole_block_and_cost_nothing(
    subject: Subject, one: Puppet
) -> None:
    one.say(compact(BLOCK))
    one.serves[BLOCK.hash] = BLOCK
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in reversed(ENTRIES))))
    assert BLOCK.hash in one.asked_blocks()
    assert subject.tip == BLOCK.hash
    assert one.score == 0


def test_another_number_of_entries_than_was_asked_for_is_a_fault(subject: Subject, one: Puppet) -> None:
    one.say(compact(BLOCK))
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES[1:])))
    assert "block-entries-count" in subject.told("peer-fault")[-1]
    assert not one.is_there


def test_entries_of_a_block_that_nobody_asked_for_cost_a_little(subject: Subject, one: Puppet) -> None:
    for _ in range(2):
        one.say(BlockEntries(BLOCK.hash, (ENTRIES[0].raw,)))
    assert one.score == 20


def test_who_has_not_the_entries_is_asked_for_the_whole_block(subject: Subject, one: Puppet) -> None:
    one.say(compact(BLOCK))
    one.serves[BLOCK.hash] = BLOCK
    one.say(NotFound(Kind.BLOCK, (BLOCK.hash,)))
    assert subject.tip == BLOCK.hash
    assert one.score == 0


def test_who_does_not_answer_loses_the_block_to_others_and_may_answer_late(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    other.say(compact(BLOCK))
    assert not other.all(GetBlockEntries)
    subject.pass_time(2_500)
    assert other.asked_blocks()[-1] == BLOCK.hash
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    other.say(BlockMessage(BLOCK.raw))
    assert (one.score, other.score) == (0, 0)


def test_where_the_peer_leaves_another_one_is_asked(subject: Subject, one: Puppet, other: Puppet) -> None:
    one.say(compact(BLOCK))
    other.serves[BLOCK.hash] = BLOCK
    other.say(compact(BLOCK))
    subject.take(PeerGone(one.number, "gone"))
    assert subject.tip == BLOCK.hash


def test_a_block_that_came_whole_meanwhile_needs_no_parts(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    other.show(BLOCK)
    subject.pass_time(2_500)
    other.say(BlockMessage(BLOCK.raw))
    assert subject.tip == BLOCK.hash
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert one.score == 0


def test_of_a_block_that_is_asked_for_whole_only_few_entries_are_asked_for_beside(
    subject: Subject, one: Puppet, other: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = CHAIN.block(TRUNK[-1], ENTRIES, miner=key("rival"), timestamp_ms=TIME_MS)
    other.show(BLOCK)
    other.say(Headers((rival.header.raw,)))
    one.say(compact(BLOCK))
    assert one.all(GetBlockEntries) == [GetBlockEntries(BLOCK.hash, tuple(range(8)))]
    monkeypatch.setattr(relay, "MAX_ASKED_BESIDE", 7)
    one.say(compact(rival))
    assert len(one.all(GetBlockEntries)) == 1
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    other.say(BlockMessage(BLOCK.raw))
    assert (one.score, other.score) == (0, 0)


def test_blocks_in_parts_are_bounded(subject: Subject, one: Puppet) -> None:
    rivals = [
        CHAIN.block(TRUNK[-1], ENTRIES, miner=key(number), timestamp_ms=TIME_MS) for number in range(20)
    ]
    for block in rivals:
        one.say(compact(block))
    relay = subject.core.relay
    assert len(relay._parts) <= MAX_PARTIALS
    assert len(relay._passed) <= 8
    assert len(one.all(GetBlockEntries)) <= 16
    one.serves.update({block.hash: block for block in rivals})
    subject.pass_time(10_000)
    assert subject.height == 4


def test_ids_that_were_changed_on_the_way_do_not_keep_an_honest_copy_from_being_looked_at(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    told_pending(subject, other, ENTRIES)
    one.say(replace(compact(BLOCK), short_ids=bytes(range(48))))
    assert one.all(GetBlockEntries)
    other.say(compact(BLOCK))
    assert subject.tip == BLOCK.hash
    assert (one.score, other.score) == (0, 0)


def test_what_an_honest_copy_lacks_is_asked_for_beside_what_another_copy_lacks(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(replace(compact(BLOCK), short_ids=bytes(range(48))))
    other.say(compact(BLOCK))
    assert other.all(GetBlockEntries) == [GetBlockEntries(BLOCK.hash, tuple(range(8)))]
    other.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert (one.score, other.score) == (0, 0)
    assert not subject.core.relay._parts


def test_a_copy_is_looked_at_no_more_once_another_has_brought_the_block(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    changed = replace(compact(BLOCK), short_ids=bytes(range(48)))
    subject.later(PeerData(other.number, encode(changed)))
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    assert not other.all(GetBlockEntries)


def test_who_was_waited_for_while_another_copy_brought_the_block_is_not_said_to_stall(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    changed = replace(compact(BLOCK), short_ids=bytes(range(48)))
    one.say(changed)
    other.say(compact(BLOCK))
    other.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    subject.pass_time(3_000)
    assert not subject.told("peer-stalls")


def test_of_a_block_that_is_too_long_no_entries_are_handed_on() -> None:
    """They would not fit the frames of whoever asks."""
    small = replace(RICH, maximum_block_bytes=1 << 12)
    builder = ChainBuilder(small)
    subject = Subject(small)
    one, other = (meet(subject, name, host, blocks=[]) for host, name in enumerate(("one", "other"), 1))
    entries = [builder.entry(PAYERS[0], key("shop"), 1, timestamp_ms=TIME_MS) for _ in range(28)]
    block = builder.block(None, entries, timestamp_ms=TIME_MS)
    assert len(block.raw) > 1 << 12
    one.say(compact(block))
    subject.core.relay._passed[block.hash] = {other.number: (0,)}
    one.say(BlockEntries(block.hash, tuple(e.raw for e in entries)))
    assert "block-size" in subject.told("block-condemned")[0]
    assert not other.all(BlockEntries)
    assert other.all(NotFound) == [NotFound(Kind.BLOCK, (block.hash,))]


def test_few_copies_of_one_block_are_looked_at(subject: Subject, one: Puppet, other: Puppet) -> None:
    copies = [replace(compact(BLOCK), short_ids=bytes([number]) * 48) for number in range(5)]
    peers = [one, other, *(meet(subject, f"peer {number}", 10 + number) for number in range(3))]
    for peer, copy in zip(peers, copies, strict=True):
        peer.say(copy)
    assert len(subject.core.relay._parts) == MAX_VERSIONS


def test_who_stalled_lately_is_not_waited_for_again(subject: Subject, one: Puppet, other: Puppet) -> None:
    rival = CHAIN.block(TRUNK[-1], ENTRIES, miner=key("rival"), timestamp_ms=TIME_MS)
    one.say(Headers((BLOCK.header.raw,)))
    subject.pass_time(2_500)
    one.say(compact(rival))
    other.show(rival)
    assert rival.hash in other.asked_blocks()


def test_who_passed_on_what_nobody_can_have_goes_on_being_asked_for_other_blocks(
    subject: Subject, one: Puppet
) -> None:
    """One entry of it was never told to anybody."""
    one.say(compact(BLOCK))
    subject.pass_time(30_000)
    assert len(one.asked_blocks()) == 3  # the trunk
    rival = CHAIN.block(TRUNK[-1], ENTRIES, miner=key("rival"), timestamp_ms=TIME_MS)
    one.say(compact(rival))
    one.say(BlockEntries(rival.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == rival.hash
    assert one.score == 0


def test_after_a_condemned_block_the_node_is_as_synced_as_before(subject: Subject, one: Puppet) -> None:
    told_pending(subject, one, ENTRIES)
    bad = CHAIN.block(TRUNK[-1], ENTRIES, timestamp_ms=TIME_MS, changes=Changes(coinbase_amount=1))
    one.say(compact(bad))
    assert subject.told("block-condemned")
    assert subject.core.sync.reason(subject.core.chain.tip) == (True, "up to date with 1 peer")


def test_a_copy_that_was_answered_wrongly_at_once_keeps_nobody_from_being_asked(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(replace(compact(BLOCK), short_ids=bytes(range(48))))
    one.say(NotFound(Kind.BLOCK, (BLOCK.hash,)))
    other.say(compact(BLOCK))
    other.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    assert other.score == 0


def test_what_stands_on_a_condemned_block_is_put_together_no_more(subject: Subject, one: Puppet) -> None:
    told_pending(subject, one, ENTRIES)
    bad = CHAIN.block(TRUNK[-1], ENTRIES[:1], timestamp_ms=TIME_MS, changes=Changes(coinbase_amount=1))
    later = CHAIN.block(bad, [entry(1, 7)], timestamp_ms=TIME_MS + 1)
    one.say(compact(bad), compact(later))
    assert subject.told("block-condemned")
    subject.pass_time(100)
    assert not subject.core.relay._parts


def test_a_block_that_is_told_of_again_is_asked_of_who_had_it_not(subject: Subject, one: Puppet) -> None:
    one.say(compact(BLOCK))
    one.say(NotFound(Kind.BLOCK, (BLOCK.hash,)))
    one.say(NotFound(Kind.BLOCK, (BLOCK.hash,)))
    one.serves[BLOCK.hash] = BLOCK
    one.say(compact(BLOCK))
    assert subject.tip == BLOCK.hash


def test_an_answer_to_an_older_question_is_not_taken_for_the_next_one(
    subject: Subject, one: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", 1)
    one = meet(subject, "another", 9)
    told_pending(subject, one, ENTRIES[:1])
    one.say(compact(BLOCK))
    assert one.all(GetBlockEntries) == [GetBlockEntries(BLOCK.hash, tuple(range(1, 8)))]
    rivals = [CHAIN.block(TRUNK[-1], ENTRIES, miner=key(number), timestamp_ms=TIME_MS) for number in range(9)]
    for block in rivals:  # these push out the first
        one.say(compact(block))
    others = ids_of(BLOCK, [bytes(32), *(e.txid for e in ENTRIES[1:])])
    one.say(
        replace(compact(BLOCK), short_ids=others),
        BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES[1:])),
    )
    assert subject.height == 3
    one.serves[BLOCK.hash] = BLOCK
    subject.pass_time(70_000)  # it is asked anew for what it has by then
    assert subject.height == 4


def test_a_block_whose_parent_is_missing_is_not_put_together(subject: Subject, one: Puppet) -> None:
    later = CHAIN.block(BLOCK, [entry(1, 7)], timestamp_ms=TIME_MS + 1)
    one.say(Headers((BLOCK.header.raw,)))
    one.say(compact(later))
    assert not subject.core.relay._parts
    assert not one.all(GetBlockEntries)
    assert one.score == 0


# ---------------------------------------------------------------------------------------- whose fault


def test_a_whole_block_from_who_passed_it_on_may_be_bad_and_costs_nothing(
    subject: Subject, one: Puppet
) -> None:
    bad = CHAIN.block(TRUNK[-1], ENTRIES, timestamp_ms=TIME_MS, changes=Changes(coinbase_amount=1))
    one.serves[bad.hash] = bad
    one.say(compact(bad))
    one.say(NotFound(Kind.BLOCK, (bad.hash,)))
    assert "coinbase-amount" in subject.told("block-condemned")[0]
    assert one.score == 0
    assert one.all(Reject) == [Reject("coinbase-amount", bad.hash)]


@pytest.mark.parametrize(
    "changes",
    [Changes(coinbase_amount=1), Changes(history_root=bytes(32)), Changes(extension_root=b"x" * 32)],
)
def test_whoever_passes_on_a_block_that_breaks_a_rule_is_not_charged_and_who_serves_it_whole_is(
    subject: Subject, one: Puppet, other: Puppet, changes: Changes
) -> None:
    told_pending(subject, one, ENTRIES)
    for at, whole in enumerate((False, True)):
        bad = CHAIN.block(TRUNK[-1], ENTRIES, miner=key(at), timestamp_ms=TIME_MS, changes=changes)
        if whole:
            other.show(bad)
            other.say(BlockMessage(bad.raw))
        else:
            one.say(compact(bad))
        assert len(subject.told("block-condemned")) == at + 1
    assert one.score == 0
    assert not other.is_there


def test_a_condemned_block_may_come_again_from_who_does_not_know(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    told_pending(subject, one, ENTRIES)
    bad = CHAIN.block(TRUNK[-1], ENTRIES, timestamp_ms=TIME_MS, changes=Changes(coinbase_amount=1))
    one.say(compact(bad))
    other.say(compact(bad))
    assert (one.score, other.score) == (0, 0)
    assert subject.tip == TRUNK[-1].hash


def beyond_the_block_limit() -> CompactBlock:
    """More short ids than a block of the network could have entries, bound to the header all the same."""
    count = RICH.maximum_block_bytes // 143 + 1
    block = CHAIN.block(TRUNK[-1], timestamp_ms=TIME_MS, changes=Changes(count=count + 1))
    return replace(compact(block), short_ids=bytes(6 * count))


def wrong() -> list[CompactBlock]:
    right = compact(BLOCK)
    worse = CHAIN.block(TRUNK[-1], timestamp_ms=TIME_MS, changes=Changes(bits=0x20111111))
    return [
        replace(right, body=replace(right.body, entries_root=bytes(32))),
        replace(right, short_ids=right.short_ids[6:]),
        replace(right, short_ids=right.short_ids + bytes(6)),
        compact(worse),
        compact(CHAIN.block(TRUNK[-1], timestamp_ms=TRUNK[-1].timestamp_ms)),
        beyond_the_block_limit(),
        replace(right, header=right.header[:80] + bytes(4) + right.header[84:]),
    ]


@pytest.mark.parametrize("said", wrong())
def test_what_no_node_would_pass_on_is_a_fault(subject: Subject, one: Puppet, said: CompactBlock) -> None:
    one.say(said)
    assert not one.is_there
    assert subject.height == 3


def test_proof_of_work_is_looked_at_first(subject: Subject, one: Puppet) -> None:
    prefix = BLOCK.header.raw[:84]
    easy = (prefix + nonce.to_bytes(8, "big") for nonce in range(1_000))
    raw = next(raw for raw in easy if hash_header(raw)[0] >= 0x80)
    one.say(replace(compact(BLOCK), header=raw))
    assert "proof-of-work" in subject.told("peer-fault")[-1]


def test_a_block_on_an_unknown_one_is_asked_about(subject: Subject, one: Puppet) -> None:
    later = CHAIN.block(BLOCK, timestamp_ms=TIME_MS + 1)
    before = len(one.all(GetHeaders))
    one.say(compact(later))
    assert len(one.all(GetHeaders)) == before + 1
    assert one.score == 0
    one.serves.update({BLOCK.hash: BLOCK, later.hash: later})
    one.show(BLOCK, later)
    assert subject.tip == later.hash


# ------------------------------------------------------------------------------------------- passed on


def test_a_block_is_passed_on_before_its_entries_are_here_to_those_who_can_use_it(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    older = meet(subject, "older", 3, features=0)
    behind = meet(subject, "behind", 4, blocks=[])
    one.say(compact(BLOCK))
    assert subject.height == 3
    assert other.all(CompactBlock) == [compact(BLOCK)]
    assert not one.all(CompactBlock)
    assert not older.all(Headers)
    assert not behind.all(CompactBlock)
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    assert older.all(Headers) == [Headers((BLOCK.header.raw,))]
    assert behind.all(Inventory)[-1] == Inventory(Kind.BLOCK, (BLOCK.hash,))
    assert len(other.all(CompactBlock)) == 1
    assert not other.all(Headers)


def test_a_block_is_passed_on_only_when_the_one_before_it_is_durable(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    later = CHAIN.block(BLOCK, timestamp_ms=TIME_MS + 1)
    subject.writes_held = deque()
    one.say(compact(BLOCK))
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert subject.tip == BLOCK.hash
    one.say(compact(later))
    assert other.all(CompactBlock) == [compact(BLOCK)]
    subject.write()
    assert other.all(CompactBlock) == [compact(BLOCK), compact(later)]


def test_a_block_is_passed_on_once_and_not_to_who_has_told_of_it(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    third = meet(subject, "third", 3)
    third.show(BLOCK)
    one.say(compact(BLOCK))
    other.say(compact(BLOCK))
    one.say(compact(BLOCK))
    assert (len(one.all(CompactBlock)), len(other.all(CompactBlock)), len(third.all(CompactBlock))) == (
        0,
        1,
        0,
    )


def test_a_block_that_is_not_on_the_tip_is_not_passed_on(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    later = CHAIN.block(BLOCK, timestamp_ms=TIME_MS + 1)
    one.say(compact(BLOCK), compact(later))
    assert other.all(CompactBlock) == [compact(BLOCK)]


def test_ones_own_block_is_told_of_in_parts(subject: Subject, one: Puppet, other: Puppet) -> None:
    """And so is one that came whole."""
    one.serves[BLOCK.hash] = BLOCK
    one.show(BLOCK)
    assert subject.tip == BLOCK.hash
    assert other.all(CompactBlock) == [compact(BLOCK)]
    other.say(GetBlockEntries(BLOCK.hash, (2, 5)))
    assert other.all(BlockEntries) == [BlockEntries(BLOCK.hash, (ENTRIES[2].raw, ENTRIES[5].raw))]


def test_entries_are_handed_out_once_for_each_time_that_a_block_was_sent(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.serves[BLOCK.hash] = BLOCK
    one.show(BLOCK)
    for _ in range(3):
        other.say(GetBlockEntries(BLOCK.hash, (0,)))
    assert len(other.all(BlockEntries)) == 1
    assert other.score == 20
    one.say(GetBlockEntries(BLOCK.hash, (0,)))
    assert one.score == 10
    other.say(GetData(Kind.BLOCK, (BLOCK.hash,)))
    assert other.all(BlockMessage) == [BlockMessage(BLOCK.raw)]


def test_a_position_that_the_block_does_not_have_is_a_fault(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.serves[BLOCK.hash] = BLOCK
    one.show(BLOCK)
    other.say(GetBlockEntries(BLOCK.hash, (0, 8)))
    assert "position-out-of-range" in subject.told("peer-fault")[-1]
    assert not other.is_there


def test_who_asks_for_entries_of_a_block_that_is_not_here_yet_gets_them_when_it_is(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    other.say(GetBlockEntries(BLOCK.hash, (3,)))
    assert not other.all(BlockEntries)
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert other.all(BlockEntries) == [BlockEntries(BLOCK.hash, (ENTRIES[3].raw,))]


def test_they_come_too_where_the_block_came_whole(subject: Subject, one: Puppet, other: Puppet) -> None:
    one.say(compact(BLOCK))
    other.say(GetBlockEntries(BLOCK.hash, (3,)))
    one.serves[BLOCK.hash] = BLOCK
    one.say(NotFound(Kind.BLOCK, (BLOCK.hash,)))
    assert other.all(BlockEntries) == [BlockEntries(BLOCK.hash, (ENTRIES[3].raw,))]


def test_who_waits_for_entries_hears_that_the_block_is_none(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    bad = CHAIN.block(TRUNK[-1], ENTRIES, timestamp_ms=TIME_MS, changes=Changes(coinbase_amount=1))
    one.say(compact(bad))
    other.say(GetBlockEntries(bad.hash, (3,)), GetData(Kind.BLOCK, (bad.hash,)))
    assert not other.all(NotFound)
    one.say(BlockEntries(bad.hash, tuple(e.raw for e in ENTRIES)))
    assert other.all(BlockEntries) == [BlockEntries(bad.hash, (ENTRIES[3].raw,))]
    assert other.all(NotFound)[-1] == NotFound(Kind.BLOCK, (bad.hash,))


def test_who_asks_for_a_whole_block_that_is_not_here_yet_gets_it_when_it_is_durable(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    other.say(GetData(Kind.BLOCK, (BLOCK.hash, TRUNK[0].hash)))
    assert other.all(BlockMessage) == [BlockMessage(TRUNK[0].raw)]
    one.say(BlockEntries(BLOCK.hash, tuple(e.raw for e in ENTRIES)))
    assert other.all(BlockMessage)[1:] == [BlockMessage(BLOCK.raw)]


def test_a_block_that_is_here_is_served_though_it_was_passed_on_and_joined_on_the_side(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.serves[BLOCK.hash] = BLOCK
    one.show(BLOCK)
    subject.core.relay._passed[BLOCK.hash] = {}  # as where blocks of more and less work take turns
    other.say(GetData(Kind.BLOCK, (BLOCK.hash,)))
    assert other.all(BlockMessage) == [BlockMessage(BLOCK.raw)]


def test_a_switch_settles_each_block_of_its_branch(subject: Subject, one: Puppet) -> None:
    fork = CHAIN.blocks(TRUNK[1], 3, miner=key("fork"))
    subject.core.relay._passed[fork[-1].hash] = {}
    one.serves |= {block.hash: block for block in fork}
    one.show(*fork)
    assert subject.tip == fork[-1].hash
    assert not subject.core.relay.is_coming(fork[-1].hash)


def test_who_lacks_more_than_may_be_waited_for_is_sent_for_the_whole_block(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    one.say(compact(BLOCK))
    other.say(GetBlockEntries(BLOCK.hash, tuple(range(MAX_WAITED_FOR + 1))))
    assert other.all(NotFound) == [NotFound(Kind.BLOCK, (BLOCK.hash,))]


def test_who_asked_in_vain_is_told_again_when_the_block_is_here(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    rivals = [
        CHAIN.block(TRUNK[-1], ENTRIES, miner=key(number), timestamp_ms=TIME_MS) for number in range(10)
    ]
    for block in rivals:
        one.say(compact(block))
    first, last = rivals[0], rivals[-1]
    other.say(GetData(Kind.BLOCK, (first.hash,)))
    assert other.all(NotFound) == [NotFound(Kind.BLOCK, (first.hash,))]
    assert len([said for said in other.all(CompactBlock) if said == compact(last)]) == 1


def test_who_asked_in_vain_for_the_last_block_it_was_told_of_is_told_of_it_once_more(
    subject: Subject, one: Puppet, other: Puppet
) -> None:
    rivals = [CHAIN.block(TRUNK[-1], ENTRIES, miner=key(number), timestamp_ms=TIME_MS) for number in range(9)]
    one.say(compact(BLOCK))
    for block in rivals:
        other.say(compact(block))
    other.say(GetData(Kind.BLOCK, (BLOCK.hash,)))
    assert other.all(NotFound) == [NotFound(Kind.BLOCK, (BLOCK.hash,))]
    one.say(BlockMessage(BLOCK.raw))
    assert subject.tip == BLOCK.hash
    assert len([said for said in other.all(CompactBlock) if said == compact(BLOCK)]) == 2
