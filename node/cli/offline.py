"""What a command knows without a node: the book in a folder, its network, and the settings.

Reads files, changes nothing.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation
from node.config import Arguments, Config, load
from node.ledger.block import decode_block, genesis_block
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.private import PathError
from node.remembered import Forgotten, network_of, remembered
from node.settings import ConfigError
from node.storage.faults import BookFault, ForeignNetwork
from node.storage.network import parameters_of_bytes
from node.storage.reading import ReadOnlyBook, open_read_only
from node.storage.sqlite import BOOK_NAME


def configuration(invocation: Invocation) -> Config:
    """Return the settings that a node would start with. Raises CommandError(bad-config)."""
    with refusals(ConfigError):
        return load(Arguments(port=invocation.port, data_dir=invocation.data_dir, config=invocation.config))


def book_path(invocation: Invocation) -> Path:
    """Return where the book of the node that is meant lies; it may not be there."""
    if invocation.socket is not None and invocation.data_dir is None:
        return Path(invocation.info()["data_dir"]) / BOOK_NAME
    return invocation.folder() / BOOK_NAME


def parameters_of(invocation: Invocation, book: ReadOnlyBook) -> Parameters:
    """Return the parameters of the network that the book is of.

    Those of --config, where it is given, whatever the book says. Else the configured ones where they are the
    book's, else those that stand in it: a data folder remembers its network. What contradicts them there is
    for `verify` to name. Raises CommandError, BookFault.
    """
    configured = configuration(invocation).parameters
    if invocation.config is not None:
        return configured
    named, genesis = book.network_id(), book.body(0) or b""
    stored = (book.parameters(), _first_leaf(genesis))
    for parameters in (configured, *map(parameters_of_bytes, stored)):
        if parameters is None:
            continue
        block = genesis_block(parameters)
        if block.header.hash == named or block.raw == genesis:
            return parameters
    hint = "name its network's file with --config"
    raise CommandError("book-damaged", f"{book.path} does not name a network that can be", hint)


def _first_leaf(genesis: bytes) -> bytes:
    try:
        return decode_block(genesis).first_leaf
    except RuleBroken:
        return b""


def parameters_of_damaged(invocation: Invocation, path: Path) -> Parameters:
    """Return the parameters of a book that may be past reading: the configured ones then.

    Raises CommandError where the folder remembers that it is of another network than the configured one.
    """
    try:
        with closing(open_read_only(path)) as book:
            return parameters_of(invocation, book)
    except BookFault:
        parameters = configuration(invocation).parameters
    ours = network_of(parameters)
    try:
        with refusals(PathError):
            found = remembered(path.parent)
    except Forgotten:
        found = None  # the book that is made will be refused where it is another network's
    if found is not None and found.network_id != ours.network_id:
        hint = "name its network's file: --config FILE"
        raise CommandError(
            ForeignNetwork.code, f"{path.parent} is a folder of the network {found}, not of {ours}", hint
        )
    return parameters


def address_prefix(invocation: Invocation) -> str:
    """Return how addresses start: as the running node says, else the folder's book, else the settings.

    Where the book is past reading too: a key can be saved from beside it.
    """
    if invocation.client_if_running() is not None:
        return str(invocation.info()["prefix"])
    path = invocation.folder() / BOOK_NAME
    if not path.is_file():
        return configuration(invocation).parameters.prefix
    return parameters_of_damaged(invocation, path).prefix
