"""Hash rate of a mining worker beside a bare hashlib loop: `python -m benchmarks.mine`.

The figure counts everything that a node pays for it: starting the process, slices, reports, low priority. The
limit does the same hashing in this process and nothing else: no nonce is made and no hash compared.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from hashlib import sha256

from benchmarks.report import Result, Series, emit
from node.miner import MinerPool
from node.pow import kernel_name

PREFIX = bytes(range(84))
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


def measure(seconds: float = 2.0, runs: int = 5) -> list[Result]:
    """Return hashes per second of both, by turns."""
    pairs = [(asyncio.run(mined(seconds)), bare(seconds)) for _ in range(runs)]
    return [
        Result(
            benchmark="mine",
            unit="H/s",
            figure=Series("one worker", tuple(round(figure) for figure, _ in pairs)),
            limit=Series("bare hashlib loop, one core", tuple(round(limit) for _, limit in pairs)),
            details={"kernel": kernel_name(), "threads": 1, "seconds": seconds},
        )
    ]


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
