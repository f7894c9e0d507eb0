"""How every benchmark tells its figure: one readable line for people, then one line of JSON.

Reads what machine this is; writes standard output and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.goals import goals_of


@dataclass(frozen=True, slots=True)
class Series:
    """The same thing measured several times; its median is what counts."""

    name: str
    """What was measured, in words."""
    runs: tuple[float, ...]
    """One figure a run, all in the unit of the benchmark; at least one."""

    @property
    def median(self) -> float:
        """The middle run: one disturbance of a shared machine does not move it."""
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True)
class Result:
    """A benchmark's figure beside its limit."""

    benchmark: str
    """Name of the module, which is also the command: `python -m benchmarks.NAME`.

    Where one command has several figures, a space and the figure's own name follow.
    """
    unit: str
    """Of figure and limit alike, for example `H/s` or `s`."""
    figure: Series
    limit: Series
    """What nothing could beat on this machine, measured in the same run."""
    details: Mapping[str, int | float | str] = field(default_factory=dict)
    """What else one must know to read the figure: sizes, counts, variants."""

    @property
    def ratio(self) -> float:
        """Figure over limit; of rates below 1, of times above."""
        return self.figure.median / self.limit.median

    @property
    def goals(self) -> str:
        """What it is meant to reach, in words; empty where nothing was set."""
        return ", ".join(goal.text(self.unit) for goal in goals_of(self.benchmark))

    @property
    def is_met(self) -> bool:
        """Whether it reaches all that; where nothing was set, it does."""
        figure, limit = self.figure.median, self.limit.median
        return all(goal.is_met(figure, limit) for goal in goals_of(self.benchmark))

    def line(self) -> str:
        """The result for people."""
        figure, limit, runs = number(self.figure.median), number(self.limit.median), len(self.figure.runs)
        of_runs = f", median of {runs}" if runs > 1 else ""
        return (
            f"{self.benchmark}: {figure} {self.unit} ({self.figure.name}{of_runs}), "
            f"{self.ratio:.2f} of the limit {limit} {self.unit} ({self.limit.name}, same run)"
        )

    def json(self) -> str:
        """The result for programs, on one line."""
        return json.dumps(
            {
                "benchmark": self.benchmark,
                "unit": self.unit,
                "value": self.figure.median,
                "limit": self.limit.median,
                "ratio": round(self.ratio, 4),
                "goals": self.goals,
                "met": self.is_met,
                "measured": self.figure.name,
                "limit_measured": self.limit.name,
                "runs": self.figure.runs,
                "limit_runs": self.limit.runs,
                "details": dict(self.details),
                "machine": machine(),
            }
        )


def emit(result: Result) -> None:
    """Print the readable line and the line of JSON."""
    sys.stdout.write(f"{result.line()}\n{result.json()}\n")
    sys.stdout.flush()


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least this part (above 0, at most 1) of all do not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1]


def number(value: float) -> str:
    """A figure as people read it: thousands apart, and three digits of what is small."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> dict[str, int | str]:
    """What a figure came from: processor, cores that this process may use, system, Python."""
    return {
        "cpu": _processor(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
