"""The numbers of the wire, written down again."""

from __future__ import annotations

import hashlib

from node.messages import FEATURES, NEEDS, RESERVED, Feature, Kind, Type, rules_hash
from tests.vectors.read import read

NUMBERS = {
    "HELLO": 1,
    "AUTH": 2,
    "PING": 3,
    "PONG": 4,
    "GET_ADDRESSES": 5,
    "ADDRESSES": 6,
    "REJECT": 7,
    "INVENTORY": 16,
    "GET_DATA": 17,
    "NOT_FOUND": 18,
    "ENTRIES": 19,
    "GET_HEADERS": 20,
    "HEADERS": 21,
    "BLOCK": 22,
    "COMPACT_BLOCK": 32,
    "GET_BLOCK_ENTRIES": 33,
    "BLOCK_ENTRIES": 34,
}


def test_every_message_has_its_number() -> None:
    assert {number.name: int(number) for number in Type} == NUMBERS
    assert {row["name"]: row["number"] for row in read("wire.json")["types"]} == NUMBERS


def test_reserved_numbers_are_nobodys_and_below_those_that_are_skipped() -> None:
    numbers = [number for number, _, _ in RESERVED]
    assert len({*numbers, *NUMBERS.values()}) == len(numbers) + len(NUMBERS)
    assert all(0 < number < 128 for number in (*numbers, *NUMBERS.values()))


def test_kinds_and_features_have_their_numbers() -> None:
    assert (Kind.ENTRY, Kind.BLOCK) == (1, 2)
    assert (Feature.COMPACT_BLOCKS, Feature.VOTES) == (1, 2)
    assert {(name, feature) for _, name, feature in RESERVED} == {
        ("GET_VOTES", 2),
        ("VOTES", 2),
    }


def test_compact_blocks_need_their_feature_which_is_offered() -> None:
    assert int(FEATURES) == 1
    assert {Type(number).name: feature for number, feature in NEEDS.items()} == {
        "COMPACT_BLOCK": 1,
        "GET_BLOCK_ENTRIES": 1,
        "BLOCK_ENTRIES": 1,
    }


def test_the_hash_of_the_rules_list_is_that_of_its_bytes() -> None:
    assert rules_hash([(0, 1)]) == hashlib.sha256(bytes.fromhex("91 92 00 01")).digest()
    assert (
        rules_hash([(0, 1), (1000, 2)]) == hashlib.sha256(bytes.fromhex("92 92 00 01 92 cd03e8 02")).digest()
    )
    assert rules_hash([(0, 1)]).hex() == read("wire.json")["rules_hash"]
