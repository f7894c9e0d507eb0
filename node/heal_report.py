"""The report of the last healing, kept in the data folder: read by a starting node, and by people.

Reads the disk. Apart from `mending`, which takes all that heals with it: a start needs none of that.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.private import PathError, read_bounded

REPORT_NAME: Final = "heal.json"
MOST_TOLD: Final = 200
"""Changes that the local socket tells of; the report beside the evidence has all."""
_MAX_BYTES: Final = 1 << 26
_KINDS: Final[dict[str, type]] = {
    "time_ms": int,
    "height": int,
    "ok": bool,
    "healed": bool,
    "findings": list,
    "changes": list,
    "fetched": dict,
    "distrusted": list,
    "unhealed": list,
}
"""What those who show a report go by. The file may have been edited: a node starts all the same."""

Json = dict[str, Any]


def last_report(folder: Path) -> Json | None:
    """Return the report of the last healing in this folder, None where there is none that can be read."""
    with suppress(FileNotFoundError, PathError, ValueError, RecursionError):
        found = json.loads(read_bounded(folder / REPORT_NAME, _MAX_BYTES))
        if isinstance(found, dict) and all(type(found.get(name)) is kind for name, kind in _KINDS.items()):
            return found
    return None


def in_short(report: Json) -> Json:
    """Return a report whose changes fit an answer; `changes_left_out` counts the others."""
    changes = report["changes"]
    left_out = max(0, len(changes) - MOST_TOLD)
    return report | {"changes": changes[:MOST_TOLD], "changes_left_out": left_out}
