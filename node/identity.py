"""The key by which other nodes know this one; no wallet's key, and it holds no money.

Touches the disk: one file in the data folder, made at the first start.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from node.ledger import signature
from node.private import PathError, create_private_file, read_bounded, tighten, trouble

FILE_NAME: Final = "identity"
_SEED_BYTES: Final = 32
_FILE_MODE: Final = 0o600


class Identity:
    """Signs for this node."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public_key = signature.public_key_of(seed)

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        return signature.sign(self._seed, message)


def load_or_create(folder: Path) -> Identity:
    """Return the identity kept in the data folder, made anew where there is none.

    Raises PathError: the file cannot be read, or is not what was written.
    """
    path = folder / FILE_NAME
    try:
        text = read_bounded(path, 2 * _SEED_BYTES + 1)
    except FileNotFoundError:
        seed = secrets.token_bytes(_SEED_BYTES)
        create_private_file(path, seed.hex().encode() + b"\n")
        return Identity(seed)
    except OSError as error:
        raise trouble("read", path, error) from None
    tighten(path, _FILE_MODE)
    try:
        seed = bytes.fromhex(text.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise PathError(
            f"{path} is damaged",
            "move it away: a new identity is made, and peers who name this node by it must be told",
        )
    return Identity(seed)
