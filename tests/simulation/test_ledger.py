"""The plain model of the ledger: it says of each block what the golden vectors and the node say of it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.block import genesis_block
from node.ledger.entry import Entry
from node.storage.port import Standing
from tests.building import EASY, Built, ChainBuilder, Changes, key, with_allocations
from tests.chaining import ANN, BOB, RICH, Node
from tests.simulation import ledger as model
from tests.simulation.ledger import Broken, Ledger, Unknown, bits_after, bits_of, read_terms, target_of
from tests.vectors.read import read

BOOKS = read("blocks.json")
BLOCKS = {case["name"]: case for case in BOOKS["blocks"]}
NETWORKS = {case["name"]: case for case in read("params.json")["networks"]}
ASERT = read("asert.json")["rows"]
ENTRIES = read("entries.json")
COMPACT = read("compact_bits.json")


def ledger_of(builder: ChainBuilder) -> Ledger:
    """Return a model of this builder's network, which holds nothing but genesis."""
    return Ledger(read_terms(genesis_block(builder.parameters).raw), builder.network_id)


def followed(network: str, name: str) -> Ledger:
    """Return a model that holds a block of the vectors and all before it."""
    if name == "genesis":
        case = NETWORKS[network]
        return Ledger(read_terms(bytes.fromhex(case["genesis_block"])), bytes.fromhex(case["network_id"]))
    ledger = followed(network, BLOCKS[name]["parent"])
    ledger.add(bytes.fromhex(BLOCKS[name]["block"]))
    return ledger


def stands(ledger: Ledger, block: Built) -> bool:
    """Hand over a block and all before it; return whether the block is valid."""
    for at in block.path()[1:-1]:
        ledger.add(at.raw)
    try:
        assert ledger.add(block.raw) == block.hash
    except Broken:
        assert not ledger.knows(block.hash)
        return False
    return ledger.knows(block.hash)


# ----------------------------------------------------------------------------------------- golden vectors


def test_the_model_shares_no_code_with_the_node() -> None:
    tree = ast.parse(Path(model.__file__).read_text(encoding="utf-8"))
    named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert named
    assert not [name for name in named if name.split(".")[0] in {"node", "tests", ""}]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_good_block_of_the_vectors_stands_with_all_that_follows_from_it(name: str) -> None:
    case = BLOCKS[name]
    ledger = followed(case["network"], name)
    block = ledger.at(bytes.fromhex(case["hash"]))
    assert (block.height, block.timestamp_ms) == (case["height"], case["timestamp_ms"])
    assert (hex(block.work), block.chain_time) == (case["cumulative_work"], case["chain_time"])
    assert [txid.hex() for txid in block.txids] == case["txids"]
    assert bits_after(ledger.terms, block.height, block.chain_time) == int(case["next_bits"], 16)
    assert block.accounts == {bytes.fromhex(owner): tuple(rest) for owner, *rest in case["accounts"]}


@pytest.mark.parametrize("case", BOOKS["bad"], ids=lambda case: case["why"])
def test_a_bad_block_of_the_vectors_is_refused(case: dict[str, Any]) -> None:
    ledger = followed(case["network"], case["parent"])
    with pytest.raises(Unknown if case["rule"] == "unknown-parent" else Broken):
        ledger.add(bytes.fromhex(case["block"]))


@pytest.mark.parametrize("case", BOOKS["heirs"], ids=lambda case: case["why"])
def test_what_stands_on_a_bad_block_stands_on_nothing(case: dict[str, Any]) -> None:
    ledger = followed(case["network"], case["parent"])
    first, *others = (bytes.fromhex(block) for block in case["blocks"])
    with pytest.raises(Broken):
        ledger.add(first)
    for other in others:
        with pytest.raises(Unknown):
            ledger.add(other)


@pytest.mark.parametrize("case", ENTRIES["good"], ids=lambda case: case["why"])
def test_a_good_entry_of_the_vectors_is_read_and_signed(case: dict[str, Any]) -> None:
    ledger, raw = followed(ENTRIES["network"], "genesis"), bytes.fromhex(case["entry"])
    entry = ledger._entry(raw)
    assert (entry.sender.hex(), entry.memo, entry.nonce) == (case["sender"], case["memo"], case["nonce"])
    assert ledger._is_signed(entry, raw)


@pytest.mark.parametrize("case", ENTRIES["bad"], ids=lambda case: case["why"])
def test_a_bad_entry_of_the_vectors_is_none(case: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        followed(ENTRIES["network"], "genesis")._entry(bytes.fromhex(case["entry"]))


@pytest.mark.parametrize("case", ENTRIES["bad_signatures"], ids=lambda case: case["why"])
def test_a_bad_signature_of_the_vectors_is_not_the_senders(case: dict[str, Any]) -> None:
    ledger, raw = followed(ENTRIES["network"], "genesis"), bytes.fromhex(case["entry"])
    assert not ledger._is_signed(ledger._entry(raw), raw)


def test_bits_mean_the_targets_of_the_vectors_and_back() -> None:
    for case in COMPACT["encode"]:
        assert bits_of(int(case["target"], 16)) == int(case["bits"], 16), case
    for case in COMPACT["decode"]:
        if case["target"] is None:
            with pytest.raises(Broken):
                target_of(int(case["bits"], 16))
        else:
            assert target_of(int(case["bits"], 16)) == int(case["target"], 16), case


def test_the_difficulty_is_that_of_the_vectors() -> None:
    terms = read_terms(genesis_block(EASY).raw)
    for row in ASERT:
        terms = terms._replace(
            genesis_bits=int(row["anchor_bits"], 16),
            easiest_bits=int(row["easiest_bits"], 16),
            interval_ms=row["interval"],
            half_life_ms=row["half_life"],
        )
        assert bits_after(terms, row["height_delta"], row["time_delta"]) == int(row["bits"], 16), row["why"]


# ---------------------------------------------------------------------------------------- each rule, alone


WRONG: Mapping[str, Any] = {
    "version": 2,
    "height": 3,
    "previous": bytes(32),
    "body_root": bytes(32),
    "bits": 0x207FFFFE,
    "count": 3,
    "entries_root": bytes(32),
    "history_root": bytes(32),
    "extension_root": bytes(31) + b"\x01",
    "coinbase_height": 1,
    "coinbase_amount": 50_02,
    "first_leaf": b"\x93\x02\xc4\x00\x00",
    "mine": False,
}


def test_each_part_of_a_block_that_can_be_made_wrong_is_looked_at_here() -> None:
    assert list(WRONG) == [field.name for field in fields(Changes)]


@pytest.mark.parametrize("part", WRONG)
def test_a_block_with_one_part_wrong_is_refused_where_the_right_one_stands(part: str) -> None:
    builder = ChainBuilder(RICH)
    first = builder.block()
    entries = [builder.entry(ANN, BOB, 5)]
    notes = [str(number) for number in range(20)]  # unmined, half of them meet the target by luck
    wrong = [
        builder.block(first, entries, note=note, changes=Changes(**{part: WRONG[part]})) for note in notes
    ]
    ledger = ledger_of(builder)
    ledger.add(first.raw)
    bad = next(at for at in wrong if part != "mine" or at.hash[0] & 0x80)
    with pytest.raises(Unknown if part == "previous" else Broken):
        ledger.add(bad.raw)
    assert not ledger.knows(bad.hash)
    assert stands(ledger, builder.block(first, entries))


@pytest.mark.parametrize("step", [0, -1])
def test_a_time_that_is_not_later_than_the_parents_is_refused(step: int) -> None:
    builder = ChainBuilder()
    first = builder.block()
    assert not stands(ledger_of(builder), builder.block(first, timestamp_ms=first.timestamp_ms + step))
    assert stands(ledger_of(builder), builder.block(first, timestamp_ms=first.timestamp_ms + 1))


def test_a_height_is_refused_even_where_the_coinbase_agrees_with_it() -> None:
    builder = ChainBuilder()
    assert not stands(ledger_of(builder), builder.block(changes=Changes(height=2, coinbase_height=2)))


def test_a_time_beyond_the_range_of_numbers_is_refused() -> None:
    builder = ChainBuilder()
    assert stands(ledger_of(builder), builder.block(timestamp_ms=2**53 - 1))
    assert not stands(ledger_of(builder), builder.block(timestamp_ms=2**53))


def test_work_is_how_many_hashes_a_block_takes_rounded_down() -> None:
    builder = ChainBuilder(replace(EASY, genesis_bits=0x21008000, easiest_bits=0x21008000))
    ledger, block = ledger_of(builder), builder.block()
    assert ledger.at(ledger.add(block.raw)).work == 1  # 2^256 / (2^255 + 1)


def test_parameters_of_another_encoding_are_not_read() -> None:
    raw = genesis_block(EASY).raw
    start = raw.index(EASY.encode())
    assert raw[start + 3] == 1
    with pytest.raises(Broken):
        read_terms(raw[: start + 3] + b"\x02" + raw[start + 4 :])


@pytest.mark.parametrize(
    "fault, good",
    [
        ({}, True),
        ({"amount": 99, "fee": 1}, True),
        ({"amount": 100, "fee": 1}, False),
        ({"fee": 0}, False),
        ({"nonce": 1}, False),
        ({"signed": False}, False),
        ({"timestamp_ms": 1_700_000_032_000}, True),
        ({"timestamp_ms": 1_700_000_032_001}, False),
        ({"timestamp_ms": 1_698_790_402_000}, True),
        ({"timestamp_ms": 1_698_790_401_999}, False),
        ({"memo": "a" * 256}, True),
    ],
    ids=str,
)
def test_an_entry_stands_only_as_the_law_says(fault: dict[str, Any], good: bool) -> None:
    builder = ChainBuilder(with_allocations({ANN: 100}))
    entry = builder.entry(ANN, BOB, **({"amount": 1, "timestamp_ms": 1_700_000_002_000} | fault))
    assert stands(ledger_of(builder), builder.block(builder.block(), [entry])) is good


def test_an_entry_is_refused_in_another_network_and_a_second_time() -> None:
    builder, other = ChainBuilder(RICH), ChainBuilder(replace(RICH, name="other"))
    entry = builder.entry(ANN, BOB, 1)
    assert not stands(ledger_of(other), other.block(None, [entry]))
    assert not stands(ledger_of(builder), builder.block(None, [entry, entry]))
    assert not stands(ledger_of(builder), builder.block(builder.block(None, [entry]), [entry]))


def test_a_block_may_be_as_long_as_the_limit_and_no_longer() -> None:
    whole = ChainBuilder(RICH)
    entries = [whole.entry(ANN, BOB, 1) for _ in range(40)]
    size = len(whole.block(None, entries).raw)
    for limit in (size, size - 1):
        builder = ChainBuilder(replace(RICH, maximum_block_bytes=limit))
        block = builder.block(None, [builder.entry(ANN, BOB, 1) for _ in range(40)])
        assert len(block.raw) == size
        assert stands(ledger_of(builder), block) is (limit == size)


def test_another_body_behind_a_known_header_is_refused() -> None:
    builder = ChainBuilder(RICH)
    block = builder.block(None, [builder.entry(ANN, BOB, 1)])
    ledger = ledger_of(builder)
    assert ledger.add(block.raw) == ledger.add(block.raw) == block.hash
    with pytest.raises(Broken):
        ledger.add(block.raw[:95] + builder.block(None, note="else").raw[95:])


# ------------------------------------------------------------------------------------------------ answers


def test_a_branch_confirms_what_it_holds_and_no_more() -> None:
    builder = ChainBuilder(RICH)
    entry = builder.entry(ANN, BOB, 1)
    stem = builder.block()
    left = builder.block(builder.block(stem, [entry]))
    right = builder.block(builder.block(stem, note="right"), [entry])
    bare = builder.block(stem, note="bare")
    ledger = ledger_of(builder)
    assert all(stands(ledger, tip) for tip in (left, right, bare))
    answers = [ledger.confirmed(at.hash, entry.txid) for at in (stem, bare, left, right, *right.path()[:-1])]
    assert answers == [False, False, True, True, False, False, False]
    assert list(ledger.chain(right.hash)) == [at.hash for at in reversed(right.path())]
    for unknown in (ledger.at, ledger.chain, ledger.supply, ledger.undo):
        with pytest.raises(Unknown):
            unknown(bytes(32))


@pytest.mark.parametrize("maturity", [0, 1, 3])
def test_the_supply_is_the_schedules_and_rewards_wait_to_mature(maturity: int) -> None:
    builder = ChainBuilder(replace(RICH, maturity=maturity, halving_interval=2))
    ledger = ledger_of(builder)
    assert ledger.supply(builder.network_id) == ledger.scheduled(0) == 2_000_000_00
    tip, scheduled = builder.genesis, 2_000_000_00
    for reward in (50_00, 50_00, 25_00, 25_00, 12_50):
        tip = builder.block(tip, [builder.entry(ANN, BOB, 1, fee=7)])
        ledger.add(tip.raw)
        scheduled += reward
        assert ledger.supply(tip.hash) == ledger.scheduled(tip.height) == scheduled
        assert ledger.at(tip.hash).accounts == builder.accounts_at(tip)
        assert tip.parent is not None
        assert ledger.undo(tip.hash) == builder.accounts_at(tip.parent)


# ------------------------------------------------------------------------------------- beside the real node


STEP = st.tuples(
    st.integers(0, 2),  # how far back from the newest block it branches off
    st.integers(1, 400_000),  # milliseconds after its parent
    st.sampled_from(["ann", "bob", "cem", "miner"]),
    st.lists(st.tuples(*[st.sampled_from(["ann", "bob", "cem"])] * 2, st.integers(0, 30_00)), max_size=4),
    st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1]),  # what is wrong with the nonces
)


def paid(
    builder: ChainBuilder,
    accounts: model.Accounts,
    moment: int,
    payments: list[tuple[str, str, int]],
    slip: int,
) -> list[Entry]:
    """Return these payments as entries that follow the accounts, but for a slip in each nonce."""
    nonces = {owner: nonce for owner, (_, nonce) in accounts.items()}
    entries = []
    for sender, recipient, amount in payments:
        owner = key(sender)
        nonce = nonces.get(owner.public, 0)
        nonces[owner.public] = nonce + 1
        slipped = max(0, nonce + slip)
        entries.append(builder.entry(owner, key(recipient), amount, nonce=slipped, timestamp_ms=moment))
    return entries


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEP, min_size=1, max_size=12), maturity=st.sampled_from([0, 2]))
def test_the_node_and_the_model_agree_on_every_block_and_every_account(
    steps: list[Any], maturity: int
) -> None:
    builder = ChainBuilder(replace(with_allocations({ANN: 100_00, BOB: 50_00}), maturity=maturity))
    ledger, node = ledger_of(builder), Node(builder)
    good = [builder.genesis]
    for back, elapsed, miner, payments, slip in steps:
        parent = good[max(0, len(good) - 1 - back)]
        moment = parent.timestamp_ms + elapsed
        entries = paid(builder, dict(ledger.at(parent.hash).accounts), moment, payments, slip)
        block = builder.block(parent, entries, miner=key(miner), timestamp_ms=moment)
        if node.store.find(block.hash) is not None:
            continue  # the same block again, from the same choices
        if valid := stands(ledger, block):
            good.append(block)
        node.give(block)
        assert not (valid and node.standing(block) is Standing.CONDEMNED)
        tip = ledger.at(node.chain.tip.hash)
        assert tip.work == max(ledger.at(at.hash).work for at in good) == node.chain.tip.work
        assert tip.chain_time == node.chain.tip.chain_time
        assert node.disk.accounts == tip.accounts
