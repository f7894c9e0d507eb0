"""Each message as bytes and back, against frames that were made apart from this code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.frames import BadPayload, OtherVersion, decode, encode, limits
from node.ledger.block import Body
from node.ledger.params import BUILT_IN
from node.messages import (
    Address,
    Addresses,
    Auth,
    BlockEntries,
    BlockMessage,
    CompactBlock,
    Entries,
    GetAddresses,
    GetBlockEntries,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    Kind,
    Message,
    NotFound,
    Ping,
    Pong,
    Reject,
    Type,
)
from tests.vectors.read import read, unhex
from tests.wire import hello_of, messages

VECTORS = read("wire.json")
HEAD = 5

Fields = dict[str, Any]


def hashes_of(record: Callable[[Kind, tuple[bytes, ...]], Message]) -> Callable[[Fields], Message]:
    return lambda fields: record(Kind(fields["kind"]), unhex(*fields["hashes"]))


RECORDS: dict[str, Callable[[Fields], Message]] = {
    "HELLO": hello_of,
    "AUTH": lambda fields: Auth(bytes.fromhex(fields["signature"])),
    "PING": lambda fields: Ping(fields["token"]),
    "PONG": lambda fields: Pong(fields["token"]),
    "GET_ADDRESSES": lambda _: GetAddresses(),
    "ADDRESSES": lambda fields: Addresses(tuple(Address(*item) for item in fields["items"])),
    "REJECT": lambda fields: Reject(fields["code"], bytes.fromhex(fields["id"])),
    "INVENTORY": hashes_of(Inventory),
    "GET_DATA": hashes_of(GetData),
    "NOT_FOUND": hashes_of(NotFound),
    "ENTRIES": lambda fields: Entries(unhex(*fields["raws"])),
    "GET_HEADERS": lambda fields: GetHeaders(unhex(*fields["locator"]), bytes.fromhex(fields["stop"])),
    "HEADERS": lambda fields: Headers(unhex(*fields["raws"])),
    "BLOCK": lambda fields: BlockMessage(bytes.fromhex(fields["raw"])),
    "COMPACT_BLOCK": lambda fields: CompactBlock(
        bytes.fromhex(fields["header"]),
        Body(fields["body"][0], *unhex(*fields["body"][1:])),
        *unhex(fields["coinbase"], fields["short_ids"]),
    ),
    "GET_BLOCK_ENTRIES": lambda fields: GetBlockEntries(
        bytes.fromhex(fields["block_hash"]), tuple(fields["positions"])
    ),
    "BLOCK_ENTRIES": lambda fields: BlockEntries(bytes.fromhex(fields["block_hash"]), unhex(*fields["raws"])),
}
"""How the vectors' fields of each type are read."""


def longest_of(case: Fields) -> Message:
    is_one = case["type"] in {"BLOCK", "COMPACT_BLOCK"}
    pieces = case["item"] * case["count"] if is_one else [case["item"]] * case["count"]
    return RECORDS[case["type"]](case["fields"] | {case["field"]: pieces})


def test_the_vectors_have_every_type() -> None:
    assert {case["type"] for case in VECTORS["messages"]} == {number.name for number in Type} == set(RECORDS)


@pytest.mark.parametrize("case", VECTORS["messages"], ids=lambda case: case["why"])
def test_a_message_is_written_as_in_the_vectors(case: Fields) -> None:
    assert encode(RECORDS[case["type"]](case["fields"])).hex() == case["frame"]


@pytest.mark.parametrize("case", VECTORS["messages"], ids=lambda case: case["why"])
def test_a_message_is_read_as_in_the_vectors(case: Fields) -> None:
    frame = bytes.fromhex(case["frame"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decode(Type(frame[4]), frame[HEAD:]) == RECORDS[case["type"]](case["fields"])


@pytest.mark.parametrize("case", VECTORS["longest"], ids=lambda case: case["type"])
def test_the_longest_message_of_a_type_fits_its_limit_both_ways(case: Fields) -> None:
    message = longest_of(case)
    frame = encode(message)
    assert hashlib.sha256(frame).hexdigest() == case["frame_sha256"]
    assert len(frame) - HEAD == case["payload_bytes"] <= limits(BUILT_IN)[Type[case["type"]]]
    assert decode(Type[case["type"]], frame[HEAD:]) == message


def test_every_type_has_the_limit_of_the_vectors() -> None:
    assert BUILT_IN.maximum_block_bytes == VECTORS["maximum_block_bytes"]
    assert limits(BUILT_IN) == {row["number"]: row["limit"] for row in VECTORS["types"]}


def test_the_limit_of_a_block_follows_the_network() -> None:
    small = replace(BUILT_IN, maximum_block_bytes=1 << 12)
    assert limits(small)[Type.BLOCK] == (1 << 12) + 1024
    assert limits(small)[Type.COMPACT_BLOCK] == (1 << 8) + 1024
    assert limits(small)[Type.GET_BLOCK_ENTRIES] == (1 << 7) + 1024
    assert limits(small)[Type.BLOCK_ENTRIES] == (1 << 12) + 1024
    assert limits(small)[Type.HEADERS] == limits(BUILT_IN)[Type.HEADERS]


@pytest.mark.parametrize("block_bytes", [1 << 12, 1 << 20, 1 << 25])
def test_a_compact_block_and_a_question_hold_all_entries_that_a_block_may_have(block_bytes: int) -> None:
    most = block_bytes // 143  # the shortest entry has 141 bytes, and two before it
    network = limits(replace(BUILT_IN, maximum_block_bytes=block_bytes))
    body = Body(2**32 - 1, bytes(32), bytes(32), bytes(32))
    compact = encode(CompactBlock(bytes(92), body, bytes(512), bytes(6 * most)))
    assert len(compact) - HEAD <= network[Type.COMPACT_BLOCK]
    asked = encode(GetBlockEntries(bytes(32), tuple(range(most))))
    assert len(asked) - HEAD <= network[Type.GET_BLOCK_ENTRIES]


@pytest.mark.parametrize(
    "message",
    [
        Inventory(Kind.ENTRY, ()),
        Inventory(Kind.ENTRY, (bytes(32),) * 1_001),
        GetData(Kind.BLOCK, (bytes(31),)),
        NotFound(Kind.BLOCK, (bytes(31), bytes(33), bytes(31))),
        Entries(()),
        Entries((b"",) * 1_001),
        Entries((bytes(600),) * 1_000),
        GetHeaders(()),
        GetHeaders((bytes(32),) * 102),
        Headers((bytes(92),) * 2_001),
        Headers((bytes(93),)),
        Addresses((Address("h" * 253, 1, 0),) * 300),
        Auth(bytes(65)),
        Reject("x" * 200, b""),
        GetBlockEntries(bytes(32), ()),
        BlockEntries(bytes(32), ()),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_beyond_its_bounds_is_our_own_mistake(message: Message) -> None:
    with pytest.raises(ValueError, match=r"at most|at least|not 1 to|not 0 to"):
        encode(message)


# ------------------------------------------------------------------------------------ any bytes, any message

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=93)
    | st.text(max_size=16),
    lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=16), inner, max_size=2),
    max_leaves=12,
)


@given(messages)
def test_what_is_written_is_read_again(message: Message) -> None:
    frame = encode(message)
    assert decode(Type(frame[4]), frame[HEAD:]) == message


@given(st.sampled_from(Type), st.binary(max_size=200))
def test_any_bytes_are_the_one_form_of_a_message_or_refused(number: Type, payload: bytes) -> None:
    check(number, payload)


@given(st.sampled_from(Type), values)
def test_any_msgpack_is_the_one_form_of_a_message_or_refused(number: Type, value: object) -> None:
    check(number, msgpack.packb(value))


@given(messages, st.data())
def test_a_message_with_a_byte_changed_is_the_one_form_of_another_or_refused(
    message: Message, data: st.DataObject
) -> None:
    frame = bytearray(encode(message))
    if len(frame) > HEAD:
        place = data.draw(st.integers(HEAD, len(frame) - 1))
        frame[place] ^= data.draw(st.integers(1, 255))
        check(Type(frame[4]), bytes(frame[HEAD:]))


def check(number: Type, payload: bytes) -> None:
    try:
        message = decode(number, payload)
    except (BadPayload, OtherVersion):
        return
    assert encode(message)[HEAD:] == payload
