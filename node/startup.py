"""From settings to a running daemon: everything is opened and checked here, in order, each refusal by name.

Touches the disk. What fails here has written nothing that a next start would stumble over.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from node import config, identity, log, page, paths, wallet
from node.config import Arguments, Config, Healing
from node.daemon import Daemon, NodeHalted
from node.ledger import params, signature
from node.ledger.signature import SignatureLibraryDiffers
from node.listeners import CannotListen
from node.private import PathError, sweep
from node.remembered import FILE_NAME as MEMORY_NAME
from node.remembered import Forgotten, Network, correct, network_of, remember, remembered
from node.settings import ConfigError
from node.storage.faults import BookFault, ForeignNetwork, damaged
from node.storage.files import LEAST_FREE_BYTES, FolderLock, free_bytes
from node.storage.journal import Journal
from node.storage.port import StorageFault
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME, open_book
from node.wallet import WalletError

EXIT_STOPPED: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

JOURNAL_NAME: Final = "pending.journal"


def run(arguments: Arguments) -> int:
    """Start a node and run it until it is stopped; return the exit status."""
    try:
        settings = config.load(arguments)
    except ConfigError as error:
        return _say(str(error), EXIT_USAGE)
    try:
        params.validate(settings.parameters)
        signature.self_check()
        asyncio.run(page.refuse_taken_port(settings.web))
        return _run_and_heal(settings, heal=arguments.heal)
    except NodeHalted as halted:
        hint = f". {halted.hint[0].upper()}{halted.hint[1:]}" if halted.hint else ""
        return _say(halted.reason + hint, EXIT_FAILED)
    except (CannotListen, PathError, WalletError, StorageFault, SignatureLibraryDiffers) as error:
        return _say(str(error), EXIT_FAILED)


def _run_and_heal(settings: Config, *, heal: bool) -> int:
    """Run the node; where it stops to be mended, mend its book and run it again."""
    auto = settings.heal is Healing.AUTO
    while True:
        daemon, mended = _open_and_run(settings, heal=heal, auto=auto)
        if not daemon.wants_healing:
            return EXIT_STOPPED
        # What could not be mended once is not tried again and again by itself.
        auto = auto and mended
        heal = True


def _mend(settings: Config) -> list[str]:
    """Mend the book before anything opens it; return sentences for the log, none where all was mended."""
    if not (settings.data_dir / BOOK_NAME).is_file():
        return []
    # Here and not at the top: it takes all that heals with it, and a start should be fast.
    from node import mending  # noqa: PLC0415

    sys.stderr.write("indelible: looking for damage in the book, and mending it\n")
    report = mending.mend(settings, settings.parameters, lambda *_: None)
    if report["healed"]:
        kept = f"; what was there is kept in {report['evidence']}"
        sys.stderr.write(f"indelible: mended {len(report['findings'])} findings{kept}\n")
    return [f"could not be mended: {text}" for text in report["unhealed"]]


def _open_and_run(settings: Config, *, heal: bool, auto: bool) -> tuple[Daemon, bool]:
    """Open all and run a daemon; return it as it ended, and whether all is mended."""
    folder = settings.data_dir
    said = paths.prepare_data_dir(folder)
    with FolderLock(folder):
        sweep(folder)
        free = free_bytes(folder)
        if free < LEAST_FREE_BYTES:
            raise NodeHalted(
                f"{free >> 20} MiB are free on the disk of {folder}, {LEAST_FREE_BYTES >> 20} are needed",
                "Make room, or name another folder with --data-dir",
            )
        unhealed = _mend(settings) if heal else []
        missing = _check_book(folder, settings)
        # The identity is made after the wallet: where it is, a wallet was, and a new key would hide its loss.
        begun = (folder / identity.FILE_NAME).exists()
        purse = wallet.ensure(paths.wallets_folder(folder), settings.wallet, begun=begun)
        own = identity.load_or_create(folder)
        with ExitStack() as opened:
            book = open_book(folder / BOOK_NAME, settings.parameters)
            opened.callback(book.close)
            _remember(folder, settings)
            journal = Journal(folder / JOURNAL_NAME)
            opened.callback(journal.close)
            lines = log.setup(settings)
            opened.callback(lines.close)
            for text in (said, missing, purse.notice, *unhealed, *book.notices, *journal.notices):
                if text:
                    lines.warn(text)
            socket_path = paths.choose_socket(folder)
            opened.callback(paths.forget_socket, folder)
            daemon = _run(lambda: Daemon(settings, purse, own, book, journal, socket_path, lines), auto=auto)
    return daemon, not unhealed


def _check_book(folder: Path, settings: Config) -> str:
    """Compare the folder with what it remembers of its network, kept beside the book; return what to tell.

    Raises StorageFault: the folder is another network's, its book was emptied, or nothing tells whose it is.
    """
    book, ours = folder / BOOK_NAME, network_of(settings.parameters)
    said = _recalled(folder, book, ours)
    if said is None:
        return ""
    if not book.exists():
        return f"{book} is gone: a new one begins at genesis, and peers fill it; or put back a copy"
    if book.is_file() and book.stat().st_size == 0:
        raise damaged(book, "it is empty")
    return said


def _remember(folder: Path, settings: Config) -> None:
    """Note the network of a new folder, once its book is made.

    So an empty book beside the note was emptied; without it, the first start was cut short.
    """
    if not (folder / MEMORY_NAME).exists():
        remember(folder, network_of(settings.parameters))


def _recalled(folder: Path, book: Path, ours: Network) -> str | None:
    """Compare the folder's memory with our network; None where it has none, else what to tell.

    Where it is damaged, the book says what it was, and the memory is written anew.
    """
    path = folder / MEMORY_NAME
    try:
        found = remembered(folder)
    except Forgotten as error:
        if _network_of_book(book) != ours.network_id:
            raise BookFault(
                str(error),
                f"move it away, if {folder} is of the network {ours}; else name another with --config",
            ) from None
    else:
        if found is None or found.network_id == ours.network_id:
            return None if found is None else ""
        if _network_of_book(book) != ours.network_id:
            raise ForeignNetwork(
                f"{folder} is a folder of the network {found}, not of {ours}",
                "name its own network's file with --config, or another folder with --data-dir",
            )
    correct(folder, ours)
    return f"{path} was damaged; it is written anew, as the book is of {ours}"


def _network_of_book(path: Path) -> bytes | None:
    """Return the network that a book says it is of; None where it cannot be read."""
    try:
        with closing(open_read_only(path)) as book:
            return book.network_id()
    except BookFault:
        return None


def _run(make: Callable[[], Daemon], *, auto: bool) -> Daemon:
    """Run a daemon; of several faults at once the first of the machine's is told, a bug of ours raised."""

    async def run() -> Daemon:
        daemon = make()
        daemon.heals_by_itself = auto
        await daemon.run()
        return daemon

    try:
        return asyncio.run(run())
    except* (NodeHalted, CannotListen, PathError, StorageFault) as group:
        error = group.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    raise RuntimeError("a daemon ends by returning, or by what it raises")


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"indelible: {text}\n")
    return status
