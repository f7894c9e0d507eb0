"""Every implementation of the storage port, opened and reopened in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from node.ledger.params import Parameters
from node.storage import inspecting
from node.storage.memory import memory_disk, open_memory
from node.storage.port import Store, Writer
from node.storage.sqlite import BOOK_NAME, SqliteBook, open_book


class InMemory:
    """The port over dicts."""

    def __init__(self, parameters: Parameters, _folder: Path) -> None:
        self._disk = memory_disk(parameters)
        self.store: Store
        self.writer: Writer
        self.reopen()

    def reopen(self) -> None:
        """Crash, and start again."""
        self.store, self.writer = open_memory(self._disk)

    def check(self, _txids: int, _touched: int) -> None:
        """There are no tables."""

    def close(self) -> None:
        """Nothing is held."""


class InSqlite:
    """The port over a file."""

    def __init__(self, parameters: Parameters, folder: Path) -> None:
        self._parameters = parameters
        self._path = folder / BOOK_NAME
        self._book: SqliteBook | None = None
        self.store: Store
        self.writer: Writer
        self.reopen()

    def reopen(self) -> None:
        """Crash, and start again."""
        self.close()
        book = open_book(self._path, self._parameters)
        # Many small segments, some of them packed, so that blocks leave and join across them.
        book.writer._main._segment_txids = 4
        book.writer._main._packed_from = 6
        self._book, self.store, self.writer = book, book.store, book.writer

    def check(self, txids: int, touched: int) -> None:
        """Hold the tables against how many leaves the main chain has, and how often they touch an account."""
        assert self._book is not None
        reader = self._book.reader
        totals = inspecting.totals(reader)
        assert (totals.txids, totals.history) == (txids, touched)
        assert sum(reader.counts()) == 1 + txids
        assert inspecting.miscounted_segment(reader) is None
        assert inspecting.misplaced_leaf(reader) is None

    def close(self) -> None:
        """Close the file, without a word to the store."""
        if self._book is not None:
            self._book.close()


Opened: TypeAlias = InMemory | InSqlite
Opening: TypeAlias = Callable[[Parameters, Path], Opened]

IMPLEMENTATIONS: tuple[Opening, ...] = (InMemory, InSqlite)
