"""The file of pending entries: its bytes, both ways. Pure; who reads and writes the file is the daemon.

Canonical msgpack `[version, SHA-256 of body, body]`, the body being `[network id, [[entry bytes, own as 0 or
1, received_ms], ...]]` in order of arrival.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from node.ledger import codec
from node.mempool.pool import Pending

VERSION: Final = 1


class BadPendingFile(Exception):
    """A file of pending entries that cannot be read: set it aside and start without."""


class Saved(NamedTuple):
    """An entry as it was saved; to be checked like any that comes in."""

    raw: bytes
    own: bool
    received_ms: int


def dump(pending: Iterable[Pending], network_id: bytes) -> bytes:
    """Return the content of the file."""
    body = codec.encode((network_id, [(p.entry.raw, int(p.own), p.received_ms) for p in pending]))
    return codec.encode((VERSION, hashlib.sha256(body).digest(), body))


def load_dump(content: bytes, network_id: bytes) -> list[Saved]:
    """Return what the file holds, in order of arrival. Raises BadPendingFile."""
    version, digest, body = _array(_decode(content), 3)
    if version != VERSION:
        raise BadPendingFile(f"the file is of version {version!r}, known is {VERSION}")
    if type(body) is not bytes or hashlib.sha256(body).digest() != digest:
        raise BadPendingFile("the file's check does not fit: it is damaged or was edited")
    network, rows = _array(_decode(body), 2)
    if network != network_id:
        raise BadPendingFile("the file belongs to another network")
    return [_saved(row) for row in _array(rows)]


def _decode(raw: bytes) -> object:
    try:
        return codec.decode(raw, longest_array=len(raw))
    except codec.NotCanonical as error:
        raise BadPendingFile(f"the file is damaged: {error}") from None


def _array(value: object, length: int | None = None) -> tuple[object, ...]:
    if not isinstance(value, tuple) or length not in (None, len(value)):
        raise BadPendingFile("the file does not hold pending entries")
    return value


def _saved(row: object) -> Saved:
    raw, own, received_ms = _array(row, 3)
    if type(raw) is not bytes or not codec.is_uint(own) or type(received_ms) is not int or received_ms < 0:
        raise BadPendingFile("the file does not hold pending entries")
    return Saved(raw, own == 1, received_ms)
