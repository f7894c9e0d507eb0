"""A msgpack writer for what the book uses, by the tables of the format (spec.md of msgpack). Touches nothing.

`pack` writes the one canonical form; the functions below it write any form, right or wrong, for the cases
that must be refused.
"""

from __future__ import annotations

from typing import TypeAlias

Value: TypeAlias = "int | bytes | str | list[Value]"

UINT_BYTE = {1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF}
BIN_BYTE = {1: 0xC4, 2: 0xC5, 4: 0xC6}
STR_BYTE = {1: 0xD9, 2: 0xDA, 4: 0xDB}
ARRAY_BYTE = {2: 0xDC, 4: 0xDD}


def pack(value: Value) -> bytes:
    """Return the shortest form."""
    match value:
        case int():
            return bytes([value]) if value <= 127 else uint(value, fitting(value, UINT_BYTE))
        case bytes():
            return binary(value, fitting(len(value), BIN_BYTE))
        case str():
            return text(value.encode("utf-8"))
        case list():
            return array(len(value)) + b"".join(map(pack, value))


def text(raw: bytes) -> bytes:
    """Return these bytes as text, whether or not they are UTF-8, under the shortest head."""
    return bytes([0xA0 + len(raw)]) + raw if len(raw) <= 31 else text_as(raw, fitting(len(raw), STR_BYTE))


def array(count: int) -> bytes:
    """Return the shortest head of an array."""
    return bytes([0x90 + count]) if count <= 15 else array_as(count, fitting(count, ARRAY_BYTE))


def fitting(number: int, widths: dict[int, int]) -> int:
    """Return the smallest of these widths, in bytes, that holds the number."""
    return min(width for width in widths if number < 256**width)


def uint(number: int, width: int) -> bytes:
    """Return an unsigned integer in so many bytes behind the first."""
    return bytes([UINT_BYTE[width]]) + number.to_bytes(width, "big")


def binary(raw: bytes, width: int) -> bytes:
    """Return a bin whose length takes so many bytes."""
    return bytes([BIN_BYTE[width]]) + len(raw).to_bytes(width, "big") + raw


def text_as(raw: bytes, width: int) -> bytes:
    """Return text whose length takes so many bytes."""
    return bytes([STR_BYTE[width]]) + len(raw).to_bytes(width, "big") + raw


def array_as(count: int, width: int) -> bytes:
    """Return the head of an array whose length takes so many bytes."""
    return bytes([ARRAY_BYTE[width]]) + count.to_bytes(width, "big")
