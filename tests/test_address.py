"""Addresses, against a Bech32m of the test's own: plain division of polynomials over GF(32)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.address import AddressError, decode_address, encode_address

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
KEY = bytes(range(32))
ADDRESS = "bean1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0su4zsw2"

keys = st.binary(min_size=32, max_size=32)


def times(a: int, b: int) -> int:
    """Multiply in GF(32) as BIP 173 defines it: modulo x^5 + x^3 + 1."""
    product = 0
    for bit in range(5):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(9, 4, -1):
        if product >> bit & 1:
            product ^= 0b101001 << (bit - 5)
    return product


def checksum(prefix: str, values: list[int], constant: int) -> list[int]:
    """Return the six checksum values: the remainder by the generator polynomial of BIP 173."""
    generator = [29, 22, 20, 21, 29, 18]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    remainder = [1] + expanded + values + [0] * 6
    for start in range(len(remainder) - 6):
        lead = remainder[start]
        for offset, coefficient in enumerate([1, *generator]):
            remainder[start + offset] ^= times(lead, coefficient)
    return [value ^ (constant >> 5 * (5 - place) & 31) for place, value in enumerate(remainder[-6:])]


def spelled(prefix: str, values: list[int], constant: int = 0x2BC830A3) -> str:
    return prefix + "1" + "".join(ALPHABET[value] for value in values + checksum(prefix, values, constant))


def quintets(key: bytes, padding: int = 0) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in key) + f"{padding:04b}"
    return [int(bits[start : start + 5], 2) for start in range(0, 260, 5)]


def test_the_checksum_of_this_test_is_that_of_bip_350() -> None:
    assert spelled("abcdef", list(range(31, -1, -1))) == "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx"
    assert spelled("a", []) == "a1lqfn3a"


@given(prefix=st.from_regex(r"\A[a-z]{1,16}\Z"), key=keys)
def test_an_address_gives_back_its_key(prefix: str, key: bytes) -> None:
    text = encode_address(prefix, key)
    assert text == spelled(prefix, quintets(key))
    assert len(text) == len(prefix) + 59
    assert decode_address(prefix, text) == key
    assert decode_address(prefix, text.upper()) == key


def test_a_known_address_stays_what_it_is() -> None:
    assert encode_address("bean", KEY) == ADDRESS


@given(key=keys, data=st.data())
def test_a_typo_of_up_to_three_characters_is_refused(key: bytes, data: st.DataObject) -> None:
    text = list(encode_address("bean", key))
    for place in data.draw(st.lists(st.integers(5, 62), min_size=1, max_size=3, unique=True)):
        text[place] = data.draw(st.sampled_from(ALPHABET.replace(text[place], "")))
    with pytest.raises(AddressError, match="a typo"):
        decode_address("bean", "".join(text))


@given(text=st.text(max_size=100))
def test_any_text_gives_a_key_or_the_named_error(text: str) -> None:
    with pytest.raises(AddressError):
        decode_address("bean", text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "empty"),
        (encode_address("shop", KEY), 'another network.*start with "bean1"'),
        ("bena1" + ADDRESS[5:], '"bena1..." is an address of another network'),
        ("hello", 'not an address.*start with "bean1"'),
        (ADDRESS[:6] + ADDRESS[6:].upper(), "mixes upper and lower case"),
        (ADDRESS[:9] + "b" + ADDRESS[10:], "character 10, 'b'"),
        (ADDRESS[:9] + "1" + ADDRESS[10:], "character 10, '1'"),
        (ADDRESS[:9] + " " + ADDRESS[9:], "character 10, ' '"),
        (ADDRESS[:9] + "\x1b" + ADDRESS[9:], r"character 10, '\\x1b'"),
        (ADDRESS.upper().replace("K", "\N{KELVIN SIGN}"), "cannot stand in an address"),
        (ADDRESS[:-1], "63 characters, this one 62 .1 missing"),
        (ADDRESS + "qq", "63 characters, this one 65 .2 too many"),
        ("bean1", "58 missing"),
        (" " + ADDRESS, "spaces around it"),
        (ADDRESS[:-1] + "v", "a typo: the checksum"),
        (spelled("bean", quintets(KEY), constant=1), "a typo: the checksum"),
        (spelled("bean", quintets(KEY, padding=1)), "padding is not zero"),
    ],
)
def test_what_is_wrong_with_an_address_is_named(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message) as raised:
        decode_address("bean", text)
    assert raised.value.hint
    assert str(raised.value) == f"{raised.value.message}: {raised.value.hint}"


@pytest.mark.parametrize("secret", [encode_address("secret", KEY), KEY.hex(), "1".join([KEY.hex()[:20]] * 3)])
def test_a_secret_pasted_by_mistake_is_not_repeated(secret: str) -> None:
    with pytest.raises(AddressError) as raised:
        decode_address("bean", secret)
    assert secret[7:12] not in str(raised.value)


@pytest.mark.parametrize("prefix, key", [("Bean", KEY), ("", KEY), ("b" * 32, KEY), ("bean", KEY[:31])])
def test_what_cannot_be_encoded_is_our_own_mistake(prefix: str, key: bytes) -> None:
    with pytest.raises(ValueError, match="is"):
        encode_address(prefix, key)
