"""Files of the node's own making: what is read is what was written, and damage is noticed."""

from __future__ import annotations

import hashlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mempool import Pending, Saved, dump, load_dump
from node.sealed import Unreadable, array, seal, unseal
from tests.building import ChainBuilder, key

BUILDER = ChainBuilder()
NETWORK = BUILDER.network_id
PENDING = [
    Pending(BUILDER.entry(key("ann"), key("bob"), 5, nonce=nonce, signed=False), nonce == 1, 1_000 + nonce)
    for nonce in range(3)
]
values = st.recursive(
    st.integers(0, 2**53 - 1) | st.binary(max_size=40) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
)


def sealed(body: object, version: int = 1) -> bytes:
    """A sealed file, made without the code that makes them."""
    packed = msgpack.packb(body, use_bin_type=True)
    content: bytes = msgpack.packb([version, hashlib.sha256(packed).digest(), packed], use_bin_type=True)
    return content


@given(values)
def test_what_was_sealed_comes_back(value: object) -> None:
    assert unseal(3, seal(3, value)) == value
    assert seal(3, value) == sealed(value, 3)


def test_a_long_list_comes_back() -> None:
    value = tuple(range(70_000))
    assert unseal(1, seal(1, value)) == value


@given(values, st.data())
def test_any_changed_byte_is_noticed(value: object, data: st.DataObject) -> None:
    content = bytearray(seal(1, value))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unreadable):
        unseal(1, bytes(content))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_name(content: bytes) -> None:
    with pytest.raises(Unreadable):
        unseal(1, content)
    with pytest.raises(Unreadable):
        load_dump(content, NETWORK)


@pytest.mark.parametrize("cut", [0, 1, 5, 20, -1])
def test_half_a_file_is_noticed(cut: int) -> None:
    with pytest.raises(Unreadable):
        unseal(1, seal(1, "some text")[:cut])


def test_a_file_of_another_version_is_refused_by_its_number() -> None:
    with pytest.raises(Unreadable, match="version 2, known is 1"):
        unseal(1, seal(2, ""))


@pytest.mark.parametrize("version", [True, 1.0])
def test_what_only_equals_the_version_is_refused(version: object) -> None:
    _, digest, body = msgpack.unpackb(seal(1, ()))
    with pytest.raises(Unreadable, match="known is 1"):
        unseal(1, msgpack.packb([version, digest, body], use_bin_type=True))


def test_a_body_that_is_no_bin_is_refused() -> None:
    with pytest.raises(Unreadable):
        unseal(1, msgpack.packb([1, bytes(32), "text"], use_bin_type=True))


def test_an_array_has_the_length_that_is_asked_for() -> None:
    assert array((1, 2), 2) == (1, 2)
    assert array(()) == ()
    for value in ((1,), [1, 2], "ab", None):
        with pytest.raises(Unreadable):
            array(value, 2)


# ---------------------------------------------------------------------------------------- pending entries


def test_pending_entries_come_back_as_they_were() -> None:
    assert load_dump(dump(PENDING, NETWORK), NETWORK) == [
        Saved(pending.entry.raw, pending.own, pending.received_ms) for pending in PENDING
    ]
    assert load_dump(dump([], NETWORK), NETWORK) == []


def test_pending_entries_of_another_network_are_refused() -> None:
    with pytest.raises(Unreadable, match="another network"):
        load_dump(dump(PENDING, bytes(32)), NETWORK)


@pytest.mark.parametrize(
    "body",
    [
        [NETWORK],
        [NETWORK, 5],
        [NETWORK, [[b"raw", 1]]],
        [NETWORK, [["text", 1, 5]]],
        [NETWORK, [[b"raw", 2, 5]]],
        [NETWORK, [[b"raw", True, 5]]],
        [NETWORK, [[b"raw", b"1", 5]]],
        [NETWORK, [[b"raw", 1, -5]]],
        [NETWORK, [[b"raw", 1, 2**53]]],
        [NETWORK, [[b"raw", 1, "5"]]],
        [NETWORK, [5]],
        "text",
        None,
    ],
    ids=repr,
)
def test_a_file_that_holds_anything_else_is_refused(body: object) -> None:
    with pytest.raises(Unreadable):
        load_dump(sealed(body), NETWORK)
