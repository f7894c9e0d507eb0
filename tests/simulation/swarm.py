"""The worlds of the swarm profile, played by a process of their own while other tests run.

Most tests wait for something and leave a core idle: so the worlds begin with the run, politely, and whoever
asks for the result waits for the rest of them only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

SWARM: Final = int(os.environ.get("SIMULATION_SEEDS", "300"))
"""How many worlds of the swarm profile."""
NICENESS: Final = 19
"""What else runs goes first: it has conditions to meet within a minute."""
ROOT: Final = Path(__file__).parents[2]


class Swarm:
    """One run of the command."""

    def __init__(self, jobs: int) -> None:
        """Begin, in so many processes."""
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by `end`
        arguments = ["--seed", "1", "--seeds", str(SWARM), "--jobs", str(jobs)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.simulation", *arguments],
            cwd=ROOT,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        os.setpriority(os.PRIO_PGRP, self._process.pid, NICENESS)

    def result(self) -> tuple[int, str]:
        """Wait for its end; return its status and all that it said."""
        status = self._process.wait()
        self._said.seek(0)
        return status, self._said.read()

    def end(self) -> None:
        """End it, should it still run."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            self._process.wait()
        self._said.close()
