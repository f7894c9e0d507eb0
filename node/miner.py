"""The node's side of mining: keeps worker processes at the current job, and counts their hashes.

Starts, feeds and ends processes (`node.miner_worker`) and reads the monotonic clock; runs on the event loop
of whoever calls `run`. It knows headers without nonces, targets and job numbers, and nothing of blocks.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.miner_policy import HashrateWindow, RestartPolicy
from node.miner_worker import (
    FIRST_COUNT,
    REPORT_BYTES,
    Job,
    NotAReportError,
    Report,
    next_count,
    pack_job,
    unpack_report,
)
from node.pow import KERNELS, NONCES, search

MAX_THREADS: Final = 256
"""More workers than any machine has cores; each has 2^56 nonces of its own."""

END_GRACE_S: Final = 1.0
"""How long a worker that was told to end may take before it is killed; it needs some 10 ms."""

UNREAD_BYTES: Final = 1 << 14
"""Jobs that a worker may leave unread (some 120) before it counts as stuck."""

_NONCES_EACH: Final = NONCES // MAX_THREADS
_ROOT: Final = str(Path(__file__).resolve().parent.parent)
# Isolated (-I) and without site-packages (-S): neither the working folder nor PYTHONPATH nor a .pth file has
# a say in what a worker imports, and it starts in half the time. The folder that holds this package comes
# last on its path: that works from a checkout and when installed, and nothing beside the package can stand in
# for the standard library.
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv[1]); from node.miner_worker import main; sys.exit(main())"
)
WORKER_COMMAND: Final = (sys.executable, "-I", "-S", "-c", _PROGRAM, _ROOT)
"""What starts one worker."""

log = logging.getLogger(__name__)


class _Worker:
    """One live worker process. No method but `report` and `end` waits."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("a worker was started without its pipes")
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._deadline: asyncio.TimerHandle | None = None
        self._killed = False
        self.dismissed = False
        self.pid = process.pid

    def hand(self, frame: bytes) -> None:
        """Give it a job; the last one given counts. Nothing once it is dismissed or killed."""
        if self.dismissed or self._killed:
            return
        self._stdin.write(frame)
        if self._stdin.transport.get_write_buffer_size() > UNREAD_BYTES:
            self.kill()

    def dismiss(self) -> None:
        """Tell it to end; it is killed when it does not."""
        if not self.dismissed:
            self.dismissed = True
            self._stdin.close()
            self._deadline = asyncio.get_running_loop().call_later(END_GRACE_S, self.kill)

    def kill(self) -> None:
        """End it at once; a second call does nothing, since it could reap what asyncio still waits for."""
        if not self._killed:
            self._killed = True
            with suppress(ProcessLookupError):
                self._process.kill()

    async def report(self) -> Report | None:
        """What it says next; None when it says no more. NotAReportError."""
        try:
            return unpack_report(await self._stdout.readexactly(REPORT_BYTES))
        except asyncio.IncompleteReadError:
            return None

    async def end(self) -> str:
        """Wait until it is gone, which it should be once it says no more or was killed; why it went."""
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.call_later(END_GRACE_S, self.kill)
        status = await self._process.wait()
        self._deadline.cancel()
        said = await self._stderr.read()
        self._stdin.close()
        lines = said.decode(errors="replace").strip().splitlines()
        went = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return f"{went}: {lines[-1][:200]}" if lines else went


class MinerPool:
    """Worker processes that search for the nonce of one job at a time.

    `run` supervises them and belongs into the caller's task group; `start`, `stop` and `close` steer it from
    the same event loop. No process lives while there is no job.
    """

    def __init__(
        self,
        threads: int,
        on_solved: Callable[[int, int], None],
        *,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        """`threads` workers (1..256, else ValueError); `on_solved` takes job number and nonce.

        Each worker reports the first solution in its own range and then waits, so that a job may be solved
        more than once, and an old one shortly after it was replaced.
        """
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads is 1..{MAX_THREADS}, not {threads}")
        self.threads = threads
        self.hashes = 0
        """Hashes of all workers so far."""
        self._on_solved = on_solved
        self._command = command
        self._job: Job | None = None
        self._tried = [0] * threads  # nonces of the current job by worker: a replacement goes on from there
        self._workers: dict[int, _Worker] = {}
        self._rate = HashrateWindow()
        self._wanted = asyncio.Event()  # a job or the end
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def hashrate(self) -> int:
        """Hashes per second of the last few seconds; 0 without a job."""
        return self._rate.rate(time.monotonic()) if self._job is not None else 0

    @property
    def last_hashrate(self) -> int:
        """The last rate measured; 0 when none was."""
        return self._rate.last

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers alive."""
        return tuple(worker.pid for worker in self._workers.values())

    def start(self, job: int, prefix: bytes, target: int, first_nonce: int = 0) -> None:
        """Search this from now on, instead of what was searched before.

        `job` is any u64 of the caller's; `prefix` the header without its nonce; worker i begins at
        `first_nonce` + i * 2^56. ValueError when that cannot be searched. After `close` nothing.
        """
        new = Job(job, prefix, target, first_nonce)
        pack_job(new)  # refuses before anything has changed
        if self._closing.is_set():
            return
        self._job = new
        self._tried = [0] * self.threads
        self._wanted.set()
        for index, worker in self._workers.items():
            worker.hand(self._frame(index, new))

    def stop(self) -> None:
        """Search no more; every worker ends."""
        self._job = None
        if not self._closing.is_set():
            self._wanted.clear()
        for worker in self._workers.values():
            worker.dismiss()

    async def close(self) -> None:
        """End every worker and then `run`; returns when no process is left."""
        self._closing.set()
        self._wanted.set()
        self.stop()
        await self._ended.wait()

    async def run(self) -> None:
        """Supervise the workers until `close`, or until cancelled; no process outlives it."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self.threads):
                    group.create_task(self._keep(index), name=f"mining worker {index}")
        finally:
            # Those whose task was cancelled: killed by now, so this is short. Done here and not in the tasks,
            # where a second cancellation, by their own group, would cut it off.
            for worker in self._workers.values():
                await worker.end()
            self._workers.clear()
            self._ended.set()

    async def _keep(self, index: int) -> None:
        """Keep one place filled while there is a job."""
        policy = RestartPolicy()
        while True:
            await self._wanted.wait()
            if self._closing.is_set():
                return
            began = time.monotonic()
            died = await self._employ(index)
            if died is None:
                policy.ended()
                continue
            restart = policy.died(time.monotonic() - began)
            level = logging.ERROR if restart.slow else logging.WARNING
            now_what = "it keeps dying; next attempt" if restart.slow else "starting another"
            log.log(level, "mining worker %d died (%s); %s in %.1f s", index, died, now_what, restart.delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(restart.delay):
                    await self._closing.wait()

    async def _employ(self, index: int) -> str | None:
        """Start one worker and follow it to its end; why it died, or None when it was told to end."""
        pipe = asyncio.subprocess.PIPE
        try:
            # A process group of its own keeps the terminal's Ctrl-C from it. Not a session: Linux may weigh
            # sessions against each other as equals, and its low priority would count for nothing.
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, close_fds=True, process_group=0
            )
        except OSError as error:
            return f"it could not be started: {error}"
        worker = self._workers[index] = _Worker(process)
        try:
            self._begin(index, worker)
            why = await self._listen(index, worker)
        finally:
            worker.kill()  # whatever ends this, the caller's cancellation too: no process outlives it
        del self._workers[index]
        return None if worker.dismissed else why

    async def _listen(self, index: int, worker: _Worker) -> str:
        try:
            while (report := await worker.report()) is not None:
                self._take(index, report)
        except NotAReportError:
            worker.kill()
            await worker.end()
            return "its report made no sense"
        return await worker.end()

    def _begin(self, index: int, worker: _Worker) -> None:
        if self._job is None:  # stopped while it was starting
            worker.dismiss()
        else:
            worker.hand(self._frame(index, self._job))

    def _frame(self, index: int, job: Job) -> bytes:
        first = (job.first_nonce + index * _NONCES_EACH + self._tried[index]) % NONCES
        return pack_job(job._replace(first_nonce=first))

    def _take(self, index: int, report: Report) -> None:
        self.hashes += report.hashes
        self._rate.record(time.monotonic(), index, report.hashes, report.microseconds)
        if self._job is not None and report.job == self._job.job:
            self._tried[index] += report.hashes
        if report.nonce is not None:
            self._on_solved(report.job, report.nonce)


def measure_hashrate(seconds: float, kernel: str = KERNELS[0]) -> int:
    """Hashes per second of one core, measured in this process for about `seconds`; it blocks as long.

    `kernel` is one of `node.pow.KERNELS`.
    """
    prefix, count, hashes = bytes(84), FIRST_COUNT, 0
    began = now = time.monotonic_ns()
    while hashes == 0 or now - began < seconds * 1e9:
        search(prefix, 0, hashes, count, kernel)  # no hash is 0, as far as anybody will ever see
        hashes += count
        before, now = now, time.monotonic_ns()
        count = next_count(count, now - before)
    return hashes * 1_000_000_000 // max(1, now - began)
