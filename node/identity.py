"""The key by which other nodes know this one; no wallet's key, and it holds no money.

Touches the disk: one file in the data folder, made at the first start.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from node.ledger import signature
from node.private import PathError, UnfitFile, create_private_file, read_bounded, tighten

FILE_NAME: Final = "identity"
_SEED_BYTES: Final = 32
_MAX_BYTES: Final = 4 * _SEED_BYTES + 2
_FILE_MODE: Final = 0o600
_HINT: Final = "move it away: a new identity is made, and peers who name this node by it must be told"


class Identity:
    """Signs for this node."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public_key = signature.public_key_of(seed)

    def content(self) -> bytes:
        """Return what its file holds: the seed and the public key, in hex."""
        return f"{self._seed.hex()} {self.public_key.hex()}\n".encode()

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        return signature.sign(self._seed, message)


def load_or_create(folder: Path) -> Identity:
    """Return the identity kept in the data folder, made anew where there is none.

    Raises PathError: the file cannot be read, or is not what was written.
    """
    path = folder / FILE_NAME
    try:
        content = read_bounded(path, _MAX_BYTES)
    except FileNotFoundError:
        made = Identity(secrets.token_bytes(_SEED_BYTES))
        create_private_file(path, made.content())
        return made
    except UnfitFile as error:
        raise PathError(error.message, _HINT) from None
    tighten(path, _FILE_MODE)
    try:
        found = bytes.fromhex(content.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        found = b""
    seed, public_key = found[:_SEED_BYTES], found[_SEED_BYTES:]
    # The public key stands beside the seed, so that no digit can change unnoticed; a file of the first
    # versions holds the seed alone.
    if len(seed) != _SEED_BYTES or public_key not in {b"", signature.public_key_of(seed)}:
        raise PathError(f"{path} is damaged", _HINT)
    return Identity(seed)
