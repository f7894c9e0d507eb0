"""Mending a damaged book: the proven is kept, the missing asked of peers, the rest reckoned anew.

Touches the disk; asks peers through whatever it is handed (`Source`). The book is read whole; then a new one
is made beside it from the blocks that are proven by their own hashes, and from those that peers gave for the
hashes that are missing. It is read whole again, and only then takes the old one's place, at once or not at
all; the old one is kept as evidence. Where a block of the main chain is to be had from nobody, nothing is
changed. Whoever calls holds the folder's lock.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from node import evidence
from node.audit import Verdict, verify
from node.audit_findings import Finding, FirstBad
from node.audit_tables import is_sound_value
from node.ledger.params import Parameters
from node.storage.faults import (
    BookFault,
    DiskFull,
    ForeignNetwork,
    InUse,
    NewerBook,
    NotABook,
    fault_of_file,
)
from node.storage.reading import Counts, open_read_only
from node.storage.rebuild import Feeding, put_in_place, remove_book
from node.storage.salvage import DamagedBook, is_readable, write_mended
from node.storage.sqlite import BOOK_NAME, SqliteBook, open_book
from node.surviving import Spool, Survivors

MOST_FINDINGS: Final = 1_000
"""Told of; a book with more is damaged through and through."""
_ASKED_AT_ONCE: Final = 16
_ROUNDS: Final = 4
_FULL_BATCH: Final = 2_000
"""Headers in one answer; fewer mean that there are no more."""

Progress = Callable[[str, int, int], None]
"""`progress(what is being done, how far, of how much)`."""


class SourceFailed(Exception):
    """A source is not there, went away, or talks nonsense. The message says which."""


class Source(Protocol):
    """Someone who may have the blocks that are missing; nothing that it says is believed unchecked."""

    @property
    def name(self) -> str:
        """For people."""

    def blocks(self, hashes: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the bytes of those of these blocks that it has. Raises SourceFailed."""

    def headers(self, locator: Sequence[bytes]) -> Sequence[bytes]:
        """Return the raw headers behind the first of these that it knows. Raises SourceFailed."""

    def close(self) -> None:
        """Hang up."""


@dataclass(slots=True)
class Healed:
    """What became of a book."""

    height: int = 0
    blocks: int = 0
    transactions: int = 0
    """Of the book as it is now."""
    findings: tuple[FirstBad, ...] = ()
    """What was wrong with it."""
    healed: bool = False
    """True where a new book took its place."""
    fetched: dict[str, int] = field(default_factory=dict)
    """Blocks that came from peers, by who gave them."""
    distrusted: list[str] = field(default_factory=list)
    """Sources that failed, or gave bytes which are not what was asked for."""
    unhealed: list[str] = field(default_factory=list)
    """What could not be mended, in sentences."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """What was mended: tables and entries, field by field."""
    evidence: Path | None = None

    @property
    def ok(self) -> bool:
        """True where the book is in order now."""
        return not self.unhealed and (self.healed or not self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as commands and the local socket give it."""
        return {
            "height": self.height,
            "blocks": self.blocks,
            "transactions": self.transactions,
            "ok": self.ok,
            "healed": self.healed,
            "findings": [found.as_json() for found in self.findings],
            "changes": self.changes,
            "fetched": self.fetched,
            "distrusted": self.distrusted,
            "unhealed": self.unhealed,
            "evidence": None if self.evidence is None else str(self.evidence),
        }


def heal(
    folder: Path,
    parameters: Parameters,
    sources: Callable[[], Iterable[Source]],
    stamp: str,
    progress: Progress,
) -> Healed:
    """Mend the book in a data folder; `stamp` names the folder for the evidence.

    Raises BookFault where nothing can be done: no book, another network's, a newer program's, a full disk.
    """
    path = folder / BOOK_NAME
    if not path.is_file():
        raise NotABook(f"there is no book at {path}", "start a node on that folder: its peers fill it")
    try:
        found = look(path, parameters, lambda at, of: progress("reading the book", at, of))
        if found.ok:
            return Healed(found.height, found.blocks, found.transactions)
        return _Healing(path, parameters, sources, stamp, progress, found).run()
    except OSError as error:  # of the files that are written beside the book
        raise fault_of_file(error, folder) from None


def look(path: Path, parameters: Parameters, progress: Callable[[int, int], None]) -> Verdict:
    """Read the whole book, also one that cannot be opened. Raises BookFault where that is no damage."""
    try:
        with contextlib.closing(open_read_only(path)) as book:
            return verify(book, parameters, progress, MOST_FINDINGS)
    except (ForeignNetwork, NewerBook, InUse, DiskFull) as fault:
        if isinstance(fault, ForeignNetwork | NewerBook) and _is_ours(path, parameters):
            return _unreadable(str(fault))
        raise
    except BookFault as fault:
        return _unreadable(fault.message)


def _is_ours(path: Path, parameters: Parameters) -> bool:
    """Tell whether a book that says it is another network's, or another version's, holds our blocks."""
    with contextlib.closing(DamagedBook(path)) as old, contextlib.closing(Spool(_spool_path(path))) as spool:
        survivors = Survivors(old, spool, parameters)
        survivors.read()
        survivors.place()
        return survivors.best() is not None


def _unreadable(why: str) -> Verdict:
    found = FirstBad(Finding.FILE, why)
    return Verdict(0, 0, 0, found, (found,))


def _spool_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.fetched")


class _Healing:
    """One healing."""

    def __init__(
        self,
        path: Path,
        parameters: Parameters,
        sources: Callable[[], Iterable[Source]],
        stamp: str,
        progress: Progress,
        found: Verdict,
    ) -> None:
        self._path = path
        self._new_path = path.with_name(f"{path.name}.new")
        self._parameters = parameters
        self._sources = sources
        self._stamp = stamp
        self._progress = progress
        self._report = Healed(found.height, found.blocks, found.transactions, found.findings)

    def run(self) -> Healed:
        """Mend what can be mended; the report tells the rest."""
        remove_book(self._new_path)
        with contextlib.ExitStack() as opened:
            old = opened.enter_context(contextlib.closing(DamagedBook(self._readable(opened))))
            spool = opened.enter_context(contextlib.closing(Spool(_spool_path(self._path))))
            survivors = Survivors(old, spool, self._parameters)
            survivors.read()
            survivors.place()
            try:
                in_order = self._remake(survivors, old)
            except BaseException:
                remove_book(self._new_path)
                raise
        if in_order:
            self._put_in_place()
        else:
            remove_book(self._new_path)
        return self._report

    def _readable(self, opened: contextlib.ExitStack) -> Path:
        """Return where the book can be read: a copy with another first page, where its own is no more."""
        if is_readable(self._path):
            return self._path
        like, copy = (self._path.with_name(f"{self._path.name}.{name}") for name in ("like", "salvage"))
        for path in (like, copy):
            remove_book(path)
            opened.callback(remove_book, path)
        open_book(like, self._parameters).close()
        write_mended(self._path, like, copy)
        return copy

    # ------------------------------------------------------------------------------------ asking others

    def _fetch(self, survivors: Survivors, old: DamagedBook) -> None:
        """Ask one source after the other for what is missing, and for what may have been cut off."""
        reached = False
        for source in self._sources():
            try:
                self._ask(source, survivors)
                survivors.settle()
                self._extend(source, survivors, old)
                survivors.settle()
                reached = True
            except SourceFailed as failed:
                self._report.distrusted.append(f"{source.name}: {failed}")
            finally:
                source.close()
            if reached and not survivors.missing() and not survivors.is_doubtful():
                break
        survivors.give_up_rivals()
        self._take_back(survivors)

    def _ask(self, source: Source, survivors: Survivors) -> None:
        asked: set[bytes] = set()
        while wanted := [one for one in survivors.missing() if one not in asked][:_ASKED_AT_ONCE]:
            asked.update(wanted)
            open_ones = dict.fromkeys(wanted)
            for raw in source.blocks(wanted):
                given = next((one for one in open_ones if survivors.give(one, raw)), None)
                if given is None:
                    raise SourceFailed("it gave bytes that are not the block asked for")
                del open_ones[given]
                self._report.fetched[source.name] = self._report.fetched.get(source.name, 0) + 1
                total = sum(self._report.fetched.values())
                self._progress("asking peers", total, total + len(survivors.missing()))
            survivors.place()

    def _extend(self, source: Source, survivors: Survivors, old: DamagedBook) -> None:
        """Take what the source has behind our last block: the end may have been cut off, or replaced."""
        more = True
        while more:
            doubtful = survivors.is_doubtful()
            raws = source.headers(survivors.locator(below_tip=doubtful))
            taken = survivors.extend(raws)
            self._ask(source, survivors)
            if doubtful:
                survivors.settle_doubts()
            best = survivors.best()
            height = 0 if best is None else best.header.height
            ends_early = bool(old.trouble) or (old.height() or 0) > height
            more = ends_early and taken > 0 and len(raws) >= _FULL_BATCH

    def _take_back(self, survivors: Survivors) -> None:
        """Forget headers that a source told of without having their blocks."""
        for block_hash in survivors.missing():
            if survivors.is_told_only(block_hash):
                survivors.take_back(block_hash)
        survivors.place()

    def _go_on_without(self, survivors: Survivors) -> bool:
        """Decide whether what nobody has can be done without; the report names it."""
        without = survivors.missing()
        for block_hash in without:
            height = survivors.height_of(block_hash)
            place = "at an unknown height" if height is None else f"at height {height}"
            if survivors.is_of_best(block_hash):
                text = f"block {block_hash.hex()} {place}: no peer has it; the book is as it was"
            else:
                text = f"block {block_hash.hex()} {place}, of a side branch: no peer has it, its header stays"
            self._report.unhealed.append(text)
        if any(survivors.is_of_best(block_hash) for block_hash in without):
            return False
        for block_hash in without:
            survivors.keep_header_only(block_hash)
        return True

    # ------------------------------------------------------------------------------------ the new book

    def _remake(self, survivors: Survivors, old: DamagedBook) -> bool:
        """Get what is missing, and write the new book; True where it is in order and lacks nothing.

        A block that turns out to break a rule was put there by someone: again without it.
        """
        height = 0
        for _ in range(_ROUNDS):
            self._fetch(survivors, old)
            if not self._go_on_without(survivors):
                return False
            remove_book(self._new_path)
            with contextlib.closing(open_book(self._new_path, self._parameters)) as book:
                condemned = self._fill(book, survivors, old)
                tip, counts = book.store.durable_tip(), book.reader.counts()
            best = survivors.best()
            if best is None or tip.height >= best.header.height:
                return self._check(tip.height, counts)
            height = tip.height
            for block_hash in condemned:
                survivors.take_back(block_hash)
            survivors.place()
        self._report.unhealed.append(
            f"block {height + 1} breaks a rule of the ledger, and no peer has another; the book is as it was"
        )
        return False

    def _check(self, height: int, counts: Counts) -> bool:
        """Read the new book whole."""
        verdict = look(
            self._new_path, self._parameters, lambda at, of: self._progress("checking the new book", at, of)
        )
        for bad in verdict.findings:
            self._report.unhealed.append(f"{bad.rule}: {bad.detail}")
        if verdict.ok:
            self._report = replace(
                self._report, height=height, blocks=counts.blocks, transactions=counts.entries
            )
        return verdict.ok

    def _fill(self, book: SqliteBook, survivors: Survivors, old: DamagedBook) -> list[bytes]:
        """Feed the new book; return the blocks that break a rule."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            feeding = Feeding(book, self._parameters, threads)
            for number, block in enumerate(survivors.ordered(), 1):
                feeding.feed(block)
                if number % _ASKED_AT_ONCE == 0:
                    self._progress("writing the new book", number, 0)
            feeding.finish({})
            values = old.values().items()
            feeding.finish({name: raw for name, raw in values if is_sound_value(book.reader, name, raw)})
            return feeding.condemned

    def _put_in_place(self) -> None:
        """Keep the evidence, then let the new book take the old one's place."""
        folder = evidence.new_folder(self._path.parent, self._stamp)
        self._report.evidence = folder
        self._report.healed = True
        self._report.changes = evidence.compare(folder, self._path, self._new_path)
        evidence.write_report(folder, self._report.as_json())
        put_in_place(self._path, self._new_path, folder / self._path.name)
