"""Quick looks at the node: one question for all who ask within a moment, and no node is no fault."""

from __future__ import annotations

import asyncio

import pytest

from node.web.glimpse import Glimpses
from node.web.local_socket import NodeRefused

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def moment_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, all of a test is within a moment; the old answer's own test ends it."""
    monkeypatch.setattr("node.web.glimpse.FRESH_S", 3_600.0)


class Node:
    """Answers with how often it was asked."""

    def __init__(self, *, away: bool = False) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.away = away

    async def call(self, method: str, **params: object) -> int:
        self.asked.append((method, params))
        await asyncio.sleep(0)
        if self.away:
            raise NodeRefused("no-node", "the node is not running")
        return len(self.asked)


async def test_all_who_ask_at_once_share_one_answer() -> None:
    node = Node()
    glimpses = Glimpses(node.call, str)
    assert await asyncio.gather(*(glimpses.get("status") for _ in range(50))) == [1] * 50


async def test_other_params_are_another_question() -> None:
    node = Node()
    glimpses = Glimpses(node.call, str)
    assert await glimpses.get("tx", txid="a") == 1
    assert await glimpses.get("tx", txid="b") == 2
    assert await glimpses.get("tx", txid="a") == 1


async def test_an_old_answer_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.web.glimpse.FRESH_S", -1.0)
    node = Node()
    glimpses = Glimpses(node.call, str)
    assert [await glimpses.get("status") for _ in range(3)] == [1, 2, 3]


async def test_an_answer_from_before_something_happened_is_not_given_again() -> None:
    node, happened = Node(), ["nothing"]
    glimpses = Glimpses(node.call, lambda: happened[-1])
    assert [await glimpses.get("pending") for _ in range(2)] == [1, 1]
    happened.append("a payment")
    assert [await glimpses.get("pending") for _ in range(2)] == [2, 2]


async def test_one_who_leaves_takes_no_answer_away_from_the_others() -> None:
    node = Node()
    glimpses = Glimpses(node.call, str)
    first, second = (asyncio.create_task(glimpses.get("status")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1


async def test_a_node_that_is_away_is_told_of_or_none() -> None:
    glimpses = Glimpses(Node(away=True).call, str)
    assert await glimpses.maybe("status") is None
    with pytest.raises(NodeRefused):
        await glimpses.get("status")
