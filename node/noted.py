"""The small values that the chain keeps in the book beside its blocks: their names, and their bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from node.ledger import codec
from node.ledger.codec import HASH_BYTES
from node.storage.port import StorageFault

LAST_REORG: Final = "last_reorg"
"""Name of the value that remembers the last loud switch."""
UNSAVED_SWITCHES: Final = "unsaved_switches"
"""Name of the value that remembers switches until the entries they undid are saved as pending."""


class LoudSwitch(NamedTuple):
    """The last switch that was deep or late."""

    at_ms: int
    """When, by our clock; Unix milliseconds."""
    fork_height: int
    old_height: int
    old: bytes
    """Hash of the tip that was left."""
    new_height: int
    new: bytes
    """Hash of the tip that took its place."""

    def encode(self) -> bytes:
        """Return what is stored."""
        return codec.encode(tuple(self))


def decode_loud_switch(raw: bytes) -> LoudSwitch:
    """Return what `LoudSwitch.encode` made. Raises StorageFault: it was changed on this disk."""
    with _read(LAST_REORG):
        switch = LoudSwitch(*codec.decode(raw))
        numbers = (switch.at_ms, switch.fork_height, switch.old_height, switch.new_height)
        if not all(map(codec.is_uint, numbers)) or not _are_hashes(switch.old, switch.new):
            raise ValueError
        return switch


def encode_unsaved(switches: Sequence[tuple[bytes, int]]) -> bytes:
    """Return (hash of the tip that was left, height of the fork) of each switch as they are stored."""
    return codec.encode(switches)


def decode_unsaved(raw: bytes | None) -> list[tuple[bytes, int]]:
    """Return what `encode_unsaved` made, nothing of nothing. Raises StorageFault: it was changed here."""
    with _read(UNSAVED_SWITCHES):
        noted = [(left, height) for left, height in codec.decode(raw)] if raw else []
        if not all(_are_hashes(left) and codec.is_uint(height) for left, height in noted):
            raise ValueError
        return noted


@contextmanager
def _read(name: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError):  # NotCanonical is one
        raise StorageFault(f"the value {name} in this book is none that a node writes") from None


def _are_hashes(*values: object) -> bool:
    return all(codec.is_bin(value, HASH_BYTES) for value in values)
