"""The curve of Ed25519 in affine integers, as one would do it on paper. Touches nothing.

Not constant-time, not fast, and nothing of it comes from libsodium or from the code under test. Source: RFC
8032 section 5.1, for the constants, the addition law and the encoding.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


class Point(NamedTuple):
    """A point of -x^2 + y^2 = 1 + D x^2 y^2 over the integers mod P."""

    x: int
    y: int


IDENTITY = Point(0, 1)


def add(a: Point, b: Point) -> Point:
    """Return a + b, by the addition law that is complete on this curve."""
    product = D * a.x * b.x * a.y * b.y
    x = (a.x * b.y + a.y * b.x) * pow(1 + product, -1, P)
    y = (a.y * b.y + a.x * b.x) * pow(1 - product, -1, P)
    return Point(x % P, y % P)


def multiply(scalar: int, point: Point) -> Point:
    """Return scalar * point; the scalar is not reduced, because points of mixed order would notice."""
    result = IDENTITY
    for bit in f"{scalar:b}":
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def point_at(y: int, sign: int) -> Point | None:
    """Return the point with this y (mod P) whose x has this lowest bit; None where there is none.

    x = 0 is returned for either sign: whether that is allowed is the caller's question.
    """
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    if root * root % P != square:
        return None
    return Point(root if root % 2 == sign or root == 0 else P - root, y % P)


def encode(point: Point) -> bytes:
    """Return the canonical encoding of a point (RFC 8032 section 5.1.2)."""
    return encode_fields(point.y, point.x % 2)


def encode_fields(y: int, sign: int) -> bytes:
    """Return the 32 bytes that hold these two fields, canonical or not."""
    return (y + sign * 2**255).to_bytes(32, "little")


def decode_fields(encoded: bytes) -> tuple[int, int]:
    """Return the fields (y, sign) of 32 bytes, whether or not they are a point."""
    number = int.from_bytes(encoded, "little")
    return number % 2**255, number // 2**255


def hash_of(*parts: bytes) -> int:
    """Return SHA-512 of the parts as a little-endian number, not reduced."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _base() -> Point:
    """Return the base point: y = 4/5, x even."""
    base = point_at(4 * pow(5, -1, P) % P, 0)
    if base is None or multiply(L, base) != IDENTITY:
        raise ArithmeticError("the base point has not the order L")
    return base


def _torsion() -> list[Point]:
    """Return the eight points n * T for a T of order 8, made by clearing the main subgroup out of a point."""
    for y in range(2, 100):
        point = point_at(y, 0)
        if point is not None and multiply(4 * L, point) != IDENTITY:
            generator = multiply(L, point)
            return [multiply(n, generator) for n in range(8)]
    raise ArithmeticError("no point of order 8 was found")


BASE = _base()
TORSION = _torsion()
"""The eight points of small order; TORSION[n] has order 8 / gcd(n, 8)."""
