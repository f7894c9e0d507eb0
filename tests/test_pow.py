"""The search for a nonce, by every kernel of this machine, against the plain definition of the hash."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.pow import KERNELS, header_hash, kernel_name, meets, search

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
# The nonce of the lowest hash among the 1,500,000 before the wrap of nonces and as many after it, by hashlib.
LOWEST_OF_THREE_MILLION = 18_446_744_073_708_582_496
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
    # Where the low word of the nonce carries into the high one.
    st.builds(lambda high, low: (high << 32) + low, st.integers(1, 2**32 - 1), st.integers(-700, 20)),
)
every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def test_the_hash_is_sha256_twice() -> None:
    assert header_hash(BITCOIN_GENESIS).hex() == BITCOIN_GENESIS_HASH


def test_a_hash_equal_to_the_target_meets_it_and_one_above_does_not() -> None:
    block_hash = bytes(30) + b"\x01\x00"
    assert meets(block_hash, 256)
    assert not meets(block_hash, 255)


@every_kernel
@given(prefix=prefixes, bits=st.integers(0, 10), first=starts, count=st.integers(-1, 600))
def test_the_search_finds_just_what_the_definition_finds(
    kernel: str, prefix: bytes, bits: int, first: int, count: int
) -> None:
    target = ANY >> bits
    assert search(prefix, target, first, count, kernel) == plain_search(prefix, target, first, count)


@every_kernel
@given(prefix=prefixes, first=starts, count=st.integers(1, 300))
def test_a_hash_just_at_the_target_is_found(kernel: str, prefix: bytes, first: int, count: int) -> None:
    target, best = min((plain(prefix, (first + step) % NONCE_RANGE), step) for step in range(count))
    assert search(prefix, target, first, count, kernel) == (first + best) % NONCE_RANGE
    assert search(prefix, target - 1, first, count, kernel) is None


@every_kernel
@pytest.mark.parametrize("first", [0, 7, 2**32 - 40, NONCE_RANGE - 40])
def test_a_solution_is_found_in_every_lane(kernel: str, first: int) -> None:
    # Kernels try up to 16 nonces at once. The search begins so many nonces before the lowest hash that this
    # falls into every place of a group, and of the group after; it ends just behind it, and then just before.
    nonces = [(first + step) % NONCE_RANGE for step in range(70)]
    target, at = min((plain(PREFIX, nonce), at) for at, nonce in enumerate(nonces[35:], 35))
    for before in range(36):
        begin = nonces[at - before]
        expected = plain_search(PREFIX, target, begin, before + 1)
        assert search(PREFIX, target, begin, before + 1, kernel) == expected
        assert search(PREFIX, target, begin, before, kernel) == plain_search(PREFIX, target, begin, before)


@every_kernel
def test_of_several_solutions_the_first_is_found(kernel: str) -> None:
    for first in range(64):
        assert search(PREFIX, ANY, first, 64, kernel) == first
        assert search(PREFIX, ANY >> 1, first, 64, kernel) == plain_search(PREFIX, ANY >> 1, first, 64)


@every_kernel
@pytest.mark.parametrize("size", range(33))
def test_targets_of_every_length_are_compared_to_the_last_byte(kernel: str, size: int) -> None:
    # A hash of which only the first `size` bytes are kept lies below it or at it; with the others filled with
    # ones, above it or at it.
    nonce, block_hash = 11, plain(PREFIX, 11).to_bytes(32, "big")
    below = int.from_bytes(block_hash[:size] + bytes(32 - size), "big")
    above = int.from_bytes(block_hash[:size] + b"\xff" * (32 - size), "big")
    assert search(PREFIX, above, nonce, 1, kernel) == nonce
    assert search(PREFIX, below, nonce, 1, kernel) == (nonce if size == 32 else None)
    short = (1 << 8 * size) - 1
    assert search(PREFIX, short, 0, 200, kernel) == plain_search(PREFIX, short, 0, 200)


@every_kernel
def test_the_search_goes_on_at_zero_after_the_last_nonce(kernel: str) -> None:
    target = plain(PREFIX, 5)
    assert all(plain(PREFIX, nonce) > target for nonce in range(NONCE_RANGE - 3, NONCE_RANGE))
    assert search(PREFIX, target, NONCE_RANGE - 3, 9, kernel) in range(6)
    assert search(PREFIX, target, NONCE_RANGE - 3, 3, kernel) is None


@every_kernel
def test_consecutive_searches_cover_every_nonce_once(kernel: str) -> None:
    target = ANY >> 7
    whole = [nonce for nonce in range(3_000) if plain(PREFIX, nonce) <= target]
    found = []
    at = 0
    while (nonce := search(PREFIX, target, at, 3_000 - at, kernel)) is not None:
        found.append(nonce)
        at = nonce + 1
    assert found == whole


@pytest.mark.parametrize("kernel", KERNELS[:-1])
def test_a_long_search_misses_nothing_between_its_parts(kernel: str) -> None:
    # Three million nonces are several times what C tries in one go.
    first, count, target, best = NONCE_RANGE - 1_500_000, 3_000_000, ANY >> 16, None
    while (found := search(PREFIX, target, first, count, kernel)) is not None:
        best, target = found, plain(PREFIX, found) - 1
    assert best == LOWEST_OF_THREE_MILLION


@every_kernel
def test_the_found_header_meets_its_target(kernel: str) -> None:
    target = ANY >> 12
    nonce = search(PREFIX, target, 0, 1_000_000, kernel)
    assert nonce is not None
    assert meets(header_hash(PREFIX + nonce.to_bytes(8, "big")), target)


@every_kernel
def test_nothing_meets_a_target_of_zero(kernel: str) -> None:
    assert search(PREFIX, 0, 0, 1_000, kernel) is None


@every_kernel
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
def test_what_cannot_be_searched_is_refused(kernel: str, prefix: bytes, target: int, first: int) -> None:
    with pytest.raises(ValueError, match=r"header|target|nonce"):
        search(prefix, target, first, 1, kernel)


def test_a_kernel_that_is_not_here_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no kernel 'abacus'.*hashlib"):
        search(PREFIX, ANY, 0, 1, "abacus")


def test_the_fastest_kernel_searches_and_tells_its_name() -> None:
    assert kernel_name() == KERNELS[0]
    assert KERNELS[-1] == "hashlib"
