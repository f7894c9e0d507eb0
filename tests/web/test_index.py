"""The page's index against a recount of the book: in slices, rolled back, made anew when it must be."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.params import Parameters
from node.query import Query
from node.storage.page_index import IndexFault, PageIndex
from node.storage.port import Place, Standing
from node.web import index as web_index
from node.web.books import TooBusy
from node.web.hub import Hub
from node.web.index import Indexer, Progress, step
from tests.building import Built, ChainBuilder, key, with_allocations
from tests.memory_book import MemoryBook

PEOPLE = [key(name) for name in ("ann", "bob", "cleo")]
PARAMETERS = with_allocations(dict.fromkeys(PEOPLE, 10_000_00))
HOUR_MS = 3_600_000

T = TypeVar("T")


def whole(index: PageIndex, book: MemoryBook, parameters: Parameters = PARAMETERS) -> list[Progress]:
    """Bring the index up to the book, slice by slice."""
    found = []
    for _ in range(500):
        found.append(step(index, Query(book, parameters)))
        newest = index.newest()
        if newest and newest[0].hash == book.tip().hash:
            return found
    raise AssertionError("the index does not reach the book")


def assert_recounted(index: PageIndex, chain: ChainBuilder, tip: Built) -> None:
    """Compare all that the index says with what the blocks themselves add up to."""
    path = tip.path()
    accounts = chain.accounts_at(tip)
    activity: Counter[bytes] = Counter()
    takings: Counter[tuple[bytes, int]] = Counter()
    hours: dict[int, list[int]] = {}
    memos: list[tuple[Place, str]] = []
    for block, parent in zip(path[1:], path, strict=False):
        assert block.coinbase is not None
        hour = block.timestamp_ms // HOUR_MS
        sums = hours.setdefault(hour, [0, 0, 0, 0, 0])
        sums[0] += 1
        sums[1] += block.timestamp_ms - parent.timestamp_ms if parent.height else 0
        sums[2] += block.work - parent.work
        sums[3] += len(block.entries)
        sums[4] += sum(entry.amount for entry in block.entries)
        activity[block.coinbase.miner] += 1
        for position, entry in enumerate(block.entries, 1):
            activity.update({entry.sender, entry.recipient})
            if entry.sender != entry.recipient:
                takings[entry.recipient, hour] += entry.amount
            memos.append((Place(block.height, position), entry.memo))
    listed = index.by_balance(1_000)
    assert {row.key: (row.balance, row.entries) for row in listed} == {
        owner: (accounts.get(owner, (0, 0))[0], activity[owner])
        for owner in accounts.keys() | activity.keys()
    }
    assert [row.balance for row in listed] == sorted((row.balance for row in listed), reverse=True)
    assert [tuple(row) for row in index.hours(0, 10_000)] == [(h, *hours[h]) for h in sorted(hours)]
    for owner in PEOPLE:
        assert {(owner.public, row.hour): row.amount for row in index.takings(owner.public, 0, 10_000)} == {
            where: amount for where, amount in takings.items() if where[0] == owner.public
        }
    for word in ("coffee", "tea", "cake"):
        expected = [place for place, memo in reversed(memos) if word in memo.split()]
        assert index.find_memos(word, 1_000) == expected
    assert [row.hash for row in index.newest(100_000)] == [block.hash for block in reversed(path)]


class Ledger:
    """A growing tree of blocks, and the book of whichever branch is the main chain."""

    def __init__(self, parameters: Parameters) -> None:
        self.chain = ChainBuilder(parameters)
        self.tip = self.chain.genesis
        self.left: list[Built] = []
        """Tips of branches that were main chains once."""
        self.numbers = itertools.count()

    def extend(self, at: Built, blocks: list[tuple[int, int, str]]) -> Built:
        for who, seconds, memo in blocks:
            nonces = Counter(entry.sender for block in at.path() for entry in block.entries)
            sender = PEOPLE[who % 3]
            entry = self.chain.entry(
                sender,
                PEOPLE[who % 2],
                who,
                nonce=nonces[sender.public],
                memo=f"{memo} {next(self.numbers)}",
                timestamp_ms=at.timestamp_ms,
                signed=False,
            )
            at = self.chain.block(
                at, [entry], timestamp_ms=at.timestamp_ms + 1_000 * seconds, miner=PEOPLE[(who + 1) % 3]
            )
        return at

    def switch(self, tip: Built) -> None:
        self.left.append(self.tip)
        self.tip = tip

    def book(self) -> MemoryBook:
        book = MemoryBook(self.chain, self.tip)
        main = {block.hash for block in self.tip.path()}
        for left in self.left:
            side = [block for block in left.path() if block.hash not in main]
            if side:
                book.add_branch(side, Standing.PROVEN)
        return book


BLOCKS = st.lists(
    st.tuples(
        st.integers(0, 8), st.sampled_from([1, 30, 2_000]), st.sampled_from(["coffee", "tea", "cake tea"])
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(
    first=BLOCKS,
    turns=st.lists(st.tuples(st.integers(0, 6), BLOCKS), max_size=4),
    slice_blocks=st.integers(1, 4),
    maturity=st.sampled_from([0, 0, 2]),
)
def test_the_index_is_what_a_recount_gives_whatever_was_reorganised(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[int, int, str]],
    turns: list[tuple[int, list[tuple[int, int, str]]]],
    slice_blocks: int,
    maturity: int,
) -> None:
    parameters = replace(PARAMETERS, maturity=maturity)
    ledger = Ledger(parameters)
    index = PageIndex(tmp_path_factory.mktemp("index") / "page.sqlite", ledger.chain.network_id)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(web_index, "SLICE_BLOCKS", slice_blocks)
        ledger.tip = ledger.extend(ledger.tip, first)
        whole(index, ledger.book(), parameters)
        assert_recounted(index, ledger.chain, ledger.tip)
        for back, blocks in turns:
            path = ledger.tip.path()
            ledger.switch(ledger.extend(path[max(0, len(path) - 1 - back)], blocks))
            whole(index, ledger.book(), parameters)
            assert_recounted(index, ledger.chain, ledger.tip)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(PARAMETERS)
    ledger.tip = ledger.extend(ledger.tip, [(n, 10, "coffee") for n in range(6)])
    return ledger


@pytest.fixture
def index(tmp_path: Path, ledger: Ledger) -> PageIndex:
    return PageIndex(tmp_path / "page.sqlite", ledger.chain.network_id)


def test_an_index_is_found_again_as_it_was(index: PageIndex, ledger: Ledger) -> None:
    whole(index, ledger.book())
    again = PageIndex(index.path, ledger.chain.network_id)
    assert_recounted(again, ledger.chain, ledger.tip)
    assert again.secret() == index.secret()


def test_the_index_of_another_network_is_made_anew(index: PageIndex, ledger: Ledger) -> None:
    whole(index, ledger.book())
    assert PageIndex(index.path, bytes(32)).newest() == []


@pytest.mark.parametrize("damage", [b"", b"not a database", bytes(9_000)])
def test_a_file_that_is_no_index_is_made_anew(index: PageIndex, ledger: Ledger, damage: bytes) -> None:
    whole(index, ledger.book())
    index.path.write_bytes(damage)
    for suffix in ("-wal", "-shm"):
        Path(f"{index.path}{suffix}").unlink(missing_ok=True)
    again = PageIndex(index.path, ledger.chain.network_id)
    whole(again, ledger.book())
    assert_recounted(again, ledger.chain, ledger.tip)


def test_a_reorganisation_deeper_than_is_known_makes_it_anew(index: PageIndex, ledger: Ledger) -> None:
    whole(index, ledger.book())
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute("DELETE FROM blocks WHERE height < 4")
    ledger.switch(ledger.extend(ledger.chain.genesis, [(n + 1, 20, "tea") for n in range(7)]))
    whole(index, ledger.book())
    assert_recounted(index, ledger.chain, ledger.tip)


def test_the_file_is_for_its_owner_alone(index: PageIndex) -> None:
    assert index.path.stat().st_mode & 0o077 == 0


def test_accounts_are_paged_without_gap_or_double(index: PageIndex, ledger: Ledger) -> None:
    whole(index, ledger.book())
    pages, after = [], None
    while rows := index.by_entries(1, after):
        pages += rows
        after = (rows[-1].entries, rows[-1].id)
    assert pages == index.by_entries(100)


class Reader:
    """Answers questions to a book here and now, or as it is told to."""

    def __init__(self, book: MemoryBook, *faults: Exception) -> None:
        self._query = Query(book, PARAMETERS)
        self._faults = list(faults)

    async def ask(self, question: Callable[[Query], T]) -> T:
        if self._faults:
            raise self._faults.pop(0)
        return question(self._query)


@pytest.mark.asyncio
async def test_an_index_that_cannot_be_asked_just_now_is_kept_and_asked_again(
    index: PageIndex, ledger: Ledger
) -> None:
    whole(index, ledger.book())
    secret = index.secret()
    indexer = Indexer(index, Reader(ledger.book(), IndexFault("another holds it", is_damage=False)))
    assert await indexer._advance() == web_index.TROUBLED_S
    assert indexer.progress.trouble == "another holds it"
    await indexer._advance()
    assert indexer.progress.trouble == ""
    assert index.secret() == secret
    assert_recounted(index, ledger.chain, ledger.tip)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE blocks",
        "UPDATE blocks SET hash = 'abc'",
        "UPDATE blocks SET hash = 5",
        "UPDATE blocks SET hash = x'0102'",
        "ALTER TABLE blocks ADD COLUMN more",
    ],
)
async def test_an_index_whose_damage_the_indexer_meets_is_made_anew(
    index: PageIndex, ledger: Ledger, statement: str
) -> None:
    whole(index, ledger.book())
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute(statement)
    indexer = Indexer(index, Reader(ledger.book()))
    assert await indexer._advance() == 0
    await indexer._advance()
    assert indexer.progress.complete
    assert_recounted(index, ledger.chain, ledger.tip)


def test_an_index_that_names_another_block_at_its_top_is_made_anew(index: PageIndex, ledger: Ledger) -> None:
    whole(index, ledger.book())
    below, top = reversed(index.newest(2))
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute("DELETE FROM blocks WHERE height = ?", (top.height,))
        connection.execute("UPDATE blocks SET hash = ? WHERE height = ?", (top.hash, below.height))
    whole(index, ledger.book())
    assert_recounted(index, ledger.chain, ledger.tip)


@pytest.mark.asyncio
async def test_an_index_that_is_damaged_again_and_again_is_not_made_anew_without_a_pause(
    index: PageIndex, ledger: Ledger
) -> None:
    damage = [IndexFault("bad", is_damage=True) for _ in range(3)]
    indexer = Indexer(index, Reader(ledger.book(), *damage))
    assert [await indexer._advance() for _ in range(3)] == [0, web_index.TROUBLED_S, web_index.TROUBLED_S]


@pytest.mark.asyncio
async def test_an_indexer_looks_again_later_where_too_many_ask(index: PageIndex, ledger: Ledger) -> None:
    indexer = Indexer(index, Reader(ledger.book(), TooBusy()))
    assert await indexer._advance() == web_index.IDLE_S
    assert indexer.progress.trouble == ""


@pytest.mark.asyncio
async def test_damage_that_a_reader_meets_is_mended_at_once(
    index: PageIndex, ledger: Ledger, tmp_path: Path
) -> None:
    """At once: the test does not wait for the next look at the book."""
    indexer = Indexer(index, Reader(ledger.book()))
    running = asyncio.create_task(indexer.run(Hub(tmp_path)))
    while not indexer.progress.complete:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    with closing(sqlite3.connect(index.path)) as connection, connection:
        connection.execute("DROP TABLE hours")
    indexer.met(IndexFault("cannot be asked", is_damage=False))
    with pytest.raises(IndexFault) as caught:
        index.hours(0, 1)
    indexer.met(caught.value)
    assert not running.done()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(web_index, "IDLE_S", 1e9)
        patched.setattr(web_index, "TROUBLED_S", 1e9)
        while not mended(index):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
    assert_recounted(index, ledger.chain, ledger.tip)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


def mended(index: PageIndex) -> bool:
    try:
        return bool(index.hours(0, 1))
    except IndexFault:
        return False


@pytest.mark.asyncio
async def test_an_indexer_whose_listening_ends_by_a_bug_ends_by_it(
    index: PageIndex, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "subscribe", lambda _: 1 // 0)
    with pytest.raises(ExceptionGroup) as caught:
        await Indexer(index, Reader(ledger.book())).run(Hub(tmp_path))
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "coffee OR",
        "NEAR(",
        "memos:",
        "*",
        "col : x",
        "-",
        "'; DROP TABLE memos",
        "^",
        "a AND NOT b",
        "\0",
        "(" * 99,
    ],
)
def test_whatever_is_typed_is_words_and_never_a_query(index: PageIndex, ledger: Ledger, text: str) -> None:
    whole(index, ledger.book())
    assert index.find_memos(text, 10) == []


@pytest.mark.parametrize(
    "memo, typed",
    [
        ("Café crème", "cafe"),
        ("two ☕ please", "☕"),
        ("coffee with milk", "milk cof"),
        ("rent-2026/11", "2026 rent"),
        ("50% off", "50"),
        ('say "hi"', '"hi"'),
        ("日本語", "日本"),
    ],
)
def test_memos_are_found_by_their_words(tmp_path: Path, memo: str, typed: str) -> None:
    chain = ChainBuilder(PARAMETERS)
    paid = chain.entry(PEOPLE[0], PEOPLE[1], 1_00, memo=memo, signed=False)
    other = chain.entry(PEOPLE[0], PEOPLE[1], 1_00, memo="nothing of that", signed=False)
    tip = chain.block(None, [other, paid])
    index = PageIndex(tmp_path / "page.sqlite", chain.network_id)
    whole(index, MemoryBook(chain, tip))
    assert index.find_memos(typed, 10) == [Place(1, 2)]
