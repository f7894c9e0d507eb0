"""The file of pending entries: its bytes, both ways. Pure; who reads and writes the file is the daemon.

Sealed (see `node.sealed`): `[network id, [[entry bytes, own as 0 or 1, received_ms], ...]]`, in order of
arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from node.ledger import codec
from node.mempool.pool import Pending
from node.sealed import Unreadable, array, seal, unseal

VERSION: Final = 1


class Saved(NamedTuple):
    """An entry as it was saved; to be checked like any that comes in."""

    raw: bytes
    own: bool
    received_ms: int


def dump(pending: Iterable[Pending], network_id: bytes) -> bytes:
    """Return the content of the file."""
    rows = [(one.entry.raw, int(one.own), one.received_ms) for one in pending]
    return seal(VERSION, (network_id, rows))


def load_dump(content: bytes, network_id: bytes) -> list[Saved]:
    """Return what the file holds, in order of arrival. Raises Unreadable."""
    network, rows = array(unseal(VERSION, content), 2)
    if network != network_id:
        raise Unreadable("it belongs to another network")
    return [_saved(row) for row in array(rows)]


def _saved(row: object) -> Saved:
    raw, own, received_ms = array(row, 3)
    if not (type(raw) is bytes and type(own) is int and own in (0, 1) and type(received_ms) is int):
        raise Unreadable("an entry in it has a field of the wrong type")
    if not codec.is_uint(received_ms):
        raise Unreadable("an entry in it has a time out of range")
    return Saved(raw, own == 1, received_ms)
