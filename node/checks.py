"""Signatures on their way: batches asked of the driver's threads, and who waits for the answer.

Pure. What was verified is never verified again: callers ask only for what they do not know yet. What is in
flight is bounded by them too: pending entries by the in-check set, blocks by the bodies held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from node.events import CheckSignatures
from node.ledger import signature
from node.outbox import Outbox

SignatureItem = tuple[bytes, bytes, bytes]
"""(public key, message, signature)."""

INLINE: Final = 2
"""So few signatures are checked at once: 45 us each, against some 100 us through a thread."""
CHUNK: Final = 1_000
"""Signatures in one batch: 45 ms of a thread. One that comes back waits for the interpreter's lock, some
milliseconds where the loop is busy; with half as many in a batch a sync took 3 % longer."""

SHARED: Final = 50
"""As many signatures and more are shared by two threads at least: somebody waits for an answer to all."""


@dataclass(slots=True)
class _Question:
    """One caller's signatures, as chunks that may come back in any order."""

    done: Callable[[list[int]], None]
    missing: int
    """Chunks not answered yet."""
    bad: list[int] = field(default_factory=list)


class _Chunk(NamedTuple):
    """What one answer is about."""

    question: _Question
    start: int
    """Index of its first signature in the question."""
    size: int


class SignatureChecks:
    """Asks, and hands the answers to those who asked."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._jobs: dict[int, _Chunk] = {}
        self._next_job = 1
        self.in_flight = 0
        """Signatures asked for and not yet answered."""

    def ask(self, items: Sequence[SignatureItem], done: Callable[[list[int]], None]) -> None:
        """Have the signatures verified; `done` gets the indices of those that are bad, ascending.

        A few are verified here and now, which is sooner done than handed over; then `done` is called at once.
        """
        if len(items) <= INLINE:
            valid = signature.verify_many(items)
            done([index for index, good in enumerate(valid) if not good])
            return
        # With nothing else under way every core is free for this one; else the fewer batches the better.
        most = CHUNK if self.in_flight else CHUNK // 2
        parts = max(2 if len(items) >= SHARED else 1, -(-len(items) // most))
        size = -(-len(items) // parts)
        question = _Question(done, -(-len(items) // size))
        for start in range(0, len(items), size):
            chunk = list(items[start : start + size])
            self._jobs[self._next_job] = _Chunk(question, start, len(chunk))
            self._out.emit(CheckSignatures(self._next_job, chunk))
            self._next_job += 1
            self.in_flight += len(chunk)

    def answered(self, job: int, valid: Sequence[bool]) -> None:
        """Take the driver's answer: one truth for each signature of the job."""
        question, start, size = self._jobs.pop(job)
        if len(valid) != size:
            # What is not answered for must never pass for valid.
            raise AssertionError(f"{len(valid)} answers for {size} signatures")
        self.in_flight -= size
        question.bad += [start + index for index, good in enumerate(valid) if not good]
        question.missing -= 1
        if question.missing == 0:
            question.done(sorted(question.bad))
