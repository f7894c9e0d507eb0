"""Whole worlds: the same seed, the same trace; every seed that ever failed; a swarm of new ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.simulation import running
from tests.simulation.failed import FAILED
from tests.simulation.faults import PROFILES
from tests.simulation.machine import Machine
from tests.simulation.running import Wish
from tests.simulation.swarm import SWARM, Swarm
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def traces(output: str) -> Sequence[str]:
    return re.findall(r"^trace ([0-9a-f]{32})$", output, re.MULTILINE)


@pytest.mark.parametrize("profile", ["swarm", "disks", "hostile"])
def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed(profile: str) -> None:
    arguments = ("--seed", "4", "--nodes", "6", "--until", "60", "--profile", profile)
    first, second = (command(*arguments, PYTHONHASHSEED=seed) for seed in ("0", "1"))
    assert first.returncode == second.returncode == 0, first.stdout + first.stderr
    assert len(traces(first.stdout)) == 1
    assert first.stdout == second.stdout


def test_another_seed_gives_another_trace() -> None:
    assert len({running.run(Wish(seed, 5, "calm", 20)).trace for seed in range(4)}) == 4


@pytest.mark.swarm
@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_makes_a_world_that_settles(profile: str) -> None:
    ran = running.run(Wish(2, 6, profile, 60))
    assert not ran.failure, ran.failure
    assert ran.outcome is not None
    assert ran.outcome.height > 0


def test_a_failure_is_printed_with_what_led_to_it_and_how_to_have_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.simulation.world.SETTLE_MS", -60_000)
    monkeypatch.setattr("tests.simulation.world.SETTLE_BLOCKS", 0)
    assert running.main(["--seed", "7", "--nodes", "5", "--until", "9", "--profile", "calm"]) == 1
    output = capsys.readouterr().out
    assert "n0: starts at height 0" in output
    assert "seed 7 FAILED: not settled" in output
    assert "again: python -m tests.simulation --seed 7 --profile calm --nodes 5 --until 9" in output
    assert len(traces(output)) == 1


def test_a_world_in_which_nobody_mines_any_more_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    heal = World._heal

    def heal_and_stop_mining(world: World) -> None:
        heal(world)
        monkeypatch.setattr(Machine, "_solve", lambda *_: None)

    monkeypatch.setattr(World, "_heal", heal_and_stop_mining)
    ran = running.run(Wish(1, 5, "calm", 20))
    assert ran.failure.startswith("not settled")


@pytest.mark.parametrize("arguments, word", [(["--nodes", "none"], "--nodes"), (["--profile", "x"], "x")])
def test_a_mistyped_option_is_named(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        running.main(arguments)
    assert left.value.code == 2
    assert word in capsys.readouterr().err


@pytest.mark.swarm
@pytest.mark.parametrize("wish, showed", FAILED, ids=[wish.command for wish, _ in FAILED])
def test_a_seed_that_failed_once_holds(wish: Wish, showed: str) -> None:
    ran = running.run(wish)
    assert not ran.failure, f"once it showed: {showed}\n{ran.failure}"


@pytest.mark.swarm
def test_a_swarm_of_worlds_holds(swarm: Swarm) -> None:
    status, said = swarm.result()
    assert status == 0, said[-8_000:]
    assert f"{SWARM} seeds, 0 failed" in said
