"""Proof of work: the search for a nonce, and the check of one.

Pure: bytes and integers in, a nonce out; no clock, no randomness, no I/O. A header is 92 bytes and ends
in its nonce (u64, big-endian); its hash is SHA-256(SHA-256(header)), read as a big-endian number that must
not exceed the target (Bitcoin's rule; `docs/protocol.md`).

The fastest kernel that this machine can run does the search: C (`native/`) where pip could build it, Python's
hashlib otherwise. All of them find the same nonce.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

PREFIX_BYTES: Final = 84
"""Length of a header without its nonce."""

NONCES: Final = 1 << 64
"""How many nonces there are; a search past the last goes on at 0."""

_TARGETS: Final = 1 << 256
_LAST_BYTES: Final = tuple(bytes([byte]) for byte in range(256))
_AT_ONCE: Final = 1 << 20
"""Nonces for C in one go, a quarter of a second of the slowest kernel: between two goes Ctrl-C is heard."""

KERNELS: tuple[str, ...]
try:
    from node._native import pow_kernels, pow_search
except ImportError:  # not built, or built from an older source
    KERNELS = ("hashlib",)
else:
    KERNELS = (*pow_kernels(), "hashlib")
"""Names of the kernels that can search here, fastest first; the last is Python's own and always there."""


def kernel_name() -> str:
    """Name of the code that searches, for `status`, logs and benchmarks."""
    return KERNELS[0]


def header_hash(header: bytes) -> bytes:
    """SHA-256(SHA-256(header)), 32 bytes."""
    return sha256(sha256(header).digest()).digest()


def meets(block_hash: bytes, target: int) -> bool:
    """Whether a header's hash, read as a big-endian number, is at most the target."""
    return int.from_bytes(block_hash) <= target


def search(prefix: bytes, target: int, first_nonce: int, count: int, kernel: str = KERNELS[0]) -> int | None:
    """Try `count` nonces from `first_nonce` on, in order; the first that meets the target, or None.

    `prefix` is the header without its nonce (84 bytes); the target is 0..2^256-1; nonces wrap at 2^64.
    ValueError for any other prefix, target or first nonce, and for a kernel that is not one of `KERNELS`.
    """
    check_search(prefix, target, first_nonce)
    if kernel not in KERNELS:
        msg = f"no kernel {kernel!r} on this machine; there is {', '.join(KERNELS)}"
        raise ValueError(msg)
    if kernel == "hashlib":
        return _search(prefix, target, first_nonce, count)
    limit = target.to_bytes(32)
    while count > 0:
        tried = min(count, _AT_ONCE)
        found = pow_search(kernel, prefix, limit, first_nonce, tried)
        if found is not None:
            return found
        first_nonce = (first_nonce + tried) % NONCES
        count -= tried
    return None


def _search(prefix: bytes, target: int, first_nonce: int, count: int) -> int | None:
    """Search with what Python has."""
    # Hashes as bytes of equal length compare as the big-endian numbers do, so no integer is made of any.
    limit = target.to_bytes(32)
    # The first 64 bytes, a whole SHA-256 block, are hashed here once; each copy goes on from there.
    start = sha256(prefix)
    nonce = first_nonce
    while count > 0:
        # A row is the nonces that share their first 7 bytes. Hashing those once a row and taking the last
        # byte from a table is some 7 % faster than packing each nonce.
        row = start.copy()
        row.update((nonce >> 8).to_bytes(7))
        copy = row.copy
        low = nonce & 0xFF
        last_bytes = _LAST_BYTES[low : low + count]
        for last_byte in last_bytes:
            attempt = copy()
            attempt.update(last_byte)
            if sha256(attempt.digest()).digest() <= limit:
                return nonce - low + last_byte[0]
        nonce = (nonce + len(last_bytes)) % NONCES
        count -= len(last_bytes)
    return None


def check_search(prefix: bytes, target: int, first_nonce: int) -> None:
    """Refuse with ValueError what `search` cannot work on."""
    if len(prefix) != PREFIX_BYTES:
        msg = f"a header without its nonce is {PREFIX_BYTES} bytes, not {len(prefix)}"
        raise ValueError(msg)
    if not 0 <= target < _TARGETS:
        msg = "a target is 0..2^256-1"
        raise ValueError(msg)
    if not 0 <= first_nonce < NONCES:
        msg = "a nonce is 0..2^64-1"
        raise ValueError(msg)
