"""The writing side of the disk: in order, many batches in one transaction; and the thread that does it.

Touches the disk, through the storage layer. The event loop hands effects over and is told of what is
durable; it never waits for the disk. What is written, and in which order, knows of no thread.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from node.connecting import BLOCK_COST
from node.events import Persist, SavePeers, SavePending
from node.private import PathError, replace_private_file
from node.storage.faults import BookFault
from node.storage.journal import Journal
from node.storage.port import Batch, Writer

PENDING_NAME: Final = "pending.dat"
PEERS_NAME: Final = "peers.dat"
HOLD_S: Final = 1.0
"""The longest that a block waits for those that follow it; seconds. Nobody is told of it until then."""
ENOUGH_ENTRIES: Final = 16_384
"""Of one transaction; less than half of what the chain lets wait for the disk, so that it goes on."""

Write = Persist | SavePending | SavePeers


class EntryJournal(Protocol):
    """What is asked of the journal; see `Journal`."""

    def append(self, raws: Iterable[bytes]) -> None: ...
    def empty(self) -> None: ...


class FolderWriter:
    """What is written to the data folder, and in which order, on whatever thread it is called."""

    def __init__(
        self,
        writer: Writer,
        journal: EntryJournal,
        folder: Path,
        replace: Callable[[Path, bytes], None] = replace_private_file,
    ) -> None:
        """`replace` puts a file in the place of another, the old one or the new one; it raises PathError."""
        self._writer = writer
        self._journal = journal
        self._folder = folder
        self._replace = replace

    def write(self, writes: Sequence[Write], on_durable: Callable[[int], None]) -> None:
        """Make all of it durable, in order; `on_durable(batch)` is told on the way.

        Raises StorageFault: then a part of it is there, from the front, of a batch perhaps the journal only.
        """
        batches: list[Batch] = []
        for write in writes:
            if isinstance(write, Persist):
                batches.append(write.batch)
                continue
            self._commit(batches, on_durable)
            batches = []
            self._save(write)
        self._commit(batches, on_durable)

    def _commit(self, batches: Sequence[Batch], on_durable: Callable[[int], None]) -> None:
        if not batches:
            return
        journal = [raw for batch in batches for raw in batch.journal]
        if journal:
            self._journal.append(journal)
        book = [batch for batch in batches if batch.touches_book]
        if book:
            self._writer.commit(book)
        on_durable(batches[-1].number)

    def _save(self, write: SavePending | SavePeers) -> None:
        name = PENDING_NAME if isinstance(write, SavePending) else PEERS_NAME
        try:
            self._replace(self._folder / name, write.content)
        except PathError as error:
            raise BookFault(error.message, error.hint) from error
        if isinstance(write, SavePending):
            self._journal.empty()


class DiskWriter:
    """The thread that writes."""

    def __init__(
        self,
        writer: Writer,
        journal: Journal,
        folder: Path,
        on_durable: Callable[[int], None],
        on_fault: Callable[[BaseException], None],
        hold_s: float = HOLD_S,
    ) -> None:
        """`on_durable(batch)` and `on_fault(error)` are called on the writing thread."""
        self._hold_s = hold_s
        self._folder = FolderWriter(writer, journal, folder)
        self._on_durable = on_durable
        self._on_fault = on_fault
        self._queue: SimpleQueue[Write | None] = SimpleQueue()
        """None: the end. One made in C, for each hand-over is waited for by whoever typed an entry here."""
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, write: Write) -> None:
        """Have this written after all before it."""
        self._queue.put(write)

    def close(self) -> None:
        """Write what is queued, then end; waits for it."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while writes := self._take():
                self._folder.write(writes, self._on_durable)
        except BaseException as error:  # noqa: BLE001 - handed to the loop, which ends the process
            self._on_fault(error)

    def _take(self) -> list[Write]:
        """Return all that is queued, waiting for something; nothing at the end.

        A block that others follow waits for them a little: one large transaction costs half of many small.
        """
        queued = [self._queue.get()]
        weight = _weight(queued[-1])
        until = time.monotonic() + self._hold_s
        with contextlib.suppress(Empty):
            while self._queue.qsize() or (_is_followed(queued[-1]) and weight < ENOUGH_ENTRIES):
                queued.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
                weight += _weight(queued[-1])
        writes = [write for write in queued if write is not None]
        if writes and len(writes) < len(queued):
            self._queue.put(None)  # the end comes after these
        return writes


def _is_followed(write: Write | None) -> bool:
    return isinstance(write, Persist) and write.batch.followed


def _weight(write: Write | None) -> int:
    """Return how much a write adds to a transaction, in entries; a block by itself counts as some."""
    if not isinstance(write, Persist):
        return 0
    return sum(BLOCK_COST + len(connected.entries) for connected in write.batch.connected)
