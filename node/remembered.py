"""What a data folder remembers of its network, beside the book: told apart even when the book is gone.

Touches the disk: one small file, made at the first start.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.private import UnfitFile, create_private_file, read_bounded, replace_private_file

FILE_NAME: Final = "network"

_MAX_BYTES: Final = 256
_FORM: Final = re.compile(r"([0-9a-f]{64}) ([^\n]+)\n")


class Network(NamedTuple):
    """A network as people tell it from others; two may have the same name."""

    network_id: bytes
    name: str

    def __str__(self) -> str:
        """Return the name with the beginning of the id."""
        return f"{self.name!a} ({self.network_id.hex()[:8]})"


class Forgotten(Exception):
    """The file is there, and is not what was written."""


def network_of(parameters: Parameters) -> Network:
    """Return the network with these parameters."""
    return Network(network_id(parameters), parameters.name)


def remembered(folder: Path) -> Network | None:
    """Return what the folder remembers, None where it never had a network. Raises Forgotten, PathError."""
    try:
        content = read_bounded(folder / FILE_NAME, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except UnfitFile as error:
        raise Forgotten(error.message) from None
    found = _FORM.fullmatch(content.decode(errors="replace"))
    network = None if found is None else Network(bytes.fromhex(found[1]), found[2])
    if network is None or _content(network) != content:
        raise Forgotten(f"{folder / FILE_NAME} is damaged")
    return network


def remember(folder: Path, network: Network) -> None:
    """Note the network of a folder that has none yet. Raises PathError, FileExistsError."""
    create_private_file(folder / FILE_NAME, _content(network))


def correct(folder: Path, network: Network) -> None:
    """Write a memory that was damaged anew. Raises PathError: something that is no file is in its place."""
    replace_private_file(folder / FILE_NAME, _content(network))


def _content(network: Network) -> bytes:
    return f"{network.network_id.hex()} {network.name}\n".encode()
