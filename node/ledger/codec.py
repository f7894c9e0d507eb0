"""Canonical msgpack: one sequence of bytes for one value, and no other.

Pure. Everything that is hashed or signed goes through here. A value is canonical when it holds only the
types named by its record (arrays, unsigned integers, bin, text; no nil, no float, no boolean, no map, no
ext), each in its shortest form, with nothing behind it. That is checked by encoding what was decoded and
comparing the bytes, together with a check of each type by its record.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgpack

MAX_UINT: Final = 2**53 - 1
"""The largest integer of any field: exact in JavaScript's numbers too."""

MAX_TEXT_BYTES: Final = 256
"""The longest text, in bytes of UTF-8."""

HASH_BYTES: Final = 32
"""Length of a SHA-256 hash and of a public key."""

_CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f]")


class NotCanonical(ValueError):
    """Bytes that are not the canonical msgpack of anything allowed here."""


def encode(value: object) -> bytes:
    """Return the canonical bytes of tuples, lists, integers, bytes and text."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def decode(raw: bytes) -> Any:  # noqa: ANN401 - the record that is read checks each type itself
    """Return the value (arrays as tuples) whose canonical form `raw` is.

    Raises NotCanonical for anything else. Types that no record allows (nil, floats, ...) may still come
    back: each record checks the types it names.
    """
    try:
        value = msgpack.unpackb(raw, use_list=False, raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise NotCanonical(f"not msgpack: {error}") from None
    try:
        canonical = msgpack.packb(value, use_bin_type=True) == raw
    except (ValueError, TypeError, OverflowError) as error:
        raise NotCanonical(f"a value that no record holds: {error}") from None
    if not canonical:
        raise NotCanonical("not in the shortest form")
    return value


def is_uint(value: object) -> bool:
    """True for an integer from 0 to 2^53 - 1; a boolean is not an integer."""
    return type(value) is int and 0 <= value <= MAX_UINT


def is_bin(value: object, length: int) -> bool:
    """True for bytes of exactly `length`."""
    return type(value) is bytes and len(value) == length


def is_text(value: object) -> bool:
    """True for text of at most 256 bytes of UTF-8 without U+0000-001F and U+007F-009F."""
    return (
        type(value) is str
        and (len(value) * 4 <= MAX_TEXT_BYTES or len(value.encode()) <= MAX_TEXT_BYTES)
        and _CONTROL_CHARACTER.search(value) is None
    )
