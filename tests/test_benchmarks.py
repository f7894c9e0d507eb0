"""How benchmarks report, and that the one over mining runs; what the figures are is nobody's test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Result, Series, emit, machine, number

ROOT = Path(__file__).resolve().parent.parent
RESULT = Result(
    benchmark="relay",
    unit="ms",
    figure=Series("one hop", (30.0, 20.0, 1000.0)),
    limit=Series("bytes over loopback", (10.0, 8.0, 16.0)),
    details={"entries": 2000},
)


def test_the_middle_run_counts() -> None:
    assert RESULT.figure.median == 30.0
    assert RESULT.limit.median == 10.0
    assert RESULT.ratio == 3.0


def test_people_read_figure_and_limit_in_one_line() -> None:
    assert RESULT.line() == (
        "relay: 30 ms (one hop, median of 3), 3.00 of the limit 10 ms (bytes over loopback, same run)"
    )


def test_programs_read_one_line_of_json_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    emit(RESULT)
    readable, line = capsys.readouterr().out.splitlines()
    assert readable == RESULT.line()
    assert json.loads(line) == {
        "benchmark": "relay",
        "unit": "ms",
        "value": 30.0,
        "limit": 10.0,
        "ratio": 3.0,
        "measured": "one hop",
        "limit_measured": "bytes over loopback",
        "runs": [30.0, 20.0, 1000.0],
        "limit_runs": [10.0, 8.0, 16.0],
        "details": {"entries": 2000},
        "machine": machine(),
    }


@pytest.mark.parametrize(
    "value, shown",
    [(1881888.4, "1,881,888"), (1000, "1,000"), (999.4, "999"), (0.01234, "0.0123"), (0, "0")],
)
def test_numbers_are_shown_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_machine_is_described() -> None:
    described = machine()
    assert isinstance(described["cores"], int)
    assert described["cores"] >= 1
    assert all(described[key] for key in ("cpu", "system", "python"))


def run_mine(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "benchmarks.mine", *arguments)
    return subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)


def test_the_mining_benchmark_tells_a_rate_beside_its_limit() -> None:
    ran = run_mine("--seconds", "0.4", "--runs", "1")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout.splitlines()[1])
    assert told["benchmark"] == "mine"
    assert told["value"] > 0
    assert told["limit"] > 0
    assert len(told["runs"]) == len(told["limit_runs"]) == 1


@pytest.mark.parametrize("arguments", [("--runs", "0"), ("--seconds", "nan"), ("--seconds", "-1")])
def test_a_benchmark_that_would_measure_nothing_is_refused(arguments: tuple[str, str]) -> None:
    ran = run_mine(*arguments)
    assert ran.returncode == 2
    assert "--runs is 1 or more" in ran.stderr
