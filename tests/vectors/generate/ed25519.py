"""Ed25519 cases at the edges of the rule, where libraries are known to differ. Touches nothing.

`rule_accepts` is the rule of the book read aloud, step by step. `lenient_accepts` is the most forgiving
verifier that is still Ed25519: it reduces what is not canonical, takes points of small order, and multiplies
by the cofactor. A case that the second takes and the first refuses is one where a careless library splits the
book.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

from tests.vectors.generate.curve import (
    BASE,
    IDENTITY,
    TORSION,
    L,
    P,
    add,
    decode_fields,
    encode,
    encode_fields,
    hash_of,
    multiply,
    point_at,
)

ABOUT = (
    "Ed25519 signatures at the edges of the rule. Bytes are hex. `valid` is what the rule gives; `lenient` "
    "is what a verifier gives that reduces S, A and R, takes points of small order and uses the cofactor."
)
ABOUT_SIGNING = (
    " `signing`: public keys and signatures that secret seeds give (RFC 8032 sections 5.1.5 and 5.1.6)."
)


class Case(NamedTuple):
    """One signature, what it is, and what the rule must say about it."""

    name: str
    public_key: bytes
    message: bytes
    signature: bytes
    valid: bool


def rule_accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return what the rule of the book gives."""
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    points = []
    for encoded in (public_key, signature[:32]):
        y, sign = decode_fields(encoded)
        point = point_at(y, sign)
        if y >= P or point is None or (point.x == 0 and sign == 1) or multiply(8, point) == IDENTITY:
            return False
        points.append(point)
    a, r = points
    h = hash_of(signature[:32], public_key, message) % L
    return add(r, multiply(h, a)) == multiply(s, BASE)


def lenient_accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return what the most forgiving verifier gives."""
    a = point_at(*decode_fields(public_key))
    r = point_at(*decode_fields(signature[:32]))
    if a is None or r is None:
        return False
    s = int.from_bytes(signature[32:], "little") % L
    h = hash_of(signature[:32], public_key, message) % L
    return multiply(8, add(r, multiply(h, a))) == multiply(8 * s, BASE)


def make() -> dict[str, object]:
    """Return the file of golden vectors."""
    return {
        "about": ABOUT + ABOUT_SIGNING,
        "cases": _crafted(),
        "signing": [_signed(number) for number in range(6)],
    }


def make_cases() -> dict[str, object]:
    """Return the file that the node checks its library with at start."""
    return {"about": ABOUT, "cases": _crafted()}


@cache
def _crafted() -> list[dict[str, object]]:
    """Return the cases and both verdicts. Raises `ArithmeticError` when one was crafted wrongly."""
    cases: list[dict[str, object]] = []
    for case in _cases():
        signed = case.public_key, case.message, case.signature
        if rule_accepts(*signed) != case.valid:
            raise ArithmeticError(f"crafted wrongly: {case.name}")
        cases.append(
            {
                "name": case.name,
                "public_key": case.public_key.hex(),
                "message": case.message.hex(),
                "signature": case.signature.hex(),
                "valid": case.valid,
                "lenient": lenient_accepts(*signed),
            }
        )
    return cases


def _signed(number: int) -> dict[str, object]:
    """Return what a seed signs, by the text of RFC 8032."""
    seed = hashlib.sha256(b"indelible vectors: seed %d" % number).digest()
    message = b"entry" * number
    expanded = hashlib.sha512(seed).digest()
    secret = int.from_bytes(expanded[:32], "little") % 2**254 // 8 * 8 + 2**254
    public_key = encode(multiply(secret, BASE))
    nonce = hash_of(expanded[32:], message) % L
    signature = _sign(public_key, message, encode(multiply(nonce, BASE)), secret, nonce)
    return {
        "seed": seed.hex(),
        "public_key": public_key.hex(),
        "message": message.hex(),
        "signature": signature.hex(),
    }


def _cases() -> Iterator[Case]:
    yield from _honest_and_altered()
    yield from _scalars_not_reduced()
    yield from _keys_of_small_order()
    yield from _nonces_of_small_order()
    yield from _keys_of_mixed_order()
    yield from _nonces_of_mixed_order()
    yield from _not_on_the_curve()


SECRET = hash_of(b"indelible vectors: secret scalar") % L
NONCE = hash_of(b"indelible vectors: nonce scalar") % L
HONEST_A = multiply(SECRET, BASE)
HONEST_R = multiply(NONCE, BASE)
KEY = encode(HONEST_A)
R = encode(HONEST_R)


def _sign(public_key: bytes, message: bytes, r_bytes: bytes, secret: int, nonce: int) -> bytes:
    """Return R || S with S = nonce + h * secret, whatever the two encodings say."""
    h = hash_of(r_bytes, public_key, message) % L
    return r_bytes + ((nonce + h * secret) % L).to_bytes(32, "little")


def _message(
    r_bytes: bytes,
    public_key: bytes,
    order: int,
    reduced: Container[int],
    unreduced: Container[int] = range(8),
) -> bytes:
    """Return the first of "entry 0", "entry 1", ... whose h, reduced mod L and not, has these remainders."""
    for number in range(10_000):
        message = b"entry %d" % number
        h = hash_of(r_bytes, public_key, message)
        if h % L % order in reduced and h % order in unreduced:
            return message
    raise ArithmeticError("no message has a hash as wanted")


def _honest_and_altered() -> Iterator[Case]:
    message = b"two espressos"
    signature = _sign(KEY, message, R, SECRET, NONCE)
    yield Case("an honest signature", KEY, message, signature, valid=True)
    yield Case(
        "an honest signature of the empty message", KEY, b"", _sign(KEY, b"", R, SECRET, NONCE), valid=True
    )
    yield Case("another message than was signed", KEY, b"ten espressos", signature, valid=False)
    other_key = encode(multiply(SECRET + 1, BASE))
    yield Case("another key than signed", other_key, message, signature, valid=False)
    s_altered = signature[:32] + bytes([signature[32] ^ 1]) + signature[33:]
    yield Case("one bit of S altered", KEY, message, s_altered, valid=False)
    r_negated = signature[:31] + bytes([signature[31] ^ 0x80]) + signature[32:]
    yield Case("R with the other sign", KEY, message, r_negated, valid=False)
    a_negated = KEY[:31] + bytes([KEY[31] ^ 0x80])
    yield Case("A with the other sign", a_negated, message, signature, valid=False)


def _scalars_not_reduced() -> Iterator[Case]:
    message = b"one flat white"
    signature = _sign(KEY, message, R, SECRET, NONCE)
    s = int.from_bytes(signature[32:], "little")
    for times in (1, 2, 8, 14):
        raised = signature[:32] + (s + times * L).to_bytes(32, "little")
        yield Case(f"S + {times} L instead of S", KEY, message, raised, valid=False)


def _small_encodings() -> Iterator[tuple[str, bytes, int]]:
    """Yield every encoding of a point of small order: what it is, the bytes, and which n of TORSION[n]."""
    for n, point in enumerate(TORSION):
        order = {0: 1, 4: 2, 2: 4, 6: 4}.get(n, 8)
        sign = point.x % 2
        yield f"point {n} of order {order}", encode(point), n
        if point.x == 0:
            yield f"point {n} of order {order} with the sign that x = 0 has not", encode_fields(point.y, 1), n
        if point.y + P < 2**255:
            yield f"point {n} of order {order} as y + p", encode_fields(point.y + P, sign), n
        if point.x == 0 and point.y + P < 2**255:
            yield (
                f"point {n} of order {order} as y + p, with the sign that x = 0 has not",
                encode_fields(point.y + P, 1),
                n,
            )


def _keys_of_small_order() -> Iterator[Case]:
    """With h A = 0 and S = r the cofactorless equation holds for them all: anyone could sign anything."""
    for name, key, _ in _small_encodings():
        message = _message(R, key, 8, {0})
        yield Case(f"A is {name}", key, message, _sign(key, message, R, 0, NONCE), valid=False)
    yield Case("A, R and S are all zero bytes", bytes(32), b"entry", bytes(64), valid=False)


def _nonces_of_small_order() -> Iterator[Case]:
    """With A of mixed order and h T = -R the cofactorless equation holds, so only R itself is wrong."""
    for name, r_bytes, n in _small_encodings():
        key = encode(add(HONEST_A, TORSION[1]))
        message = _message(r_bytes, key, 8, {-n % 8})
        yield Case(f"R is {name}", key, message, _sign(key, message, r_bytes, SECRET, 0), valid=False)
    identity = encode(IDENTITY)
    signature = _sign(KEY, b"entry", identity, SECRET, 0)
    yield Case("R is the identity, under an honest key", KEY, b"entry", signature, valid=False)


def _keys_of_mixed_order() -> Iterator[Case]:
    """A = a B + T: the torsion part of h A must vanish, for h reduced mod L and nothing else."""
    for n in (1, 2, 4):
        key = encode(add(HONEST_A, TORSION[n]))
        order = 8 // n
        zero, others, any_of = {0}, range(1, order), range(order)
        wanted: list[tuple[str, Container[int], Container[int], bool]] = [
            ("h T = 0", zero, zero, True),
            ("h T is not 0", others, others, False),
            ("h T = 0 only for h reduced", zero, others, True),
            ("h T = 0 only for h not reduced", others, zero, False),
            ("h T = 0 only for h taken as -(L - h)", {L % order}, any_of, False),
        ]
        for what, reduced, unreduced, valid in wanted:
            message = _message(R, key, order, reduced, unreduced)
            name = f"A of order {order} L, {what}"
            yield Case(name, key, message, _sign(key, message, R, SECRET, NONCE), valid=valid)


def _nonces_of_mixed_order() -> Iterator[Case]:
    """R = r B + T: fine when h A brings the opposite torsion, refused when only the cofactor hides it."""
    for n in (1, 2, 4):
        r_bytes = encode(add(HONEST_R, TORSION[n]))
        message = b"entry"
        signature = _sign(KEY, message, r_bytes, SECRET, NONCE)
        yield Case(f"R of order {8 // n} L, under an honest key", KEY, message, signature, valid=False)
        key = encode(add(HONEST_A, TORSION[1]))
        for what, rest, valid in (("cancelled", 0, True), ("not cancelled", 1, False)):
            message = _message(r_bytes, key, 8, {(rest - n) % 8})
            signature = _sign(key, message, r_bytes, SECRET, NONCE)
            yield Case(
                f"R of order {8 // n} L, {what} by A of order 8 L", key, message, signature, valid=valid
            )


def _not_on_the_curve() -> Iterator[Case]:
    y = next(y for y in range(2, 100) if point_at(y, 0) is None)
    nowhere = encode_fields(y, 0)
    message = b"entry"
    yield Case(
        "A is no point of the curve", nowhere, message, _sign(nowhere, message, R, 0, NONCE), valid=False
    )
    yield Case(
        "R is no point of the curve", KEY, message, _sign(KEY, message, nowhere, SECRET, 0), valid=False
    )
    reduced = next(y for y in range(2, 19) if point_at(y, 0) is not None)
    key = encode_fields(reduced + P, 0)
    yield Case("A is a large point as y + p", key, message, _sign(key, message, R, 0, NONCE), valid=False)
    r_bytes = encode_fields(reduced + P, 0)
    yield Case(
        "R is a large point as y + p", KEY, message, _sign(KEY, message, r_bytes, SECRET, 0), valid=False
    )
