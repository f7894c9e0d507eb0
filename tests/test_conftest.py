"""A run of the tests says what it left out, in whichever process, and what this machine lets it test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from node.pow import KERNELS
from tests.sources import ROOT

HERE = "tests/test_conftest.py::test_this_one_does_nothing"


def run(*words: str) -> list[str]:
    """Run some of these tests as one would by hand; return the lines that it writes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", [1, 2])
def test_this_one_does_nothing(number: int) -> None:
    assert number


@pytest.mark.parametrize("processes", ["0", "1"])
def test_tests_without_a_mark_that_are_deselected_are_told_of(processes: str) -> None:
    lines = run("-n", processes, HERE, "--deselect", f"{HERE}[2]")
    told = [line for line in lines if line.startswith("left out: ")]
    assert told == ["left out: tests without such a mark (they run when nothing is deselected): 1"]


def test_a_run_that_leaves_out_nothing_says_so_by_silence_and_names_what_searches_here() -> None:
    lines = run("-n", "0", HERE)
    assert not [line for line in lines if line.startswith("left out: ")]
    assert f"kernels tested here: {', '.join(KERNELS)}" in lines
