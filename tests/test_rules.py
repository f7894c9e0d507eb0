"""The rules, tier by tier: each broken by at least one block or header, and named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import rules, state
from node.ledger.block import Header, decode_block, decode_coinbase, decode_header, genesis_block, network_id
from node.ledger.entry import decode_entry, txid_of
from node.ledger.errors import Rule, RuleBroken
from node.ledger.history import EMPTY, Frontier
from node.ledger.params import Parameters
from node.ledger.signature import verify_many
from node.ledger.state import AccountState, Changes
from tests.building import EASY, ChainBuilder, key
from tests.test_params import NETWORKS, parameters_of
from tests.vectors.read import read

VECTORS = read("blocks.json")
ENTRIES = read("entries.json")
BLOCKS = {case["name"]: case for case in VECTORS["blocks"]}
FOREIGN_BODY = {Rule.BLOCK_ENCODING, Rule.BODY_ROOT, Rule.ENTRIES_ROOT}


class Placed(NamedTuple):
    """A block of the vectors, as the rules need a parent. Satisfies `rules.Placed`."""

    header: Header
    chain_time: int


@dataclass(frozen=True)
class Parent:
    """All that the rules want to know of what lies before a block."""

    parameters: Parameters
    placed: Placed
    history: Frontier
    """Over the hashes up to this block's own."""
    coinbases: tuple[bytes, ...]
    """Of the blocks from 1 to this one."""
    accounts: dict[bytes, AccountState]


@cache
def parent_of(network: str, name: str) -> Parent:
    """Return a block of the vectors as a parent, from what they say of it and those before it."""
    parameters = parameters_of(NETWORKS[network]["parameters"])
    if name == "genesis":
        header = genesis_block(parameters).header
        placed = Placed(header, parameters.interval_ms)
        frontier, _ = EMPTY.append(header.hash)
        return Parent(parameters, placed, frontier, (), state.genesis_accounts(parameters))
    case = BLOCKS[name]
    before = parent_of(network, case["parent"])
    header = decode_header(bytes.fromhex(case["header"]))
    frontier, _ = before.history.append(header.hash)
    accounts = {bytes.fromhex(owner): (balance, nonce) for owner, balance, nonce in case["accounts"]}
    coinbases = (*before.coinbases, bytes.fromhex(case["coinbase"]))
    return Parent(parameters, Placed(header, case["chain_time"]), frontier, coinbases, accounts)


def check_block(parent: Parent, raw: bytes, at: list[str]) -> dict[bytes, AccountState]:
    """Put a block through all tiers, leaving in `at` the one it is in; return the accounts it changes."""
    parameters = parent.parameters
    at[:] = ["sanity"]
    block = decode_block(raw)
    rules.sane_header(block.header)
    sane = rules.sane_block(block, parameters)
    entries = rules.sane_entries(sane)
    at[:] = ["context"]
    rules.check_header_in_context(block.header, parent.placed, parameters)
    rules.check_block_in_context(sane, parent.history.root())
    rules.check_entries_in_context(entries, 0, block.header.timestamp_ms, parameters)
    at[:] = ["connect"]
    good = verify_many(rules.signature_items(network_id(parameters), entries))
    if not all(good):
        raise rules.signature_broken(good.index(False))
    changes = Changes(lambda owner: parent.accounts.get(owner, state.ABSENT))
    fees = state.apply_entries(changes, entries, 0)
    rules.check_coinbase_amount(sane.coinbase, fees, parameters)
    matured = rules.matured_height(block.header.height, parameters)
    if matured is not None:
        own = matured == block.header.height
        due = sane.coinbase if own else decode_coinbase(parent.coinbases[matured - 1])
        state.apply_coinbase(changes, due)
    return changes


# ----------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize("case", VECTORS["blocks"], ids=lambda case: case["name"])
def test_a_valid_block_passes_every_rule_and_leaves_the_accounts_of_the_vectors(case: dict[str, Any]) -> None:
    parent = parent_of(case["network"], case["parent"])
    changed = check_block(parent, bytes.fromhex(case["block"]), [])
    after = {
        owner: account for owner, account in (parent.accounts | changed).items() if account != state.ABSENT
    }
    assert after == parent_of(case["network"], case["name"]).accounts
    header = decode_header(bytes.fromhex(case["header"]))
    chain_time = rules.chain_time_of(header, parent.placed, parent.parameters)
    assert chain_time == case["chain_time"]
    assert f"{rules.required_bits(Placed(header, chain_time), parent.parameters):#010x}" == case["next_bits"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda case: case["why"])
def test_a_bad_block_breaks_the_rule_of_the_vectors_in_its_tier(case: dict[str, Any]) -> None:
    at: list[str] = []
    with pytest.raises(RuleBroken) as caught:
        check_block(parent_of(case["network"], case["parent"]), bytes.fromhex(case["block"]), at)
    assert (caught.value.rule, at, caught.value.position) == (case["rule"], [case["tier"]], case["position"])
    if caught.value.rule is not Rule.HEADER_ENCODING:
        assert caught.value.rule.says_nothing_about_the_header == (not case["condemns"])


@pytest.mark.parametrize("case", VECTORS["bad_headers"], ids=lambda case: case["why"])
def test_a_bad_header_breaks_the_rule_of_the_vectors(case: dict[str, Any]) -> None:
    parent = parent_of(case["network"], case["parent"])
    header = decode_header(bytes.fromhex(case["header"]))
    broken = {"sanity": _sanity_of(header), "context": _context_of(header, parent)}
    assert broken == {"sanity": None, "context": None, case["tier"]: case["rule"]}


def _sanity_of(header: Header) -> str | None:
    try:
        rules.sane_header(header)
    except RuleBroken as broken:
        return broken.rule
    return None


def _context_of(header: Header, parent: Parent) -> str | None:
    try:
        rules.check_header_in_context(header, parent.placed, parent.parameters)
    except RuleBroken as broken:
        return broken.rule
    return None


@pytest.mark.parametrize("case", ENTRIES["in_context"], ids=lambda case: case["why"])
def test_an_entry_is_held_against_its_blocks_time_and_the_least_fee(case: dict[str, Any]) -> None:
    entry = decode_entry(bytes.fromhex(case["entry"]))
    parameters = parameters_of(NETWORKS[ENTRIES["network"]]["parameters"])
    broken = None
    try:
        rules.check_entries_in_context([entry], 5, case["block_timestamp_ms"], parameters)
    except RuleBroken as caught:
        broken = caught
    assert (broken and str(broken.rule)) == case["rule"]
    assert broken is None or broken.position == 5


def test_the_vectors_reach_every_rule() -> None:
    reached = {case["rule"] for case in (*VECTORS["bad"], *VECTORS["bad_headers"], *VECTORS["headers"])}
    reached |= {rule for case in VECTORS["heirs"] for rule in case["rules"]}
    assert reached == {rule.value for rule in Rule}


def test_codes_are_what_they_have_always_been() -> None:
    # They are in logs, in REJECT, and in other people's programs: none is ever renamed or used again.
    assert {rule.value for rule in Rule} == {
        *("entry-encoding", "entry-version", "entry-memo", "entry-signature"),
        *("header-encoding", "proof-of-work", "block-encoding", "body-root", "entries-root", "block-size"),
        *("entry-count", "extension-root", "coinbase-encoding"),
        *("unknown-parent", "condemned-parent", "header-version", "header-height", "timestamp-order"),
        *("difficulty", "history-root", "coinbase-height"),
        *("entry-expired", "entry-from-future", "fee-too-low"),
        *("nonce-used", "nonce-gap", "overspend", "coinbase-amount"),
    }


def test_only_a_foreign_body_says_nothing_about_the_header() -> None:
    assert {rule for rule in Rule if rule.says_nothing_about_the_header} == FOREIGN_BODY


def test_an_error_starts_with_its_code_and_names_the_entry() -> None:
    assert str(RuleBroken(Rule.OVERSPEND, "costs 5, the sender has 4", 17)) == (
        "overspend: costs 5, the sender has 4 (entry 17)"
    )
    assert str(RuleBroken(Rule.BODY_ROOT, "not its own")) == "body-root: not its own"


# ------------------------------------------------------------------------------------------ at the bounds


def test_a_block_of_exactly_the_limit_passes_and_a_byte_more_does_not() -> None:
    block = ChainBuilder().block().block
    size = len(block.raw)
    assert rules.sane_block(block, replace(EASY, maximum_block_bytes=size)).block is block
    with pytest.raises(RuleBroken) as caught:
        rules.sane_block(block, replace(EASY, maximum_block_bytes=size - 1))
    assert caught.value.rule is Rule.BLOCK_SIZE


def test_a_foreign_body_is_told_before_anything_else_is_looked_at() -> None:
    block = ChainBuilder().block().block
    tiny = replace(EASY, maximum_block_bytes=1)
    for foreign, rule in (
        (replace(block, body=replace(block.body, count=9)), Rule.BODY_ROOT),
        (replace(block, entries=(b"",)), Rule.ENTRIES_ROOT),
    ):
        with pytest.raises(RuleBroken) as caught:
            rules.sane_block(foreign, tiny)
        assert caught.value.rule is rule


def test_a_sane_block_names_its_entries_by_their_leaves() -> None:
    chain = ChainBuilder()
    entries = [chain.entry(key("ann"), key("bob"), amount) for amount in (1, 2)]
    sane = rules.sane_block(chain.block(None, entries).block, EASY)
    assert sane.txids == tuple(entry.txid for entry in entries)
    assert sane.header is sane.block.header


def test_a_malformed_entry_is_told_by_its_place_in_the_block() -> None:
    chain = ChainBuilder()
    good = [chain.entry(key("ann"), key("bob"), amount) for amount in (1, 2, 3)]
    block = chain.block(None, [*good, good[0]._replace(raw=b"\xc0")]).block
    leaves = (bytes(32), *map(txid_of, block.entries))
    sane = rules.SaneBlock(block, decode_coinbase(block.first_leaf), leaves)
    assert rules.sane_entries(sane, 1, 3) == good[1:]
    with pytest.raises(RuleBroken) as caught:
        rules.sane_entries(sane, 2)
    assert (caught.value.rule, caught.value.position) == (Rule.ENTRY_ENCODING, 3)


@pytest.mark.parametrize(
    "maturity, height, matured",
    [(0, 1, 1), (0, 9, 9), (1, 1, None), (1, 2, 1), (100, 100, None), (100, 101, 1)],
)
def test_a_coinbase_matures_at_once_or_so_many_blocks_later(
    maturity: int, height: int, matured: int | None
) -> None:
    assert rules.matured_height(height, replace(EASY, maturity=maturity)) == matured


@given(st.integers(1, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_a_pause_counts_up_to_160_intervals(pause: int, chain_time: int) -> None:
    header = genesis_block(EASY).header
    parent = Placed(replace(header, timestamp_ms=0), chain_time)
    child = replace(header, timestamp_ms=pause)
    assert rules.chain_time_of(child, parent, EASY) == chain_time + min(pause, 160_000)


def test_genesis_stands_one_interval_behind_its_virtual_parent() -> None:
    assert rules.genesis_chain_time(EASY) == 1_000
    header = genesis_block(EASY).header
    assert rules.required_bits(Placed(header, 1_000), EASY) == EASY.genesis_bits


def test_a_hash_may_be_as_large_as_its_target_and_no_larger() -> None:
    target = 0x7FFFFF << 232
    for number, passes in ((target, True), (target + 1, False)):
        header = replace(genesis_block(EASY).header, height=1)
        header.__dict__["hash"] = number.to_bytes(32, "big")  # nobody will ever mine one: it is set by hand
        assert (_sanity_of(header) is None) == passes
