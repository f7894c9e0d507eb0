"""Keys and signatures from fixed seeds, by the text of RFC 8032 section 5.1. Touches nothing."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import NamedTuple

from tests.vectors.generate.curve import BASE, L, encode, hash_of, multiply


class Pair(NamedTuple):
    """A key pair, as RFC 8032 names its parts."""

    seed: bytes
    public: bytes
    scalar: int
    prefix: bytes


@cache
def key(name: str) -> Pair:
    """Return the key pair of a name: its seed is SHA-256 of "indelible vectors: key of NAME"."""
    seed = hashlib.sha256(f"indelible vectors: key of {name}".encode()).digest()
    expanded = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(expanded[:32], "little") % 2**254 // 8 * 8 + 2**254
    return Pair(seed, encode(multiply(scalar, BASE)), scalar, expanded[32:])


@cache
def sign(pair: Pair, message: bytes) -> bytes:
    """Return the 64-byte signature of the message."""
    nonce = hash_of(pair.prefix, message) % L
    r_bytes = encode(multiply(nonce, BASE))
    h = hash_of(r_bytes, pair.public, message) % L
    return r_bytes + ((nonce + h * pair.scalar) % L).to_bytes(32, "little")
