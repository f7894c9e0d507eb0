"""The book as the page reads it: a few read-only handles, each used by one thread at a time.

Touches the disk, and writes nothing. A question sees one state of the book (a snapshot), whatever the daemon
writes meanwhile. Handles are kept open; one whose file was replaced is opened anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from node.ledger.params import Parameters
from node.proven_parts import ProvenParts
from node.query import Query
from node.storage.port import StorageFault
from node.storage.reading import ReadOnlyBook, open_read_only

T = TypeVar("T")

READERS: Final = 4
"""Threads that read, each with a handle of its own."""

MAX_QUEUED: Final = 256
"""Questions that wait for a thread."""


class TooBusy(Exception):
    """More questions wait than the page takes; ask again in a moment."""


class Books:
    """Questions to the book of one data folder, off the event loop."""

    def __init__(self, path: Path, parameters: Parameters) -> None:
        self._path = path
        self._parameters = parameters
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._idle: deque[tuple[ReadOnlyBook, tuple[int, int]]] = deque()
        self._proven = ProvenParts()
        self._asked = 0

    async def ask(self, question: Callable[[Query], T]) -> T:
        """Return the answer to a question. Raises what it raises, StorageFault, TooBusy."""
        return await self.ask_book(lambda book: question(Query(book, self._parameters, self._proven)))

    async def ask_book(self, question: Callable[[ReadOnlyBook], T]) -> T:
        """Ask the storage itself, for what is no question of `Query`."""
        if self._asked >= MAX_QUEUED:
            raise TooBusy
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)
        finally:
            self._asked -= 1

    def _answer(self, question: Callable[[ReadOnlyBook], T]) -> T:
        book, opened = self._take()
        is_sound = True
        try:
            with book.snapshot():
                return question(book)
        except StorageFault:
            is_sound = False  # it may be this handle's alone: the next question gets another
            raise
        finally:
            if is_sound:
                self._idle.append((book, opened))
            else:
                book.close()

    def _take(self) -> tuple[ReadOnlyBook, tuple[int, int]]:
        there = _identity_of(self._path)
        while self._idle:
            book, opened = self._idle.pop()
            if opened == there:
                return book, opened
            book.close()
        return open_read_only(self._path), there

    def close(self) -> None:
        """End the threads and close the file."""
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._idle.pop()[0].close()


def _identity_of(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name; (0, 0) where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
