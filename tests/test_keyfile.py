"""The content of a wallet file: any byte that changes is noticed, any bytes give a key or a named error."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import keyfile
from node.keyfile import Damaged, KeyFile, NewerVersion, PlainSeed, SealedSeed, SeedRefused, Strength
from node.ledger.signature import public_key_of

SEED = bytes(range(32))
PUBLIC_KEY = public_key_of(SEED)
QUICK = Strength(operations=1, memory=8192)

PLAIN = KeyFile(PUBLIC_KEY, PlainSeed(SEED))
SEALED = KeyFile(PUBLIC_KEY, keyfile.seal(SEED, "open sesame", QUICK))


def signed(fields: dict[str, object]) -> bytes:
    """Return a file of these fields with the checksum of the format, made here once more."""
    check = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**fields, "check": check}, indent=2) + "\n").encode()


def changed(key_file: KeyFile, **sealed: object) -> bytes:
    fields = json.loads(keyfile.render(key_file))
    del fields["check"]
    fields["sealed_seed"].update(sealed)
    return signed(fields)


@pytest.mark.parametrize("key_file", [PLAIN, SEALED])
def test_what_is_written_is_read(key_file: KeyFile) -> None:
    assert keyfile.parse(keyfile.render(key_file)) == key_file


@pytest.mark.parametrize("key_file", [PLAIN, SEALED])
def test_a_flipped_bit_anywhere_is_noticed(key_file: KeyFile) -> None:
    content = keyfile.render(key_file)
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            with pytest.raises(Damaged):
                keyfile.parse(bytes(flipped))


@pytest.mark.parametrize("key_file", [PLAIN, SEALED])
def test_a_torn_file_is_noticed(key_file: KeyFile) -> None:
    content = keyfile.render(key_file)
    for length in range(len(content)):
        with pytest.raises(Damaged):
            keyfile.parse(content[:length])
    with pytest.raises(Damaged):
        keyfile.parse(content + b"\n")


@given(content=st.binary(max_size=5000) | st.text(max_size=500).map(str.encode))
def test_any_bytes_give_the_named_error(content: bytes) -> None:
    with pytest.raises(Damaged):
        keyfile.parse(content)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b"[" * 4000, b'{"a":' * 800, b"1" * 4000, b"9" * 100_000, b"\xff"]
)
def test_what_is_no_wallet_is_named(content: bytes) -> None:
    with pytest.raises(Damaged):
        keyfile.parse(content)


def test_a_newer_version_is_told_from_damage() -> None:
    with pytest.raises(NewerVersion, match="version 2"):
        keyfile.parse(signed({"indelible_wallet": 2, "anything": "else"}))
    with pytest.raises(Damaged):
        keyfile.parse(keyfile.render(PLAIN).replace(b'wallet": 1', b'wallet": 2'))


def test_a_seed_that_does_not_give_the_public_key_is_named() -> None:
    with pytest.raises(Damaged, match="does not give its public key"):
        keyfile.parse(keyfile.render(KeyFile(PUBLIC_KEY, PlainSeed(bytes(32)))))


@pytest.mark.parametrize(
    "fields",
    [
        {"indelible_wallet": 1, "public_key": PUBLIC_KEY.hex()},
        {"indelible_wallet": True, "public_key": PUBLIC_KEY.hex(), "seed": SEED.hex()},
        {"indelible_wallet": 1, "public_key": PUBLIC_KEY.hex().upper(), "seed": SEED.hex()},
        {"indelible_wallet": 1, "public_key": PUBLIC_KEY.hex()[2:], "seed": SEED.hex()},
        {"indelible_wallet": 1, "public_key": PUBLIC_KEY.hex(), "seed": "zz" * 32},
        {"indelible_wallet": 1, "public_key": PUBLIC_KEY.hex(), "seed": SEED.hex(), "more": 1},
        {"public_key": PUBLIC_KEY.hex(), "seed": SEED.hex()},
    ],
)
def test_only_the_one_form_is_read(fields: dict[str, object]) -> None:
    with pytest.raises(Damaged):
        keyfile.parse(signed(fields))


@pytest.mark.parametrize(
    "name, value",
    [
        ("operations", 0),
        ("operations", 17),
        ("operations", True),
        ("operations", 1.0),
        ("memory_bytes", 8191),
        ("memory_bytes", 2**30 + 1),
        ("memory_bytes", "8192"),
        ("salt", "00" * 15),
        ("box", "00" * 71),
        ("kdf", "argon2i"),
    ],
)
def test_a_cost_or_a_length_out_of_bounds_is_refused_before_it_is_spent(name: str, value: object) -> None:
    with pytest.raises(Damaged):
        keyfile.parse(changed(SEALED, **{name: value}))


def test_only_the_passphrase_opens_the_box() -> None:
    assert isinstance(SEALED.secret, SealedSeed)
    assert keyfile.unseal(SEALED.secret, "open sesame") == SEED
    for wrong in ("open sesam", "Open sesame", "", "\udcff"):
        with pytest.raises(SeedRefused):
            keyfile.unseal(SEALED.secret, wrong)


def test_an_accent_opens_the_box_however_the_keyboard_spells_it() -> None:
    sealed = keyfile.seal(SEED, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", QUICK)
    assert keyfile.unseal(sealed, "cafe\N{COMBINING ACUTE ACCENT}") == SEED


def test_two_seals_of_one_seed_have_nothing_in_common() -> None:
    one, two = keyfile.seal(SEED, "x", QUICK), keyfile.seal(SEED, "x", QUICK)
    assert one.salt != two.salt
    assert one.box[:24] != two.box[:24]


def test_a_machine_without_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> bytes:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(keyfile, "crypto_pwhash_alg", refused)
    with pytest.raises(MemoryError, match="256 MiB"):
        keyfile.seal(SEED, "x")


def test_the_seed_is_not_shown() -> None:
    assert SEED.hex() not in repr(PLAIN)
    assert repr(SEED) not in repr(PLAIN)
