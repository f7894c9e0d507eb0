"""From settings to a running daemon: everything is opened and checked here, in order, each refusal by name.

Touches the disk. What fails here has written nothing that a next start would stumble over.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from node import config, log, paths, wallet
from node.config import Arguments, Config
from node.daemon import Daemon, NodeHalted
from node.identity import load_or_create
from node.ledger import params, signature
from node.ledger.block import network_id
from node.ledger.signature import SignatureLibraryDiffers
from node.listeners import CannotListen
from node.private import PathError, create_private_file, read_bounded
from node.settings import ConfigError
from node.storage.faults import ForeignNetwork, damaged
from node.storage.files import LEAST_FREE_BYTES, FolderLock, free_bytes
from node.storage.journal import Journal
from node.storage.port import StorageFault
from node.storage.sqlite import BOOK_NAME, open_book
from node.wallet import WalletError

EXIT_STOPPED: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

JOURNAL_NAME: Final = "pending.journal"
NETWORK_NAME: Final = "network"
_MAX_NETWORK_BYTES: Final = 256


def run(arguments: Arguments) -> int:
    """Start a node and run it until it is stopped; return the exit status."""
    try:
        settings = config.load(arguments)
    except ConfigError as error:
        return _say(str(error), EXIT_USAGE)
    try:
        params.validate(settings.parameters)
        signature.self_check()
        return _open_and_run(settings)
    except NodeHalted as halted:
        return _say(f"{halted.reason}. {halted.hint}", EXIT_FAILED)
    except (CannotListen, PathError, WalletError, StorageFault, SignatureLibraryDiffers) as error:
        return _say(str(error), EXIT_FAILED)


def _open_and_run(settings: Config) -> int:
    folder = settings.data_dir
    said = paths.prepare_data_dir(folder)
    with FolderLock(folder):
        free = free_bytes(folder)
        if free < LEAST_FREE_BYTES:
            raise NodeHalted(
                f"{free >> 20} MiB are free on the disk of {folder}, {LEAST_FREE_BYTES >> 20} are needed",
                "Make room, or name another folder with --data-dir",
            )
        missing = _check_book(folder, settings)
        purse = wallet.ensure(paths.wallets_folder(folder), settings.wallet)
        identity = load_or_create(folder)
        with ExitStack() as opened:
            book = open_book(folder / BOOK_NAME, settings.parameters)
            opened.callback(book.close)
            journal = Journal(folder / JOURNAL_NAME)
            opened.callback(journal.close)
            lines = log.setup(settings)
            opened.callback(lines.close)
            for text in (said, missing, purse.notice, *book.notices, *journal.notices):
                if text:
                    lines.warn(text)
            socket_path = paths.choose_socket(folder)
            opened.callback(paths.forget_socket, folder)
            _run(lambda: Daemon(settings, purse, identity, book, journal, socket_path, lines))
    return EXIT_STOPPED


def _check_book(folder: Path, settings: Config) -> str:
    """Compare the folder with what it remembers of its network, kept beside the book; return what to tell.

    Raises StorageFault: the folder is another network's, or its book was emptied.
    """
    path = folder / NETWORK_NAME
    ours = f"{network_id(settings.parameters).hex()} {settings.parameters.name}\n"
    try:
        remembered = read_bounded(path, _MAX_NETWORK_BYTES).decode(errors="replace")
    except FileNotFoundError:
        create_private_file(path, ours.encode())
        return ""
    if remembered.split(" ")[0] != ours.split(" ", maxsplit=1)[0]:
        raise ForeignNetwork(
            f"{folder} is a folder of the network {remembered.partition(' ')[2].strip()!a}, "
            f"not of {settings.parameters.name!a}",
            "name its own network's file with --config, or another folder with --data-dir",
        )
    book = folder / BOOK_NAME
    if not book.exists():
        return f"{book} is gone: a new one begins at genesis, and peers fill it; or put back a copy"
    if book.stat().st_size == 0:
        raise damaged(book, "it is empty")
    return ""


def _run(make: Callable[[], Daemon]) -> None:
    """Run a daemon; of several faults at once the first of the machine's is told, a bug of ours raised."""

    async def run() -> None:
        await make().run()

    try:
        asyncio.run(run())
    except* (NodeHalted, CannotListen, PathError, StorageFault) as group:
        error = group.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"indelible: {text}\n")
    return status
