"""The decoders of the law, under any bytes.

Invariant of each: bytes give a value or RuleBroken with one of the decoder's own codes, and nothing else; a
value that was given is written as exactly those bytes again, and holds only what its record allows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger import rules
from node.ledger.block import (
    HEADER_BYTES,
    decode_block,
    decode_coinbase,
    decode_header,
    encode_block,
)
from node.ledger.entry import assemble_entry, decode_entry, signed_message
from node.ledger.errors import Rule, RuleBroken
from tests.building import EASY
from tests.fuzz.mutations import edited, edits, near
from tests.vectors.read import read, unhex

ENTRIES = unhex(*(case["entry"] for case in read("entries.json")["good"]))
BLOCKS = unhex(*(case["block"] for case in read("blocks.json")["blocks"][:6]))
HEADERS = tuple(raw[3:95] for raw in BLOCKS)
COINBASES = unhex(*(case["coinbase"] for case in read("blocks.json")["blocks"]))
GENESIS = bytes.fromhex(read("params.json")["networks"][0]["genesis_block"])

FOREIGN = {rule for rule in Rule if rule.says_nothing_about_the_header}

few_seconds = settings(max_examples=400)

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], raw: bytes, own: Collection[Rule]) -> T | None:
    """Return the value, None where the bytes break one of the decoder's own rules."""
    try:
        return decode(raw)
    except RuleBroken as caught:
        broken = caught
    assert broken.rule in own
    return None


def is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def is_text(value: object) -> bool:
    return (
        type(value) is str
        and len(value.encode()) <= 256
        and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value)
    )


@few_seconds
@given(near(ENTRIES))
def test_any_bytes_are_an_entry_or_break_a_rule_of_entries(raw: bytes) -> None:
    entry = decoded(decode_entry, raw, {Rule.ENTRY_ENCODING, Rule.ENTRY_VERSION, Rule.ENTRY_MEMO})
    if entry is None:
        return
    assert entry.raw == raw
    assert entry.version == 1
    assert [type(field) for field in (entry.sender, entry.recipient, entry.signature)] == [bytes] * 3
    assert (len(entry.sender), len(entry.recipient), len(entry.signature)) == (32, 32, 64)
    assert all(map(is_uint, (entry.amount, entry.fee, entry.nonce, entry.timestamp_ms)))
    assert is_text(entry.memo)
    assert assemble_entry(bytes(32), signed_message(bytes(32), raw), entry.signature) == entry


@few_seconds
@given(near(HEADERS) | st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_any_bytes_are_a_header_or_no_header(raw: bytes) -> None:
    header = decoded(decode_header, raw, {Rule.HEADER_ENCODING})
    if header is None:
        return
    assert replace(header).raw == raw
    assert header.work >= 0
    assert is_uint(header.timestamp_ms)


@few_seconds
@given(near(COINBASES))
def test_any_bytes_are_a_coinbase_or_no_coinbase(raw: bytes) -> None:
    coinbase = decoded(decode_coinbase, raw, {Rule.COINBASE_ENCODING})
    if coinbase is None:
        return
    assert coinbase.encode() == raw
    assert is_uint(coinbase.height)
    assert is_uint(coinbase.amount)
    assert (type(coinbase.miner), len(coinbase.miner)) == (bytes, 32)
    assert is_text(coinbase.note)


@few_seconds
@given(near((*BLOCKS, GENESIS)))
def test_any_bytes_are_a_block_or_no_block(raw: bytes) -> None:
    block = decoded(decode_block, raw, {Rule.BLOCK_ENCODING, Rule.HEADER_ENCODING})
    if block is None:
        return
    assert encode_block(block.header, block.body, block.first_leaf, block.entries) == block
    assert block.raw == raw
    assert all(type(entry) is bytes for entry in block.entries)
    assert len(block.leaves()) == 1 + len(block.entries)


@few_seconds
@given(st.builds(edited, st.sampled_from(BLOCKS).map(lambda raw: raw[95:]), st.lists(edits, max_size=3)))
def test_no_bytes_behind_a_good_header_condemn_it(rest: bytes) -> None:
    """Invariant: what stands behind a good header is its own body to the byte, or says nothing about it."""
    for block in BLOCKS:
        raw = block[:95] + rest
        sane = decoded(lambda raw: rules.sane_block(decode_block(raw), EASY), raw, FOREIGN)
        assert (sane is not None) == (raw == block)
