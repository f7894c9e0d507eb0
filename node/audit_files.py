"""The small files beside the book, each looked at by its own check: peers, pending entries, keys, contacts.

Reads the data folder. What has a check is found when it was changed; a changed contact is still a contact.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from node import identity, paths, wallet
from node.audit_findings import Difference, Finding, FirstBad
from node.contacts import ContactError, Contacts
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.mempool import load_dump
from node.peers.book import VERSION as PEERS_VERSION
from node.private import PathError, read_bounded
from node.remembered import FILE_NAME as MEMORY_NAME
from node.remembered import Forgotten, network_of, remembered
from node.sealed import Unreadable, unseal
from node.storage.journal import broken_bytes
from node.wallet import BrokenWallet

PEERS_NAME: Final = "peers.dat"
PENDING_NAME: Final = "pending.dat"
JOURNAL_NAME: Final = "pending.journal"
_MAX_BYTES: Final = 1 << 26


class BadFile(NamedTuple):
    """A file that is not what was written."""

    path: Path
    why: str

    def finding(self) -> FirstBad:
        """Return it as an audit tells it."""
        detail = f"{self.path}: {self.why}"
        return FirstBad(Finding.OTHER_FILE, detail, fields=(Difference("file", self.path.name, None),))


def bad_files(folder: Path, parameters: Parameters, *, live: bool) -> list[BadFile]:
    """Return the files that are damaged. `live`: a node runs there, and may be writing its journal."""
    checks: list[tuple[Path, Callable[[], object]]] = [
        (folder / PEERS_NAME, lambda: _sealed(folder / PEERS_NAME)),
        (folder / PENDING_NAME, lambda: _pending(folder / PENDING_NAME, parameters)),
        (folder / identity.FILE_NAME, lambda: identity.load_or_create(folder)),
        (folder / MEMORY_NAME, lambda: _memory(folder, parameters)),
        (
            paths.contacts_file(folder),
            lambda: Contacts.load(paths.contacts_file(folder), parameters.prefix),
        ),
    ]
    if not live:
        checks.append((folder / JOURNAL_NAME, lambda: _journal(folder / JOURNAL_NAME)))
    found = []
    for path, check in checks:
        if not path.exists():
            continue
        try:
            check()
        except (Unreadable, PathError, Forgotten, ContactError, FileNotFoundError) as error:
            found.append(BadFile(path, getattr(error, "message", str(error))))
    wallets = wallet.list_wallets(paths.wallets_folder(folder))
    found += [BadFile(one.path, one.error.message) for one in wallets if isinstance(one, BrokenWallet)]
    return found


def _memory(folder: Path, parameters: Parameters) -> None:
    if remembered(folder) != network_of(parameters):
        raise Unreadable("it names another network than the book's")


def _sealed(path: Path) -> None:
    unseal(PEERS_VERSION, read_bounded(path, _MAX_BYTES))


def _pending(path: Path, parameters: Parameters) -> None:
    load_dump(read_bounded(path, _MAX_BYTES), network_id(parameters))


def _journal(path: Path) -> None:
    broken = broken_bytes(read_bounded(path, _MAX_BYTES))
    if broken:
        raise Unreadable(f"{broken} of its bytes are of no whole entry")
