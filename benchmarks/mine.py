"""Hash rate of a mining worker beside the bare kernel: `python -m benchmarks.mine`.

The first figure counts everything that a node pays for it: starting the process, slices, reports, low
priority. Its limit is the same kernel in this process and nothing else. The others are the kernels that take
its place where the processor has no extensions, and where there is no compiler; the limit of the last is a
loop over hashlib in which no nonce is made and no hash compared.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from hashlib import sha256

from benchmarks.report import Result, Series, emit
from node.miner import MinerPool
from node.pow import KERNELS, kernel_name, search

PREFIX = bytes(range(84))
PORTABLE = "portable c"
BARE = "bare"
NEVER = 0
"""A target that no hash meets: the search goes on for as long as it is let."""


async def mined(seconds: float) -> float:
    """Hashes per second of one worker, from being told to start to being told to stop."""
    pool = MinerPool(1, lambda _job, _nonce: None)
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        began = time.perf_counter()
        pool.start(1, PREFIX, NEVER)
        await asyncio.sleep(seconds)
        spent = time.perf_counter() - began
        await pool.close()
    return pool.hashes / spent


def bare(seconds: float) -> float:
    """Hashes per second of the plainest loop over hashlib."""
    copy = sha256(PREFIX).copy
    nonces = [nonce.to_bytes(8) for nonce in range(1 << 14)]
    hashes = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or not hashes:
        for nonce in nonces:
            attempt = copy()
            attempt.update(nonce)
            sha256(attempt.digest()).digest()
        hashes += len(nonces)
    return hashes / spent


def alone(kernel: str, seconds: float) -> float:
    """Hashes per second of one kernel in this process: no worker, no slices, no reports."""
    hashes, count = 0, 1 << 12
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or not hashes:
        search(PREFIX, NEVER, hashes, count, kernel)
        hashes += count
        count = min(2 * count, 1 << 18)
    return hashes / spent


def measure(seconds: float = 2.0, runs: int = 5) -> list[Result]:
    """Return hashes per second of a worker, of plain C and of Python, each beside its limit, by turns."""
    workers, others = [], []
    for _ in range(runs):
        workers.append(asyncio.run(mined(seconds)))
        others.append({kernel: alone(kernel, seconds) for kernel in KERNELS} | {BARE: bare(seconds)})

    def series(name: str, kernel: str) -> Series:
        return Series(name, tuple(round(rates[kernel]) for rates in others))

    fastest = series(f"{kernel_name()} and nothing else, one core", kernel_name())
    details: dict[str, int | float | str] = {"kernel": kernel_name(), "threads": 1, "seconds": seconds}
    details |= {f"{kernel} (H/s)": round(series(kernel, kernel).median) for kernel in KERNELS}
    worker = Series("one worker", tuple(round(rate) for rate in workers))
    results = [Result("mine", "H/s", worker, fastest, details)]
    if PORTABLE in KERNELS:
        results.append(Result("mine portable", "H/s", series("C for any processor", PORTABLE), fastest))
    python = series("Python alone", KERNELS[-1])
    results.append(Result("mine hashlib", "H/s", python, series("bare hashlib loop, one core", BARE)))
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mine", description="Measure the hash rate.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (default 2)")
    parser.add_argument("--runs", type=int, default=5, help="of each kind, by turns (default 5)")
    options = parser.parse_args()
    if options.runs < 1 or not 0 < options.seconds < 3600:
        parser.error("--runs is 1 or more, --seconds more than 0 and less than 3600")
    for result in measure(options.seconds, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
