"""Reading of the golden vectors for the tests. Touches the files in this folder only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(name: str) -> dict[str, Any]:
    """Return the content of one file, such as "merkle.json"."""
    content: dict[str, Any] = json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return content


def unhex(*texts: str) -> tuple[bytes, ...]:
    """Return the bytes of each hex text."""
    return tuple(bytes.fromhex(text) for text in texts)
