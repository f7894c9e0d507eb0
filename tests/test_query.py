"""Questions to the book: the answers, and that bytes which are no longer their header's are not shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.answers import Json, Waiting, waiting_fields
from node.ledger.address import encode_address
from node.ledger.block import decode_block
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.proven_parts import ProvenParts
from node.query import (
    MAX_BLOCKS,
    After,
    BookDamaged,
    ChainChanged,
    NotFound,
    Query,
)
from node.storage.port import Place, Standing
from tests.building import EASY, Built, ChainBuilder, Key, key, record_of, with_allocations
from tests.memory_book import MemoryBook

ANN, BOB, CLEO = key("ann"), key("bob"), key("cleo")

TX_FIELDS = {
    *("txid", "status", "height", "block", "position", "confirmations", "timestamp_ms"),
    *("block_timestamp_ms", "sender", "recipient", "amount", "fee", "nonce", "memo"),
}
BLOCK_FIELDS = {
    *("height", "hash", "previous", "timestamp_ms", "bits", "work", "miner", "reward", "fees"),
    *("size", "transactions"),
}


def address(owner: Key, parameters: Parameters = EASY) -> str:
    return encode_address(parameters.prefix, owner.public)


@pytest.fixture(scope="module")
def chain() -> ChainBuilder:
    return ChainBuilder()


@pytest.fixture(scope="module")
def tip(chain: ChainBuilder) -> Built:
    """Ann mines 1 and pays in 2, which Bob mines; 3 is empty."""
    first = chain.block(miner=ANN, note="hello")
    entries = [
        chain.entry(ANN, BOB, 7_00, memo="coffee", nonce=0),
        chain.entry(ANN, ANN, 1_00, fee=5, nonce=1),
        chain.entry(ANN, CLEO, 0, memo="a record", nonce=2),
    ]
    return chain.block(chain.block(first, entries, miner=BOB))


@pytest.fixture
def book(chain: ChainBuilder, tip: Built) -> MemoryBook:
    return MemoryBook(chain, tip)


@pytest.fixture
def query(book: MemoryBook) -> Query:
    return Query(book, EASY)


# --------------------------------------------------------------------------------------------- blocks


def test_a_block_has_the_fields_of_the_table(query: Query, tip: Built) -> None:
    second = tip.parent
    assert second is not None
    found = query.blocks(1, before=3)[0]
    assert set(found) == BLOCK_FIELDS
    assert found == {
        "height": 2,
        "hash": hashlib.sha256(hashlib.sha256(second.header.raw).digest()).hexdigest(),
        "previous": second.header.previous.hex(),
        "timestamp_ms": 1_700_000_002_000,
        "bits": 0x207FFFFF,
        "work": "0x4",  # two blocks of two hashes each
        "miner": address(BOB),
        "reward": 50_00,
        "fees": 7,
        "size": len(second.raw),
        "transactions": 3,
    }


def test_blocks_come_newest_first_down_to_genesis(query: Query) -> None:
    assert [block["height"] for block in query.blocks(100)] == [3, 2, 1, 0]
    assert [block["height"] for block in query.blocks(2)] == [3, 2]
    assert [block["height"] for block in query.blocks(2, before=2)] == [1, 0]
    assert [block["height"] for block in query.blocks(2, before=99)] == [3, 2]
    assert query.blocks(2, before=0) == []


def test_one_answer_holds_a_bounded_number_of_blocks(chain: ChainBuilder) -> None:
    blocks = chain.blocks(None, 105)
    assert len(Query(MemoryBook(chain, blocks[-1]), EASY).blocks(1_000_000)) == MAX_BLOCKS == 100


def test_genesis_has_no_miner_no_reward_and_no_entries(query: Query, chain: ChainBuilder) -> None:
    genesis = query.block(0)
    assert genesis["hash"] == chain.network_id.hex()
    assert genesis["previous"] == "00" * 32
    assert genesis["work"] == "0x0"
    assert genesis["miner"] is None
    assert (genesis["reward"], genesis["fees"], genesis["transactions"]) == (0, 0, [])
    assert genesis["size"] == len(chain.genesis.raw)


def test_a_block_asked_for_by_height_or_hash_lists_its_entries(query: Query, tip: Built) -> None:
    by_height, by_hash = query.block(2), query.block(tip.header.previous)
    assert by_height == by_hash
    assert set(by_height) == BLOCK_FIELDS
    entries = by_height["transactions"]
    assert [entry["memo"] for entry in entries] == ["coffee", "", "a record"]
    assert [entry["position"] for entry in entries] == [1, 2, 3]
    assert all(set(entry) == TX_FIELDS for entry in entries)


def test_a_block_that_is_not_there_is_refused_by_name(query: Query) -> None:
    with pytest.raises(NotFound, match="no block 4") as refused:
        query.block(4)
    assert refused.value.hint == "the newest is block 3"
    with pytest.raises(NotFound, match="no block abab"):
        query.block(b"\xab" * 32)


def test_a_block_of_a_side_branch_is_shown_without_confirmations(chain: ChainBuilder, tip: Built) -> None:
    first = tip.path()[1]
    side = chain.block(first, [chain.entry(ANN, CLEO, 1_00, nonce=0)], miner=CLEO)
    book = MemoryBook(chain, tip)
    book.add_branch([side], Standing.STORED)
    shown = Query(book, EASY).block(side.hash)
    assert (shown["height"], shown["miner"]) == (2, address(CLEO))
    entry = shown["transactions"][0]
    assert (entry["status"], entry["confirmations"], entry["block"]) == ("unknown", 0, side.hash.hex())


def test_a_block_of_which_only_the_header_is_here_is_not_found(chain: ChainBuilder, tip: Built) -> None:
    side = chain.block(chain.genesis, miner=CLEO)
    book = MemoryBook(chain, tip)
    book.add_branch([side], Standing.HEADER, bodies=False)
    with pytest.raises(NotFound, match="only the header"):
        Query(book, EASY).block(side.hash)


def test_a_condemned_block_is_not_shown(chain: ChainBuilder, tip: Built) -> None:
    side = chain.block(chain.genesis, miner=CLEO)
    book = MemoryBook(chain, tip)
    book.add_branch([side], Standing.CONDEMNED)
    book.records[-1] = replace(book.records[-1], rule="overspend")
    with pytest.raises(NotFound, match=r"breaks a rule \(overspend\)"):
        Query(book, EASY).block(side.hash)


# -------------------------------------------------------------------------------------------- entries


def test_a_confirmed_entry_is_found_by_its_txid(query: Query, tip: Built) -> None:
    second = tip.path()[2]
    entry = second.entries[0]
    assert query.tx(entry.txid) == {
        "txid": hashlib.sha256(b"\x00" + entry.raw).hexdigest(),
        "status": "confirmed",
        "height": 2,
        "block": second.hash.hex(),
        "position": 1,
        "confirmations": 2,
        "timestamp_ms": 1_700_000_001_000,
        "block_timestamp_ms": 1_700_000_002_000,
        "sender": address(ANN),
        "recipient": address(BOB),
        "amount": 7_00,
        "fee": 1,
        "nonce": 0,
        "memo": "coffee",
    }


def test_a_reward_is_found_by_the_leaf_hash_of_its_coinbase(query: Query, tip: Built) -> None:
    first = tip.path()[1]
    found = query.tx(hashlib.sha256(b"\x00" + first.block.first_leaf).digest())
    assert set(found) == TX_FIELDS
    assert (found["status"], found["height"], found["position"]) == ("confirmed", 1, 0)
    assert (found["sender"], found["recipient"], found["nonce"]) == (None, address(ANN), None)
    assert (found["amount"], found["fee"], found["memo"]) == (50_00, 0, "hello")
    assert found["timestamp_ms"] == found["block_timestamp_ms"] == 1_700_000_001_000
    assert found["confirmations"] == 3


def test_an_unknown_txid_is_an_answer(query: Query) -> None:
    found = query.tx(b"\x01" * 32)
    assert set(found) == TX_FIELDS
    assert (found["txid"], found["status"], found["confirmations"]) == ("01" * 32, "unknown", 0)
    rest = TX_FIELDS - {"txid", "status", "confirmations"}
    assert all(found[name] is None for name in rest)


@pytest.mark.parametrize("status", ["pending", "conflicted"])
def test_an_entry_in_no_block_has_the_status_that_the_core_gives_it(
    query: Query, chain: ChainBuilder, status: str
) -> None:
    entry = chain.entry(BOB, ANN, 3_00, nonce=0, memo="later")
    found = query.tx(entry.txid, Waiting(status, entry))
    assert found == waiting_fields(entry.txid, Waiting(status, entry), "test")
    assert set(found) == TX_FIELDS
    assert (found["status"], found["height"], found["confirmations"]) == (status, None, 0)
    assert (found["sender"], found["amount"], found["memo"]) == (address(BOB), 3_00, "later")


def test_a_block_weighs_more_than_what_the_core_remembers(query: Query, tip: Built) -> None:
    entry = tip.path()[2].entries[0]
    assert query.tx(entry.txid, Waiting("pending", entry))["status"] == "confirmed"


def test_an_entry_that_is_no_longer_at_hand_still_has_its_status(query: Query) -> None:
    found = query.tx(b"\x07" * 32, Waiting("conflicted"))
    assert set(found) == TX_FIELDS
    assert (found["txid"], found["status"], found["sender"]) == ("07" * 32, "conflicted", None)


# -------------------------------------------------------------------------------------------- history


def lines(items: Sequence[Json]) -> list[tuple[int, int, str, int]]:
    return [(item["height"], item["position"], item["direction"], item["balance"]) for item in items]


def test_a_history_is_newest_first_with_a_running_balance(query: Query) -> None:
    assert lines(query.history(ANN.public, 100)) == [
        (2, 3, "out", 42_93),
        (2, 2, "self", 42_94),
        (2, 1, "out", 42_99),
        (1, 0, "reward", 50_00),
    ]
    assert set(query.history(ANN.public, 1)[0]) == TX_FIELDS | {"direction", "balance"}


def test_a_reward_comes_after_the_entries_of_its_block(query: Query) -> None:
    assert lines(query.history(BOB.public, 100)) == [(2, 0, "reward", 57_07), (2, 1, "in", 7_00)]


def test_a_key_that_nobody_has_heard_of_has_no_history(query: Query) -> None:
    assert query.history(key("nobody").public, 10) == []


def last_seen(item: Json) -> After:
    return After(item["height"], item["position"], bytes.fromhex(item["block"]), item["balance"])


@settings(max_examples=25)
@given(data=st.data())
def test_pages_of_a_history_join_to_the_whole(data: st.DataObject) -> None:
    chain = ChainBuilder(with_allocations({ANN: 1_000_00, BOB: 1_000_00}))
    people = [ANN, BOB, CLEO]
    block = chain.genesis
    for _ in range(data.draw(st.integers(1, 5))):
        entries = []
        for sender, recipient in data.draw(
            st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.sampled_from(people)), max_size=4)
        ):
            entries.append(chain.entry(sender, recipient, data.draw(st.integers(0, 5_00))))
        block = chain.block(block, entries, miner=data.draw(st.sampled_from(people)))
    book = MemoryBook(chain, block)
    query = Query(book, chain.parameters)
    owner = data.draw(st.sampled_from(people))
    whole = query.history(owner.public, 1_000)
    size = data.draw(st.integers(1, 4))
    joined = page = query.history(owner.public, size)
    while page:
        page = query.history(owner.public, size, last_seen(page[-1]))
        joined = joined + page
    assert joined == whole
    at_genesis = dict(chain.parameters.allocations).get(owner.public, 0)
    # Each step is what the entry says it is, and the oldest starts from genesis.
    before = [item["balance"] for item in whole[1:]] + [at_genesis]
    for item, balance in zip(whole, before, strict=False):
        assert item["balance"] - balance == change_of(item)


def change_of(item: Json) -> int:
    amount, fee = int(item["amount"]), int(item["fee"])
    return {"in": amount, "reward": amount, "out": -amount - fee, "self": -fee}[item["direction"]]


def test_a_page_that_continues_from_another_branch_is_refused(query: Query, tip: Built) -> None:
    for after in (
        After(2, 3, b"\x00" * 32, 1),
        After(9, 0, tip.hash, 1),
        After(2, 9, tip.header.previous, 1),
    ):
        with pytest.raises(ChainChanged):
            query.history(ANN.public, 5, after)


def test_a_reward_counts_in_the_history_before_it_matures() -> None:
    chain = ChainBuilder(replace(EASY, maturity=2))
    blocks = chain.blocks(None, 3, miner=ANN)
    book = MemoryBook(chain, blocks[-1])
    assert book.account(ANN.public).balance == 50_00
    assert lines(Query(book, chain.parameters).history(ANN.public, 9)) == [
        (3, 0, "reward", 150_00),
        (2, 0, "reward", 100_00),
        (1, 0, "reward", 50_00),
    ]


# -------------------------------------------------------------------------------------------- balance


def test_a_balance_tells_what_pending_entries_will_change(query: Query, chain: ChainBuilder) -> None:
    waiting = [
        chain.entry(ANN, BOB, 2_00, fee=10, nonce=3),
        chain.entry(BOB, ANN, 50, nonce=0),
        chain.entry(ANN, ANN, 1_00, fee=2, nonce=5),
    ]
    assert query.balance(ANN.public, waiting) == {
        "address": address(ANN),
        "confirmed": 42_93,
        "pending": -2_10 + 50 - 2,
        "next_nonce": 4,  # 3 is pending, 5 too
    }


def test_an_unknown_key_has_nothing_and_starts_at_nonce_0(query: Query) -> None:
    nobody = key("nobody")
    expected = {"address": address(nobody), "confirmed": 0, "pending": 0, "next_nonce": 0}
    assert query.balance(nobody.public) == expected


# ----------------------------------------------------------------------------------------------- tips


def test_tips_tell_the_length_of_each_branch_and_what_is_known_of_it(chain: ChainBuilder, tip: Built) -> None:
    book = MemoryBook(chain, tip)
    path = tip.path()
    book.add_branch(chain.blocks(path[1], 1, miner=BOB), Standing.PROVEN)
    book.add_branch(chain.blocks(path[0], 2, miner=CLEO), Standing.STORED)
    book.add_branch(chain.blocks(path[2], 9, miner=ANN), Standing.HEADER, bodies=False)
    book.add_branch(chain.blocks(path[2], 1, miner=CLEO), Standing.CONDEMNED)
    found = [(t["height"], t["branch_length"], t["status"]) for t in Query(book, EASY).tips()]
    assert found[0] == (3, 0, "active")
    assert found[1] == (11, 9, "headers-only")
    assert sorted(found[2:]) == [(2, 1, "valid-fork"), (2, 2, "headers-only"), (3, 1, "invalid")]
    assert set(Query(book, EASY).tips()[0]) == {"hash", "height", "branch_length", "status"}


def test_the_active_tip_is_told_though_headers_without_blocks_follow_it(
    chain: ChainBuilder, tip: Built
) -> None:
    book = MemoryBook(chain, tip)
    book.add_branch(chain.blocks(tip, 2), Standing.HEADER, bodies=False)
    found = [(t["height"], t["branch_length"], t["status"]) for t in Query(book, EASY).tips()]
    assert found == [(3, 0, "active"), (5, 2, "headers-only")]


def test_the_length_of_a_long_branch_is_found_by_skips(chain: ChainBuilder, tip: Built) -> None:
    branch = chain.blocks(tip.path()[1], 60, miner=CLEO)
    book = MemoryBook(chain, tip)
    book.add_branch(branch, Standing.HEADER, bodies=False)
    first = len(tip.path())
    for number, record in enumerate(book.records[first:]):
        if number % 7 == 0:  # any skip is right that goes to an ancestor
            book.records[first + number] = replace(record, skip_id=first + number // 2 if number else 1)
    assert Query(book, EASY).tips()[1]["branch_length"] == 60


# -------------------------------------------------------------------------------------------- damaged


def questions(query: Query, entry: Entry) -> list[object]:
    """Every way to see block 2."""
    return [
        lambda: query.blocks(10),
        lambda: query.block(2),
        lambda: query.tx(entry.txid),
        lambda: query.history(ANN.public, 10),
    ]


def test_an_edited_entry_is_never_shown_as_if_true(book: MemoryBook, tip: Built) -> None:
    entry = tip.path()[2].entries[0]
    forged = book.bodies[2].replace(b"coffee", b"poison")
    decode_block(forged)  # it is still a block, with another memo
    book.bodies[2] = forged
    for ask in questions(Query(book, EASY), entry):
        assert callable(ask)
        with pytest.raises(BookDamaged, match="at height 2 does not hash to its header") as damaged:
            ask()
        assert "cli.py verify" in damaged.value.hint


def test_an_entry_that_was_shown_before_and_is_edited_now_is_not_shown(book: MemoryBook, tip: Built) -> None:
    entry, proven = tip.path()[2].entries[0], ProvenParts()
    asked: list[Callable[[Query], object]] = [
        lambda query: query.tx(entry.txid),
        lambda query: query.history(ANN.public, 10),
    ]
    answers = [ask(Query(book, EASY, proven)) for ask in asked]
    assert [ask(Query(book, EASY, proven)) for ask in asked] == answers
    assert [ask(Query(book, EASY)) for ask in asked] == answers
    book.bodies[2] = book.bodies[2].replace(b"coffee", b"poison")
    for ask in asked:
        with pytest.raises(BookDamaged, match="at height 2 does not hash to its header"):
            ask(Query(book, EASY, proven))


def test_what_was_shown_before_is_not_shown_where_the_next_block_names_another(
    chain: ChainBuilder, book: MemoryBook, tip: Built
) -> None:
    proven = ProvenParts()
    assert len(Query(book, EASY, proven).history(ANN.public, 10)) == 4
    forged = chain.block(tip.path()[1], [chain.entry(ANN, CLEO, 40_00, nonce=0)], miner=CLEO)
    proven.note(forged.header.hash, decode_block(forged.raw))
    book.records[2], book.bodies[2] = record_of(forged, 2), forged.raw
    with pytest.raises(BookDamaged, match="height 2"):
        Query(book, EASY, proven).history(ANN.public, 10)


def test_other_entries_of_an_edited_block_that_were_proven_are_told(book: MemoryBook, tip: Built) -> None:
    proven, reward = ProvenParts(), tip.path()[2].coinbase_leaf
    shown = Query(book, EASY, proven).tx(reward)
    book.bodies[2] = book.bodies[2].replace(b"coffee", b"poison")
    assert Query(book, EASY, proven).tx(reward) == shown
    with pytest.raises(BookDamaged):
        Query(book, EASY).tx(reward)


@given(data=st.data())
@settings(max_examples=60)
def test_any_changed_byte_of_a_stored_block_is_noticed(
    data: st.DataObject, chain: ChainBuilder, tip: Built
) -> None:
    book = MemoryBook(chain, tip)
    raw = bytearray(book.bodies[2])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    book.bodies[2] = bytes(raw)
    with pytest.raises(BookDamaged):
        Query(book, EASY).block(2)


def test_a_block_edited_with_its_header_is_named_by_the_block_after_it(
    chain: ChainBuilder, book: MemoryBook, tip: Built
) -> None:
    forged = chain.block(tip.path()[1], [chain.entry(ANN, CLEO, 40_00, nonce=0)], miner=CLEO)
    book.records[2], book.bodies[2] = record_of(forged, 2), forged.raw
    with pytest.raises(BookDamaged, match="height 2"):
        Query(book, EASY).block(2)


def test_a_missing_block_below_the_tip_is_a_damaged_book(book: MemoryBook) -> None:
    del book.bodies[2]
    with pytest.raises(BookDamaged, match="at height 2 is missing"):
        Query(book, EASY).blocks(10)
    with pytest.raises(BookDamaged, match="at height 2 is missing"):
        Query(book, EASY).block(book.records[2].hash)


def test_a_foreign_genesis_is_a_damaged_book(book: MemoryBook, chain: ChainBuilder) -> None:
    other = ChainBuilder(replace(EASY, name="another"))
    book.records[0] = record_of(other.genesis, 0)
    with pytest.raises(BookDamaged, match="height 0"):
        Query(book, EASY).block(0)


def test_an_index_that_points_nowhere_finds_nothing(
    book: MemoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "places_of", lambda _: [Place(99, 1), Place(3, 7), Place(0, 0)])
    assert Query(book, EASY).tx(b"\x05" * 32)["status"] == "unknown"


def test_entries_are_found_by_their_places(query: Query, tip: Built) -> None:
    places = [Place(9, 1), Place(2, 3), Place(2, 0), Place(2, 4), Place(1, 0), Place(0, 0)]
    found = query.entries_at(places)
    assert [(entry["height"], entry["position"]) for entry in found] == [(2, 3), (2, 0), (1, 0)]
    assert found[0]["memo"] == "a record"


def test_a_part_of_a_block_begins_where_it_is_told_or_counts_from_the_end(query: Query) -> None:
    def part(first: int, limit: int | None) -> list[int]:
        return [entry["position"] for entry in query.part_of_block(2, first, limit)["entries"]]

    assert part(1, 2) == [1, 2]
    assert part(3, 2) == [3]
    assert part(4, 2) == []
    assert part(-2, 9) == [2, 3]
    assert part(-9, 2) == [1, 2]
    assert query.part_of_block(2, 1, 1)["coinbase"]["position"] == 0
    assert query.part_of_block(0, 1, 1)["coinbase"] is None


def test_headers_come_newest_first(query: Query, tip: Built) -> None:
    assert [header.height for header in query.headers(9)] == [3, 2, 1, 0]
    assert [header.height for header in query.headers(1, 2)] == [1]
    assert query.headers(9, 0) == []
    assert query.header(3) == query.header(tip.hash) == tip.header
    assert query.header(4) is None


def test_a_height_that_has_no_block_below_the_tip_is_damage_and_not_a_slip(
    chain: ChainBuilder, tip: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = MemoryBook(chain, tip)
    main_at = book.main_at
    monkeypatch.setattr(book, "main_at", lambda height: None if height == 2 else main_at(height))
    query = Query(book, EASY)
    for ask in (query.stored, query.block):
        with pytest.raises(BookDamaged, match="no block at height 2, below the tip"):
            ask(2)
        with pytest.raises(NotFound, match="there is no block 4"):
            ask(4)
