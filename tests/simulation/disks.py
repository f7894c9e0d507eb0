"""Disks that survive the crash of their machine, one in memory and one of real files.

Touches the disk: `FolderMedium`, in a folder that is handed in. Both are written to by `node.disk`'s own
`FolderWriter`, step by step, so that power can fail within any step of any group of writes. The same calls
and the same dice leave the same disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, Protocol

from node.disk import PEERS_NAME, PENDING_NAME, Write
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.mempool import Saved, load_dump
from node.private import FILE_MODE, read_bounded, replace_private_file
from node.storage.faults import BookFault
from node.storage.journal import Journal
from node.storage.memory import memory_disk, open_memory
from node.storage.port import Batch, StorageFault, Store
from node.storage.sqlite import BOOK_NAME, SqliteBook, open_book
from tests.simulation.steps import JOURNAL_NAME, Faulty, Step, refuse
from tests.simulation.tearing import torn, torn_log, torn_pages

LOG_NAME: Final = f"{BOOK_NAME}-wal"
CHECKPOINT_PAGES: Final = 24
"""So that a few blocks fill the write-ahead log, and crashes meet it being folded in."""
_MOST_SAVED_BYTES: Final = 1 << 28
_ENDLESS_PAGES: Final = 1 << 30


class Opened(NamedTuple):
    """What a start finds."""

    store: Store
    saved: list[Saved]
    """Pending entries as they were saved, then what was typed since."""
    peer_book: bytes | None


class Medium(Protocol):
    """A disk with its node's files."""

    def open(self, now_ms: int = 0) -> Opened:
        """Start or restart; what the journal holds is `received_ms` now. Raises StorageFault."""

    def write(self, writes: Sequence[Write]) -> int:
        """Return the highest batch made durable, 0 where there was none; all of it is durable then.

        Raises StorageFault: a part of it may be there, from the front; the node must halt.
        """

    def crash(self, under_way: Sequence[Write], random: Random) -> None:
        """Leave what a kill or a power failure may, with these writes, in this order, under way."""

    def fill(self, full: bool) -> None:
        """Let the disk be full from now on, or no longer. A full one is not opened."""

    def fail_next(self) -> None:
        """Let the next write meet an I/O error at one of its steps, another one each time."""

    def coins(self) -> int:
        """Return what all accounts of the book hold together."""

    def close(self) -> None:
        """Let go of all files, in good order."""


class MemoryMedium:
    """A disk in memory. Satisfies Medium."""

    def __init__(self, parameters: Parameters) -> None:
        self.disk = memory_disk(parameters)
        """The book, as committed."""
        self.journal: list[bytes] = []
        self.files: dict[str, bytes] = {}
        """Content by name."""
        self._network_id = network_id(parameters)
        self._folder = Path("memory")
        self._faults = Faulty(self, self._folder, lambda step: refuse(step, self._folder))
        self._writer = open_memory(self.disk)[1]

    def open(self, now_ms: int = 0) -> Opened:
        """Start on what is there."""
        self._faults.refuse_where_full()
        pending = self.files.get(PENDING_NAME)
        saved = _saved(pending, self.journal, self._network_id, now_ms)
        return Opened(open_memory(self.disk)[0], saved, self.files.get(PEERS_NAME))

    def write(self, writes: Sequence[Write]) -> int:
        """Take the writes at once."""
        return self._faults.write(writes)

    def crash(self, under_way: Sequence[Write], random: Random) -> None:
        """Leave a part of them."""

        def tear(step: Step) -> None:
            before = len(self.journal)
            if random.randrange(2):
                step.do()
            if step.part == "journal":
                del self.journal[random.randint(before, len(self.journal)) :]

        self._faults.break_off(under_way, random, tear)

    def fill(self, full: bool) -> None:
        """Let every write but an emptied journal fail."""
        self._faults.is_full = full

    def fail_next(self) -> None:
        """Let the next write fail."""
        self._faults.fail_next()

    def coins(self) -> int:
        """Add up the accounts."""
        return sum(balance for balance, _ in self.disk.accounts.values())

    def close(self) -> None:
        """Nothing is held."""

    # What `FolderWriter` writes to.

    def commit(self, batches: Iterable[Batch]) -> None:
        """Take batches to the book."""
        self._writer.commit(batches)

    def append(self, raws: Iterable[bytes]) -> None:
        """Add to the journal."""
        self.journal.extend(raws)

    def empty(self) -> None:
        """Empty the journal."""
        self.journal.clear()

    def replace(self, path: Path, content: bytes) -> None:
        """Write a file anew."""
        self.files[path.name] = content


class FolderMedium:
    """A disk of real files: the book in SQLite, the journal, what is saved. Satisfies Medium.

    It counts as a file system that keeps what was synced, renames at once, and damages no byte beside those
    that are written (SQLite's powersafe overwrite); a temporary folder in memory plays it best.
    """

    def __init__(
        self, parameters: Parameters, folder: Path, checkpoint_pages: int = CHECKPOINT_PAGES
    ) -> None:
        """`checkpoint_pages`: after how many the write-ahead log is folded into the book."""
        self._parameters = parameters
        self._folder = folder
        self._checkpoint_pages = checkpoint_pages
        self._network_id = network_id(parameters)
        self._faults = Faulty(self, folder, self._when_full)
        self._held: tuple[SqliteBook, Journal] | None = None

    def open(self, now_ms: int = 0) -> Opened:
        """Open the files as a start does."""
        with self._names_without_folder():
            return self._open(now_ms)

    def _open(self, now_ms: int) -> Opened:
        self.close()
        self._faults.refuse_where_full()
        book = open_book(self._folder / BOOK_NAME, self._parameters)
        try:
            book.writer.connection.execute(f"PRAGMA wal_autocheckpoint = {self._checkpoint_pages}")
            journal = Journal(self._folder / JOURNAL_NAME)
        except BookFault:
            book.close()
            raise
        self._held = book, journal
        saved = _saved(self._read(PENDING_NAME), journal.read(), self._network_id, now_ms)
        return Opened(book.store, saved, self._read(PEERS_NAME))

    def write(self, writes: Sequence[Write]) -> int:
        """Write to the files; durable when this returns."""
        with self._names_without_folder():
            return self._faults.write(writes)

    def crash(self, under_way: Sequence[Write], random: Random) -> None:
        """Leave the files as a power failure may, and let go of them."""
        left: list[tuple[bytes, bytes]] = []

        def tear(step: Step) -> None:
            if step.part == "book":
                left.append(self._torn_commit(step, random))
            elif step.part == "journal":
                self._tear_journal(step, random)
            else:  # emptied or not, the old file or the new one
                if step.part != "empty":
                    self._leave_temporary(step.part, random)
                if random.randrange(2):
                    step.do()

        if self._held is None:
            return
        self._faults.break_off(under_way, random, tear)
        book, log = left[0] if left else self._torn_checkpoint(random)
        self.close()
        (self._folder / f"{BOOK_NAME}-shm").unlink(missing_ok=True)
        self._overwrite(BOOK_NAME, book)
        self._overwrite(LOG_NAME, log)

    def fill(self, full: bool) -> None:
        """Let no file grow: a commit that needs no new page of the book still goes through."""
        self._faults.is_full = full

    def fail_next(self) -> None:
        """Let the next write fail."""
        self._faults.fail_next()

    def close(self) -> None:
        """Close the files."""
        if self._held is not None:
            book, journal = self._held
            self._held = None
            book.close()
            journal.close()

    # What `FolderWriter` writes to.

    def commit(self, batches: Iterable[Batch]) -> None:
        """Commit to the book."""
        self._open_book.writer.commit(batches)

    def append(self, raws: Iterable[bytes]) -> None:
        """Add to the journal."""
        self._journal.append(raws)

    def empty(self) -> None:
        """Empty the journal."""
        self._journal.empty()

    def replace(self, path: Path, content: bytes) -> None:
        """Write a file anew."""
        replace_private_file(path, content)

    # --------------------------------------------------------------------------------------- what is left

    def _torn_commit(self, step: Step, dice: Random) -> tuple[bytes, bytes]:
        """Carry out a commit; return what a power failure within it may leave of book and log."""
        book, log = self._content()
        step.do()
        new_book, new_log = self._content()
        if new_book != book and dice.randrange(2):  # folded in: only after the log was synced
            return torn_pages(book, new_book, dice), new_log
        return book, torn_log(log, new_log, dice)

    def _torn_checkpoint(self, dice: Random) -> tuple[bytes, bytes]:
        """Return book and log with all that was committed; now and then a stop was folding the log in."""
        book, log = self._content()
        if dice.randrange(2):
            return book, log
        self._open_book.writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return torn_pages(book, self._content()[0], dice), log

    def _tear_journal(self, step: Step, dice: Random) -> None:
        path = self._folder / JOURNAL_NAME
        before, start = path.read_bytes(), self._journal.end
        step.do()
        after = path.read_bytes()
        end = self._journal.end if dice.randrange(2) else len(after)  # zeros were perhaps written behind it
        self._overwrite(JOURNAL_NAME, torn(before, after, start, end, dice))

    def _leave_temporary(self, name: str, dice: Random) -> None:
        if dice.randrange(2):
            content = dice.randbytes(dice.randrange(100))
            self._overwrite(f".{name}.{dice.randbytes(6).hex()}.tmp", content)

    def _content(self) -> tuple[bytes, bytes]:
        log = self._folder / LOG_NAME
        return (self._folder / BOOK_NAME).read_bytes(), log.read_bytes() if log.exists() else b""

    def _overwrite(self, name: str, content: bytes) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    # ---------------------------------------------------------------------------------------------- parts

    def _when_full(self, step: Step) -> None:
        if step.part != "book":
            refuse(step, self._folder)
            return
        connection = self._open_book.writer.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        try:
            step.do()
        finally:
            connection.execute(f"PRAGMA max_page_count = {_ENDLESS_PAGES}")

    @contextlib.contextmanager
    def _names_without_folder(self) -> Iterator[None]:
        """Tell of faults in the same words, wherever the folder is."""
        folder = f"{self._folder}/"
        try:
            yield
        except BookFault as fault:
            raise type(fault)(fault.message.replace(folder, ""), fault.hint.replace(folder, "")) from fault
        except StorageFault as fault:
            raise StorageFault(str(fault).replace(folder, "")) from fault

    def coins(self) -> int:
        """Have SQLite add up the accounts."""
        row = self._open_book.writer.connection.execute("SELECT sum(balance) FROM accounts").fetchone()
        return int(row[0] or 0)

    @property
    def _open_book(self) -> SqliteBook:
        assert self._held is not None, "the medium is not open"
        return self._held[0]

    @property
    def _journal(self) -> Journal:
        assert self._held is not None, "the medium is not open"
        return self._held[1]

    def _read(self, name: str) -> bytes | None:
        try:
            return read_bounded(self._folder / name, _MOST_SAVED_BYTES)
        except FileNotFoundError:
            return None


def _saved(pending: bytes | None, journal: Iterable[bytes], network: bytes, now_ms: int) -> list[Saved]:
    saved = load_dump(pending, network) if pending is not None else []
    return [*saved, *(Saved(raw, own=True, received_ms=now_ms) for raw in journal)]
