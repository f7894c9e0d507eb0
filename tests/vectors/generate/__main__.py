"""Write all golden vectors again: `python -m tests.vectors.generate`. Writes the files named in the table.

Running it twice gives the same bytes: nothing random, nothing of the clock. A change in a file is a change of
the law or of what is tested, and is looked at as one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.vectors.generate import (
    asert,
    blocks,
    compact_bits,
    ed25519,
    entries,
    merkle,
    params,
    receipts,
    wire,
    wire_refused,
)

PROJECT = Path(__file__).parents[3]

FILES: Mapping[str, Callable[[], Mapping[str, object]]] = {
    "tests/vectors/asert.json": asert.make,
    "tests/vectors/blocks.json": blocks.make,
    "tests/vectors/compact_bits.json": compact_bits.make,
    "tests/vectors/ed25519.json": ed25519.make,
    "tests/vectors/entries.json": entries.make,
    "tests/vectors/merkle.json": merkle.make,
    "tests/vectors/params.json": params.make,
    "tests/vectors/receipts.json": receipts.make,
    "tests/vectors/wire.json": wire.make,
    "tests/vectors/wire_refused.json": wire_refused.make,
    "node/ledger/data/ed25519_cases.json": ed25519.make_cases,
}
"""Where each file stands in the project, and what makes the JSON object in it."""


def render(content: Mapping[str, object]) -> str:
    """Return the JSON text of one file, with each item of a list on a line of its own."""
    fields = []
    for key, value in content.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
        else:
            text = json.dumps(value)
        fields.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def main() -> None:
    """Make every file of the table and write it, saying so."""
    for path, make in FILES.items():
        target = PROJECT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render(make()), encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
