"""Tests for tests/simulation/crowd.py and scale.py: each figure comes out of a few nodes, and adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node import events
from node.frames import encode
from node.messages import BlockMessage, Ping
from tests.simulation import scale
from tests.simulation.crowd import Crowd, CrowdFault, Lines, Terms


@pytest.mark.parametrize("figure", ["block", "stale", "traffic", "cost"])
def test_each_figure_comes_out_small(figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "rows.json"
    assert scale.main([figure, "--quick", "--json", str(kept)]) == 0
    rows = json.loads(kept.read_text(encoding="utf-8"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1


def test_every_block_reaches_every_node_and_a_heavy_one_later() -> None:
    light, full, parts, heavy = scale.block(quick=True)
    assert [row["reached"] for row in (light, full, parts, heavy)] == [1, 1, 1, 1]
    assert int(str(parts["bytes in all"])) < int(str(full["bytes in all"])) // 2
    assert float(str(parts["mean ms"])) < float(str(full["mean ms"]))
    for row in (full, heavy):
        assert float(str(row["mean ms"])) > float(str(light["mean ms"]))
    # Eleven of the twelve nodes are sent its body, once.
    assert int(str(full["bytes in all"])) >= 11 * int(str(full["bytes of a block"]))
    assert int(str(full["bytes in all"])) < 12 * int(str(full["bytes of a block"]))


def test_an_entry_and_a_block_are_sent_to_each_node_once() -> None:
    rows = {(row["nodes"], row["for"], row["type"]): row for row in scale.traffic(quick=True)}
    for nodes in (4, 8):
        for what, kind in (("entry", "ENTRIES"), ("block", "BLOCK")):
            assert rows[nodes, what, kind]["messages a node"] == (nodes - 1) / nodes
    idle = rows[8, "idle minute", "PING"]
    assert idle["messages a node"] == 21  # three a connection, of which there are seven


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = (scale.stale(quick=True) for _ in range(2))
    assert first == second
    assert first[0]["trace"] != first[1]["trace"]


def test_a_line_carries_one_thing_after_the_other() -> None:
    line = Lines(0)
    block = encode(BlockMessage(bytes(25_000 - 5)))
    assert line("1.0.0.1", block, 100) == 110  # 2,500 bytes a millisecond
    assert line("1.0.0.1", block, 105) == 120
    assert line("1.0.0.1", encode(Ping(1)), 105) == 121
    assert line("1.0.0.2", block, 105) == 115  # another host, another line


def test_a_block_weighs_what_is_asked_and_nothing_else_does() -> None:
    line = Lines(250_000)
    assert line("1.0.0.1", encode(BlockMessage(b"short")), 0) == 100
    assert line("1.0.0.2", encode(Ping(1)), 0) == 1


def test_a_refused_entry_spoils_the_figure() -> None:
    crowd = Crowd(Terms(2))
    crowd.settle()
    with pytest.raises(CrowdFault, match="n1 refuses"):
        crowd.machines[1].request(lambda request: events.Submit(request, (b"no entry",), replace=False))


def test_the_interval_of_a_share_holds_it() -> None:
    low, high = scale.wilson(5, 100)
    assert (round(low, 4), round(high, 4)) == (0.0215, 0.1118)
    assert scale.wilson(0, 100)[0] == 0
