"""Compact targets by the byte format that Bitcoin took them from (OpenSSL's MPI numbers). Touches nothing.

An MPI is a length in bytes, then that many bytes, most significant first, of which the first bit is the sign.
Compact bits are the length byte and the first three bytes of it; the code under test shifts integers instead.
"""

from __future__ import annotations

ABOUT = (
    "Bitcoin's compact nBits. `encode`: a target and the bits that it is written as. `decode`: bits and "
    "the target that they mean, null where they mean none (negative, zero, or 2^256 and above); 0x hex."
)
BITS = (
    0x1E03FFFF, 0x1D00FFFF, 0x1B0404CB, 0x1802AEE8, 0x207FFFFF, 0x2000FFFF, 0x03123456, 0x04123456,
    0x05009234, 0x20123456, 0x01010000, 0x01120000, 0x017F0000, 0x01003456, 0x02008000, 0x02123456,
    0x01FEDCBA, 0x04923456, 0x01803456, 0x02800056, 0x03800000, 0x04800001, 0x03000000, 0x00000000,
    0x00123456, 0x00923456, 0x20000000, 0xFF000000, 0x01000001, 0x0200FFFF, 0x02000001, 0x03000001,
    0x03800001, 0x03FFFFFF, 0x03008000, 0x2100FFFF, 0x21007FFF, 0x21010000, 0x220000FF, 0x22000100,
    0x22000001, 0x23000001, 0x207FFF00, 0x20800000, 0x20FFFFFF, 0xFF123456, 0xFF000001, 0xFFFFFFFF,
    0x80000001, 0x1D80FFFF, 0x1DFFFFFF, 0x22010000, 0x7FFFFFFF, 0x21FFFFFF,
)  # fmt: skip


def encode(target: int) -> int:
    """Return the length byte and the first three bytes of the target's MPI."""
    body = target.to_bytes((target.bit_length() + 7) // 8, "big")
    if body[0] >= 0x80:
        body = b"\x00" + body
    return int.from_bytes(bytes([len(body)]) + (body + b"\x00\x00")[:3], "big")


def decode(bits: int) -> int | None:
    """Return the number whose MPI starts so, the rest being zero bytes, or None when it is no target."""
    length, *first = bits.to_bytes(4, "big")
    body = (bytes(first) + bytes(length))[:length]
    if not body:
        return None
    number = int.from_bytes(bytes([body[0] & 0x7F]) + body[1:], "big")
    if body[0] >= 0x80 or not 1 <= number <= 2**256 - 1:
        return None
    return number


def make() -> dict[str, object]:
    """Return the whole file."""
    targets = {1, 2**256 - 1}
    for exponent in range(1, 256):
        targets |= {2**exponent - 1, 2**exponent, 2**exponent + 1}
    targets |= {3**power for power in range(1, 162)}
    return {
        "about": ABOUT,
        "encode": [{"target": hex(target), "bits": f"{encode(target):#010x}"} for target in sorted(targets)],
        "decode": [{"bits": f"{bits:#010x}", "target": _hex_or_none(decode(bits))} for bits in BITS],
    }


def _hex_or_none(target: int | None) -> str | None:
    return None if target is None else hex(target)
