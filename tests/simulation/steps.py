"""Writing step by step, under the daemon's own code; a step may fail, or power. Touches nothing itself."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, Protocol

from node.disk import PEERS_NAME, PENDING_NAME, FolderWriter, Write
from node.private import trouble
from node.storage.faults import BookFault, DiskFull
from node.storage.port import Batch
from node.storage.sqlite import BOOK_NAME

JOURNAL_NAME: Final = "pending.journal"


class Parts(Protocol):
    """What is written to, one step a call: each is durable when it returns."""

    def commit(self, batches: Iterable[Batch]) -> None: ...
    def append(self, raws: Iterable[bytes]) -> None: ...
    def empty(self) -> None: ...
    def replace(self, path: Path, content: bytes) -> None: ...


class Step(NamedTuple):
    """One step on its way."""

    part: str
    """What is written to: `book`, `journal` to append, `empty` to empty it, or the name of a file."""
    do: Callable[[], None]


Gate = Callable[[Step], None]


class _Gated:
    """Leads every step through a gate, which carries it out, or does not."""

    def __init__(self, parts: Parts, gate: Gate) -> None:
        self._parts = parts
        self._gate = gate

    def commit(self, batches: Iterable[Batch]) -> None:
        self._gate(Step("book", lambda: self._parts.commit(batches)))

    def append(self, raws: Iterable[bytes]) -> None:
        self._gate(Step("journal", lambda: self._parts.append(raws)))

    def empty(self) -> None:
        self._gate(Step("empty", self._parts.empty))

    def replace(self, path: Path, content: bytes) -> None:
        self._gate(Step(path.name, lambda: self._parts.replace(path, content)))


class _PowerFailed(Exception):
    """Now."""


def _write(parts: Parts, gate: Gate, folder: Path, writes: Sequence[Write]) -> int:
    durable = [0]
    gated = _Gated(parts, gate)
    FolderWriter(gated, gated, folder, gated.replace).write(writes, durable.append)
    return durable[-1]


def _steps(parts: Parts, folder: Path, writes: Sequence[Write]) -> int:
    """Return how many steps these writes take; none is done."""
    seen: list[Step] = []
    _write(parts, seen.append, folder, writes)
    return len(seen)


def _numbered(at: int, then: Gate) -> Gate:
    """Return a gate that lets all pass but the step of this number, from 0."""
    numbers = count()

    def gate(step: Step) -> None:
        if next(numbers) == at:
            then(step)
        else:
            step.do()

    return gate


def _groups(writes: Sequence[Write], dice: Random) -> list[Sequence[Write]]:
    """Return the writes as they may have been taken from the queue: together, one by one, or between."""
    share = dice.choice((0, 400, 1000))
    cuts = [at for at in range(1, len(writes)) if dice.randrange(1000) < share]
    return [writes[first:last] for first, last in zip([0, *cuts], [*cuts, len(writes)], strict=True)]


class Faulty:
    """A full disk, writes that fail, power that does: the same for both media."""

    def __init__(self, parts: Parts, folder: Path, full: Gate) -> None:
        self._parts = parts
        self._folder = folder
        self._when_full = full
        self._fails = 0
        self._is_failing = False
        self.is_full = False

    def fail_next(self) -> None:
        """Let the next write fail."""
        self._is_failing = True

    def write(self, writes: Sequence[Write]) -> int:
        """Write, with what is to go wrong."""
        gate: Gate = self._when_full if self.is_full else _pass
        steps = _steps(self._parts, self._folder, writes) if self._is_failing else 0
        if steps:
            self._is_failing = False
            self._fails += 1
            gate = _numbered(self._fails % steps, self._fail)
        return _write(self._parts, gate, self._folder, writes)

    def break_off(self, under_way: Sequence[Write], dice: Random, tear: Gate) -> None:
        """Write until power fails, between two steps or within one, which `tear` leaves as it may be left."""
        groups = [] if self.is_full else _groups(under_way, dice)
        at = dice.randint(0, sum(_steps(self._parts, self._folder, group) for group in groups))

        def fail(step: Step) -> None:
            tear(step)
            raise _PowerFailed

        gate = _numbered(at, fail)
        with contextlib.suppress(_PowerFailed):
            for group in groups:
                _write(self._parts, gate, self._folder, group)

    def refuse_where_full(self) -> None:
        """A start on a full disk ends before it writes."""
        if self.is_full:
            raise _disk_full(self._folder)

    def _fail(self, step: Step) -> None:
        if step.part in (PENDING_NAME, PEERS_NAME):
            raise trouble("write", self._folder / step.part, OSError(errno.EIO, os.strerror(errno.EIO)))
        name = BOOK_NAME if step.part == "book" else JOURNAL_NAME
        raise BookFault(
            f"cannot use {self._folder / name} (disk I/O error)",
            "look at its disk, its owner and its permissions",
        )


def _pass(step: Step) -> None:
    step.do()


def _disk_full(path: Path) -> DiskFull:
    return DiskFull(f"the disk of {path} is full", "free some space, then start the node again")


def refuse(step: Step, folder: Path) -> None:
    """Answer as a disk without space does."""
    if step.part in (PENDING_NAME, PEERS_NAME):
        raise trouble("write", folder / step.part, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    if step.part != "empty":
        raise _disk_full(folder / (BOOK_NAME if step.part == "book" else JOURNAL_NAME))
    step.do()
