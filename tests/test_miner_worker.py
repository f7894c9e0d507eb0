"""The worker program by itself, as a process with pipes."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.miner import WORKER_COMMAND
from node.miner_worker import (
    JOB_BYTES,
    REPORT_BYTES,
    Job,
    JobReader,
    NotAJobError,
    NotAReportError,
    Report,
    next_count,
    pack_job,
    pack_report,
    unpack_job,
    unpack_report,
)

ANY = 2**256 - 1
EASY = ANY >> 8
PREFIX = bytes(range(84))
HARD = ANY >> 20
HARD_NONCE = 882_571
"""The first nonce that meets HARD with this prefix: too far for one slice, near enough for a test."""

Worker = subprocess.Popen[bytes]


def met(nonce: int, target: int) -> bool:
    once = hashlib.sha256(PREFIX + nonce.to_bytes(8, "big")).digest()
    return int.from_bytes(hashlib.sha256(once).digest(), "big") <= target


def spawn() -> Worker:
    pipe = subprocess.PIPE
    return subprocess.Popen(WORKER_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, process_group=0)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with spawn() as process:
        yield process
        process.kill()


def hand(worker: Worker, *jobs: Job) -> None:
    assert worker.stdin is not None
    worker.stdin.write(b"".join(pack_job(job) for job in jobs))


def heard(worker: Worker) -> Iterator[Report]:
    assert worker.stdout is not None
    rest = b""
    while data := worker.stdout.read(REPORT_BYTES - len(rest)):
        rest += data
        if len(rest) == REPORT_BYTES:
            yield unpack_report(rest)
            rest = b""
    assert rest == b""


def solution(worker: Worker) -> Report:
    return next(report for report in heard(worker) if report.nonce is not None)


def test_it_finds_a_nonce_that_meets_the_target(worker: Worker) -> None:
    hand(worker, Job(7, PREFIX, EASY, 0))
    report = solution(worker)
    assert report.job == 7
    assert report.nonce is not None
    assert met(report.nonce, EASY)
    assert not any(met(nonce, EASY) for nonce in range(report.nonce))
    assert report.hashes == report.nonce + 1


def test_it_begins_at_the_first_nonce_it_is_given_and_goes_on_at_zero_after_the_last(worker: Worker) -> None:
    first = 2**64 - 1_000
    assert not any(met(nonce, HARD) for nonce in range(first, 2**64))
    hand(worker, Job(1, PREFIX, HARD, first))
    assert solution(worker).nonce == HARD_NONCE


def test_after_a_solution_it_waits_for_the_next_job(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, EASY, 0))
    assert solution(worker).job == 1
    hand(worker, Job(2, PREFIX, EASY, 0))
    assert solution(worker).job == 2


def test_a_new_job_replaces_the_one_that_is_searched(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, 0, 0))
    reports = heard(worker)
    first = next(reports)  # it is searching: half-way reports come from it
    assert first.job == 1
    hand(worker, Job(2, PREFIX, EASY, 0))
    rest = [next(reports)]
    while rest[-1].nonce is None:
        rest.append(next(reports))
    assert rest[-1].job == 2
    assert first.nonce is None
    assert all(report.job == 1 for report in rest[:-1])


def test_of_several_jobs_read_at_once_the_newest_is_searched(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, 0, 0), Job(2, PREFIX, 0, 0), Job(3, PREFIX, EASY, 0))
    assert solution(worker).job == 3


def test_every_nonce_up_to_the_solution_is_tried_and_reported_once(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, HARD, 0))
    told = []
    for report in heard(worker):
        told.append(report)
        if report.nonce is not None:
            break
    assert told[-1].nonce == HARD_NONCE
    assert sum(report.hashes for report in told) == HARD_NONCE + 1


@pytest.mark.parametrize("target", [0, EASY], ids=["searching", "waiting"])
def test_it_ends_when_its_input_does(worker: Worker, target: int) -> None:
    hand(worker, Job(1, PREFIX, target, 0))
    assert worker.stdin is not None
    assert worker.stderr is not None
    assert next(heard(worker)).job == 1
    worker.stdin.close()
    assert worker.wait() == 0
    assert worker.stderr.read() == b""


def test_it_tells_the_rest_of_its_hashes_when_its_input_ends(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, 0, 0))
    reports = heard(worker)
    assert next(reports).hashes > 0
    assert worker.stdin is not None
    worker.stdin.close()
    assert [report.job for report in reports] != []


@pytest.mark.parametrize(
    "data",
    [b"hello\n", b"\0" * 500, b"job", b"job1" + bytes(50), pack_job(Job(1, PREFIX, 0, 0)) + b"x"],
    ids=["words", "zeros", "less than a magic", "half a job", "a job and more"],
)
def test_garbage_ends_it_with_one_clear_line(data: bytes) -> None:
    ran = subprocess.run(WORKER_COMMAND, input=data, capture_output=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.count(b"\n") == 1
    assert b"holds no mining job" in ran.stderr


def test_it_runs_as_a_module_too() -> None:
    command = (sys.executable, "-m", "node.miner_worker")
    root = Path(__file__).resolve().parent.parent
    ran = subprocess.run(command, input=b"garbage", capture_output=True, check=False, cwd=root)
    assert ran.returncode == 2
    assert ran.stderr.count(b"\n") == 1


def test_nothing_in_the_working_folder_or_the_environment_gets_into_it(tmp_path: Path) -> None:
    for name in ("node", "hashlib", "sitecustomize", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "node.py")}
    job = pack_job(Job(5, PREFIX, EASY, 0))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        WORKER_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path, env=environment, bufsize=0
    ) as process:
        assert process.stdin is not None
        process.stdin.write(job)
        assert solution(process).job == 5
        process.kill()


@pytest.mark.parametrize("target", [0, EASY], ids=["while searching", "with a solution"])
def test_it_ends_without_a_word_when_nobody_reads_it(target: int) -> None:
    with spawn() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(pack_job(Job(1, PREFIX, target, 0)))
        assert process.wait() == 0
        assert process.stderr.read() == b""


def test_ctrl_c_is_left_to_the_node(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, EASY, 0))
    assert solution(worker).job == 1  # it has settled
    worker.send_signal(signal.SIGINT)
    hand(worker, Job(2, PREFIX, EASY, 0))
    assert solution(worker).job == 2


def test_a_polite_signal_ends_it_without_a_word(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, EASY, 0))
    assert solution(worker).job == 1
    assert worker.stderr is not None
    worker.terminate()
    assert worker.wait() == -signal.SIGTERM
    assert worker.stderr.read() == b""


def test_it_gives_way_to_other_programs(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, EASY, 0))
    assert solution(worker).job == 1
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(19, own + 10)


def test_it_does_nothing_while_it_waits(worker: Worker) -> None:
    hand(worker, Job(1, PREFIX, EASY, 0))
    assert solution(worker).job == 1
    assert worker.stdout is not None
    assert select.select([worker.stdout], [], [], 0.0)[0] == []
    # Asleep, not runnable: seen once is enough for a process that waits, a spinning one never shows it.
    deadline = time.monotonic() + 60
    while state_of(worker.pid) != "S":
        assert time.monotonic() < deadline


def state_of(pid: int) -> str:
    ran = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False, text=True)
    return ran.stdout[:1]


jobs = st.builds(
    Job,
    st.integers(0, 2**64 - 1),
    st.binary(min_size=84, max_size=84),
    st.integers(0, ANY),
    st.integers(0, 2**64 - 1),
)
reports = st.builds(
    Report,
    st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)


@given(jobs)
def test_a_job_survives_its_frame(job: Job) -> None:
    frame = pack_job(job)
    assert len(frame) == JOB_BYTES == 136
    assert unpack_job(frame) == job


@given(reports)
def test_a_report_survives_its_frame(report: Report) -> None:
    frame = pack_report(report)
    assert len(frame) == REPORT_BYTES == struct.calcsize(">cQQQQ")
    assert unpack_report(frame) == report


@given(st.lists(jobs, min_size=1, max_size=4), st.lists(st.integers(0, 600), max_size=8))
def test_jobs_are_read_the_same_however_the_input_is_cut(written: list[Job], cuts: list[int]) -> None:
    data = b"".join(pack_job(job) for job in written)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = JobReader()
    read = [reader.feed(data[low:high]) for low, high in pairwise(edges)]
    reader.end()
    assert [job for job in read if job is not None][-1] == written[-1]


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_give_a_job_or_the_named_error(data: bytes) -> None:
    reader = JobReader()
    try:
        job = reader.feed(data)
        reader.end()
    except NotAJobError:
        return
    assert job is not None
    assert data == pack_job(job)


@pytest.mark.parametrize("frame", [bytes(REPORT_BYTES), b"X" * REPORT_BYTES])
def test_what_is_no_report_is_named(frame: bytes) -> None:
    with pytest.raises(NotAReportError):
        unpack_report(frame)


@pytest.mark.parametrize(
    "count, elapsed_ms, expected",
    [
        (1_000, 10, 1_000),  # just right
        (1_000, 40, 250),  # four times too long
        (1_000, 8, 1_250),
        (1_000, 1, 2_000),  # ten times too short: grows by two at most, so that one fluke costs little
        (1, 5_000, 1),  # a machine that stood still: never zero
    ],
)
def test_a_slice_adapts_to_ten_milliseconds(count: int, elapsed_ms: int, expected: int) -> None:
    assert next_count(count, elapsed_ms * 1_000_000) == expected


def test_a_slice_that_took_no_time_at_all_is_doubled() -> None:
    assert next_count(16, 0) == 32
