"""What a stored copy says beside what is proven, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from node.audit_findings import Difference
from node.ledger.block import Block, decode_coinbase
from node.ledger.entry import decode_entry
from node.ledger.errors import RuleBroken
from node.ledger.merkle import leaf_hash
from node.storage.port import BlockRecord


def of_leaf(position: int, said: bytes | None, proof: bytes | None) -> tuple[Difference, ...]:
    """Return how a leaf (0 is the coinbase) differs from the proven one, None where nothing proves it.

    Where there is only one of the two, all its fields. Bytes that are no entry are told of as such.
    """
    left, right = _fields_of(position, said), _fields_of(position, proof)
    names = [*left, *(name for name in right if name not in left)]
    return tuple(
        Difference(name, left.get(name), right.get(name))
        for name in names
        if said is None or proof is None or left.get(name) != right.get(name)
    )


def of_blocks(said: Block, proof: Block) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """Yield (position, leaf as said, leaf as proven) of each leaf of a block that differs."""
    left = [said.first_leaf, *said.entries]
    right = [proof.first_leaf, *proof.entries]
    for position in range(max(len(left), len(right))):
        one = left[position] if position < len(left) else None
        other = right[position] if position < len(right) else None
        if one != other:
            yield position, one, other


def of_rows(found: BlockRecord, expected: BlockRecord, but: Sequence[str]) -> tuple[Difference, ...]:
    """Return the columns in which two rows of a block differ, other than those named."""
    return tuple(
        Difference(field.name, shown(getattr(found, field.name)), shown(getattr(expected, field.name)))
        for field in fields(BlockRecord)
        if field.name not in but and getattr(found, field.name) != getattr(expected, field.name)
    )


def shown(value: object) -> str:
    """Return a value as findings show it: bytes in hexadecimal."""
    raw = getattr(value, "raw", value)  # of a header
    return raw.hex() if isinstance(raw, bytes) else str(value)


def _fields_of(position: int, raw: bytes | None) -> dict[str, str]:
    if raw is None:
        return {}
    found = {"txid": leaf_hash(raw).hex()}
    try:
        values = asdict(decode_coinbase(raw)) if position == 0 else decode_entry(raw)._asdict()
    except RuleBroken:
        return found | {"bytes": raw.hex()}
    return found | {name: shown(value) for name, value in values.items() if name not in {"raw", "txid"}}
