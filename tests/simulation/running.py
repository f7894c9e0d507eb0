"""The command: one world from a seed, or many of them over several processes.

The trace's hash goes to standard output, what depends on this machine (times) to standard error.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.simulation.checkers import Failure
from tests.simulation.faults import PROFILES
from tests.simulation.world import Outcome, Settings, World

UNTIL_S: Final = 150
SHOWN: Final = 150
"""Lines of a failed run that are printed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run is asked for; None is drawn from the seed."""

    seed: int
    nodes: int | None = None
    profile: str = "swarm"
    until_s: int = UNTIL_S
    is_loud: bool = False

    @property
    def command(self) -> str:
        """How to have the same run again."""
        nodes = f" --nodes {self.nodes}" if self.nodes is not None else ""
        until = f" --until {self.until_s}" if self.until_s != UNTIL_S else ""
        return f"python -m tests.simulation --seed {self.seed} --profile {self.profile}{nodes}{until}"


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run."""

    wish: Wish
    trace: str
    outcome: Outcome | None
    failure: str = ""
    last: Sequence[str] = ()
    nodes: int = 0
    seconds: float = 0.0


def run(wish: Wish) -> Ran:
    """Run one world."""
    dice = Random(f"{wish.seed} {wish.profile}")
    nodes = dice.randint(5, 20)
    profile = PROFILES[wish.profile](dice)
    nodes = nodes if wish.nodes is None else wish.nodes
    began = time.perf_counter()
    gc.collect()  # the world before this one
    gc.disable()  # a world is given up as a whole: to look for cycles while it runs takes a tenth of its time
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=_fast_folder()) as folder:
        settings = Settings(wish.seed, nodes, profile, wish.until_s * 1000, Path(folder))
        world = World(settings, follow=print if wish.is_loud else None)
        outcome, failure = None, ""
        try:
            outcome = world.run()
        except Failure as broken:
            failure = str(broken)
        except Exception:  # noqa: BLE001 - whatever a core raises is a finding, reported with its seed
            failure = traceback.format_exc()
    seconds = time.perf_counter() - began
    gc.enable()
    last = world.trace.last if failure else ()
    return Ran(wish, world.trace.hex, outcome, failure, last, nodes, seconds)


def _fast_folder() -> str | None:
    """Return a folder in memory, where there is one: what a crash leaves is played out, not waited for."""
    memory = Path("/dev/shm")  # noqa: S108 - each run makes a folder of its own in it
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 0, or 1 where a run failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verbose and options.seeds is not None:
        parser.error("--verbose prints one world: leave out --seeds")
    if options.jobs > 1 and options.seeds is None:
        parser.error("--jobs is for many worlds: say how many with --seeds")
    if options.seeds is not None:
        first = options.seed
        wishes = [
            Wish(seed, options.nodes, options.profile, options.until)
            for seed in range(first, first + options.seeds)
        ]
        return _run_many(wishes, options.jobs)
    ran = run(Wish(options.seed, options.nodes, options.profile, options.until, is_loud=options.verbose))
    _report(ran)
    return 1 if ran.failure else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Run the whole network in one process, under virtual time, with what goes wrong drawn "
        "from a seed. The same seed gives the same trace.",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the seed (1), or the first of --seeds"
    )
    parser.add_argument("--nodes", type=_count, metavar="K", help="how many nodes (drawn: 5 to 20)")
    parser.add_argument(
        "--profile", choices=PROFILES, default="swarm", help="what goes wrong (swarm: drawn too)"
    )
    parser.add_argument(
        "--until", type=_count, default=UNTIL_S, metavar="T", help=f"virtual seconds of trouble ({UNTIL_S})"
    )
    parser.add_argument("--seeds", type=_count, metavar="N", help="run so many seeds")
    parser.add_argument("--jobs", type=_count, default=1, metavar="J", help="over so many processes (1)")
    parser.add_argument("--verbose", action="store_true", help="print every line of the trace as it comes")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _report(ran: Ran) -> None:
    if ran.failure:
        for line in ran.last[-SHOWN:]:
            print(line)
        print(f"\nseed {ran.wish.seed} FAILED: {ran.failure}")
        print(f"again: {ran.wish.command}")
    elif ran.outcome is not None:
        outcome = ran.outcome
        print(
            f"seed {ran.wish.seed}: {ran.nodes} nodes, {outcome.virtual_ms // 1000} s of their time, "
            f"{outcome.height} blocks, {outcome.accepted} entries taken, {outcome.switches} switches "
            f"(deepest {outcome.deepest}), one tip {outcome.settled_ms // 1000} s after the trouble"
        )
        if ran.wish.is_loud:
            at_rest = outcome.looks - outcome.skipped
            print(f"{outcome.looks} looks at nodes, {at_rest} of them at rest, {outcome.skipped} while busy")
        ratio = outcome.virtual_ms / 1000 / ran.seconds
        print(f"{ran.seconds:.2f} s, {ratio:.0f} times real time, {outcome.steps} steps", file=sys.stderr)
    print(f"trace {ran.trace}")


def _in_short(failure: str) -> str:
    """Return the one line that says most: the first of a failure, the last of a traceback."""
    lines = failure.strip().splitlines()
    return lines[-1 if lines[0].startswith("Traceback") else 0]


def _run_many(wishes: Sequence[Wish], jobs: int) -> int:
    began = time.perf_counter()
    failed: list[int] = []
    virtual_ms = done = 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for ran in pool.imap_unordered(run, wishes, chunksize=1):
            done += 1
            if ran.failure:
                failed.append(ran.wish.seed)
                print(f"seed {ran.wish.seed} FAILED: {_in_short(ran.failure)}")
                print(f"again: {ran.wish.command}", flush=True)
            elif ran.outcome is not None:
                virtual_ms += ran.outcome.virtual_ms
            if done % 50 == 0:
                print(f"{done} of {len(wishes)}, {len(failed)} failed", file=sys.stderr)
    seconds = time.perf_counter() - began
    names = ", ".join(map(str, sorted(failed)))
    print(f"{len(wishes)} seeds, {len(failed)} failed" + (f": {names}" if failed else ""))
    print(f"{seconds:.0f} s, {virtual_ms / 1000 / max(seconds, 0.001):.0f} times real time", file=sys.stderr)
    return 1 if failed else 0
