"""Small files of this node's own making, behind a version and a check, so that a damaged one is noticed.

Pure: bytes in, bytes out. Canonical msgpack `[version, SHA-256 of body, body]`, the body being canonical
msgpack itself.
"""

from __future__ import annotations

import hashlib

from node.ledger import codec


class Unreadable(Exception):
    """A file that is damaged, or of another make. Set it aside and go on without it."""


def seal(version: int, value: object) -> bytes:
    """Return the content of a file that holds the value: arrays, integers, bin and text."""
    body = codec.encode(value)
    return codec.encode((version, hashlib.sha256(body).digest(), body))


def unseal(version: int, content: bytes) -> object:
    """Return the value, arrays as tuples. Raises Unreadable."""
    found, digest, body = array(_decode(content), 3)
    if type(found) is not int or found != version:  # true is 1 to Python
        raise Unreadable(f"it is of version {found!r}, known is {version}")
    if type(body) is not bytes or hashlib.sha256(body).digest() != digest:
        raise Unreadable("its check does not fit: it is damaged, or was edited")
    # Its check fits, so this node made it, and what it claims to hold is there.
    return _decode(body, longest_array=len(body))


def array(value: object, length: int | None = None) -> tuple[object, ...]:
    """Return the value, which is an array of this many. Raises Unreadable."""
    if not isinstance(value, tuple) or length not in (None, len(value)):
        raise Unreadable("it does not hold what such a file holds")
    return value


def _decode(raw: bytes, longest_array: int = 3) -> object:
    try:
        value: object = codec.decode(raw, longest_array)
    except codec.NotCanonical as error:
        raise Unreadable(f"it is damaged: {error}") from None
    return value
