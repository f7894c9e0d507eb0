"""Headers enter by the rules; the heaviest branch leads, the future waits, the condemned stay condemned."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.headers import Headers, HeadersTaken
from node.ledger.block import Header
from node.ledger.errors import Rule, RuleBroken
from node.outbox import Outbox
from node.storage.memory import MemoryDisk, memory_disk, open_memory
from node.storage.port import Batch, BlockRecord, Connected, Standing
from tests.building import EASY, Built, ChainBuilder, Changes, key
from tests.chaining import LATE_MS, PEER, copy_of, oddities

ANN, BOB = key("ann"), key("bob")
HOUR_MS = 3_600_000
DRIFT_MS = 30_000


class Book:
    """Headers over a disk in memory."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or memory_disk(EASY)
        self.store, self.writer = open_memory(self.disk)
        self.out = Outbox(self.store)
        self.headers = Headers(EASY, self.store, self.out)
        self.saved: list[Batch] = []

    def add(self, *blocks: Built, now_ms: int = LATE_MS) -> HeadersTaken:
        return self.headers.add([block.header for block in blocks], now_ms, PEER)

    def save(self) -> None:
        for effect in self.out.drain():
            batch = getattr(effect, "batch", None)
            if isinstance(batch, Batch):
                self.writer.commit([batch])
                self.out.persisted(batch.number)
                self.saved.append(batch)

    def restarted(self) -> Book:
        self.save()
        return Book(self.disk)

    def record(self, block: Built) -> BlockRecord:
        record = self.store.find(block.hash)
        assert record is not None
        return record

    def condemn(self, block: Built, rule: Rule = Rule.OVERSPEND) -> None:
        """Condemn, and write it down."""
        self.headers.condemn(self.record(block), rule)
        for _ in self.headers.mark():
            pass

    def standings(self, *blocks: Built) -> list[str]:
        return [self.record(block).rule or self.record(block).standing.name for block in blocks]

    def best(self) -> bytes:
        return self.headers.best.hash

    def heads(self) -> list[bytes]:
        return [head.hash for head in self.headers.heads()]


@pytest.fixture
def chain() -> ChainBuilder:
    return ChainBuilder()


@pytest.fixture
def book() -> Book:
    return Book()


def refusal(book: Book, *headers: Header) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        book.headers.add(headers, LATE_MS, PEER)
    return caught.value.rule


# ---------------------------------------------------------------------------------------------- entering


def test_a_run_of_headers_enters_and_knows_its_place(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 20)
    taken = book.add(*blocks, now_ms=LATE_MS)
    assert (taken.new, taken.parked) == (20, False)
    assert taken.last == book.record(blocks[-1])
    for block_id, block in enumerate(blocks, 1):
        record = book.record(block)
        assert (record.id, record.parent_id, record.standing) == (block_id, block_id - 1, Standing.HEADER)
        assert (record.work, record.chain_time) == (block.work, block.chain_time)
        assert (record.history_nodes, record.first_seen_ms) == (block.history_nodes, LATE_MS)
    assert book.best() == blocks[-1].hash


def test_one_batch_holds_the_whole_run(chain: ChainBuilder, book: Book) -> None:
    book.add(*chain.blocks(None, 5))
    book.save()
    assert [len(batch.records) for batch in book.saved] == [5]


def test_known_headers_are_passed_over(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 6)
    book.add(*blocks[:4])
    taken = book.add(*blocks[2:])
    assert (taken.new, book.record(blocks[-1]).id) == (2, 6)
    taken = book.add(*blocks)
    assert (taken.new, taken.last) == (0, book.record(blocks[-1]))
    book.save()
    assert len(book.saved) == 2


def test_nothing_told_is_nothing_taken(book: Book) -> None:
    assert book.add() == HeadersTaken(None, 0, parked=False)
    assert book.out.drain() == []


@pytest.mark.parametrize(
    "changes, rule",
    [
        (Changes(version=2), "header-version"),
        (Changes(height=9), "header-height"),
        (Changes(bits=0x207FFFFE), "difficulty"),
        (Changes(previous=bytes(32)), "unknown-parent"),
    ],
)
def test_a_header_that_does_not_follow_is_refused_by_its_rule(
    chain: ChainBuilder, book: Book, changes: Changes, rule: str
) -> None:
    good = chain.block()
    bad = chain.block(good, changes=changes)
    book.add(good)
    assert refusal(book, bad.header) == rule
    assert book.store.find(bad.hash) is None


@pytest.mark.parametrize("later_ms", [0, -1])
def test_time_must_go_on(chain: ChainBuilder, book: Book, later_ms: int) -> None:
    good = chain.block()
    bad = chain.block(good, timestamp_ms=good.timestamp_ms + later_ms)
    book.add(good)
    assert refusal(book, bad.header) == "timestamp-order"


def test_work_must_be_done(chain: ChainBuilder, book: Book) -> None:
    header = chain.block().header
    lazy = next(
        replace(header, nonce=nonce)
        for nonce in range(1_000)
        if int.from_bytes(replace(header, nonce=nonce).hash, "big") > 0x7FFFFF << 232
    )
    assert refusal(book, lazy) == "proof-of-work"


def test_a_run_with_a_gap_is_refused_where_the_gap_is(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 4)
    assert refusal(book, blocks[0].header, blocks[2].header) == "unknown-parent"
    # Also where the parent is known, or the same header comes twice.
    book.add(blocks[1])
    assert refusal(book, blocks[0].header, blocks[2].header) == "unknown-parent"
    assert refusal(book, blocks[2].header, blocks[2].header) == "unknown-parent"


def test_what_came_before_the_first_bad_one_stays(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 3)
    bad = chain.block(blocks[-1], changes=Changes(version=7))
    assert refusal(book, *(block.header for block in [*blocks, bad])) == "header-version"
    assert book.best() == blocks[-1].hash
    again = book.restarted()
    assert again.best() == blocks[-1].hash
    # Ids go on without a gap.
    other = chain.block(blocks[-1], miner=BOB)
    again.add(other)
    assert again.record(other).id == 4


# --------------------------------------------------------------------------------------------- branches


def test_the_heaviest_branch_leads_and_the_first_seen_of_equals(chain: ChainBuilder, book: Book) -> None:
    left = chain.blocks(None, 3, miner=ANN)
    right = chain.blocks(None, 4, miner=BOB)
    book.add(*left)
    book.add(*right[:3])
    assert book.best() == left[-1].hash
    assert book.restarted().best() == left[-1].hash
    book.add(right[3])
    assert book.best() == right[-1].hash


def test_the_first_seen_is_who_came_first_not_who_ended_first(chain: ChainBuilder, book: Book) -> None:
    left = chain.blocks(None, 2, miner=ANN)
    right = chain.blocks(None, 2, miner=BOB)
    book.add(left[0])
    book.add(*right)
    book.add(left[1])
    assert book.best() == right[-1].hash
    assert book.restarted().best() == right[-1].hash


def test_more_work_leads_though_it_is_fewer_blocks() -> None:
    hard = replace(EASY, genesis_bits=0x200FFFFF)
    chain = ChainBuilder(hard)
    store, _ = open_memory(memory_disk(hard))
    headers = Headers(hard, store, Outbox(store))
    slow = chain.genesis
    line = []
    for _ in range(6):  # with long pauses the target eases to the easiest: 2 hashes a block
        slow = chain.block(slow, timestamp_ms=slow.timestamp_ms + 160_000)
        line.append(slow)
    quick = chain.blocks(None, 3)
    headers.add([block.header for block in line], LATE_MS, PEER)
    headers.add([block.header for block in quick], LATE_MS, PEER)
    assert slow.work < quick[-1].work
    assert headers.best.hash == quick[-1].hash


def test_heads_are_the_ends_of_branches_no_lighter_than_the_tip(chain: ChainBuilder, book: Book) -> None:
    trunk = chain.blocks(None, 3)
    light = chain.block(trunk[0], miner=ANN)
    equal = chain.blocks(trunk[0], 2, miner=BOB)
    book.add(*trunk)
    book.add(light)
    book.add(*equal)
    assert book.heads() == [trunk[-1].hash, light.hash, equal[-1].hash]
    make_tip(book, trunk)
    assert book.heads() == [trunk[-1].hash, equal[-1].hash]
    book.headers.tip_moved()
    assert book.heads() == [trunk[-1].hash, equal[-1].hash]
    assert len(book.headers._heads) == 2  # what the tip has passed takes no memory
    assert book.restarted().heads() == book.heads()
    # A light branch that grows is back.
    more = chain.blocks(light, 2)
    book.add(*more)
    assert book.heads() == [trunk[-1].hash, equal[-1].hash, more[-1].hash]


def make_tip(book: Book, blocks: list[Built]) -> None:
    """Put blocks on the main chain, as far as headers are concerned."""
    batch = book.out.batch()
    for block in blocks:
        record = replace(book.record(block), standing=Standing.PROVEN)
        assert block.coinbase is not None
        batch.records.append(record)
        batch.bodies.append((record.id, block.raw))
        batch.connected.append(Connected(record, block.coinbase, block.coinbase_leaf, block.entries))
    book.out.stage(batch)


# --------------------------------------------------------------------------------------------- the future


def from_now(chain: ChainBuilder, now_ms: int, ahead_ms: int, note: str = "") -> Built:
    return chain.block(timestamp_ms=now_ms + ahead_ms, note=note)


NOW_MS = EASY.genesis_ms + HOUR_MS


def test_a_header_within_the_drift_enters_and_one_beyond_waits(chain: ChainBuilder, book: Book) -> None:
    book.add(from_now(chain, NOW_MS, DRIFT_MS), now_ms=NOW_MS)
    early = from_now(chain, NOW_MS, DRIFT_MS + 1)
    taken = book.add(early, now_ms=NOW_MS)
    assert (taken.new, taken.parked, taken.last) == (0, True, None)
    assert book.store.find(early.hash) is None
    assert (book.headers.parked_count(), book.headers.next_due_ms()) == (1, NOW_MS + 1)


def test_what_comes_before_the_early_one_enters_and_what_comes_after_is_left(
    chain: ChainBuilder, book: Book
) -> None:
    good = chain.block()
    early = chain.block(good, timestamp_ms=NOW_MS + HOUR_MS)
    after = chain.block(early)
    taken = book.add(good, early, after, now_ms=NOW_MS)
    assert (taken.new, taken.parked) == (1, True)
    assert taken.last == book.record(good)
    assert book.headers.parked_count() == 1


def test_a_header_that_waits_comes_out_when_it_is_due_once_the_earliest_first(
    chain: ChainBuilder, book: Book
) -> None:
    blocks = [from_now(chain, NOW_MS, ahead * 1_000 + DRIFT_MS) for ahead in (30, 10, 20)]
    for block in blocks:
        book.headers.add([block.header], NOW_MS, PEER + 1)
    assert book.headers.due(NOW_MS + 9_999) == []
    due = book.headers.due(NOW_MS + 20_000)
    assert [parked.header for parked in due] == [blocks[1].header, blocks[2].header]
    assert {parked.origin for parked in due} == {PEER + 1}
    assert book.headers.next_due_ms() == NOW_MS + 30_000
    assert book.headers.due(NOW_MS + 20_000) == []
    assert book.add(blocks[1], now_ms=NOW_MS + 20_000).new == 1


def test_only_what_is_right_in_all_else_waits(chain: ChainBuilder, book: Book) -> None:
    for changes in (Changes(bits=0x207FFFFE), Changes(version=2), Changes(height=3)):
        bad = chain.block(timestamp_ms=NOW_MS + HOUR_MS, changes=changes)
        with pytest.raises(RuleBroken):
            book.add(bad, now_ms=NOW_MS)
    assert book.headers.parked_count() == 0


def test_a_header_more_than_two_hours_ahead_is_forgotten_and_nobody_is_to_blame(
    chain: ChainBuilder, book: Book
) -> None:
    assert book.add(from_now(chain, NOW_MS, DRIFT_MS + 2 * HOUR_MS), now_ms=NOW_MS).parked
    assert book.headers.parked_count() == 1
    assert book.add(from_now(chain, NOW_MS, DRIFT_MS + 2 * HOUR_MS + 1), now_ms=NOW_MS).parked
    assert book.headers.parked_count() == 1


def test_at_most_64_wait_and_the_furthest_leaves_first(chain: ChainBuilder, book: Book) -> None:
    order = list(range(1, 71))
    random.Random(7).shuffle(order)
    for ahead in order:
        block = from_now(chain, NOW_MS, DRIFT_MS + ahead * 1_000)
        assert book.add(block, now_ms=NOW_MS).parked
    assert book.headers.parked_count() == 64
    due = book.headers.due(NOW_MS + 2 * HOUR_MS)
    assert [parked.due_ms - NOW_MS for parked in due] == [ahead * 1_000 for ahead in range(1, 65)]


def test_the_same_header_waits_once(chain: ChainBuilder, book: Book) -> None:
    early = from_now(chain, NOW_MS, HOUR_MS)
    for _ in range(3):
        book.add(early, now_ms=NOW_MS)
    assert book.headers.parked_count() == 1


# --------------------------------------------------------------------------------------------- condemned


def test_a_condemned_block_takes_all_its_descendants_along(chain: ChainBuilder, book: Book) -> None:
    trunk = chain.blocks(None, 3)
    left = chain.blocks(trunk[1], 3, miner=ANN)
    right = chain.blocks(left[0], 2, miner=BOB)
    book.add(*trunk)
    book.add(*left)
    book.add(*right)
    assert book.best() == left[-1].hash
    book.condemn(left[0])
    assert book.standings(*trunk) == ["HEADER"] * 3
    assert book.standings(*left) == ["overspend", "condemned-parent", "condemned-parent"]
    assert book.standings(*right) == ["condemned-parent"] * 2
    assert book.best() == trunk[-1].hash
    book.save()
    assert list(oddities(book.disk)) == []


def test_it_counts_before_it_is_written_down(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 3)
    book.add(*blocks)
    book.headers.condemn(book.record(blocks[1]), Rule.OVERSPEND)
    assert book.headers.has_unmarked
    assert book.best() == blocks[0].hash
    assert book.headers.is_condemned(book.record(blocks[2]))
    assert not book.headers.is_condemned(book.record(blocks[0]))
    assert refusal(book, blocks[2].header) == "condemned-parent"
    assert refusal(book, chain.block(blocks[2]).header) == "condemned-parent"


def test_what_comes_later_on_a_condemned_branch_is_refused(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 3)
    book.add(*blocks)
    book.condemn(blocks[1])
    for again in (book, book.restarted()):
        assert refusal(again, chain.block(blocks[2]).header) == "condemned-parent"
        assert refusal(again, chain.block(blocks[1], miner=BOB).header) == "condemned-parent"
        # Told once more, alone or behind good ones, it is refused too.
        assert refusal(again, blocks[1].header) == "condemned-parent"
        assert refusal(again, *(block.header for block in blocks)) == "condemned-parent"


def test_what_stands_before_a_condemned_block_may_go_on(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 3)
    book.add(*blocks)
    book.condemn(blocks[1])
    for again in (book, book.restarted()):
        assert again.best() == blocks[0].hash
        assert again.heads() == [blocks[0].hash]
    better = chain.blocks(blocks[0], 2, miner=BOB)
    book.add(*better)
    assert book.best() == better[-1].hash


def test_condemning_twice_or_below_changes_nothing(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 4)
    book.add(*blocks)
    book.condemn(blocks[1], Rule.OVERSPEND)
    book.condemn(blocks[1], Rule.NONCE_GAP)
    book.condemn(blocks[2], Rule.NONCE_GAP)
    assert book.standings(*blocks[1:]) == ["overspend", "condemned-parent", "condemned-parent"]


def test_a_block_may_be_condemned_above_one_that_is_condemned_later(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 5)
    side = chain.blocks(blocks[1], 2, miner=BOB)
    book.add(*blocks)
    book.add(*side)
    book.headers.condemn(book.record(blocks[3]), Rule.NONCE_GAP)
    book.headers.condemn(book.record(blocks[1]), Rule.OVERSPEND)
    assert book.best() == blocks[0].hash
    for _ in book.headers.mark():
        pass
    assert book.standings(*blocks) == [
        *("HEADER", "overspend", "condemned-parent"),
        *("nonce-gap", "condemned-parent"),
    ]
    assert book.standings(*side) == ["condemned-parent"] * 2


@pytest.fixture
def _marked_by_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.headers.MARKED_AT_ONCE", 3)


@pytest.mark.usefixtures("_marked_by_threes")
def test_many_are_marked_in_slices_and_a_stop_between_leaves_no_good_block_above_a_bad_one(
    chain: ChainBuilder, book: Book
) -> None:
    trunk = chain.blocks(None, 8)
    left = chain.blocks(trunk[3], 6, miner=ANN)
    right = chain.blocks(left[2], 6, miner=BOB)
    rival = chain.blocks(trunk[0], 3, miner=BOB)
    for line in (trunk, left, right, rival):
        book.add(*line)
    book.save()
    book.headers.condemn(book.record(trunk[2]), Rule.OVERSPEND)
    marked = 0
    for count in book.headers.mark():
        marked += count
        assert count <= 4
        book.save()
        assert list(oddities(book.disk)) == []
        # A node that is started now proves the block again; it never takes a part of what is above for good.
        again = Book(copy_of(book.disk))
        again.condemn(trunk[2])
        assert again.best() == rival[-1].hash
        assert set(again.standings(*trunk[3:], *left, *right)) == {"condemned-parent"}
    assert marked == 6 + 6 + 6
    assert set(book.standings(*trunk[3:], *left, *right)) == {"condemned-parent"}
    assert book.standings(trunk[2], *rival) == ["overspend", "HEADER", "HEADER", "HEADER"]


@pytest.mark.usefixtures("_marked_by_threes")
def test_a_header_that_comes_between_the_slices_is_refused(chain: ChainBuilder, book: Book) -> None:
    blocks = chain.blocks(None, 9)
    book.add(*blocks)
    book.headers.condemn(book.record(blocks[0]), Rule.OVERSPEND)
    next(book.headers.mark())
    # Neither written down nor good: its parent is still unmarked.
    assert book.record(blocks[3]).standing is Standing.HEADER
    assert refusal(book, chain.block(blocks[3], miner=BOB).header) == "condemned-parent"


# ------------------------------------------------------------------------------------------------ a model

acts = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(0, 40), st.integers(1, 3)),
        st.tuples(st.just("condemn"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(acts)
def test_whatever_happens_the_best_is_the_heaviest_that_is_not_condemned(
    done: list[tuple[str, int, int]],
) -> None:
    chain, book = ChainBuilder(), Book()
    known: list[Built] = [chain.genesis]
    bad: set[bytes] = set()
    for number, (what, which, count) in enumerate(done):
        block = known[which % len(known)]
        if what == "grow":
            line = chain.blocks(block, count, miner=key(number))
            if block.hash in bad:
                assert refusal(book, *(at.header for at in line)) == "condemned-parent"
            else:
                book.add(*line)
                known += line
        elif what == "condemn" and block.height > 0:
            book.condemn(block)
            bad |= {at.hash for at in known if block.hash in {before.hash for before in at.path()}}
        elif what == "restart":
            book = book.restarted()
        good = [at for at in known if at.hash not in bad]
        heaviest = max(good, key=lambda at: at.work)  # the first of equals, as in order of arrival
        assert book.best() == heaviest.hash
        parents = {at.parent.hash for at in good if at.parent is not None}
        ends = {at.hash for at in good if at.hash not in parents}
        assert ends <= set(book.heads()) <= {at.hash for at in good}
        assert {at.hash for at in known if book.headers.is_condemned(book.record(at))} == bad
