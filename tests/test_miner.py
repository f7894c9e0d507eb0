"""The pool of mining workers, with real processes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from node.miner import WORKER_COMMAND, MinerPool, measure_hashrate

ANY = 2**256 - 1
EASY = ANY >> 8
NEVER = 0
PREFIX = bytes(range(84))
ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 60.0
"""When a test that waits gives up; far beyond what anything here takes."""

pytestmark = pytest.mark.asyncio
Solutions = asyncio.Queue[tuple[int, int]]


def met(prefix: bytes, nonce: int, target: int) -> bool:
    once = hashlib.sha256(prefix + nonce.to_bytes(8, "big")).digest()
    return int.from_bytes(hashlib.sha256(once).digest(), "big") <= target


@asynccontextmanager
async def mining(
    threads: int = 1, command: Sequence[str] = WORKER_COMMAND
) -> AsyncIterator[tuple[MinerPool, Solutions]]:
    """A pool at work in a task group of its own, closed at the end."""
    solved: Solutions = asyncio.Queue()
    pool = MinerPool(threads, lambda job, nonce: solved.put_nowait((job, nonce)), command=command)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        try:
            yield pool, solved
        finally:
            await pool.close()


async def until(condition: Callable[[], object]) -> None:
    """Return once something outside has come about; the caller's time-out bounds it."""
    while not condition():  # noqa: ASYNC110 - it happens in another process, which sets no event here
        await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has ended too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    ran = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False, text=True)
    return ran.stdout.strip()[:1] in {"", "Z"}


def script(text: str) -> tuple[str, ...]:
    """Some other program in a worker's place."""
    return (sys.executable, "-c", text)


async def test_a_found_nonce_meets_the_target() -> None:
    async with mining() as (pool, solved):
        pool.start(1, PREFIX, EASY)
        job, nonce = await solved.get()
        assert job == 1
        assert met(PREFIX, nonce, EASY)


async def test_a_job_given_before_the_pool_runs_is_searched_once_it_does() -> None:
    solved: Solutions = asyncio.Queue()
    pool = MinerPool(1, lambda job, nonce: solved.put_nowait((job, nonce)))
    pool.start(3, PREFIX, EASY)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        assert (await solved.get())[0] == 3
        await pool.close()


async def test_a_new_job_replaces_the_old_in_the_same_process() -> None:
    async with mining() as (pool, solved):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.hashes)
        before = pool.pids
        pool.start(2, PREFIX, EASY)
        assert (await solved.get())[0] == 2
        assert pool.pids == before


async def test_jobs_that_follow_each_other_at_once_end_with_the_last() -> None:
    async with mining() as (pool, solved):
        for job in range(50):
            pool.start(job, PREFIX, NEVER)
        pool.start(50, PREFIX, EASY)
        assert (await solved.get())[0] == 50


async def test_each_worker_searches_nonces_of_its_own() -> None:
    async with mining(threads=3) as (pool, solved):
        pool.start(1, PREFIX, EASY)
        nonces = sorted([(await solved.get())[1] for _ in range(3)])
        assert [nonce >> 56 for nonce in nonces] == [0, 1, 2]
        assert all(met(PREFIX, nonce, EASY) for nonce in nonces)


async def test_the_search_begins_where_the_caller_says() -> None:
    first = 2**64 - 2**55
    async with mining(threads=2) as (pool, solved):
        pool.start(1, PREFIX, EASY, first_nonce=first)
        nonces = sorted([(await solved.get())[1] for _ in range(2)])
        assert first <= nonces[1] < first + 2**40
        assert 2**55 <= nonces[0] < 2**55 + 2**40  # the second worker's, past the end of the range


async def test_a_killed_worker_is_replaced_and_the_job_still_gets_solved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with mining() as (pool, solved):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.hashes)
        (victim,) = pool.pids
        os.kill(victim, signal.SIGKILL)
        await until(lambda: pool.pids not in {(), (victim,)})
        pool.start(2, PREFIX, EASY)
        job, nonce = await solved.get()
        assert job == 2
        assert met(PREFIX, nonce, EASY)
    assert gone(victim)
    assert [record.getMessage() for record in caplog.records] == [
        "mining worker 0 died (killed by signal 9); starting another in 0.1 s"
    ]


FORGETFUL = """
import struct, sys
frame = sys.stdin.buffer.read(136)
job, first = struct.unpack(">4xQ84x32xQ", frame)
kind, hashes = (b"H", 1000) if first < 7 + 2000 else (b"S", 1)
sys.stdout.buffer.write(struct.pack(">cQQQQ", kind, job, first, hashes, 1))
sys.stdout.buffer.flush()
if kind == b"S":
    sys.stdin.read()
"""
"""A worker that dies after every 1,000 nonces; given what comes after 2,000, it tells where it began."""


async def test_a_replacement_goes_on_where_the_dead_worker_was() -> None:
    async with mining(command=script(FORGETFUL)) as (pool, solved):
        pool.start(1, PREFIX, NEVER, first_nonce=7)
        assert await solved.get() == (1, 7 + 2000)


async def test_stop_leaves_no_process() -> None:
    async with mining(threads=2) as (pool, _):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: len(pool.pids) == 2 and pool.hashes)
        workers = pool.pids
        pool.stop()
        await until(lambda: not pool.pids)
        assert all(gone(pid) for pid in workers)


async def test_stop_before_a_worker_has_come_up_leaves_no_process(caplog: pytest.LogCaptureFixture) -> None:
    async with mining() as (pool, solved):
        pool.start(1, PREFIX, NEVER)
        await asyncio.sleep(0)  # the process is being started just now
        pool.stop()
        pool.start(2, PREFIX, EASY)
        assert (await solved.get())[0] == 2
    assert caplog.records == []


async def test_mining_goes_on_after_a_stop() -> None:
    async with mining() as (pool, solved):
        for job in range(3):
            pool.start(job, PREFIX, EASY)
            assert (await solved.get())[0] == job
            pool.stop()
        await until(lambda: not pool.pids)


async def test_close_ends_every_worker_and_the_supervision() -> None:
    async with mining(threads=2) as (pool, solved):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: len(pool.pids) == 2)
        workers = pool.pids
        await pool.close()
        assert all(gone(pid) for pid in workers)
        pool.start(2, PREFIX, EASY)
        pool.stop()
        await pool.close()
        assert pool.pids == ()
        assert solved.empty()


async def test_close_without_run_returns() -> None:
    await MinerPool(1, lambda _job, _nonce: None).close()


async def test_a_cancelled_supervision_leaves_no_process() -> None:
    pool = MinerPool(2, lambda _job, _nonce: None)
    pool.start(1, PREFIX, NEVER)
    async with asyncio.timeout(DEADLINE_S):
        task = asyncio.create_task(pool.run())
        await until(lambda: len(pool.pids) == 2)
        workers = pool.pids
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert pool.pids == ()
        assert all(gone(pid) for pid in workers)


async def test_a_fault_of_the_caller_ends_the_supervision_and_every_process() -> None:
    def solved(_job: int, _nonce: int) -> None:
        raise LookupError("a bug of whoever takes the solution")

    pool = MinerPool(2, solved)
    pool.start(1, PREFIX, EASY)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ExceptionGroup) as caught:
            await pool.run()
    assert caught.group_contains(LookupError)
    assert pool.pids == ()


async def test_a_worker_that_dies_at_once_is_tried_again_ever_later(caplog: pytest.LogCaptureFixture) -> None:
    command = script("import sys; sys.exit('Traceback\\n  of sorts\\nno room on this machine')")
    async with mining(command=command) as (pool, _):
        pool.start(1, PREFIX, EASY)
        await until(lambda: len(caplog.records) >= 3)
    assert [record.getMessage().rpartition("; ") for record in caplog.records[:3]] == [
        (
            "mining worker 0 died (exit status 1: no room on this machine)",
            "; ",
            f"starting another in {wait} s",
        )
        for wait in ("0.1", "0.2", "0.4")
    ]


async def test_a_worker_that_keeps_dying_is_tried_once_a_minute_and_this_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.miner_policy.RestartPolicy.FIRST_S", 0.0)
    async with mining(command=script("")) as (pool, _):
        pool.start(1, PREFIX, EASY)
        await until(lambda: len(caplog.records) >= 6)
    last = caplog.records[5]
    assert last.levelno == logging.ERROR
    assert last.getMessage() == (
        "mining worker 0 died (exit status 0); it keeps dying; next attempt in 60.0 s"
    )


async def test_a_program_that_cannot_be_started_is_said_and_tried_again(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    async with mining(command=(str(tmp_path / "missing"),)) as (pool, _):
        pool.start(1, PREFIX, EASY)
        await until(lambda: len(caplog.records) >= 2)
    assert "could not be started" in caplog.records[0].getMessage()


async def test_a_worker_whose_reports_make_no_sense_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    command = script("import sys; sys.stdout.write('x' * 500); sys.stdout.flush(); sys.stdin.read()")
    async with mining(command=command) as (pool, solved):
        pool.start(1, PREFIX, EASY)
        await until(lambda: caplog.records)
        assert solved.empty()
    assert "its report made no sense" in caplog.records[0].getMessage()


async def test_a_worker_that_does_not_end_when_told_is_killed() -> None:
    async with mining(command=script("import time; time.sleep(3600)")) as (pool, _):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.pids)
        (stuck,) = pool.pids
        pool.stop()
        await until(lambda: not pool.pids)
        assert gone(stuck)


async def test_a_worker_that_takes_no_jobs_is_replaced_instead_of_queued_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with mining(command=script("import time; time.sleep(3600)")) as (pool, _):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.pids)
        for job in range(20_000):
            pool.start(job, PREFIX, NEVER)
        await until(lambda: caplog.records)
    assert "killed by signal 9" in caplog.records[0].getMessage()


async def test_a_worker_inherits_no_descriptor() -> None:
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)  # noqa: FBT003 - it takes no keyword
    async with mining() as (pool, _):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.hashes)
        os.close(theirs)
        readable, _, _ = select.select([ours], [], [], DEADLINE_S)
        assert readable  # no other process holds the writing end
        assert os.read(ours, 1) == b""
        assert len(pool.pids) == 1
    os.close(ours)


async def test_a_worker_has_a_process_group_of_its_own() -> None:
    async with mining() as (pool, _):
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.pids)
        (worker,) = pool.pids
        assert os.getpgid(worker) == worker
        assert os.getsid(worker) == os.getsid(0)


async def test_the_hash_rate_is_measured_while_mining_and_remembered_after() -> None:
    async with mining() as (pool, _):
        assert pool.hashrate == pool.last_hashrate == 0
        pool.start(1, PREFIX, NEVER)
        await until(lambda: pool.hashrate)
        pool.stop()
        assert pool.hashrate == 0
        assert pool.last_hashrate > 0


@pytest.mark.parametrize("threads", [0, -1, 257])
async def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=r"threads is 1\.\.256"):
        MinerPool(threads, lambda _job, _nonce: None)


async def test_a_job_that_cannot_be_searched_is_refused_and_the_old_one_stays() -> None:
    async with mining() as (pool, solved):
        pool.start(1, PREFIX, EASY)
        with pytest.raises(ValueError, match="header"):
            pool.start(2, PREFIX + b"\0", EASY)
        assert (await solved.get())[0] == 1


PARENT = """
import asyncio
from node.miner import MinerPool

async def main():
    solved = asyncio.Event()
    pool = MinerPool(2, lambda job, nonce: solved.set())
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        pool.start(1, bytes(range(84)), {target})
        while not (solved.is_set() or (len(pool.pids) == 2 and pool.hashes)):
            await asyncio.sleep(0.01)
        print(*pool.pids, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("target", [NEVER, EASY], ids=["searching", "waiting"])
async def test_workers_go_away_when_their_parent_is_killed_hard(target: int) -> None:
    pipe = asyncio.subprocess.PIPE
    parent = await asyncio.create_subprocess_exec(
        *script(PARENT.format(target=target)), cwd=ROOT, stdout=pipe, stderr=pipe
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        workers = [int(pid) for pid in (await parent.stdout.readline()).split()]
        assert workers
        parent.kill()
        await until(lambda: all(gone(pid) for pid in workers))
        assert await parent.stderr.read() == b""
        await parent.wait()


async def test_the_rate_of_one_core_can_be_measured_in_process() -> None:
    assert measure_hashrate(0.02) > 0
    assert measure_hashrate(0.0) > 0
