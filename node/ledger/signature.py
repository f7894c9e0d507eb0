"""Ed25519 signatures under the one rule that this book has, whatever the library of the day thinks. Pure.

RFC 8032 leaves room at the edges, and libraries fill it differently; an entry that one node takes and another
refuses would split the book. So the rule is written out: S < L, y(A) < p, y(R) < p, neither A nor R of small
order, h = SHA-512(R || A || message) mod L, and then the cofactorless equation, R = S*B - h*A, to the byte.
libsodium does just that. The encodings are checked here all the same, before it is asked, and `self_check`
compares the two with crafted cases when a node starts. Equations over a whole batch are forbidden: they agree
with the single one only for honest signatures.

Verifying releases the interpreter's lock, once a batch where `batch` is built, so that threads run side
by side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import compress
from pkgutil import get_data

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from node.ledger.batch import verify_batch

FIELD = 2**255 - 19
"""p, the prime of the field that the curve's coordinates are in (RFC 8032 section 5.1)."""
ORDER = 2**252 + 27742317777372353535851937790883648493
"""L, the prime order of the main subgroup, which the base point generates (RFC 8032 section 5.1)."""

_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""The y of two of the four points of order 8; the other two have p minus it."""


class SignatureLibraryDiffers(RuntimeError):
    """The installed libsodium does not verify by the rule of this book: a node must not start with it."""


def _refused_points() -> frozenset[bytes]:
    """Return every encoding refused as A or R: those of small order and those with y >= p, of either sign.

    The eight points of small order have y = 1, -1, 0 (two of them) or one of two values for order 8 (two
    each). With either sign bit they are ten encodings, two of which give x = 0 a sign that it has not.
    """
    small = [0, 1, FIELD - 1, _Y_OF_ORDER_8, FIELD - _Y_OF_ORDER_8]
    ys = [*small, *range(FIELD, 2**255)]
    return frozenset((y | sign << 255).to_bytes(32, "little") for y in ys for sign in (0, 1))


_REFUSED = _refused_points()


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the 64-byte signature of the message is valid under the 32-byte public key."""
    return verify_many([(public_key, message, signature)])[0]


def verify_many(items: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Return for each (public key, message, signature) whether it is valid; each is verified on its own.

    About 45 microseconds each, nearly all of them in libsodium and without the interpreter's lock.
    """
    asked = list(items)
    canonical = [_encodings_are_canonical(public_key, signature) for public_key, _, signature in asked]
    if all(canonical):
        return _verify(asked)
    answers = iter(_verify(list(compress(asked, canonical))))
    return [is_canonical and next(answers) for is_canonical in canonical]


def _verify_each(items: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Do what `batch.verify_batch` does, where that is not built."""
    answers = []
    for public_key, message, signature in items:
        try:
            crypto_sign_open(signature + message, public_key)
        except BadSignatureError:
            answers.append(False)
        else:
            answers.append(True)
    return answers


_verify = verify_batch or _verify_each


def is_payable_point(key: bytes) -> bool:
    """Return whether the key is the canonical encoding of a point of the main subgroup, not the identity.

    Only such a key belongs to a secret key. For wallets; the law accepts any 32 bytes as a recipient.
    """
    return len(key) == 32 and crypto_core_ed25519_is_valid_point(key)


def public_key_of(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte secret seed (RFC 8032 section 5.1.5)."""
    return crypto_sign_seed_keypair(seed)[0]


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of the message under the secret seed (RFC 8032 section 5.1.6)."""
    _, secret_key = crypto_sign_seed_keypair(seed)
    return crypto_sign(message, secret_key)[:64]


def self_check() -> None:
    """Verify the crafted cases that come with this package; a few milliseconds, once when a node starts.

    Raises `SignatureLibraryDiffers`, naming the first case whose verdict is not the one that the rule gives.
    """
    cases = json.loads(get_data("node.ledger", "data/ed25519_cases.json") or b"")["cases"]
    items = [
        (bytes.fromhex(case["public_key"]), bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]))
        for case in cases
    ]
    for case, valid in zip(cases, verify_many(items), strict=True):
        if valid != case["valid"]:
            raise SignatureLibraryDiffers(
                f"the installed libsodium {'accepts' if valid else 'refuses'} a signature against the rule "
                f"of this book: {case['name']!r}. Install the PyNaCl version that requirements.lock names."
            )


def _encodings_are_canonical(public_key: bytes, signature: bytes) -> bool:
    """Return whether lengths, S, A and R are as the rule wants them; needs no curve arithmetic."""
    return (
        len(public_key) == 32
        and len(signature) == 64
        and public_key not in _REFUSED
        and signature[:32] not in _REFUSED
        # Any S below 2^252 is below L, which is a little above it.
        and (signature[63] < 0x10 or int.from_bytes(signature[32:], "little") < ORDER)
    )
