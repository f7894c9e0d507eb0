"""A whole core under a peer that says anything.

Invariant: whatever one peer sends, `Core.step` returns effects and never raises; what is wrong is charged to
that peer alone; another peer that was there all the time still is, without a point, and is served.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from node import frames
from node.compact import compact_of
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
    Message,
    NotFound,
    Ping,
)
from tests.building import Built, ChainBuilder, key
from tests.fuzz.mutations import Edit, edited, edits
from tests.puppets import Puppet, Subject
from tests.wire import messages

CHAIN = ChainBuilder()
MAIN = CHAIN.blocks(None, 6, miner=key("ann"))
SPENT = CHAIN.block(MAIN[-1], [CHAIN.entry(key("ann"), key("bob"), 5_00, nonce=n) for n in range(3)])
FORK = CHAIN.blocks(MAIN[2], 6, miner=key("mallory"))
BLOCKS = [*MAIN, SPENT, *FORK]
ENTRIES = [CHAIN.entry(key("ann"), key("bob"), 1_00, nonce=n) for n in range(4)]
FORGED = [CHAIN.entry(key("ann"), key("eve"), 1_00, nonce=n, signed=False) for n in range(2)]


def near_compact(block: Built, headers: list[Edit], ids: list[Edit]) -> CompactBlock:
    """A compact block, nearly right: its header or its short ids changed."""
    said = compact_of(block.block, block.block.leaves()[1:])
    header = edited(said.header, headers).ljust(92, b"\0")[:92]
    size = len(said.short_ids)
    return replace(said, header=header, short_ids=edited(said.short_ids, ids).ljust(size, b"\0")[:size])


hashes = st.lists(st.sampled_from([block.hash for block in BLOCKS]), min_size=1, max_size=4).map(tuple)
txids = st.lists(st.sampled_from([entry.txid for entry in (*ENTRIES, *FORGED)]), min_size=1, max_size=4).map(
    tuple
)
near_headers = st.builds(
    lambda block, changes: edited(block.header.raw, changes).ljust(92, b"\0")[:92],
    st.sampled_from(BLOCKS),
    st.lists(edits, max_size=1),
)
near_blocks = st.builds(
    lambda block, changes: edited(block.raw, changes), st.sampled_from(BLOCKS), st.lists(edits, max_size=2)
)
near_entries = st.builds(
    lambda entry, changes: edited(entry.raw, changes)[:500],
    st.sampled_from([*ENTRIES, *FORGED]),
    st.lists(edits, max_size=1),
)
kinds = st.sampled_from(Kind)
runs = st.builds(
    lambda start, count: Headers(tuple(block.header.raw for block in BLOCKS[start : start + count])),
    st.integers(0, len(BLOCKS)),
    st.integers(0, 8),
)
apt: st.SearchStrategy[Message] = st.one_of(
    runs,
    st.builds(Headers, st.lists(near_headers, max_size=3).map(tuple)),
    st.builds(BlockMessage, near_blocks),
    st.builds(Entries, st.lists(near_entries, min_size=1, max_size=3).map(tuple)),
    st.builds(Inventory, kinds, hashes | txids),
    st.builds(GetData, kinds, hashes | txids),
    st.builds(NotFound, kinds, hashes | txids),
    st.builds(
        near_compact,
        st.sampled_from(BLOCKS),
        st.lists(edits, max_size=1),
        st.lists(edits, max_size=1),
    ),
    st.builds(
        GetBlockEntries,
        st.sampled_from([block.hash for block in BLOCKS]),
        st.sets(st.integers(0, 4), min_size=1).map(sorted).map(tuple),
    ),
    st.builds(
        BlockEntries,
        st.sampled_from([block.hash for block in BLOCKS]),
        st.lists(near_entries, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(GetHeaders, hashes, st.just(bytes(32)) | st.sampled_from([block.hash for block in BLOCKS])),
)
"""Messages about things that exist, nearly right."""
silence = st.sampled_from([50, 2_500, 31_000, 100_000])


def at_work(mode: str = "on-demand") -> tuple[Subject, Puppet]:
    """A node with a book, told by an honest peer that stays."""
    subject = Subject(mode=mode)
    honest = Puppet(subject, "honest", host="203.0.113.1", features=1)
    honest.serves = {block.hash: block for block in MAIN}
    honest.show(*MAIN[:4])
    assert subject.height == 4
    return subject, honest


def check(subject: Subject, honest: Puppet) -> None:
    """What must be so whatever the other peer did."""
    assert honest.is_there
    assert honest.score == 0
    before = len(honest.all(Headers))
    honest.say(Ping(7), GetHeaders((MAIN[0].hash,)))
    assert len(honest.all(Headers)) == before + 1
    assert subject.core.chain.tip.work >= MAIN[3].work
    assert not [kind for kind in subject.told("peer-fault") if "honest" in kind]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(apt, messages, st.binary(max_size=60), silence), max_size=14))
def test_whatever_a_peer_says_after_the_handshake_nobody_else_pays_for_it(
    said: list[Message | bytes | int],
) -> None:
    subject, honest = at_work()
    bad = Puppet(subject, "bad", host="198.51.100.66", features=1)
    bad.serves = {block.hash: block for block in BLOCKS[::2]}
    for one in said:
        if isinstance(one, int):
            subject.pass_time(one)
        elif bad.is_there:
            bad.give(one if isinstance(one, bytes) else frames.encode(one))
    subject.pass_time(100)
    check(subject, honest)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=80) | messages.map(frames.encode), max_size=4))
def test_whatever_a_peer_says_before_the_handshake_it_is_only_its_own_fault(said: list[bytes]) -> None:
    subject, honest = at_work()
    bad = Puppet(subject, "bad", greets=False)
    for one in said:
        bad.give(one)
    subject.pass_time(11_000)
    assert not bad.is_there, "who has not greeted by now is gone"
    check(subject, honest)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([SPENT, FORK[-1]]), st.lists(edits, min_size=1, max_size=2))
def test_a_body_with_any_byte_changed_is_charged_and_the_good_one_still_taken(
    block: Built, changes: list[Edit]
) -> None:
    subject, honest = at_work()
    bad = Puppet(subject, "bad", host="198.51.100.66")
    path = block.path()[1:]
    raw = block.raw[:95] + edited(block.raw[95:], changes)
    if raw == block.raw or len(raw) > 1 << 20:
        return
    bad.serves = {at.hash: at for at in path[:-1]}
    bad.serves[block.hash] = replace(block, block=replace(block.block, raw=raw))
    bad.show(*path)
    assert not bad.is_there
    honest.serves = {at.hash: at for at in path}
    honest.show(*path)
    subject.pass_time(100)
    assert subject.tip == block.hash
    assert honest.score == 0


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([SPENT, FORK[-1]]), st.lists(edits, min_size=1, max_size=2))
def test_a_header_with_any_byte_changed_hides_no_good_one(block: Built, changes: list[Edit]) -> None:
    subject, honest = at_work()
    bad = Puppet(subject, "bad", host="198.51.100.66")
    path = block.path()[1:]
    raw = edited(block.header.raw, changes).ljust(92, b"\0")[:92]
    bad.say(Headers((*(at.header.raw for at in path[:-1]), raw)))
    honest.serves = {at.hash: at for at in path}
    honest.show(*path)
    subject.pass_time(5_000)  # bad has shown blocks that it does not hand out
    assert subject.tip == block.hash
    assert honest.score == 0
