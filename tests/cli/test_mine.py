"""Mining and stopping."""

from __future__ import annotations

import pytest

from node.events import Answer, Event, MineBlocks, Notice, Refuse
from tests.cli.conftest import Shell
from tests.fake_node import FakeNode


def test_mine_prints_the_hashes_of_its_blocks(shell: Shell, node: FakeNode) -> None:
    (first,) = shell.ask("mine")
    assert first == node.top.hash.hex()
    hashes = shell.ask("mine", "3")
    assert [shell.ask("block", found)["height"] for found in hashes] == [6, 7, 8]
    assert shell.ask("pending") == []


def test_people_see_each_block_and_why_mining_waits(shell: Shell, node: FakeNode) -> None:
    def slowly(event: Event) -> None:
        assert isinstance(event, MineBlocks)
        assert node.control is not None
        node.tell(Notice("mining-held", "not mining: the clock is off", fields={"reason": "clock"}))
        node.tell(Notice("block-connected", "mined here: block 5", fields={"mined_here": True}))
        node.tell(Notice("block-connected", "peer bob: block 6", fields={"mined_here": False}))
        node.control.answered(Answer(event.request, ["ab" * 32]))

    node.post = slowly  # type: ignore[method-assign]
    result = shell.type("mine")
    assert result.stdout == f"mined {'ab' * 32}\n"
    assert "not mining: the clock is off" in result.stderr


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "many", "100001", "1e3"])
def test_a_number_of_blocks_is_a_number(shell: Shell, count: str) -> None:
    assert shell.fail("mine", count, status=2)["code"] == "usage"


def test_a_node_that_cannot_mine_says_why(shell: Shell, node: FakeNode) -> None:
    def refuse(event: Event) -> None:
        assert isinstance(event, MineBlocks)
        assert node.control is not None
        node.control.answered(Refuse(event.request, "busy", "too many requests wait", "try again later"))

    node.post = refuse  # type: ignore[method-assign]
    assert shell.fail("mine") == {
        "code": "busy",
        "message": "too many requests wait",
        "hint": "try again later",
    }


def test_stop_returns_when_the_node_is_gone(shell: Shell, node: FakeNode) -> None:
    assert shell.ask("stop") == {"stopped": True}
    assert node.stopped.is_set()
    assert not (node.folder / "node.sock").exists()
    assert shell.fail("status", status=3)["code"] == "no-node"


def test_people_are_told_that_it_stopped(shell: Shell) -> None:
    assert shell.type("stop").stdout == "stopped\n"
