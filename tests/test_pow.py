"""The search for a nonce against the plain definition of the header hash."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.pow import header_hash, kernel_name, meets, search

ANY = 2**256 - 1
PREFIX = bytes(range(84))
NONCE_RANGE = 2**64

# The first header that ever had a proof of work: Bitcoin's block 0 and its published hash. Its 80 bytes are
# not one of our headers, but the double SHA-256 of them is the same function.
BITCOIN_GENESIS = bytes.fromhex(
    "01000000"
    + "00" * 32
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    + "29ab5f49ffff001d1dac2b7c"
)
BITCOIN_GENESIS_HASH = "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"


def plain(prefix: bytes, nonce: int) -> int:
    """The hash of a header as a number, from the definition, with nothing shared."""
    once = hashlib.sha256(prefix + nonce.to_bytes(8, "big")).digest()
    return int.from_bytes(hashlib.sha256(once).digest(), "big")


def plain_search(prefix: bytes, target: int, first: int, count: int) -> int | None:
    for step in range(count):
        nonce = (first + step) % NONCE_RANGE
        if plain(prefix, nonce) <= target:
            return nonce
    return None


prefixes = st.binary(min_size=84, max_size=84)
starts = st.one_of(
    st.integers(0, NONCE_RANGE - 1),
    st.integers(NONCE_RANGE - 700, NONCE_RANGE - 1),
    st.integers(0, 700),
)


def test_the_hash_is_sha256_twice() -> None:
    assert header_hash(BITCOIN_GENESIS).hex() == BITCOIN_GENESIS_HASH


def test_a_hash_equal_to_the_target_meets_it_and_one_above_does_not() -> None:
    block_hash = bytes(30) + b"\x01\x00"
    assert meets(block_hash, 256)
    assert not meets(block_hash, 255)


@given(prefixes, st.integers(1, 10), starts, st.integers(0, 600))
def test_the_search_finds_just_what_the_definition_finds(
    prefix: bytes, bits: int, first: int, count: int
) -> None:
    target = ANY >> bits
    assert search(prefix, target, first, count) == plain_search(prefix, target, first, count)


@given(prefixes, starts, st.integers(1, 300))
def test_a_hash_just_at_the_target_is_found(prefix: bytes, first: int, count: int) -> None:
    target, best = min((plain(prefix, (first + step) % NONCE_RANGE), step) for step in range(count))
    assert search(prefix, target, first, count) == (first + best) % NONCE_RANGE
    assert search(prefix, target - 1, first, count) is None


def test_the_search_goes_on_at_zero_after_the_last_nonce() -> None:
    target = plain(PREFIX, 5)
    assert all(plain(PREFIX, nonce) > target for nonce in range(NONCE_RANGE - 3, NONCE_RANGE))
    assert search(PREFIX, target, NONCE_RANGE - 3, 9) in range(6)
    assert search(PREFIX, target, NONCE_RANGE - 3, 3) is None


def test_consecutive_searches_cover_every_nonce_once() -> None:
    target = ANY >> 7
    whole = [nonce for nonce in range(3_000) if plain(PREFIX, nonce) <= target]
    found = []
    at = 0
    while (nonce := search(PREFIX, target, at, 3_000 - at)) is not None:
        found.append(nonce)
        at = nonce + 1
    assert found == whole


def test_the_found_header_meets_its_target() -> None:
    target = ANY >> 12
    nonce = search(PREFIX, target, 0, 1_000_000)
    assert nonce is not None
    assert meets(header_hash(PREFIX + nonce.to_bytes(8, "big")), target)


def test_nothing_meets_a_target_of_zero() -> None:
    assert search(PREFIX, 0, 0, 1_000) is None


@pytest.mark.parametrize(
    "prefix, target, first",
    [
        (PREFIX[:-1], ANY, 0),
        (PREFIX + b"\0", ANY, 0),
        (PREFIX, -1, 0),
        (PREFIX, ANY + 1, 0),
        (PREFIX, ANY, -1),
        (PREFIX, ANY, NONCE_RANGE),
    ],
)
def test_what_cannot_be_searched_is_refused(prefix: bytes, target: int, first: int) -> None:
    with pytest.raises(ValueError, match=r"header|target|nonce"):
        search(prefix, target, first, 1)


def test_the_kernel_tells_its_name() -> None:
    assert kernel_name() == "hashlib"
