"""What was found damaged, kept aside: a folder for each healing, with a report and the bytes as they were.

Touches the disk: `evidence/<time>/` in the data folder, for its owner alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from node import differences
from node.ledger.block import decode_block
from node.ledger.errors import RuleBroken
from node.ledger.merkle import leaf_hash
from node.private import create_private_file, make_private_folder, replace_private_file
from node.storage import comparing

FOLDER: Final = "evidence"
REPORT: Final = "report.json"
MOST_ROWS: Final = 1_000
"""Rows told of, a table; the whole book as it was lies beside the report."""

Json = dict[str, Any]


def new_folder(data_dir: Path, stamp: str) -> Path:
    """Make the folder for a healing that begins at this time (text that names a folder). Raises PathError."""
    make_private_folder(data_dir / FOLDER)
    number, folder = 1, data_dir / FOLDER / stamp
    while folder.exists():
        number += 1
        folder = data_dir / FOLDER / f"{stamp}-{number}"
    make_private_folder(folder)
    return folder


def compare(folder: Path, old: Path, new: Path) -> list[Json]:
    """Keep the bytes of each block that differs, and return all that does, field by field."""
    return [*_entries(folder, old, new), *_rows(old, new)]


def keep(folder: Path, path: Path) -> None:
    """Copy a small file as it is."""
    create_private_file(folder / path.name, path.read_bytes())


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the report, or write it again. Raises PathError."""
    replace_private_file(folder / REPORT, json.dumps(report, indent=1).encode() + b"\n")


def _rows(old: Path, new: Path) -> list[Json]:
    found = []
    for row in comparing.differing_rows(old, new, MOST_ROWS):
        said, proof = row.said or {}, row.proof or {}
        names = [name for name in {**said, **proof} if said.get(name) != proof.get(name)]
        fields = [
            {"name": name, "said": _shown(said, name), "proof": _shown(proof, name)}
            for name in names or ["row"]
        ]
        if not names:
            fields = [{"name": "row", "said": _there(row.said), "proof": _there(row.proof)}]
        key = {name: differences.shown(value) for name, value in row.key.items()}
        found.append({"table": row.table, "key": key, "fields": fields})
    return found


def _there(row: object) -> str | None:
    return None if row is None else "there"


def _shown(row: Mapping[str, Any], name: str) -> str | None:
    return differences.shown(row[name]) if name in row else None


def _entries(folder: Path, old: Path, new: Path) -> list[Json]:
    found: list[Json] = []
    for block_id, said, proof in comparing.differing_bodies(old, new, MOST_ROWS):
        if proof is None:
            continue
        block = decode_block(proof)
        name = f"block-{block.header.height}-{block.header.hash.hex()[:8]}"
        create_private_file(folder / f"{name}.proven", proof)
        place = {"table": "bodies", "key": {"id": str(block_id)}, "height": block.header.height}
        if said is None:
            whole = [{"name": "bytes", "said": None, "proof": f"{len(proof)} bytes"}]
            found.append(place | {"fields": whole})
            continue
        create_private_file(folder / f"{name}.found", said)
        try:
            other = decode_block(said)
        except RuleBroken as broken:
            whole = [{"name": "bytes", "said": str(broken), "proof": f"{len(proof)} bytes"}]
            found.append(place | {"fields": whole})
            continue
        if other.header != block.header:
            heads = {"name": "header", "said": other.header.raw.hex(), "proof": block.header.raw.hex()}
            found.append(place | {"fields": [heads]})
        for position, left, right in differences.of_blocks(other, block):
            fields = [field._asdict() for field in differences.of_leaf(position, left, right)]
            leaf = {
                "position": position,
                "txid": None if right is None else leaf_hash(right).hex(),
                "found_txid": None if left is None else leaf_hash(left).hex(),
                "fields": fields,
            }
            found.append(place | leaf)
    return found
