"""What people name in an address bar or a search box: heights, hashes, addresses, cursors. Opens nothing.

Whatever is no such name is refused with a sentence, never with a traceback.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from node.ledger.address import AddressError, decode_address
from node.ledger.codec import MAX_UINT
from node.ledger.params import MAX_HEIGHT
from node.query import After
from node.web.answers import WebError

_DIGITS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_NUMBERS: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,16})*", re.ASCII)
_CURSOR: Final = re.compile(r"(\d{1,10})\.(\d{1,10})\.([0-9a-f]{64})\.(-?\d{1,16})\.([0-9a-f]{16})", re.ASCII)


def height_of(text: str) -> int | None:
    """Return the height that a text is, None where it is none."""
    return int(text) if _DIGITS.fullmatch(text) and int(text) <= MAX_HEIGHT else None


def hash_of(text: str) -> bytes | None:
    """Return the 32 bytes that a text is in hex, None where it is not."""
    return bytes.fromhex(text) if _HASH.fullmatch(text) else None


def block_name(text: str) -> int | bytes:
    """Return the height or hash of a block. Raises WebError."""
    found = height_of(text)
    name = hash_of(text) if found is None else found
    if name is None:
        raise WebError(
            404, "bad-name", "this is no block", "name one by its height, or by the 64 hex digits of its hash"
        )
    return name


def txid_of(text: str) -> bytes:
    """Return a txid. Raises WebError."""
    found = hash_of(text)
    if found is None:
        raise WebError(404, "bad-name", "this is no entry", "name one by the 64 hex digits of its txid")
    return found


def key_of(text: str, prefix: str) -> bytes:
    """Return the key of an address. Raises WebError."""
    try:
        return decode_address(prefix, text)
    except AddressError as error:
        wrong = f"this is no address of this network: {error}"
        raise WebError(404, "bad-address", wrong, "look at it again, letter by letter") from None


def numbers_of(text: str | None, count: int) -> tuple[int, ...] | None:
    """Return the numbers of a cursor like `12.3`, None where it is not that many."""
    if text is None or not _NUMBERS.fullmatch(text):
        return None
    found = tuple(map(int, text.split(".")))
    return found if len(found) == count and max(found) <= MAX_UINT else None


def cursor(after: After, key: bytes, secret: bytes) -> str:
    """Return where a history goes on, marked: it carries a balance, which nobody else may make up."""
    text = f"{after.height}.{after.position}.{after.block.hex()}.{after.balance}"
    return f"{text}.{_mark(text, key, secret)}"


def after_of(text: str | None, key: bytes, secret: bytes) -> After | None:
    """Return where a history of the key goes on, None where the mark is not ours: from the newest then."""
    match = _CURSOR.fullmatch(text or "")
    if match is None or text is None:
        return None
    told, _, mark = text.rpartition(".")
    if not hmac.compare_digest(mark, _mark(told, key, secret)):
        return None
    return After(int(match[1]), int(match[2]), bytes.fromhex(match[3]), int(match[4]))


def _mark(text: str, key: bytes, secret: bytes) -> str:
    return hmac.digest(secret, key + text.encode(), hashlib.sha256).hex()[:16]
