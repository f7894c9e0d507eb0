"""Canonical msgpack: one sequence of bytes for one value, and no other.

Pure. Everything that is hashed or signed goes through here. A value is canonical when it holds only the
types named by its record (arrays, unsigned integers, bin, text; no nil, no float, no boolean, no map, no
ext), each in its shortest form, with nothing behind it. Small values are decoded by the msgpack library,
encoded again and compared, and each record checks the types it names; blocks, which are long and come from
strangers, are walked with a `Reader` that knows nothing but those four types.
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

MAX_ARRAY: Final = 1_024
"""Elements that an array may claim unless the caller expects more; no record and no message has as many.

The library makes room for what is claimed before it is there, once for each of up to 1,024 nested arrays: a
megabyte of claims would ask for gigabytes.
"""

_ROOM: Final = 512
"""Bytes that the encoder begins with, for it makes room for 256 KiB unless told: half of what an entry's
encoding takes. It grows where a value is longer."""

_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters; and halves of surrogate pairs, which UTF-8 cannot hold (RFC 3629 section 3) but a
Python string can, when it comes from a command line that is no UTF-8."""


class NotCanonical(ValueError):
    """Bytes that are not the canonical msgpack of anything allowed here."""


def encode(value: object) -> bytes:
    """Return the canonical bytes of tuples, lists, integers, bytes and text."""
    packed: bytes = msgpack.Packer(use_bin_type=True, buf_size=_ROOM).pack(value)
    return packed


def decode(raw: bytes, longest_array: int = MAX_ARRAY) -> Any:  # noqa: ANN401 - each record checks its types
    """Return the value (arrays as tuples) whose canonical form `raw` is.

    Raises NotCanonical for anything else. Types that no record allows (nil, floats, ...) may still come
    back: each record checks the types it names.
    """
    try:
        value = msgpack.unpackb(
            raw, use_list=False, raw=False, max_array_len=longest_array, max_map_len=0, max_ext_len=0
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise NotCanonical(f"not msgpack: {error}") from None
    try:
        canonical = encode(value) == raw
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
        and _NOT_TEXT.search(value) is None
        and (len(value) * 4 <= MAX_TEXT_BYTES or len(value.encode()) <= MAX_TEXT_BYTES)
    )


_UINT: Final = "an unsigned integer"
_BIN: Final = "bin"
_TEXT: Final = "text"
_ARRAY: Final = "an array"

_BIN_8: Final = 0xC4
_BIN_16: Final = 0xC5

_LONG_HEADS: Final = {
    # first byte: (type, bytes of the value or length that follow, the most that a shorter form holds)
    _BIN_8: (_BIN, 1, -1),
    _BIN_16: (_BIN, 2, 0xFF),
    0xC6: (_BIN, 4, 0xFFFF),
    0xCC: (_UINT, 1, 0x7F),
    0xCD: (_UINT, 2, 0xFF),
    0xCE: (_UINT, 4, 0xFFFF),
    0xCF: (_UINT, 8, 0xFFFF_FFFF),
    0xD9: (_TEXT, 1, 0x1F),
    0xDA: (_TEXT, 2, 0xFF),
    0xDB: (_TEXT, 4, 0xFFFF),
    0xDC: (_ARRAY, 2, 0x0F),
    0xDD: (_ARRAY, 4, 0xFFFF),
}
"""The forms of msgpack whose value or length stands behind the first byte, as far as records use them."""


class Reader:
    """Walks along canonical msgpack of the four allowed types, without making anything it was only told of.

    Every method raises NotCanonical where the next bytes are not what is asked for.
    """

    __slots__ = ("_at", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def array(self) -> int:
        """Step into an array; return how many elements it claims to have."""
        return self._expect(_ARRAY)

    def uint(self, most: int = MAX_UINT) -> int:
        """Return the unsigned integer that comes next, at most `most`."""
        value = self._expect(_UINT)
        if value > most:
            raise NotCanonical(f"an integer above {most}")
        return value

    def bin(self) -> bytes:
        """Return the bin that comes next."""
        return self._content(self._expect(_BIN))

    def bins(self) -> list[bytes]:
        """Step over an array of bin; return what they hold."""
        count = self.array()
        raw, at = self._raw, self._at
        found: list[bytes] = []
        # In a loop of its own, as this runs for each entry of the book: a third of what `bin` takes.
        try:
            for _ in range(count):
                if raw[at] == _BIN_8:
                    start, size = at + 2, raw[at + 1]
                elif raw[at] == _BIN_16 and raw[at + 1]:
                    start, size = at + 3, raw[at + 1] << 8 | raw[at + 2]
                else:
                    break
                at = start + size
                found.append(raw[start:at])
        except IndexError:
            at = len(raw) + 1
        if at > len(raw):
            raise NotCanonical("the end is missing")
        self._at = at
        found += [self.bin() for _ in range(count - len(found))]
        return found

    def flat_array(self) -> bytes:
        """Step over an array of integers, bin and text; return its bytes. What they hold is not looked at."""
        start = self._at
        for _ in range(self.array()):
            kind, size = self._head()
            if kind is _ARRAY:
                raise NotCanonical("an array inside this array")
            if kind is not _UINT:
                self._content(size)
        return self._raw[start : self._at]

    def end(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._raw):
            raise NotCanonical(f"{len(self._raw) - self._at} bytes left over")

    def _expect(self, wanted: str) -> int:
        kind, value = self._head()
        if kind is not wanted:
            raise NotCanonical(f"{kind} in the place of {wanted}")
        return value

    def _content(self, length: int) -> bytes:
        start, self._at = self._at, self._at + length
        if self._at > len(self._raw):
            raise NotCanonical("the end is missing")
        return self._raw[start : self._at]

    def _head(self) -> tuple[str, int]:
        """Return the type of what comes next, and its value (integers), length or number of elements."""
        first = self._content(1)[0]
        if first < 0x80:
            return _UINT, first
        if first & 0xF0 == 0x90:
            return _ARRAY, first & 0x0F
        if first & 0xE0 == 0xA0:
            return _TEXT, first & 0x1F
        form = _LONG_HEADS.get(first)
        if form is None:
            raise NotCanonical(f"a type that no record has (first byte {first:#04x})")
        kind, width, shorter = form
        value = int.from_bytes(self._content(width), "big")
        if value <= shorter:
            raise NotCanonical(f"{kind} not in its shortest form")
        return kind, value
