"""Parameters of the read API: how each is written, and read."""

from __future__ import annotations

import re
from typing import Any, Final

from node.web.operations import Param
from node.web.schemas import HASH, MAX_HEIGHT, MOST

_HASH: Final = re.compile("[0-9a-f]{64}")
_UINT: Final = re.compile("0|[1-9][0-9]{0,15}")
_INT: Final = re.compile("0|-?[1-9][0-9]{0,15}")


def _hash(text: str) -> bytes:
    if not _HASH.fullmatch(text):
        raise ValueError(text)
    return bytes.fromhex(text)


def _address(text: str) -> str:
    if not 1 <= len(text) <= 120:
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def uint(name: str, about: str, default: int | None = None, *, least: int = 0, most: int = MOST) -> Param:
    """Return a parameter that is a whole number."""

    def read(text: str) -> int:
        if not _UINT.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    return Param(name, schema if default is None else schema | {"default": default}, read, about, default)


def _signed(text: str) -> int:
    if not _INT.fullmatch(text) or abs(int(text)) > MOST:
        raise ValueError(text)
    return int(text)


TXID: Final = Param("txid", HASH, _hash, "a txid: 64 hexadecimal digits, lower case")
LAST_SEEN: Final = Param("last_seen", HASH, _hash, "the txid of the last item of the page before")
BLOCK: Final = Param("hash", HASH, _hash, "a block's hash: 64 hexadecimal digits, lower case")
HEIGHT_OF: Final = uint("height", "the height of a block", most=MAX_HEIGHT)
START_HEIGHT: Final = uint("start_height", "the height of the newest block to show", most=MAX_HEIGHT)
START: Final = uint("start", "the position of the first entry to show", most=MAX_HEIGHT)
INDEX: Final = uint("index", "a position in the block; 0 is the reward", most=MAX_HEIGHT)
ADDRESS: Final = Param(
    "address",
    {"type": "string", "minLength": 1, "maxLength": 120},
    _address,
    "an address with the network's prefix",
)
OFFSET: Final = uint("offset", "how many to leave out", 0)
BALANCE: Final = Param(
    "balance",
    {"type": "integer", "minimum": -MOST, "maximum": MOST},
    _signed,
    "the balance of the last item of the page before",
)
REPLACE: Final = Param(
    "replace",
    {"type": "boolean", "default": False},
    _boolean,
    "true, to take the place of a pending entry with the same nonce",
    default=False,
)
