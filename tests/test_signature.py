"""Ed25519 under the one rule of the book."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger import signature
from node.ledger.signature import (
    SignatureLibraryDiffers,
    is_payable_point,
    public_key_of,
    self_check,
    sign,
    verify,
    verify_many,
)
from tests.vectors.generate.curve import BASE, IDENTITY, TORSION, L, P, add, encode, encode_fields, multiply
from tests.vectors.generate.ed25519 import rule_accepts
from tests.vectors.read import read, unhex

Item = tuple[bytes, bytes, bytes]

VECTORS = read("ed25519.json")
SEED = bytes(range(32))
KEY = public_key_of(SEED)
MESSAGE = b"two espressos"
SIGNATURE = sign(SEED, MESSAGE)


def test_every_crafted_case_gets_the_verdict_of_the_rule() -> None:
    for case in VECTORS["cases"]:
        signed = unhex(case["public_key"], case["message"], case["signature"])
        assert verify(*signed) is case["valid"], case["name"]


def test_the_crafted_cases_tell_a_lenient_verifier_from_the_rule() -> None:
    apart = [case for case in VECTORS["cases"] if case["lenient"] and not case["valid"]]
    assert len(apart) > 40
    assert not [case["name"] for case in VECTORS["cases"] if case["valid"] and not case["lenient"]]


def test_keys_and_signatures_are_those_of_the_standard() -> None:
    for case in VECTORS["signing"]:
        seed, message = unhex(case["seed"], case["message"])
        assert public_key_of(seed).hex() == case["public_key"]
        assert sign(seed, message).hex() == case["signature"]


def test_many_are_verified_each_on_its_own() -> None:
    items = [unhex(case["public_key"], case["message"], case["signature"]) for case in VECTORS["cases"]]
    verdicts = verify_many((key, message, signed) for key, message, signed in items)
    assert verdicts == [case["valid"] for case in VECTORS["cases"]]
    assert verify_many([]) == []


def test_without_the_extension_each_is_verified_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "_verify", signature._verify_each)
    test_many_are_verified_each_on_its_own()
    self_check()


@pytest.mark.parametrize(
    "key, signed",
    [
        (KEY[:31], SIGNATURE),
        (KEY + b"\x00", SIGNATURE),
        (b"", SIGNATURE),
        (KEY, SIGNATURE[:63]),
        (KEY, SIGNATURE + b"\x00"),
        (KEY, b""),
    ],
)
def test_keys_and_signatures_of_another_length_are_refused(key: bytes, signed: bytes) -> None:
    assert verify(KEY, MESSAGE, SIGNATURE)
    assert not verify(key, MESSAGE, signed)


def test_a_border_between_signature_and_message_cannot_move() -> None:
    assert not verify(KEY, MESSAGE[1:], SIGNATURE + MESSAGE[:1])
    assert not verify(KEY, SIGNATURE[63:] + MESSAGE, SIGNATURE[:63])


def test_the_refused_encodings_are_the_small_and_the_unreduced_points() -> None:
    small = {encode_fields(point.y, sign) for point in TORSION for sign in (0, 1)}
    unreduced = {encode_fields(y, sign) for y in range(P, 2**255) for sign in (0, 1)}
    assert len(small) == 10
    assert len(unreduced) == 38
    assert small | unreduced == signature._REFUSED


def test_encodings_are_refused_without_asking_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Item] = []

    def accept(items: Iterable[Item]) -> list[bool]:
        asked.extend(items)
        return [True for _ in asked]

    monkeypatch.setattr(signature, "_verify", accept)
    raised = SIGNATURE[:32] + (int.from_bytes(SIGNATURE[32:], "little") + L).to_bytes(32, "little")
    assert not verify(KEY, MESSAGE, raised)
    assert not verify(KEY, MESSAGE, SIGNATURE[:32] + L.to_bytes(32, "little"))
    for encoded in signature._REFUSED:
        assert not verify(encoded, MESSAGE, SIGNATURE)
        assert not verify(KEY, MESSAGE, encoded + SIGNATURE[32:])
    assert not asked
    assert verify(KEY, MESSAGE, SIGNATURE[:32] + (L - 1).to_bytes(32, "little"))
    assert len(asked) == 1


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_what_is_signed_verifies(seed: bytes, message: bytes) -> None:
    signed = sign(seed, message)
    assert verify(public_key_of(seed), message, signed)
    assert not verify(public_key_of(seed), message + b"\x00", signed)


@settings(max_examples=25)
@given(st.integers(0, 96 * 8 - 1))
def test_one_bit_altered_gets_the_verdict_of_the_rule(position: int) -> None:
    both = (int.from_bytes(KEY + SIGNATURE, "big") ^ 1 << position).to_bytes(96, "big")
    altered = both[:32], MESSAGE, both[32:]
    assert verify(*altered) is rule_accepts(*altered) is False


def test_a_key_of_a_seed_can_be_paid() -> None:
    assert is_payable_point(KEY)
    assert is_payable_point(encode(BASE))


@pytest.mark.parametrize(
    "key",
    [
        *[encode(point) for point in TORSION],
        encode_fields(1, 1),
        encode_fields(P, 0),
        encode_fields(P + 1, 0),
        encode(add(BASE, TORSION[1])),
        encode(add(BASE, TORSION[4])),
        bytes(31),
        encode(BASE) + b"\x00",
        b"",
    ],
)
def test_a_key_that_no_seed_can_have_is_not_paid(key: bytes) -> None:
    assert not is_payable_point(key)


def test_the_points_of_the_generator_are_what_it_takes_them_for() -> None:
    assert multiply(L, BASE) == IDENTITY != BASE
    assert len(set(TORSION)) == 8
    assert all(multiply(8, point) == IDENTITY for point in TORSION)


def test_this_library_passes_the_check_at_start() -> None:
    self_check()


def test_a_library_that_accepts_too_much_is_named_with_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "_verify", lambda items: [True for _ in items])
    with pytest.raises(SignatureLibraryDiffers, match=r"accepts .* 'another message than was signed'"):
        self_check()


def test_a_library_that_refuses_too_much_is_named_with_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that refuses keys of mixed order, as some do."""
    verify_all = signature._verify

    def refuse_mixed(items: Iterable[Item]) -> list[bool]:
        asked = list(items)
        answers = zip(asked, verify_all(asked), strict=True)
        return [valid and is_payable_point(item[0]) for item, valid in answers]

    monkeypatch.setattr(signature, "_verify", refuse_mixed)
    with pytest.raises(SignatureLibraryDiffers, match=r"refuses .* 'A of order 8 L, h T = 0'"):
        self_check()
