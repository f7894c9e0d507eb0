"""Short ids, and blocks put together of entries at hand: the same bytes, or a question for the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import compact
from node.compact import DoesNotFit, Partial, compact_of, short_ids
from node.ledger import rules
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.messages import CompactBlock
from tests.building import EASY, Built, ChainBuilder, key, with_allocations
from tests.vectors.read import read

PAYERS = [key(f"payer {number}") for number in range(12)]
CHAIN = ChainBuilder(with_allocations(dict.fromkeys(PAYERS, 1_000_00)))
ENTRIES = [CHAIN.entry(payer, key("shop"), 1_00) for payer in PAYERS]
STRANGERS = [CHAIN.entry(payer, key("shop"), 2_00) for payer in PAYERS]
BLOCK = CHAIN.block(None, ENTRIES)
EMPTY = CHAIN.block(None)


def partial_of(block: Built, said: CompactBlock | None = None) -> Partial:
    return Partial(said or compact_of(block.block, [entry.txid for entry in block.entries]), block.header)


def made(partial: Partial) -> bytes:
    together = partial.put_together()
    sane = rules.sane_block(together.block, EASY, together.leaves)
    assert sane.leaves == tuple(together.block.leaves())
    assert [entry.raw for entry in together.entries] == list(together.block.entries)
    return together.block.raw


@pytest.mark.parametrize("case", read("wire.json")["short_ids"])
def test_short_ids_are_those_of_the_vectors(case: dict[str, str]) -> None:
    found = short_ids(bytes.fromhex(case["block_hash"]), [bytes.fromhex(case["txid"])])
    assert [one.hex() for one in found] == [case["short_id"]]


def test_short_ids_are_those_of_the_document_and_of_one_block_alone() -> None:
    txids = [entry.txid for entry in ENTRIES]
    for block in (BLOCK, EMPTY):
        assert short_ids(block.hash, txids) == [
            hashlib.blake2b(txid, digest_size=6, key=block.hash, person=b"indelible/short").digest()
            for txid in txids
        ]
    assert not {*short_ids(BLOCK.hash, txids)} & {*short_ids(EMPTY.hash, txids)}


def test_a_compact_block_says_all_but_the_entries() -> None:
    said = compact_of(BLOCK.block, [entry.txid for entry in ENTRIES])
    assert (said.header, said.body, said.coinbase) == (
        BLOCK.header.raw,
        BLOCK.block.body,
        BLOCK.block.first_leaf,
    )
    assert len(said.short_ids) == 6 * len(ENTRIES)


def test_a_block_without_entries_is_complete_as_it_comes() -> None:
    partial = partial_of(EMPTY)
    assert partial.is_complete
    assert made(partial) == EMPTY.raw


@given(
    st.lists(st.sampled_from([*ENTRIES, *STRANGERS]), max_size=30),
    st.integers(1, 10),
)
def test_any_entries_at_hand_give_the_same_block_or_a_question_for_what_is_missing(
    at_hand: list[Entry], size: int
) -> None:
    partial = partial_of(BLOCK)
    for start in range(0, len(at_hand), size):
        partial.look_through(at_hand[start : start + size])
    missing = partial.missing()
    assert [ENTRIES[position] for position in missing] == [e for e in ENTRIES if e not in at_hand]
    assert partial.is_complete == (not missing)
    partial.fill(missing, [ENTRIES[position].raw for position in missing])
    assert made(partial) == BLOCK.raw


@given(st.permutations([*ENTRIES, *STRANGERS]), st.sets(st.integers(0, 11), min_size=1))
def test_of_entries_that_one_short_id_names_none_is_taken_and_the_peer_is_asked(
    at_hand: list[Entry], twins: set[int]
) -> None:
    """A collision, as hardly anybody can make one: strangers have the short ids of its own entries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "short_ids", colliding(twins))
        partial = partial_of(BLOCK)
        partial.look_through(at_hand)
        assert partial.missing() == tuple(sorted(twins))
        partial.fill(partial.missing(), [ENTRIES[position].raw for position in sorted(twins)])
        assert made(partial) == BLOCK.raw


@given(st.sets(st.integers(0, 11), min_size=1))
def test_what_is_put_together_of_others_entries_is_not_the_headers_body(twins: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "short_ids", colliding(twins))
        partial = partial_of(BLOCK)
        partial.look_through([STRANGERS[at] if at in twins else ENTRIES[at] for at in range(12)])
        assert partial.is_complete
        with pytest.raises(RuleBroken, match="entries-root") as caught:
            made(partial)
        assert caught.value.rule.says_nothing_about_the_header


def colliding(twins: set[int]) -> Callable[[bytes, Iterable[bytes]], list[bytes]]:
    """Short ids under which the strangers at these positions are taken for the block's own entries."""
    name = {STRANGERS[at].txid: ENTRIES[at].txid for at in twins}
    return lambda block_hash, txids: short_ids(block_hash, [name.get(txid, txid) for txid in txids])


def test_short_ids_that_are_all_the_same_are_asked_for_and_do_not_fit() -> None:
    said = compact_of(BLOCK.block, [ENTRIES[0].txid] * 12)
    partial = partial_of(BLOCK, said)
    partial.look_through(ENTRIES)
    missing = partial.missing()
    assert len(missing) == 11
    with pytest.raises(DoesNotFit, match="another entry at position"):
        partial.fill(missing, [ENTRIES[position].raw for position in missing])


@pytest.mark.parametrize("raw", [b"", b"\x90", STRANGERS[0].raw, ENTRIES[1].raw, ENTRIES[0].raw + b"\0"])
def test_what_is_handed_out_must_be_the_entry_of_that_place(raw: bytes) -> None:
    partial = partial_of(BLOCK)
    partial.look_through(ENTRIES[1:])
    with pytest.raises(DoesNotFit):
        partial.fill(partial.missing(), [raw])
