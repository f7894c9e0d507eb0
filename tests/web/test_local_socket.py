"""The page's end of the local socket: many calls at a time, over a connection that comes back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from node.web import local_socket
from node.web.local_socket import LocalSocket, NodeRefused
from tests.building import ChainBuilder
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.asyncio


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    chain = ChainBuilder()
    return FakeNode(chain, chain.blocks(None, 2)[-1], tmp_path)


async def test_calls_are_answered_each_with_its_own(node: FakeNode) -> None:
    with served(node):
        client = LocalSocket(node.folder)
        calls = [client.call("blocks", limit=1, before=height) for height in (1, 2, 3)] * 20
        answers = await asyncio.gather(*calls, client.call("status"))
        assert [answer[0]["height"] for answer in answers[:-1]] == [0, 1, 2] * 20
        assert answers[-1]["height"] == 2
        await client.close()


async def test_what_the_node_refuses_is_told_with_its_code(node: FakeNode) -> None:
    with served(node):
        client = LocalSocket(node.folder)
        with pytest.raises(NodeRefused) as caught:
            await client.call("block", name=9)
        assert caught.value.code == "not-found"
        with pytest.raises(NodeRefused) as caught:
            await client.call("balance", address="nonsense")
        assert (caught.value.code, caught.value.number) == ("bad-address", -32602)
        await client.close()


async def test_without_a_node_a_call_says_so_and_with_one_it_works_again(node: FakeNode) -> None:
    client = LocalSocket(node.folder)
    with pytest.raises(NodeRefused, match="no-node"):
        await client.call("status")
    for _ in range(2):
        again = FakeNode(node.chain, node.top, node.folder)
        with served(again):
            assert (await client.call("status"))["height"] == 2
        with pytest.raises(NodeRefused, match="no-node"):
            await client.call("status")
    await client.close()


async def test_a_node_that_goes_away_in_the_middle_of_a_call_fails_it(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()
    monkeypatch.setattr(node, "post", lambda _: arrived.set())
    client = LocalSocket(node.folder)
    with served(node) as serving:
        call = asyncio.create_task(client.call("mine", count=1))
        await asyncio.to_thread(arrived.wait, 60)
        serving.stop()
        with pytest.raises(NodeRefused):
            await call
    await client.close()


async def test_a_node_that_does_not_answer_is_not_waited_for(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "CALL_S", 0.01)
    node.answers = False
    with served(node):
        client = LocalSocket(node.folder)
        with pytest.raises(NodeRefused, match="node-slow"):
            await client.call("mine", count=1)
        await client.close()


async def test_what_is_no_node_is_hung_up_on(tmp_path: Path) -> None:
    async def chatter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(chatter, tmp_path / "node.sock")
    client = LocalSocket(tmp_path)
    with pytest.raises(NodeRefused, match="no-node"):
        await client.call("status")
    await client.close()
    server.close()
