"""Signatures by the batch: libsodium is asked about each by itself, the interpreter's lock let go once. Pure.

The loop is C (`native/verify.c`); the verifier is the very function of libsodium that PyNaCl calls, by its
address. So a verdict is the same, bit for bit; only the interpreter's part of each call is saved, and threads
run side by side without asking for its lock between two signatures. Without the extension there is no batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import nacl.bindings  # noqa: F401 - its import lets libsodium choose its code for this processor
from nacl._sodium import ffi, lib

verify_batch: Callable[[Iterable[tuple[bytes, bytes, bytes]]], list[bool]] | None
try:
    from node._native import verify_signatures
except ImportError:  # not built, or built from an older source
    verify_batch = None
else:
    _sign_open = int(ffi.cast("uintptr_t", ffi.addressof(lib, "crypto_sign_open")))
    verify_batch = partial(verify_signatures, _sign_open)
"""For each (public key, message, signature) what libsodium says of it; None without the extension.

Takes tuples of bytes, the key of 32, the signature of 64: TypeError and ValueError for anything else. What
`node.ledger.signature` asks of the encodings is not asked here.
"""
