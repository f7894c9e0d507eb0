"""Remaking a damaged book from its own stored blocks, by the rules; peers give the rest once the node runs.

Touches the disk; verifies signatures on threads. What can be read is fed to the node's own chain, block by
block in order of arrival, as if peers had sent it: what is no longer as it was is refused like anyone's bad
block, branches are kept, and the heaviest valid one is main again. The new book takes the place of the old
one only when it is complete; the old one is never changed, and stays beside it as evidence.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.audit_findings import Finding, FirstBad
from node.bodies import OURSELVES
from node.chain import Chain
from node.checks import SignatureChecks
from node.events import CheckSignatures, Persist
from node.ledger.block import Header, decode_block, network_id
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.signature import verify_many
from node.outbox import Outbox
from node.outcomes import BlockCondemned
from node.storage.faults import BookFault, DiskFull, ForeignNetwork, NotABook
from node.storage.files import FolderLock
from node.storage.port import Batch, BlockRecord, Standing
from node.storage.reading import Counts
from node.storage.salvage import DamagedBook, Salvaged
from node.storage.sqlite import SqliteBook, open_book

Progress = Callable[[int, int], None]
"""`progress(blocks, of how many)`; the second is 0 where the damaged book does not tell."""

_ENTRIES_AT_ONCE: Final = 20_000
"""Entries committed together: half of what the chain lets wait for the disk."""
_BATCHES_AT_ONCE: Final = 250
_AHEAD: Final = ("-wal", "-journal")
"""Of SQLite, beside a book whose program was killed: changes to fold in, or to take back."""
_COMPANIONS: Final = (*_AHEAD, "-shm")
_TOLD_AFTER: Final = 100
"""Blocks between two calls of `progress`."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a damaged book."""

    height: int
    """Of the new book's tip."""
    blocks: int
    """Of its main chain, genesis among them."""
    transactions: int
    """Entries in them."""
    first_bad: FirstBad | None
    """The first block that could not be kept; None where nothing was lost."""
    lost: int
    """Blocks, on all branches, of which nothing or only the header could be kept."""
    evidence: Path
    """Where the damaged book is now."""
    trouble: str
    """Why nothing at all could be read of it; empty where something could."""

    @property
    def ok(self) -> bool:
        """True where nothing was lost."""
        return self.first_bad is None


def rebuild(path: Path, parameters: Parameters, progress: Progress) -> Rebuilt:
    """Remake the book at `path` from its own blocks and set the old one aside.

    No node may run on its folder. Raises BookFault: InUse, NotABook where there is none, ForeignNetwork,
    DiskFull and others where the new book cannot be written; the old one is where it was then.
    """
    if not path.is_file():
        hint = "move away what is there and start a node" if path.exists() else "start a node on that folder"
        raise NotABook(f"there is no book at {path}", f"{hint}: its peers fill it")
    with FolderLock(path.parent):
        new_path = path.with_name(f"{path.name}.new")
        remove_book(new_path)
        with contextlib.closing(DamagedBook(path)) as old:
            if old.network_id() not in {None, network_id(parameters)}:
                raise ForeignNetwork(
                    f"{path} is a book of another network than {parameters.name!a}",
                    "name its own network's file with --config",
                )
            try:
                feeding, counts = _remake(old, new_path, parameters, progress)
            except BaseException:
                remove_book(new_path)
                raise
            height, why = old.height(), old.trouble
        return Rebuilt(
            height=counts.blocks - 1,
            blocks=counts.blocks,
            transactions=counts.entries,
            first_bad=feeding.first_lost(counts.blocks, height, why),
            lost=feeding.lost,
            evidence=put_in_place(path, new_path, _free_evidence(path)),
            trouble=why,
        )


def _remake(
    old: DamagedBook, new_path: Path, parameters: Parameters, progress: Progress
) -> tuple[Feeding, Counts]:
    book = open_book(new_path, parameters)
    with contextlib.closing(book), ThreadPoolExecutor(os.cpu_count()) as threads:
        feeding = Feeding(book, parameters, threads)
        total = old.count() or 0
        for block in old.blocks():
            feeding.feed(block)
            if block.id % _TOLD_AFTER == 0:
                progress(block.id, total)
        feeding.finish(old.values())
        progress(total, total)
        return feeding, book.reader.counts()


class Feeding:
    """A node's chain that takes blocks from a damaged book instead of from peers."""

    def __init__(self, book: SqliteBook, parameters: Parameters, threads: ThreadPoolExecutor) -> None:
        self._book = book
        self._threads = threads
        self._out = Outbox(book.store)
        self._checks = SignatureChecks(self._out)
        self._chain = Chain(
            parameters, network_id(parameters), book.store, self._out, self._checks, lambda _: False
        )
        self._batches: list[Batch] = []
        self._lost_at: dict[int, FirstBad] = {}
        self.lost = 0
        self.condemned: list[bytes] = []
        """Hashes of blocks that break a rule."""

    def feed(self, block: Salvaged) -> None:
        """Take one block if it is still right, its header at least."""
        row = block.record
        if block.id == 0 or (row is not None and row.standing is Standing.CONDEMNED):
            return  # genesis is made from the parameters; who sends a condemned one again is refused again
        header, broken = _header_of(block)
        if header is None:
            self.lost += 1
            return
        # When it was first seen is remembered; a header from the future has waited for its time already.
        seen_ms = header.timestamp_ms if row is None else row.first_seen_ms
        now_ms = max(seen_ms, header.timestamp_ms - self._chain.parameters.drift_ms)
        try:
            record = self._chain.headers.add([header], now_ms, OURSELVES).last
            if block.raw is not None and broken is None and self._can_take(record):
                self._chain.offer(block.raw, OURSELVES)
                self._work(now_ms)
                return
        except RuleBroken as error:
            broken = error
        self._work(now_ms)
        if row is None or row.standing is not Standing.HEADER:
            self._lose(header, broken)

    def _can_take(self, record: BlockRecord | None) -> bool:
        """Return whether the bodies of all blocks before this one are there."""
        return record is not None and self._chain.is_prepared(self._chain.tree.parent(record))

    def finish(self, values: dict[str, bytes]) -> None:
        """Make all durable, with the values that the old book had under their names."""
        batch = self._out.batch()
        batch.values.update(values)
        self._out.stage(batch)
        self._work(0)
        self._commit()

    def first_lost(self, first_missing: int, old_height: int | None, why: str) -> FirstBad | None:
        """Return what is known of the first height of the old main chain that the new one has not."""
        if first_missing in self._lost_at:
            return self._lost_at[first_missing]
        if why:
            return FirstBad(Finding.BODY_MISSING, why, first_missing)
        if (old_height is None and self.lost) or (old_height is not None and old_height >= first_missing):
            return FirstBad(Finding.BODY_MISSING, "the block could not be read", first_missing)
        return None

    def _lose(self, header: Header, broken: RuleBroken | None) -> None:
        self.lost += 1
        if broken is None:
            found = FirstBad(Finding.BODY_MISSING, "its bytes could not be read", header.height, header.hash)
        else:
            found = FirstBad(broken.rule, broken.detail, header.height, header.hash)
        self._lost_at.setdefault(header.height, found)

    def _work(self, now_ms: int) -> None:
        """Let the chain do all that it can; carry out what it asks for."""
        more = True
        while more:
            more = self._chain.advance(now_ms)
            effects = self._out.drain()
            self._batches += [effect.batch for effect in effects if isinstance(effect, Persist)]
            asked = [effect for effect in effects if isinstance(effect, CheckSignatures)]
            over = self._threads.map if len(asked) > 1 else map  # one alone is no quicker on a thread
            answers = over(verify_many, [effect.items for effect in asked])
            for effect, valid in zip(asked, answers, strict=True):
                self._checks.answered(effect.job, valid)
                more = True
            if self._out.entries_in_flight >= _ENTRIES_AT_ONCE or len(self._batches) >= _BATCHES_AT_ONCE:
                self._commit()
                more = True  # the chain may have waited for it
        for outcome in self._chain.outcomes:
            if isinstance(outcome, BlockCondemned):
                self._lose(outcome.record.header, outcome.broken)
                self.condemned.append(outcome.record.hash)
        self._chain.outcomes.clear()

    def _commit(self) -> None:
        if self._batches:
            self._book.writer.commit(self._batches)
            self._out.persisted(self._batches[-1].number)
            self._batches = []


def _header_of(block: Salvaged) -> tuple[Header | None, RuleBroken | None]:
    """Return the header from the block's row, or else from its bytes, and what is wrong with the bytes."""
    from_row = None if block.record is None else block.record.header
    if block.raw is None:
        return from_row, None
    try:
        found = decode_block(block.raw).header
    except RuleBroken as broken:
        return from_row, broken
    if from_row not in {None, found}:
        return from_row, RuleBroken(Rule.BODY_ROOT, "its bytes begin with another block's header")
    return found, None


def _free_evidence(path: Path) -> Path:
    number = 1
    while (evidence := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return evidence


def put_in_place(path: Path, new_path: Path, evidence: Path) -> Path:
    """Let the new book take the old one's place; the old one is at `evidence` then.

    Raises BookFault: also where the new one's changes could not all be folded in when it was closed, for want
    of space. Its own name is all that moves, and they would be lost.
    """
    try:
        if any(ahead.exists() and ahead.stat().st_size for ahead in _written_ahead(new_path)):
            raise DiskFull(
                f"the new book {new_path} could not be finished", "make room on its disk, then try again"
            )
        # The name never is without a file: a node that found none would begin an empty book.
        with contextlib.suppress(OSError):  # a file system without hard links, where it does for a moment
            os.link(path, evidence)
        if not evidence.exists():
            path.rename(evidence)
        # Before the new book comes: what was written ahead for another file would be done to it.
        for ahead, kept in zip(_written_ahead(path), _written_ahead(evidence), strict=True):
            if ahead.exists() and ahead.stat().st_size:
                ahead.rename(kept)
        for suffix in _COMPANIONS:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        new_path.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise BookFault(
            f"cannot put the new book in the place of {path} ({error.strerror})", "look at the folder's owner"
        ) from None
    return evidence


def _written_ahead(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _AHEAD]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_book(path: Path) -> None:
    """Remove a book that was not finished."""
    for suffix in ("", *_COMPANIONS):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
