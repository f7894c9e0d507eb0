"""A mining worker: the program that searches for nonces, in a process of its own.

Touches standard input and output, signals, its own priority and the monotonic clock; no file, no socket, no
key. `node.miner` starts it, hands it jobs as fixed-size frames on standard input, and reads reports of fixed
size from its standard output. It searches in slices of some 10 ms and looks for a new job between them; a
newer job replaces the older. After a solution it waits for the next job. It ends when its input does, when
its parent is gone, or, with one line on standard error and exit status 2, when its input is no job.

It imports little, because mining on demand starts it anew for each block.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import Final, NamedTuple

from node.pow import NONCES, PREFIX_BYTES, check_search, search

NICE: Final = 10
"""Added to the process's niceness: about a tenth of the share of whatever else wants the processor. At 19 a
busy machine would hardly mine at all."""

SLICE_NS: Final = 10_000_000
"""What a slice aims at; half of the 20 ms that it may take, since speed varies."""

REPORT_NS: Final = 250_000_000
"""Searching time after which hashes are reported even though nothing was found."""

ORPHAN_CHECK_S: Final = 0.5
"""How often a worker that waits looks whether its parent is still there. End of input tells it sooner; this
is for an input that some other process holds open."""

FIRST_COUNT: Final = 1 << 10
"""Nonces in the first slice: a millisecond here, and well below 20 ms on a machine ten times as slow."""

_JOB: Final = struct.Struct(f">4sQ{PREFIX_BYTES}s32sQ")
_REPORT: Final = struct.Struct(">cQQQQ")
_MAGIC: Final = b"job1"
_HASHES: Final = b"H"
_SOLVED: Final = b"S"

JOB_BYTES: Final = _JOB.size
REPORT_BYTES: Final = _REPORT.size


class Job(NamedTuple):
    """What to search: the header without its nonce (84 bytes), its target, and the first nonce to try."""

    job: int
    """Number of the job, u64; reports carry it back."""
    prefix: bytes
    target: int
    first_nonce: int


class Report(NamedTuple):
    """What a worker did on one job since its last report."""

    job: int
    nonce: int | None
    """The nonce that meets the target, if it found one."""
    hashes: int
    microseconds: int
    """Wall-clock time that those hashes took."""


class NotAJobError(Exception):
    """The bytes of a frame are no job."""


class NotAReportError(Exception):
    """The bytes of a frame are no report."""


def pack_job(job: Job) -> bytes:
    """One frame for a worker's input; ValueError when the job cannot be searched."""
    check_search(job.prefix, job.target, job.first_nonce)
    return _JOB.pack(_MAGIC, job.job, job.prefix, job.target.to_bytes(32), job.first_nonce)


def unpack_job(frame: bytes) -> Job:
    """The job of a whole frame; NotAJobError when it is none."""
    magic, job, prefix, target, first_nonce = _JOB.unpack(frame)
    if magic != _MAGIC:
        raise NotAJobError
    return Job(job, prefix, int.from_bytes(target), first_nonce)


def pack_report(report: Report) -> bytes:
    """One frame for a worker's output."""
    kind = _HASHES if report.nonce is None else _SOLVED
    return _REPORT.pack(kind, report.job, report.nonce or 0, report.hashes, report.microseconds)


def unpack_report(frame: bytes) -> Report:
    """The report of a whole frame; NotAReportError when it is none."""
    kind, job, nonce, hashes, microseconds = _REPORT.unpack(frame)
    if kind not in {_HASHES, _SOLVED}:
        raise NotAReportError
    return Report(job, nonce if kind == _SOLVED else None, hashes, microseconds)


class JobReader:
    """Cuts a worker's input into jobs. Pure: bytes in; the newest whole job out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Job | None:
        """Take what was read; the newest job that it completes. NotAJobError as soon as it cannot be one."""
        newest = None
        buffer = self._rest + data
        while len(buffer) >= JOB_BYTES:
            newest = unpack_job(buffer[:JOB_BYTES])
            buffer = buffer[JOB_BYTES:]
        if not _MAGIC.startswith(buffer[: len(_MAGIC)]):
            raise NotAJobError
        self._rest = buffer
        return newest

    def end(self) -> None:
        """The input has ended; NotAJobError when it did so inside a job."""
        if self._rest:
            raise NotAJobError


def next_count(count: int, elapsed_ns: int) -> int:
    """How many nonces the next slice tries, from how long the last one took; at most twice as many."""
    return max(1, min(2 * count, count * SLICE_NS // max(1, elapsed_ns)))


class Worker:
    """The loop of a worker over two descriptors; `run` returns when it is to end."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._reader = JobReader()
        self._parent = os.getppid()
        self._count = FIRST_COUNT
        self._hashes = 0
        self._spent_ns = 0

    def run(self) -> None:
        """Search until the input ends or the parent is gone. NotAJobError, BrokenPipeError."""
        job: Job | None = None
        while os.getppid() == self._parent:
            # Between slices a look, without a job a wait: the process never spins.
            wait = ORPHAN_CHECK_S if job is None else 0.0
            if select.select([self._source], [], [], wait)[0]:
                data = os.read(self._source, 1 << 16)
                newer = self._reader.feed(data)
                if job is not None and (newer is not None or not data):
                    self._report(job, None)
                if not data:
                    self._reader.end()
                    return
                job = newer or job
            if job is not None:
                job = self._slice(job)

    def _slice(self, job: Job) -> Job | None:
        """Search one slice; what is left of the job, or None when it is solved."""
        began = time.monotonic_ns()
        nonce = search(job.prefix, job.target, job.first_nonce, self._count)
        elapsed = time.monotonic_ns() - began
        self._spent_ns += elapsed
        if nonce is not None:
            self._hashes += (nonce - job.first_nonce) % NONCES + 1
            self._report(job, nonce)
            return None
        self._hashes += self._count
        if self._spent_ns >= REPORT_NS:
            self._report(job, None)
        rest = job._replace(first_nonce=(job.first_nonce + self._count) % NONCES)
        self._count = next_count(self._count, elapsed)
        return rest

    def _report(self, job: Job, nonce: int | None) -> None:
        frame = pack_report(Report(job.job, nonce, self._hashes, self._spent_ns // 1000))
        self._hashes = self._spent_ns = 0
        os.write(self._sink, frame)  # shorter than PIPE_BUF: written whole


def _settle() -> None:
    """Take a low priority, and leave the terminal's Ctrl-C to the node, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with suppress(OSError):  # not allowed in some sandboxes; it still mines
        os.nice(NICE)


def main() -> int:
    """Run as a worker on standard input and output; the exit status."""
    _settle()
    try:
        Worker(0, 1).run()
    except NotAJobError:
        line = "node.miner_worker: standard input holds no mining job; a node starts this program by itself\n"
        with suppress(OSError):
            os.write(2, line.encode())
        return 2
    except OSError:  # the node is gone, and with it whoever would read an error
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
