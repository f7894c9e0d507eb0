"""Files that commands make for people: whole or not there, and never in the place of another.

Writes files, one at a time; knows nothing of what is in them.
"""

from __future__ import annotations

import os
from pathlib import Path

from node.cli.errors import CommandError, refusals
from node.private import PathError, create_private_file


def refuse_taken(path: Path) -> None:
    """Refuse a name that something has: a file, a folder, a link, a device. Raises CommandError."""
    if os.path.lexists(path):
        raise taken(path)


def taken(path: Path) -> CommandError:
    """Return the refusal for a name that something has."""
    return CommandError("file-exists", f"{path} exists already and is not overwritten", "choose another name")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all. Raises CommandError (file-exists, path)."""
    refuse_taken(path)
    try:
        with refusals(PathError):
            create_private_file(path, content)
    except FileExistsError:
        raise taken(path) from None
