"""Entries: their bytes, what is signed, and bytes that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import signature
from node.ledger.entry import (
    MAX_ENTRY_BYTES,
    Entry,
    assemble_entry,
    decode_entry,
    signed_message,
    txid_of,
    unsigned_message,
)
from node.ledger.errors import Rule, RuleBroken
from tests.vectors.generate.packing import Value, pack
from tests.vectors.read import read, unhex

VECTORS = read("entries.json")
NETWORK_ID = bytes.fromhex(VECTORS["network_id"])
FIELDS = ("amount", "fee", "nonce", "timestamp_ms", "memo")

uints = st.integers(0, 2**53 - 1)
keys = st.binary(min_size=32, max_size=32)
texts = st.text(max_size=256).filter(
    lambda text: len(text.encode()) <= 256 and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)
)
signatures = st.binary(min_size=64, max_size=64)


def made(**changes: Any) -> Entry:  # noqa: ANN401 - fields of an entry
    """Return an entry with these fields."""
    fields: dict[str, Any] = {
        "sender": bytes(32),
        "recipient": bytes(32),
        "amount": 1,
        "fee": 1,
        "nonce": 0,
        "timestamp_ms": 0,
        "memo": "",
    }
    return assemble_entry(NETWORK_ID, unsigned_message(NETWORK_ID, **{**fields, **changes}), bytes(64))


@pytest.mark.parametrize("case", VECTORS["good"], ids=lambda case: case["why"])
def test_an_entry_has_the_bytes_of_the_vectors_both_ways(case: dict[str, Any]) -> None:
    seed, sender, recipient, message, proof, raw, txid = unhex(
        *(
            case[name]
            for name in ("seed", "sender", "recipient", "signed_message", "signature", "entry", "txid")
        )
    )
    rest = {name: case[name] for name in FIELDS}
    assert unsigned_message(NETWORK_ID, sender=sender, recipient=recipient, **rest) == message
    assert signature.sign(seed, message) == proof
    entry = decode_entry(raw)
    assert entry == assemble_entry(NETWORK_ID, message, proof)
    assert (entry.version, entry.sender, entry.recipient, entry.signature) == (1, sender, recipient, proof)
    assert {name: getattr(entry, name) for name in FIELDS} == rest
    assert (entry.raw, entry.txid, txid_of(raw)) == (raw, txid, txid)
    assert signed_message(NETWORK_ID, raw) == message
    assert signature.verify(sender, message, proof)


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda case: case["why"])
def test_bytes_that_are_no_entry_break_the_rule_of_the_vectors(case: dict[str, Any]) -> None:
    with pytest.raises(RuleBroken) as caught:
        decode_entry(bytes.fromhex(case["entry"]))
    assert caught.value.rule == case["rule"]


@pytest.mark.parametrize("case", VECTORS["bad_signatures"], ids=lambda case: case["why"])
def test_a_signature_is_good_for_its_own_entry_network_and_tag_only(case: dict[str, Any]) -> None:
    entry = decode_entry(bytes.fromhex(case["entry"]))
    assert not signature.verify(entry.sender, signed_message(NETWORK_ID, entry.raw), entry.signature)


def test_the_vectors_reach_every_rule_of_entries() -> None:
    assert {case["rule"] for case in VECTORS["bad"]} == {
        Rule.ENTRY_ENCODING,
        Rule.ENTRY_VERSION,
        Rule.ENTRY_MEMO,
    }
    assert len(VECTORS["bad"]) >= 60


@given(keys, keys, uints, uints, uints, uints, texts, signatures)
def test_any_fields_in_range_are_read_back_and_have_one_encoding(
    sender: bytes,
    recipient: bytes,
    amount: int,
    fee: int,
    nonce: int,
    timestamp_ms: int,
    memo: str,
    proof: bytes,
) -> None:
    fields: list[Value] = [1, sender, recipient, amount, fee, nonce, timestamp_ms, memo, proof]
    raw = pack(fields)
    entry = decode_entry(raw)
    assert list(entry[:9]) == fields
    assert len(raw) <= 431 < MAX_ENTRY_BYTES
    message = unsigned_message(
        NETWORK_ID,
        sender=sender,
        recipient=recipient,
        amount=amount,
        fee=fee,
        nonce=nonce,
        timestamp_ms=timestamp_ms,
        memo=memo,
    )
    assert signed_message(NETWORK_ID, raw) == message
    assert assemble_entry(NETWORK_ID, message, proof) == entry


@pytest.mark.parametrize("field", ["amount", "fee", "nonce", "timestamp_ms"])
@pytest.mark.parametrize("value", [-1, 2**53, 2**64, True, 1.0, None, "1"])
def test_a_number_out_of_range_is_refused_before_it_is_signed(field: str, value: object) -> None:
    with pytest.raises(RuleBroken) as caught:
        made(**{field: value})
    assert caught.value.rule is Rule.ENTRY_ENCODING


@pytest.mark.parametrize("memo", ["m" * 257, "a\nb", "\udce9", None, b"memo"])
def test_a_memo_that_is_no_text_is_refused_before_it_is_signed(memo: object) -> None:
    with pytest.raises(RuleBroken) as caught:
        made(memo=memo)
    assert caught.value.rule is Rule.ENTRY_MEMO


@pytest.mark.parametrize("field", ["sender", "recipient"])
def test_a_key_of_another_length_is_refused(field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        made(**{field: bytes(31)})
    assert caught.value.rule is Rule.ENTRY_ENCODING


def test_a_signature_of_another_length_is_refused() -> None:
    message = unsigned_message(
        NETWORK_ID, sender=bytes(32), recipient=bytes(32), amount=1, fee=1, nonce=0, timestamp_ms=0, memo=""
    )
    with pytest.raises(RuleBroken):
        assemble_entry(NETWORK_ID, message, bytes(63))


def test_an_entry_without_end_is_not_even_looked_at() -> None:
    with pytest.raises(RuleBroken, match="513 bytes"):
        decode_entry(b"\x99" + bytes(MAX_ENTRY_BYTES))


def test_one_bit_changed_anywhere_makes_another_entry_or_none() -> None:
    raw = bytes.fromhex(VECTORS["good"][0]["entry"])
    original = decode_entry(raw)
    for bit in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            entry = decode_entry(bytes(altered))
        except RuleBroken:
            continue
        assert entry[:9] != original[:9]
        assert entry.txid != original.txid
        assert entry.raw == bytes(altered)
