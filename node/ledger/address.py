"""Addresses: the 32-byte public key as text that notices a typo.

Pure. Bech32m (BIP 350; the alphabet and the layout are those of BIP 173): the network's prefix, the
separator `1`, 52 characters of key, 6 characters of checksum. Any change of up to three characters is
noticed for certain, any other with a chance of one in 2^30 to slip through. The same form, under a prefix
of its own, carries the secret that a wallet exports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

KEY_BYTES: Final = 32
MAX_PREFIX: Final = 31
"""BIP 173 allows 90 characters in all: 31 of prefix, 1 separator, 52 of key, 6 of checksum."""

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE_OF: Final = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M: Final = 0x2BC830A3
_SEPARATOR: Final = "1"
_CHECKSUM_CHARACTERS: Final = 6
_KEY_CHARACTERS: Final = 52
"""260 bits for the 256 of the key; the last 4 are zero."""
_PADDING_BITS: Final = 4
_TAIL_CHARACTERS: Final = _KEY_CHARACTERS + _CHECKSUM_CHARACTERS
_PREFIX: Final = re.compile(r"[a-z-]{1,31}")
_NAMEABLE: Final = re.compile(r"[a-z-]{1,16}")
"""A foreign prefix that an error repeats; without digits, so that no part of a secret can be meant."""


class AddressError(ValueError):
    """A text that is no address of this network; the message says which part is wrong, and never the rest."""

    code: Final = "bad-address"

    def __init__(self, message: str, hint: str = "copy the whole address again from its owner") -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


def encode_address(prefix: str, key: bytes) -> str:
    """Return the Bech32m text of a 32-byte key, lower case."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"an address prefix is 1 to {MAX_PREFIX} of a-z and -, not {prefix!r}")
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key is {KEY_BYTES} bytes, not {len(key)}")
    bits = int.from_bytes(key, "big") << _PADDING_BITS
    values = _quintets(bits, _KEY_CHARACTERS)
    remainder = _polymod([*_expanded(prefix), *values, *([0] * _CHECKSUM_CHARACTERS)]) ^ _BECH32M
    values += _quintets(remainder, _CHECKSUM_CHARACTERS)
    return prefix + _SEPARATOR + "".join(_ALPHABET[value] for value in values)


def decode_address(prefix: str, text: str) -> bytes:
    """Return the 32-byte key in `text`, an address of the network whose addresses start with `prefix`.

    All lower or all upper case (BIP 173). Raises AddressError naming what is wrong: the prefix, a
    character and its position, the length, mixed case, the checksum, the padding.
    """
    _check_characters(text)
    tail = _tail_after(prefix, text)
    values = _values(tail, first_position=len(text) - len(tail) + 1)
    if len(tail) != _TAIL_CHARACTERS:
        difference = len(tail) - _TAIL_CHARACTERS
        wrong = f"{difference} too many" if difference > 0 else f"{-difference} missing"
        total = len(prefix) + len(_SEPARATOR) + _TAIL_CHARACTERS
        raise AddressError(f"an address has {total} characters, this one {len(text)} ({wrong})")
    if _polymod([*_expanded(prefix), *values]) != _BECH32M:
        raise AddressError("a typo: the checksum of the address does not fit")
    bits = 0
    for value in values[:_KEY_CHARACTERS]:
        bits = bits << 5 | value
    if bits & ((1 << _PADDING_BITS) - 1):
        raise AddressError("the address holds more than a key (its padding is not zero)")
    return (bits >> _PADDING_BITS).to_bytes(KEY_BYTES, "big")


def _check_characters(text: str) -> None:
    if text.strip() != text:
        raise AddressError("the address has spaces around it", "type it without them")
    for position, character in enumerate(text, 1):
        # Before any change of case: the Kelvin sign is no k, though its lower case is.
        if not "!" <= character <= "~":
            raise AddressError(_foreign(position, character))
    if text.lower() != text and text.upper() != text:
        raise AddressError("the address mixes upper and lower case")


def _tail_after(prefix: str, text: str) -> str:
    """Return what follows the prefix and the separator, in lower case."""
    hint = f'addresses of this network start with "{prefix}{_SEPARATOR}"'
    if not text:
        raise AddressError("the address is empty", hint)
    lowered = text.lower()
    if lowered.startswith(prefix + _SEPARATOR):
        return lowered[len(prefix) + len(_SEPARATOR) :]
    found, _, _ = lowered.rpartition(_SEPARATOR)
    if _NAMEABLE.fullmatch(found):
        raise AddressError(f'"{found}{_SEPARATOR}..." is an address of another network, or a typo', hint)
    raise AddressError("this is not an address", hint)


def _values(tail: str, first_position: int) -> list[int]:
    for position, character in enumerate(tail, first_position):
        if character not in _VALUE_OF:
            raise AddressError(_foreign(position, character))
    return [_VALUE_OF[character] for character in tail]


def _foreign(position: int, character: str) -> str:
    return f"character {position}, {character!a}, cannot stand in an address"


def _quintets(bits: int, count: int) -> list[int]:
    return [bits >> 5 * place & 31 for place in reversed(range(count))]


def _expanded(prefix: str) -> list[int]:
    """Return the prefix as the checksum sees it (BIP 173): high bits, a zero, low bits."""
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(values: Iterable[int]) -> int:
    """Return the remainder of the BCH code of BIP 173 over GF(32)."""
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for place, coefficient in enumerate(_GENERATOR):
            if top >> place & 1:
                remainder ^= coefficient
    return remainder
