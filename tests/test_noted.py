"""The chain's small stored values: what is written is read again, and all else is this disk's fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import codec
from node.noted import UNSAVED_SWITCHES, LoudSwitch, decode_loud_switch, decode_unsaved, encode_unsaved
from node.storage.memory import memory_disk
from node.storage.port import StorageFault
from tests.building import EASY
from tests.puppets import Subject

SWITCH = LoudSwitch(1_700_000_000_000, 3, 9, bytes(32), 10, b"\x01" * 32)
uints = st.integers(0, codec.MAX_UINT)
hashes = st.binary(min_size=32, max_size=32)


@given(st.builds(LoudSwitch, uints, uints, uints, hashes, uints, hashes))
def test_a_loud_switch_is_read_as_it_was_written(switch: LoudSwitch) -> None:
    assert decode_loud_switch(switch.encode()) == switch


@given(st.lists(st.tuples(hashes, uints), max_size=4))
def test_unsaved_switches_are_read_as_they_were_written(switches: list[tuple[bytes, int]]) -> None:
    assert decode_unsaved(encode_unsaved(switches)) == switches


@pytest.mark.parametrize("raw", [None, b""])
def test_where_none_is_noted_there_is_none(raw: bytes | None) -> None:
    assert decode_unsaved(raw) == []


@pytest.mark.parametrize(
    "raw",
    [b"\xff", b"\x01", SWITCH.encode()[:-1], codec.encode((1, 2)), codec.encode((*SWITCH[:-1], b"short"))],
)
def test_other_bytes_are_no_loud_switch(raw: bytes) -> None:
    with pytest.raises(StorageFault, match="last_reorg in this book is none that a node writes"):
        decode_loud_switch(raw)


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\x01", codec.encode(((bytes(32), 1, 2),)), codec.encode((("text", 1),)), b"\x91\x01"]
)
def test_other_bytes_are_no_switches(raw: bytes) -> None:
    with pytest.raises(StorageFault, match="unsaved_switches in this book is none"):
        decode_unsaved(raw)


def test_a_node_whose_noted_switches_were_changed_halts() -> None:
    disk = memory_disk(EASY)
    disk.values[UNSAVED_SWITCHES] = b"\xff"
    with pytest.raises(AssertionError, match="unsaved_switches in this book is none"):
        Subject(disk=disk)
