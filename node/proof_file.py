"""Receipts and extensions as files: one JSON object in exactly one form (docs/receipts.md sections 2 and 3).

Pure. Decoding is about form alone; whether the parts prove anything is the business of `proofs`. Whatever is
refused, here or there, is refused with its *part*: a key of the file, or `file` for the whole of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

from node.ledger.block import HEADER_BYTES
from node.ledger.codec import HASH_BYTES, MAX_UINT
from node.ledger.entry import MAX_ENTRY_BYTES

MAX_FILE_BYTES: Final = 1 << 18
"""Parameters with the most allocations take 82 kB of hex; nothing else passes a few kB."""
BODY_BYTES: Final = 100
"""What the body root covers behind its 0x02: count u32 and three roots."""
RECEIPT_FORMAT: Final = "indelible-receipt-1"
EXTENSION_FORMAT: Final = "indelible-extension-1"

_MAX_PARAMETERS: Final = 1 << 16
_MAX_PROOF: Final = 64
"""Hashes; a tree of 2^32 leaves calls for 33 at most."""
_MAX_POSITION: Final = 2**32 - 1
_HEX: Final = re.compile("(?:[0-9a-f]{2})+")

_PROVEN_KEYS: Final = ("header", "body")
_TIP_KEYS: Final = (*_PROVEN_KEYS, "proof")
_NETWORK_KEYS: Final = ("parameters", "proof")
_ENTRY_KEYS: Final = ("bytes", "position", "proof")
_KEYS_OF: Final = {
    RECEIPT_FORMAT: ("format", "network", "entry", "block", "tip", "consistency"),
    EXTENSION_FORMAT: ("format", "network", "block", "tip", "consistency"),
}


class ReceiptRefused(Exception):
    """A receipt or an extension that is not in order, and in which part."""

    code: ClassVar[str] = "receipt-refused"

    def __init__(
        self, part: str, message: str, hint: str = "get the file again from whoever made it, unchanged"
    ) -> None:
        """`part`: a key of the file, `file`, or `trust` where it does not lead to what the reader trusts."""
        super().__init__(f"{part}: {message}")
        self.part = part
        self.message = f"{part}: {message}"
        self.hint = hint


@dataclass(frozen=True, slots=True)
class NetworkPart:
    """Which network it is."""

    parameters: bytes
    """Canonical bytes: its names, units and rules."""
    proof: tuple[bytes, ...]
    """Genesis is leaf 0 of the block's history."""


@dataclass(frozen=True, slots=True)
class EntryPart:
    """What stands in the block."""

    raw: bytes
    """Canonical bytes of an entry; of a coinbase at position 0."""
    position: int
    """Leaf index in the block."""
    proof: tuple[bytes, ...]
    """Up to the block's entries root."""


@dataclass(frozen=True, slots=True)
class BlockPart:
    """What of a block is hashed and mined."""

    header: bytes
    """92 bytes."""
    body: bytes
    """100 bytes: see `BODY_BYTES`."""


@dataclass(frozen=True, slots=True)
class TipPart:
    """A later block, which commits to the first."""

    block: BlockPart
    proof: tuple[bytes, ...]
    """The first block's hash is the leaf of its height in this one's history."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Shows that an entry stands in a block, and what an extension shows. Nothing of it is checked yet."""

    network: NetworkPart
    entry: EntryPart
    block: BlockPart
    tip: TipPart | None
    """None where the block itself was the tip."""
    consistency: tuple[bytes, ...]
    """From the block's history root to the tip's; empty without a tip."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Shows that the book up to a block was only added to. Nothing of it is checked yet."""

    network: NetworkPart
    block: BlockPart
    """The old tip."""
    tip: TipPart | None
    """None where it is the tip still."""
    consistency: tuple[bytes, ...]
    """From the old tip's history root to the tip's; empty without one."""


Proven: TypeAlias = Receipt | Extension
"""Whatever a file can hold."""


def encode(proven: Proven) -> bytes:
    """Return the file: the one form that there is of it."""
    network = {"parameters": proven.network.parameters.hex(), "proof": _hexes(proven.network.proof)}
    block = _block_fields(proven.block)
    tip = (
        None if proven.tip is None else _block_fields(proven.tip.block) | {"proof": _hexes(proven.tip.proof)}
    )
    fields: dict[str, Any] = {"format": EXTENSION_FORMAT, "network": network}
    if isinstance(proven, Receipt):
        fields["format"] = RECEIPT_FORMAT
        fields["entry"] = {
            "bytes": proven.entry.raw.hex(),
            "position": proven.entry.position,
            "proof": _hexes(proven.entry.proof),
        }
    fields |= {"block": block, "tip": tip, "consistency": _hexes(proven.consistency)}
    return _text_of(fields).encode("ascii")


def decode(raw: bytes) -> Proven:
    """Return what the file holds, well-formed and unchecked. Raises ReceiptRefused, naming the part."""
    value = _parsed(raw)
    kind = value.get("format")
    if not isinstance(kind, str) or kind not in _KEYS_OF:
        hint = "if a newer version of this program made it, check it with that version"
        raise ReceiptRefused("format", "no receipt or extension of a kind that is known here", hint)
    if tuple(value) != _KEYS_OF[kind]:
        raise ReceiptRefused("file", "other keys than its format has, or in another order")
    network = _group(value, "network", _NETWORK_KEYS)
    network_part = NetworkPart(
        _bin(network, "network.parameters", 1, _MAX_PARAMETERS), _hashes(network, "network.proof")
    )
    entry_part = _entry_part(value) if kind == RECEIPT_FORMAT else None
    block, tip, consistency = _block_part(value), _tip_part(value), _hashes(value, "consistency")
    if entry_part is None:
        return Extension(network_part, block, tip, consistency)
    return Receipt(network_part, entry_part, block, tip, consistency)


# --------------------------------------------------------------------------------------------- writing


def _text_of(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _hexes(hashes: tuple[bytes, ...]) -> list[str]:
    return [value.hex() for value in hashes]


def _block_fields(block: BlockPart) -> dict[str, Any]:
    return {"header": block.header.hex(), "body": block.body.hex()}


# --------------------------------------------------------------------------------------------- reading


def _parsed(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_FILE_BYTES:
        raise ReceiptRefused("file", f"{len(raw)} bytes, at most {MAX_FILE_BYTES}")
    try:
        text = raw.decode("ascii")
        value = json.loads(text, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number)
        again = _text_of(value)
    except (ValueError, RecursionError):  # what the decoders raise, of ASCII and of JSON, are ValueErrors
        raise ReceiptRefused("file", "not the JSON that a receipt is made of") from None
    # One form: no space, no second spelling, no key twice; and so nothing that nobody looks at.
    if again != text:
        raise ReceiptRefused("file", "not in its one form: something in it was written anew")
    if not isinstance(value, dict):
        raise ReceiptRefused("file", "not an object")
    return value


def _integer(text: str) -> int:
    if len(text) > 17:  # a minus and the 16 digits of 2^53: longer ones are not worth a conversion
        return _no_number(text)
    value = int(text)
    return value if abs(value) <= MAX_UINT else _no_number(text)


def _no_number(text: str) -> int:
    raise ValueError(f"{text[:20]} is no number of a receipt")


def _group(parent: dict[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    value = parent[name]
    if not isinstance(value, dict) or tuple(value) != keys:
        raise ReceiptRefused(name, f"not an object of {', '.join(keys)}")
    return value


def _entry_part(value: dict[str, Any]) -> EntryPart:
    group = _group(value, "entry", _ENTRY_KEYS)
    raw = _bin(group, "entry.bytes", 1, MAX_ENTRY_BYTES)
    return EntryPart(raw, _position(group), _hashes(group, "entry.proof"))


def _block_part(value: dict[str, Any]) -> BlockPart:
    return _block_of(_group(value, "block", _PROVEN_KEYS), "block")


def _tip_part(value: dict[str, Any]) -> TipPart | None:
    if value["tip"] is None:
        return None
    group = _group(value, "tip", _TIP_KEYS)
    return TipPart(_block_of(group, "tip"), _hashes(group, "tip.proof"))


def _block_of(group: dict[str, Any], name: str) -> BlockPart:
    return BlockPart(
        _bin(group, f"{name}.header", HEADER_BYTES, HEADER_BYTES),
        _bin(group, f"{name}.body", BODY_BYTES, BODY_BYTES),
    )


def _value(group: dict[str, Any], part: str) -> object:
    return group[part.rpartition(".")[2]]


def _bin(group: dict[str, Any], part: str, least: int, most: int) -> bytes:
    found = _unhex(_value(group, part), most)
    if found is None or len(found) < least:
        expected = f"{most}" if least == most else f"{least} to {most}"
        raise ReceiptRefused(part, f"not {expected} bytes in lower-case hex")
    return found


def _hashes(group: dict[str, Any], part: str) -> tuple[bytes, ...]:
    values = _value(group, part)
    if not isinstance(values, list) or len(values) > _MAX_PROOF:
        raise ReceiptRefused(part, f"not a list of at most {_MAX_PROOF} hashes")
    found = tuple(_unhex(value, HASH_BYTES) for value in values)
    hashes = tuple(value for value in found if value is not None and len(value) == HASH_BYTES)
    if len(hashes) != len(values):
        raise ReceiptRefused(part, f"not hashes of {HASH_BYTES} bytes in lower-case hex")
    return hashes


def _unhex(value: object, most: int) -> bytes | None:
    """Return the bytes, None where it is no text of lower-case hex, or more than `most` bytes."""
    if not isinstance(value, str) or len(value) > 2 * most or _HEX.fullmatch(value) is None:
        return None
    return bytes.fromhex(value)


def _position(group: dict[str, Any]) -> int:
    value = _value(group, "entry.position")
    if type(value) is not int or not 0 <= value <= _MAX_POSITION:
        raise ReceiptRefused("entry.position", f"not an integer from 0 to {_MAX_POSITION}")
    return value
