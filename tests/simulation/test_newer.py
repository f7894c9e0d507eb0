"""Nodes of two versions of the program in one network: what the newer ones say does act, and harms nobody."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from node import frames, protocol
from node.messages import Hello
from tests.simulation import newer
from tests.simulation.checkers import Failure
from tests.simulation.faults import PROFILES
from tests.simulation.world import Settings, World


def world_of_two_versions(folder: Path) -> World:
    world = World(Settings(1, 9, PROFILES["versions"](Random(1)), 60_000, folder))
    assert {machine.build.is_newer for machine in world.machines} == {True, False}
    assert {machine.build.is_older for machine in world.machines if not machine.build.is_newer} == {
        True,
        False,
    }
    return world


def test_nodes_of_both_versions_meet_and_agree(tmp_path: Path) -> None:
    world = world_of_two_versions(tmp_path)
    world.begin()
    world.kernel.run_until(30_000)
    others = [machine for machine in world.machines if not machine.build.is_newer]
    met: list[Hello] = [session.link.peer for machine in others for session in machine.core.sessions.open()]
    assert any(hello.features == newer.FEATURES and hello.agent == newer.AGENT for hello in met)
    assert any(hello.features == 1 for hello in met)
    assert any(not hello.features for hello in met)

    assert world_of_two_versions(tmp_path).run().height > 0


def test_a_node_that_did_not_skip_what_it_does_not_know_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "FIRST_IGNORED", 256)
    with pytest.raises(Failure, match=r"blames n\d+, which is honest: .* unknown-type: type \d+"):
        world_of_two_versions(tmp_path).run()


@pytest.mark.parametrize("is_met, most", [(False, 1_024), (True, 65_536)])
def test_what_is_unknown_is_of_the_types_and_lengths_that_are_skipped(is_met: bool, most: int) -> None:
    dice = Random(1)
    said = [newer.unknown(dice, is_met=is_met) for _ in range(500)]
    sizes = [len(one) - frames.FRAME.size for one in said]
    assert all(128 <= one[4] <= 255 for one in said)
    assert min(sizes) == 0
    assert max(sizes) == most
