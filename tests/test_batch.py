"""Batches of signatures: one by one, libsodium says the same of them as when Python asks it."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from node.ledger.batch import verify_batch
from tests.sources import ROOT

_native = pytest.importorskip(
    "node._native", reason="the extension is not built; pip builds it, with a C compiler"
)

Item = tuple[bytes, bytes, bytes]


def verified(items: Iterable[Item]) -> list[bool]:
    assert verify_batch is not None
    return verify_batch(items)


def one_by_one(items: list[Item]) -> list[bool]:
    """What PyNaCl says of each, in Python."""
    answers = []
    for public_key, message, signature in items:
        try:
            crypto_sign_open(signature + message, public_key)
        except BadSignatureError:
            answers.append(False)
        else:
            answers.append(True)
    return answers


def signed(message: bytes, seed: int = 0) -> Item:
    public_key, secret_key = crypto_sign_seed_keypair(bytes([seed]) * 32)
    return public_key, message, crypto_sign(message, secret_key)[:64]


@st.composite
def items_of_all_kinds(draw: st.DrawFn) -> Item:
    """A good signature, or one with a bit turned somewhere, or bytes at random."""
    if draw(st.integers(0, 5)) == 0:
        return (
            draw(st.binary(min_size=32, max_size=32)),
            draw(st.binary(max_size=40)),
            draw(st.binary(min_size=64, max_size=64)),
        )
    parts = list(signed(draw(st.binary(max_size=300)), draw(st.integers(0, 3))))
    if draw(st.booleans()):
        which = draw(st.sampled_from([at for at, part in enumerate(parts) if part]))
        turned = bytearray(parts[which])
        turned[draw(st.integers(0, len(turned) - 1))] ^= 1 << draw(st.integers(0, 7))
        parts[which] = bytes(turned)
    return parts[0], parts[1], parts[2]


@given(st.lists(items_of_all_kinds(), max_size=20))
def test_a_batch_says_of_each_what_pynacl_says(items: list[Item]) -> None:
    assert verified(items) == one_by_one(items)


def test_crafted_signatures_get_the_verdict_that_pynacl_gives_them() -> None:
    cases = json.loads((ROOT / "node/ledger/data/ed25519_cases.json").read_text(encoding="utf-8"))["cases"]
    items = [
        (bytes.fromhex(case["public_key"]), bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]))
        for case in cases
    ]
    items = [item for item in items if len(item[0]) == 32 and len(item[2]) == 64]
    assert len(items) > 10
    assert verified(items) == one_by_one(items)


def test_an_empty_batch_has_no_verdicts() -> None:
    assert verified([]) == []


def test_one_bad_signature_spoils_no_other() -> None:
    good = signed(b"good")
    bad = (good[0], b"other", good[2])
    assert verified([good, bad, good]) == [True, False, True]


def test_messages_of_very_different_lengths_fit_in_one_batch() -> None:
    lengths = (0, 1, 100_000, 63, 64, 65)
    assert verified([signed(bytes(length)) for length in lengths]) == [True] * 6


def test_whatever_yields_items_may_be_given() -> None:
    assert verified(signed(bytes([n])) for n in range(3)) == [True] * 3


@pytest.mark.parametrize(
    "items, error",
    [
        (5, TypeError),
        ([5], TypeError),
        ([(bytes(32), b"")], TypeError),
        ([[bytes(32), b"", bytes(64)]], TypeError),
        ([(bytearray(32), b"", bytes(64))], TypeError),
        ([(bytes(32), "", bytes(64))], TypeError),
        ([(bytes(32), b"", None)], TypeError),
        ([(bytes(31), b"", bytes(64))], ValueError),
        ([(bytes(33), b"", bytes(64))], ValueError),
        ([(bytes(32), b"", bytes(63))], ValueError),
        ([(bytes(32), b"", bytes(65))], ValueError),
    ],
)
def test_what_is_no_item_is_refused(items: Iterable[Item], error: type[Exception]) -> None:
    with pytest.raises(error):
        verified(items)


def test_an_item_that_is_refused_does_not_hide_behind_good_ones() -> None:
    with pytest.raises(ValueError, match="public key"):
        verified([signed(b"a"), (b"", b"", bytes(64))])


def test_the_interpreter_has_its_lock_back_while_a_batch_is_verified() -> None:
    # In libsodium's place stands a function of the interpreter that returns 1 where the lock is held, else 0;
    # and 0 means valid.
    is_held = ctypes.cast(ctypes.pythonapi.PyGILState_Check, ctypes.c_void_p).value
    assert is_held is not None
    assert _native.verify_signatures(is_held, [signed(b"a"), signed(b"b")]) == [True, True]


def test_the_list_may_change_while_its_batch_is_verified() -> None:
    items = [(b"k" * 32, f"message {n}".encode(), b"s" * 64) for n in range(3)]
    expected = [signature + message for _, message, signature in items]
    seen = []

    def look(_message: int, _length: int, signed_message: int, length: int, _key: int) -> int:
        items.clear()
        seen.append(ctypes.string_at(signed_message, length))
        return len(seen) - 2

    kind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 3, ctypes.c_ulonglong, ctypes.c_void_p)
    function = kind(look)  # kept, for the address dies with it
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    assert _native.verify_signatures(address, items) == [False, True, False]
    assert seen == expected


def test_there_is_no_libsodium_at_address_zero() -> None:
    with pytest.raises(ValueError, match="address"):
        _native.verify_signatures(0, [signed(b"a")])
