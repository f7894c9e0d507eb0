"""Bytes that are nearly right: good ones with edits, msgpack of the wrong shape. Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from tests.vectors.generate.packing import Value, array_as, pack

ODD_BYTES = st.sampled_from(
    [
        *(b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\xff", b"\x80", b"\x90", b"\xa0", b"\xc4\x00"),
        *(b"\xca" + bytes(4), b"\xcb" + bytes(8), b"\xd0\x80", b"\xd4\x05\x00", b"\xd6\xff" + bytes(4)),
        *(b"\xcc\x01", b"\xcf" + b"\xff" * 8, b"\xd9\x01a", b"\xa1\xff", b"\xa3\xed\xa0\x80"),
        *(b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"),
        *(array_as(2**32 - 1, 4), b"\x91" * 600, b"\x94", b"\x99"),
    ]
)
"""Heads that no record uses, that claim too much, or that are longer than needed."""


class Edit(NamedTuple):
    """Bytes put in the place of others."""

    at: int
    """Where, as a share of the length in 65,536ths."""
    drop: int
    """How many bytes go."""
    put: bytes


edits = st.builds(
    Edit,
    at=st.integers(0, 65_535),
    drop=st.integers(0, 5) | st.just(10_000),
    put=st.binary(max_size=4) | ODD_BYTES,
)

junk: st.SearchStrategy[Value] = st.recursive(
    st.integers(0, 2**64 - 1) | st.binary(max_size=100) | st.text(max_size=100),
    lambda inner: st.lists(inner, max_size=10),
    max_leaves=20,
)


def edited(raw: bytes, changes: Sequence[Edit]) -> bytes:
    """Return the bytes with these edits made, one after the other."""
    for change in changes:
        at = len(raw) * change.at // 65_536
        raw = raw[:at] + change.put + raw[at + change.drop :]
    return raw


def near(good: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes near one of these, any msgpack, and any bytes."""
    damaged = st.builds(edited, st.sampled_from(good), st.lists(edits, max_size=4))
    return damaged | st.builds(pack, junk) | st.binary(max_size=600)
