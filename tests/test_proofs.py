"""The check of receipts and extensions: the golden vectors, and every change of every field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.block import Coinbase
from node.ledger.entry import Entry
from node.proof_file import MAX_FILE_BYTES, Extension, Receipt, ReceiptRefused, decode, encode
from node.proofs import Checked, NotAnchored, check
from node.receipts import make_extension, make_receipt
from tests.building import EASY, ChainBuilder, key
from tests.memory_book import MemoryBook
from tests.vectors.read import read

VECTORS = read("receipts.json")
HARD = replace(EASY, genesis_bits=0x1F00FFFF, easiest_bits=0x1F00FFFF)
"""One hash of 65,536 meets it, so that a changed header has no luck."""


def text_of(fields: object) -> bytes:
    """The one form, written down again."""
    return (json.dumps(fields, separators=(",", ":")) + "\n").encode()


def refused(raw: bytes) -> str:
    """Return the part that is named."""
    with pytest.raises(ReceiptRefused) as error:
        check(decode(raw))
    assert error.value.code == "receipt-refused"
    assert error.value.message.startswith(f"{error.value.part}: ")
    assert error.value.hint
    return error.value.part


def with_value(fields: Any, at: str, value: object) -> bytes:  # noqa: ANN401 - JSON
    """Return the file with another value at a dotted place."""
    made = json.loads(json.dumps(fields))
    *outer, last = at.split(".")
    group = made
    for name in outer:
        group = group[name]
    group[last] = value
    return text_of(made)


# ------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize("good", VECTORS["good"], ids=lambda good: good["why"])
def test_a_good_file_proves_what_it_says(good: dict[str, Any]) -> None:
    raw = good["file"].encode()
    proven = decode(raw)
    assert encode(proven) == raw
    found = check(proven)
    assert found.anchor is None
    assert (found.network_id.hex(), hex(found.work)) == (good["network_id"], good["work"])
    assert (found.block.height, found.block.hash.hex()) == (good["height"], good["block"])
    assert (found.tip.height, found.tip.hash.hex()) == (good["tip_height"], good["tip"])
    held = found.entry
    assert (None if held is None else held.txid.hex(), None if held is None else held.position) == (
        good["txid"],
        good["position"],
    )
    for trust, anchor in good["anchors"].items():
        assert check(proven, bytes.fromhex(trust)).anchor == anchor
    for trust in good["no_anchors"]:
        with pytest.raises(NotAnchored) as stranger:
            check(proven, bytes.fromhex(trust))
        assert (stranger.value.code, stranger.value.part) == ("not-anchored", "trust")


@pytest.mark.parametrize("bad", VECTORS["bad"], ids=lambda bad: bad["why"])
def test_a_bad_file_is_refused_with_the_part_named(bad: dict[str, Any]) -> None:
    assert refused(bad["file"].encode()) == bad["part"]


@pytest.mark.parametrize("forged", VECTORS["forged"], ids=lambda row: f"{row['at']}: {row['why']}")
def test_a_forged_value_is_refused_with_the_part_named(forged: dict[str, Any]) -> None:
    fields = json.loads(VECTORS["bases"][forged["base"]])
    assert refused(with_value(fields, forged["at"], forged["value"])) == forged["part"]


def test_every_part_is_named_by_some_vector() -> None:
    named = {row["part"] for row in (*VECTORS["bad"], *VECTORS["forged"])}
    parts = {"file", "format", "network", "entry", "tip", "block", "consistency"}
    values = {"network": ("parameters", "proof"), "entry": ("bytes", "position", "proof")}
    values |= {"block": ("header", "body"), "tip": ("header", "body", "proof")}
    assert named == parts | {f"{group}.{name}" for group, names in values.items() for name in names}


def test_the_bases_of_the_forged_are_in_order_themselves() -> None:
    for base in VECTORS["bases"].values():
        assert isinstance(check(decode(base.encode())), Checked)


# --------------------------------------------------------------------------------------- every change


@pytest.fixture(scope="module")
def book() -> tuple[MemoryBook, Entry]:
    """Ann pays in block 2 of eleven."""
    chain, ann = ChainBuilder(HARD), key("ann")
    entry = chain.entry(ann, key("bob"), 7_00, memo="coffee")
    second = chain.block(chain.block(miner=ann), [entry])
    return MemoryBook(chain, chain.blocks(second, 9)[-1]), entry


@pytest.fixture(scope="module")
def files(book: tuple[MemoryBook, Entry]) -> dict[str, bytes]:
    """A payment, the reward of its block, the payment with its block as the tip, and an extension."""
    found, entry = book
    reward = hashlib.sha256(b"\x00" + found.main[2].block.first_leaf).digest()
    old = found.main_at(5)
    assert old is not None
    return {
        "payment": encode(make_receipt(found, HARD, entry.txid)),
        "reward": encode(make_receipt(found, HARD, reward)),
        "tip": encode(make_receipt(found, HARD, entry.txid, upto=2)),
        "extension": encode(make_extension(found, HARD, old)),
    }


NAMES = ("payment", "reward", "tip", "extension")


def values_of(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dotted place, hex) of every value of bytes, hashes in lists among them as `place/index`."""
    for name, value in fields.items():
        group = value if isinstance(value, dict) else {"": value} if isinstance(value, list) else {}
        for inner, content in group.items():
            place = f"{name}.{inner}".rstrip(".")
            if isinstance(content, str):
                yield place, content
            elif isinstance(content, list):
                yield from ((f"{place}/{index}", item) for index, item in enumerate(content))


def flipped(text: str, bit: int) -> str:
    raw = bytearray.fromhex(text)
    raw[bit // 8] ^= 1 << bit % 8
    return raw.hex()


def changed(fields: dict[str, Any], place: str, text: str) -> bytes:
    at, _, index = place.partition("/")
    if not index:
        return with_value(fields, at, text)
    hashes = fields
    for name in at.split("."):
        hashes = hashes[name]
    other = list(hashes)
    other[int(index)] = text
    return with_value(fields, at, other)


@pytest.mark.parametrize("name, step", [("payment", 1), ("reward", 7), ("tip", 7), ("extension", 7)])
def test_any_flipped_bit_is_refused_in_the_part_where_it_is(
    name: str, step: int, files: dict[str, bytes]
) -> None:
    fields = json.loads(files[name])
    for place, text in values_of(fields):
        group = place.partition("/")[0].partition(".")[0]
        for bit in range(0, len(text) * 4, step):
            part = refused(changed(fields, place, flipped(text, bit)))
            assert part.partition(".")[0] == group, (place, bit, part)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_any_other_value_is_refused(data: st.DataObject, name: str, files: dict[str, bytes]) -> None:
    fields = json.loads(files[name])
    place, text = data.draw(st.sampled_from(list(values_of(fields))))
    value = data.draw(
        st.one_of(
            st.binary(min_size=len(text) // 2, max_size=len(text) // 2).map(bytes.hex),
            st.binary(max_size=120).map(bytes.hex),
            st.text(max_size=8),
        ).filter(lambda other: other != text)
    )
    group = place.partition("/")[0].partition(".")[0]
    assert refused(changed(fields, place, value)).partition(".")[0] in (group, "file")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def paths_of(value: object, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value of a JSON value."""
    yield prefix
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, content in inner:
        yield from paths_of(content, (*prefix, name))


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES), other=JSON)
def test_any_other_structure_is_refused(
    data: st.DataObject, name: str, other: object, files: dict[str, bytes]
) -> None:
    holder = {"file": json.loads(files[name])}
    way: tuple[str | int, ...] = ("file", *data.draw(st.sampled_from(list(paths_of(holder["file"])))))
    group: Any = holder
    for step in way[:-1]:
        group = group[step]
    change = data.draw(st.sampled_from(("replace", "remove", "add", "double")))
    if change == "replace" or len(way) == 1:
        group[way[-1]] = other
    elif change == "remove":
        del group[way[-1]]
    elif isinstance(group, list):
        group.insert(int(way[-1]), group[int(way[-1])] if change == "double" else other)
    else:
        group[f"{way[-1]}+"] = other
    raw = text_of(holder["file"])
    if raw != files[name]:
        refused(raw)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_any_changed_byte_of_the_file_is_refused(
    data: st.DataObject, name: str, files: dict[str, bytes]
) -> None:
    raw = files[name]
    at = data.draw(st.integers(0, len(raw) - 1))
    part = data.draw(st.binary(max_size=3).filter(lambda other: other != raw[at : at + len(other)]))
    refused(raw[:at] + part + raw[at + data.draw(st.integers(0, 3)) :] if part else raw[:at] + raw[at + 1 :])


@settings(max_examples=100)
@given(raw=st.binary(max_size=100) | JSON.map(text_of))
def test_whatever_is_no_receipt_is_refused_by_name(raw: bytes) -> None:
    refused(raw)


def test_a_file_that_is_too_long_is_not_even_parsed(files: dict[str, bytes]) -> None:
    assert refused(files["payment"] + b" " * MAX_FILE_BYTES) == "file"
    assert MAX_FILE_BYTES == 262_144


def test_brackets_without_end_are_no_crash() -> None:
    assert refused(b"[" * 200_000) == "file"
    assert refused(b'{"a":' * 40_000) == "file"


# ---------------------------------------------------------------------------------------------- pieces


def test_what_is_proven_is_the_entry_itself(book: tuple[MemoryBook, Entry], files: dict[str, bytes]) -> None:
    found, entry = book
    proven = check(decode(files["payment"]), found.main[11].hash)
    assert proven.entry is not None
    assert (proven.entry.content, proven.entry.txid, proven.entry.position) == (entry, entry.txid, 1)
    assert (proven.anchor, proven.parameters) == ("tip", HARD)
    assert proven.work == 2 * 65_537
    reward = check(decode(files["reward"])).entry
    assert reward is not None
    assert reward.content == Coinbase(2, key("miner").public, 50_01, "")
    alone = check(decode(files["tip"]), found.main[2].hash)
    assert (alone.anchor, alone.work) == ("block", 65_537)


def test_a_receipt_leads_to_no_block_in_between(
    book: tuple[MemoryBook, Entry], files: dict[str, bytes]
) -> None:
    """A forger can build on any honest block, and so can name it as the one before."""
    receipt = decode(files["payment"])
    for number, block in enumerate(book[0].main):
        if number in (2, 11):
            check(receipt, block.hash)
        else:
            with pytest.raises(NotAnchored, match="nothing here is anchored"):
                check(receipt, block.hash)


def test_what_is_forged_is_named_before_what_is_not_anchored(files: dict[str, bytes]) -> None:
    fields = json.loads(files["payment"])
    raw = with_value(fields, "entry.bytes", flipped(fields["entry"]["bytes"], 900))
    with pytest.raises(ReceiptRefused) as error:
        check(decode(raw), bytes(32))
    assert error.value.part == "entry.bytes"


def test_the_two_formats_are_told_apart(files: dict[str, bytes]) -> None:
    assert isinstance(decode(files["payment"]), Receipt)
    assert isinstance(decode(files["extension"]), Extension)
    assert check(decode(files["extension"])).entry is None
