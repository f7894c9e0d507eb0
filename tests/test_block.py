"""Headers, bodies, coinbases and blocks: their bytes, hashes and trees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.block import (
    Block,
    Body,
    Coinbase,
    Header,
    decode_block,
    decode_coinbase,
    decode_header,
    encode_block,
    genesis_block,
    hash_header,
)
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import BUILT_IN
from tests.building import ChainBuilder, Changes, key
from tests.vectors.generate.packing import Value, pack
from tests.vectors.read import read

VECTORS = read("blocks.json")
BLOCKS = VECTORS["blocks"]
MALFORMED = [case for case in VECTORS["bad"] if case["rule"] in {"block-encoding", "header-encoding"}]

u32s, u64s = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
headers = st.builds(
    Header,
    version=u32s,
    height=u32s,
    previous=hashes,
    body_root=hashes,
    timestamp_ms=st.integers(0, 2**53 - 1),
    bits=st.sampled_from([0x207FFFFF, 0x1E03FFFF, 0x1D00FFFF, 0x01010000, 0x2100FFFF]),
    nonce=u64s,
)
bodies = st.builds(Body, u32s, hashes, hashes, hashes)
scalars: st.SearchStrategy[Value] = (
    st.integers(0, 2**53 - 1) | st.binary(max_size=300) | st.text(max_size=300)
)


# ----------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case["name"])
def test_a_block_is_read_and_hashed_as_the_vectors_say(case: dict[str, Any]) -> None:
    block = decode_block(bytes.fromhex(case["block"]))
    header = block.header
    assert header.raw.hex() == case["header"]
    assert header.hash.hex() == case["hash"]
    assert (header.version, header.height, header.timestamp_ms) == (1, case["height"], case["timestamp_ms"])
    assert f"{header.bits:#010x}" == case["bits"]
    assert hex(header.work) == case["work"]
    assert header.body_root.hex() == block.body.root().hex() == case["body_root"]
    assert block.body.count == case["count"]
    assert block.body.entries_root.hex() == case["entries_root"]
    assert block.body.history_root.hex() == case["history_root"]
    assert block.body.extension_root == bytes(32)
    assert block.first_leaf.hex() == case["coinbase"]
    assert [leaf.hex() for leaf in block.leaves()] == [case["coinbase_leaf"], *case["txids"]]


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case["name"])
def test_a_block_made_of_its_parts_has_the_bytes_of_the_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["block"])
    block = decode_block(raw)
    assert decode_coinbase(block.first_leaf).encode() == block.first_leaf
    assert decode_header(replace(block.header).raw) == block.header
    assert encode_block(block.header, block.body, block.first_leaf, block.entries) == block
    assert block.raw == raw


@pytest.mark.parametrize("case", VECTORS["headers"], ids=lambda case: case["why"])
def test_bytes_that_are_no_header_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(RuleBroken) as caught:
        decode_header(bytes.fromhex(case["header"]))
    assert caught.value.rule == case["rule"]


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case["why"])
def test_bytes_that_are_no_block_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(RuleBroken) as caught:
        decode_block(bytes.fromhex(case["block"]))
    assert caught.value.rule == case["rule"]
    assert not case["condemns"]


def test_a_header_inside_a_block_must_be_one() -> None:
    raw = bytearray.fromhex(BLOCKS[0]["block"])
    raw[83:87] = bytes(4)  # its bits
    with pytest.raises(RuleBroken) as caught:
        decode_block(bytes(raw))
    assert caught.value.rule is Rule.HEADER_ENCODING


# ----------------------------------------------------------------------------------------------- headers


def test_the_first_bitcoin_block_hashes_as_everyone_knows() -> None:
    # Not our format, but our hash function: the header of 2009-01-03 and its well-known hash.
    merkle_root = "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    raw = bytes.fromhex("01000000" + "00" * 32 + merkle_root + "29ab5f49" + "ffff001d" + "1dac2b7c")
    known = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    assert hash_header(raw)[::-1].hex() == known


@given(headers)
def test_a_header_takes_92_bytes_and_is_read_back(header: Header) -> None:
    assert len(header.raw) == 92
    again = decode_header(header.raw)
    assert again == header
    assert again.hash == header.hash == hash_header(header.raw)


def test_the_nonce_stands_last_so_that_the_start_is_hashed_once() -> None:
    header = genesis_block(BUILT_IN).header
    assert replace(header, nonce=2**64 - 1).raw == header.raw[:84] + b"\xff" * 8


def test_genesis_has_no_work_and_every_other_block_has() -> None:
    header = genesis_block(BUILT_IN).header
    assert header.work == 0
    assert replace(header, height=1).work == 4_194_320


# ------------------------------------------------------------------------------------- bodies, coinbases


@given(bodies, bodies)
def test_bodies_that_differ_have_different_roots(left: Body, right: Body) -> None:
    assert (left == right) == (left.root() == right.root())


@given(u32s, hashes, st.integers(0, 2**53 - 1))
def test_a_coinbase_is_read_back(height: int, miner: bytes, amount: int) -> None:
    coinbase = Coinbase(height, miner, amount, "found")
    assert coinbase.encode() == pack([height, miner, amount, "found"])
    assert decode_coinbase(coinbase.encode()) == coinbase


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc0",
        b"\x01",
        b"\x90",
        pack([1, bytes(32), 1, ""]) + b"\x00",
        pack([1, bytes(32), 1, ""])[:-1],
        pack([1, bytes(32), 1]),
        pack([1, bytes(32), 1, "", 1]),
        pack([2**53, bytes(32), 1, ""]),
        pack([1, bytes(31), 1, ""]),
        pack([1, bytes(32), 2**53, ""]),
        pack([1, bytes(32), 1, "a\x00"]),
        pack([1, bytes(32), 1, "n" * 257]),
        b"\x94\xc3" + pack(bytes(32)) + b"\x01\xa0",
        b"\x94\x01" + pack(bytes(32)) + b"\xc2\xa0",
        b"\x94\x01" + pack(bytes(32)) + b"\x01\xc0",
        b"\x94\x01" + pack(bytes(32)) + b"\x01\xc4\x00",
        b"\x94\x01" + pack(bytes(32)) + b"\xff\xa0",
    ],
)
def test_bytes_that_are_no_coinbase_are_refused(raw: bytes) -> None:
    with pytest.raises(RuleBroken) as caught:
        decode_coinbase(raw)
    assert caught.value.rule is Rule.COINBASE_ENCODING


# ------------------------------------------------------------------------------------------------ blocks


@given(
    headers.filter(lambda header: header.height > 0),
    bodies,
    st.lists(scalars, max_size=20),
    st.lists(st.binary(max_size=300), max_size=20),
)
def test_whatever_a_block_holds_it_is_read_back_to_the_byte(
    header: Header, body: Body, leaf: list[Value], entries: list[bytes]
) -> None:
    block = encode_block(header, body, pack(leaf), tuple(entries))
    fields: list[Value] = [header.raw, [*body.fields()], leaf, [*entries]]
    assert block.raw == pack(fields)
    assert decode_block(block.raw) == block


def test_genesis_holds_the_parameters_as_bin_and_only_genesis_does() -> None:
    genesis = genesis_block(BUILT_IN)
    again = decode_block(genesis.raw)
    assert again == genesis
    assert again.first_leaf == BUILT_IN.encode()
    header = replace(genesis.header, height=1)
    assert genesis.raw[3:95] == genesis.header.raw
    with pytest.raises(RuleBroken):
        decode_block(genesis.raw[:3] + header.raw + genesis.raw[95:])
    first = ChainBuilder().block()
    with pytest.raises(RuleBroken):
        decode_block(first.raw[:3] + replace(first.header, height=0).raw + first.raw[95:])


def test_only_the_same_leaves_give_the_same_block() -> None:
    chain = ChainBuilder()
    entries = [chain.entry(key("ann"), key("bob"), amount) for amount in range(3)]
    seen: dict[bytes, Block] = {}
    for chosen in ([], entries[:1], entries[:2], entries, entries[::-1], [*entries, entries[2]]):
        block = chain.block(None, chosen).block
        assert seen.setdefault(block.body.entries_root, block) is block
    odd = chain.block(None, changes=Changes(first_leaf=entries[0].raw)).block
    assert odd.leaves()[0] == entries[0].txid  # leaf 0 and an entry hash alike: its place tells what it is
    assert odd.body.entries_root not in seen
