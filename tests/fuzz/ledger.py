"""Fuzz targets over the decoders of the law: entries, headers, coinbases, bodies, blocks.

Pure but for the vectors' files. Bytes in, nothing out: a target that returns has seen its invariant hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, TypeVar

from node.ledger import codec, rules
from node.ledger.block import decode_block, decode_coinbase, decode_header, encode_block
from node.ledger.codec import NotCanonical
from node.ledger.entry import assemble_entry, decode_entry, signed_message
from node.ledger.errors import Rule, RuleBroken
from tests.building import EASY
from tests.vectors.read import read, unhex

_ENTRIES: Final = read("entries.json")
_BLOCKS: Final = read("blocks.json")
_HEADER_BYTES: Final = 92
_AHEAD: Final = 3 + _HEADER_BYTES
"""Of a block: the head of its array, the head of the header's bin, the header."""

GOOD_ENTRIES: Final = unhex(*(case["entry"] for case in _ENTRIES["good"]))
GOOD_BLOCKS: Final = unhex(*(case["block"] for case in _BLOCKS["blocks"][:6]))
"""Small ones, of the vectors' network `easy`."""
_GENESIS: Final = unhex(*(case["genesis_block"] for case in read("params.json")["networks"]))

_FOREIGN: Final = frozenset({Rule.BLOCK_ENCODING, Rule.BODY_ROOT, Rule.ENTRIES_ROOT})
"""The body may not be the header's own; the header is not condemned."""

T = TypeVar("T")


def _decoded(decode: Callable[[bytes], T], raw: bytes, own: Collection[Rule]) -> T | None:
    """Return the value, None where the bytes break one of the decoder's own rules."""
    try:
        return decode(raw)
    except RuleBroken as caught:
        broken = caught
    assert broken.rule in own, f"{broken} is none of the decoder's own"
    return None


def _is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_text(value: object) -> bool:
    return (
        type(value) is str
        and len(value.encode()) <= 256
        and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value)
    )


def canonical(data: bytes) -> None:
    """Any bytes are a value whose one form they are, or NotCanonical."""
    try:
        value = codec.decode(data)
    except NotCanonical:
        return
    assert codec.encode(value) == data


def entry(data: bytes) -> None:
    """Any bytes are an entry, whose fields are within bounds and make the same bytes, or break its rules."""
    found = _decoded(decode_entry, data, {Rule.ENTRY_ENCODING, Rule.ENTRY_VERSION, Rule.ENTRY_MEMO})
    if found is None:
        return
    assert found.raw == data
    assert found.version == 1
    keys = (found.sender, found.recipient, found.signature)
    assert [(type(key), len(key)) for key in keys] == [(bytes, 32), (bytes, 32), (bytes, 64)]
    assert all(map(_is_uint, (found.amount, found.fee, found.nonce, found.timestamp_ms)))
    assert _is_text(found.memo)
    assert assemble_entry(bytes(32), signed_message(bytes(32), data), found.signature) == found


def header(data: bytes) -> None:
    """Any bytes are a header, which is written as them again, or header-encoding."""
    found = _decoded(decode_header, data, {Rule.HEADER_ENCODING})
    if found is None:
        return
    assert len(data) == _HEADER_BYTES
    written = replace(found)
    assert written.raw == data
    assert written.hash == found.hash
    assert found.work >= 0
    assert _is_uint(found.timestamp_ms)


def coinbase(data: bytes) -> None:
    """Any bytes are a coinbase, which is written as them again, or coinbase-encoding."""
    found = _decoded(decode_coinbase, data, {Rule.COINBASE_ENCODING})
    if found is None:
        return
    assert found.encode() == data
    assert _is_uint(found.height)
    assert _is_uint(found.amount)
    assert (type(found.miner), len(found.miner)) == (bytes, 32)
    assert _is_text(found.note)


def block(data: bytes) -> None:
    """Any bytes are a block, whose parts make the same bytes, or block-encoding or header-encoding.

    What can be seen of a block alone is then sound, or breaks a rule of that tier.
    """
    found = _decoded(decode_block, data, {Rule.BLOCK_ENCODING, Rule.HEADER_ENCODING})
    if found is None:
        return
    assert encode_block(found.header, found.body, found.first_leaf, found.entries) == found
    assert found.raw == data
    assert all(type(raw) is bytes for raw in found.entries)
    assert len(found.leaves()) == 1 + len(found.entries)
    own = {*_FOREIGN, Rule.BLOCK_SIZE, Rule.ENTRY_COUNT, Rule.EXTENSION_ROOT, Rule.COINBASE_ENCODING}
    sane = _decoded(lambda _: rules.sane_block(found, EASY), data, own - {Rule.BLOCK_ENCODING})
    if sane is not None:
        assert sane.coinbase.encode() == found.first_leaf
    own = {Rule.ENTRY_ENCODING, Rule.ENTRY_VERSION, Rule.ENTRY_MEMO}
    entries = _decoded(lambda _: [decode_entry(raw) for raw in found.entries], data, own)
    assert entries is None or tuple(one.raw for one in entries) == found.entries


def body(data: bytes) -> None:
    """What stands behind a good header is its own body to the byte, or says nothing about the header.

    The first byte chooses the header.
    """
    if not data:
        return
    good = GOOD_BLOCKS[data[0] % len(GOOD_BLOCKS)]
    raw = good[:_AHEAD] + data[1:]
    sane = _decoded(lambda raw: rules.sane_block(decode_block(raw), EASY), raw, _FOREIGN)
    assert (sane is not None) == (raw == good)


def entry_seeds() -> list[bytes]:
    """Return the vectors' entries, good and bad."""
    return [*GOOD_ENTRIES, *unhex(*(case["entry"] for case in _ENTRIES["bad"]))]


def header_seeds() -> list[bytes]:
    """Return the vectors' headers, good and bad."""
    named = [*_BLOCKS["blocks"], *_BLOCKS["headers"], *_BLOCKS["bad_headers"]]
    return list(unhex(*(case["header"] for case in named)))


def coinbase_seeds() -> list[bytes]:
    """Return the coinbases of the vectors' blocks."""
    return list(unhex(*(case["coinbase"] for case in _BLOCKS["blocks"])))


def block_seeds() -> list[bytes]:
    """Return the vectors' blocks, good and bad."""
    bad = unhex(*(case["block"] for case in _BLOCKS["bad"]))
    return [*_GENESIS, *unhex(*(case["block"] for case in _BLOCKS["blocks"])), *bad]


def body_seeds() -> list[bytes]:
    """Return the bodies of small blocks, each behind its own header and behind another's."""
    bodies = [raw[_AHEAD:] for raw in GOOD_BLOCKS]
    return [bytes([at + shift]) + rest for at, rest in enumerate(bodies) for shift in (0, 1)]
