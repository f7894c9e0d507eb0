"""Faults really act: in a world that has one, what it does can be seen."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from node.mempool import Mempool
from node.mempool.pool import _Queue
from tests.simulation.checkers import Failure
from tests.simulation.faults import PROFILES, Faults, Load, Profile
from tests.simulation.world import DRIFT_MS, Settings, World


def world_of(profile: Profile, folder: Path, *, nodes: int = 8, until_ms: int = 60_000) -> World:
    return World(Settings(1, nodes, profile, until_ms, folder))


def test_where_nodes_hold_few_entries_some_are_evicted_and_some_refused(tmp_path: Path) -> None:
    world = world_of(PROFILES["tight"](Random(1)), tmp_path)
    told: list[str] = []
    world.trace._follow = told.append
    assert world.run().height > 0
    assert any("cheaper ones gave way" in line for line in told)
    assert any("mempool-full" in line for line in told)
    assert world.checkers.crowded


def test_a_node_that_evicts_what_was_typed_there_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rank_own_too(pool: Mempool, sender: bytes, queue: _Queue) -> None:
        own, pool._own = pool._own, {}
        rank(pool, sender, queue)
        pool._own = own

    rank = Mempool._rank
    monkeypatch.setattr(Mempool, "_rank", rank_own_too)
    world = world_of(PROFILES["tight"](Random(1)), tmp_path)
    with pytest.raises(Failure, match="which was typed there"):
        world.run()


def test_wrong_clocks_are_set_right_and_right_ones_wrong(tmp_path: Path) -> None:
    faults = Faults(clock_error_ms=2_000, wrong_clocks=500, mended_clocks=1000, spoilt_clocks=400)
    world = world_of(Profile(faults, Load(steady_miners=1000)), tmp_path, nodes=10)
    mended = [one for one in world.machines if one.build.is_wrong and one.build.turns]
    spoilt = [one for one in world.machines if not one.build.is_wrong and one.build.turns]
    assert mended
    assert spoilt
    world.run()
    assert all(abs(machine.clock_error_ms) <= 2_000 for machine in mended)
    assert all(abs(machine.clock_error_ms) > DRIFT_MS // 4 for machine in spoilt)
    right = world._right()
    assert world.machines[0] in right
    assert all(machine in right for machine in mended)
    assert not any(machine in right for machine in spoilt)
