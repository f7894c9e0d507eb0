"""The local socket, for real: calls, arrays, entries, faults, bounds, subscriptions, and its file."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node import jsonrpc, socket_session
from node.control import MAX_SESSIONS, Control
from node.events import Answer, Forget, Level, MineBlocks, Notice, Refuse, Submit
from node.ledger.address import encode_address
from node.ledger.entry import Entry
from node.private import PathError
from node.query import BookDamaged
from node.storage.faults import DiskFull
from node.storage.port import StorageFault
from tests.building import ChainBuilder, key
from tests.fake_node import OWNER, FakeNode
from tests.memory_book import MemoryBook

pytestmark = pytest.mark.asyncio


class Client:
    """Lines in, lines out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, method: str, call_id: object = 1, **params: object) -> None:
        self.write({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})

    def write(self, message: object) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Any:  # noqa: ANN401 - whatever the node says
        line = await self.reader.readline()
        assert line, "the node closed the connection"
        return json.loads(line)

    async def ask(self, method: str, **params: object) -> Any:  # noqa: ANN401 - the same
        self.send(method, **params)
        return await self.receive()

    async def ended(self) -> bool:
        return await self.reader.read() == b""


@asynccontextmanager
async def connected(path: Path, limit: int = 1 << 24) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_unix_connection(path, limit=limit)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def running(node: FakeNode) -> AsyncIterator[Path]:
    path = node.folder / "node.sock"
    control = Control(node, path)
    node.control = control
    await control.start()
    try:
        yield path
    finally:
        await control.close()


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    chain = ChainBuilder()
    return FakeNode(chain, chain.blocks(None, 3, miner=OWNER)[-1], tmp_path)


def payment(node: FakeNode, nonce: int, fee: int = 1) -> Entry:
    return node.chain.entry(OWNER, key("bob"), 1, nonce=nonce, fee=fee)


# ---------------------------------------------------------------------------------------------- calls


async def test_a_call_is_answered_on_one_line(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        assert await client.ask("status") == {"jsonrpc": "2.0", "id": 1, "result": node.status()}


async def test_questions_to_the_book_are_answered_from_another_thread(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    open_book = node.open_book

    def noted() -> MemoryBook:
        threads.append(threading.current_thread())
        return open_book()

    monkeypatch.setattr(node, "open_book", noted)
    async with running(node) as path, connected(path) as client:
        answer = await client.ask("blocks", limit=2)
        assert [block["height"] for block in answer["result"]] == [3, 2]
        assert threads != [threading.current_thread()]
        assert (await client.ask("balance"))["result"]["confirmed"] == 150_00
        assert (await client.ask("block", name=1))["result"]["height"] == 1
        assert (await client.ask("tips"))["result"][0]["status"] == "active"
        assert (await client.ask("tx", txid="00" * 32))["result"]["status"] == "unknown"
        assert (await client.ask("history", limit=1))["result"][0]["direction"] == "reward"


async def test_calls_on_one_connection_need_not_wait_for_each_other(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        for number in range(200):
            client.send("balance" if number % 2 else "status", number)
        answers = [await client.receive() for _ in range(200)]
        assert sorted(answer["id"] for answer in answers) == list(range(200))
        assert all("result" in answer for answer in answers)


async def test_an_array_is_answered_by_an_array(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        client.write(
            [
                {"jsonrpc": "2.0", "id": 1, "method": "balance"},
                {"jsonrpc": "2.0", "id": 2, "method": "nonsense"},
                {"jsonrpc": "2.0", "method": "status"},
                7,
            ]
        )
        answers = {answer["id"]: answer for answer in await client.receive()}
        assert set(answers) == {1, 2, None}
        assert answers[1]["result"]["confirmed"] == 150_00
        assert answers[2]["error"]["code"] == -32601
        assert answers[None]["error"]["code"] == -32600


async def test_a_notification_gets_no_answer(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        client.write({"jsonrpc": "2.0", "method": "status"})
        client.write({"jsonrpc": "2.0", "method": "balance"})
        client.write([{"jsonrpc": "2.0", "method": "nonsense"}])
        assert (await client.ask("tips"))["id"] == 1


async def test_nonsense_is_refused_and_the_connection_goes_on(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        client.writer.write(b"\x00\xffhello\n\n  \n")
        assert (await client.receive())["error"]["code"] == -32700
        refused = (await client.ask("statsu"))["error"]
        assert refused["data"] == {"code": "unknown-method", "hint": "did you mean status?"}
        assert "result" in await client.ask("status")


async def test_whole_and_byte_by_byte_give_the_same(node: FakeNode) -> None:
    text = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n{"jsonrpc":"2.0","id":2,"method":"peers"}\n'
    async with running(node) as path, connected(path) as client:
        client.writer.write(text)
        whole = [await client.receive(), await client.receive()]
        for byte in text:
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert [await client.receive(), await client.receive()] == whole


async def test_a_client_that_has_said_all_gets_its_answers_and_then_the_end(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        client.send("balance")
        client.writer.write(b'{"jsonrpc":"2.0","id":2,"method":"status"}')  # the last line, without its end
        client.writer.write_eof()
        answers = [await client.receive(), await client.receive()]
        assert sorted(answer["id"] for answer in answers) == [1, 2]
        assert await client.ended()


# --------------------------------------------------------------------------------------------- entries


async def test_an_entry_is_handed_to_the_core_and_its_txid_comes_back(node: FakeNode) -> None:
    entry = payment(node, 0)
    async with running(node) as path, connected(path) as client:
        assert (await client.ask("submit", entry=entry.raw.hex()))["result"] == {"txid": entry.txid.hex()}
        pending = (await client.ask("pending"))["result"]
        assert [(item["txid"], item["status"]) for item in pending] == [(entry.txid.hex(), "pending")]
        nobody = encode_address("test", key("nobody").public)
        assert (await client.ask("pending", address=pending[0]["sender"]))["result"] == pending
        assert (await client.ask("pending", address=nobody))["result"] == []
        assert (await client.ask("tx", txid=entry.txid.hex()))["result"]["status"] == "pending"
        assert (await client.ask("balance"))["result"]["next_nonce"] == 1
    assert node.posted == [Submit(1, (entry.raw,), replace=False)]


async def test_entries_sent_in_one_go_reach_the_core_in_one(node: FakeNode) -> None:
    entries = [payment(node, nonce) for nonce in range(50)]
    lines = [
        {"jsonrpc": "2.0", "id": n, "method": "submit", "params": [e.raw.hex()]}
        for n, e in enumerate(entries)
    ]
    async with running(node) as path, connected(path) as client:
        client.writer.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        answers = [await client.receive() for _ in entries]
    assert [answer["id"] for answer in answers] == list(range(50))
    assert [answer["result"]["txid"] for answer in answers] == [entry.txid.hex() for entry in entries]
    assert node.posted == [Submit(1, tuple(entry.raw for entry in entries))]


async def test_each_entry_is_refused_for_itself(node: FakeNode) -> None:
    good, again = payment(node, 0), payment(node, 0, fee=50)
    async with running(node) as path, connected(path) as client:
        for number, raw in enumerate([good.raw, again.raw, b"\x00"]):
            client.send("submit", number, entry=raw.hex())
        answers = [await client.receive() for _ in range(3)]
    assert answers[0]["result"] == {"txid": good.txid.hex()}
    assert answers[1]["error"]["code"] == jsonrpc.REFUSED
    assert answers[1]["error"]["data"] == {"code": "nonce-used", "hint": "sign it again"}
    assert answers[2]["error"]["data"]["code"] == "entry-encoding"


async def test_an_entry_takes_the_place_of_a_pending_one_only_where_that_was_asked_for(
    node: FakeNode,
) -> None:
    first, second = payment(node, 0), payment(node, 0, fee=50)
    async with running(node) as path, connected(path) as client:
        client.send("submit", 1, entry=first.raw.hex())
        client.send("submit", 2, entry=second.raw.hex(), replace=True)
        answers = [await client.receive() for _ in range(2)]
    assert [answer["result"]["txid"] for answer in answers] == [first.txid.hex(), second.txid.hex()]
    assert node.posted == [Submit(1, (first.raw,)), Submit(2, (second.raw,), replace=True)]


async def test_an_array_of_entries_is_one_answer(node: FakeNode) -> None:
    entries = [payment(node, nonce) for nonce in range(3)]
    async with running(node) as path, connected(path) as client:
        client.write(
            [
                {"jsonrpc": "2.0", "id": e.nonce, "method": "submit", "params": {"entry": e.raw.hex()}}
                for e in entries
            ]
        )
        assert [answer["id"] for answer in await client.receive()] == [0, 1, 2]
    assert len(node.posted) == 1


async def test_what_the_core_says_to_a_request_reaches_the_one_who_asked(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client, connected(path) as other:
        node.answers = False
        client.send("mine", count=3)
        other.send("peer", action="ban", target="10.0.0.1")
        for asking in (client, other):
            assert "result" in await asking.ask("status")  # what it asked before is with the core by now
        requests = {type(event).__name__: event.request for event in node.posted}  # type: ignore[union-attr]
        assert node.control is not None
        node.control.answered(Refuse(requests["PeerCommand"], "not-found", "no such peer", "see `peers`"))
        node.control.answered(Answer(requests["MineBlocks"], ["ab" * 32]))
        node.control.answered(Answer(99, "nobody asked"))
        assert (await client.receive())["result"] == ["ab" * 32]
        refused = (await other.receive())["error"]
        assert (refused["message"], refused["data"]["code"]) == ("no such peer", "not-found")


async def test_the_core_is_told_when_whoever_asked_is_gone(node: FakeNode) -> None:
    node.answers = False
    gone = asyncio.Event()
    post = node.post

    def noted(event: Any) -> None:  # noqa: ANN401 - any event
        post(event)
        if isinstance(event, Forget):
            gone.set()

    node.post = noted  # type: ignore[method-assign]
    async with running(node) as path:
        async with connected(path) as client:
            client.send("mine", count=3)
            assert "result" in await client.ask("status")
        await gone.wait()
    assert node.posted == [MineBlocks(1, 3), Forget(1)]


# --------------------------------------------------------------------------------------------- faults


async def test_a_damaged_book_is_a_local_fault_with_the_next_step(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged() -> None:
        raise BookDamaged("the stored block at height 2 does not hash to its header")

    monkeypatch.setattr(node, "open_book", damaged)
    async with running(node) as path, connected(path) as client:
        error = (await client.ask("tips"))["error"]
    assert error["code"] == jsonrpc.LOCAL_FAULT
    assert error["message"] == "the stored block at height 2 does not hash to its header"
    assert "cli.py verify" in error["data"]["hint"]
    assert "height 2" in caplog.text


async def test_a_disk_that_fails_is_a_local_fault(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise DiskFull("the disk is full", "make room")

    monkeypatch.setattr(node, "open_book", failing)
    async with running(node) as path, connected(path) as client:
        assert (await client.ask("tips"))["error"]["data"] == {"code": "disk-full", "hint": "make room"}


@pytest.mark.parametrize(
    "fault,code,hint",
    [
        (DiskFull("the disk is full", "make room"), "disk-full", "make room"),
        (StorageFault("block 7 is missing from the book"), "storage", "run `python cli.py verify`"),
    ],
)
async def test_a_disk_that_fails_what_is_at_hand_is_a_local_fault_too(
    node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: StorageFault,
    code: str,
    hint: str,
) -> None:
    def failing() -> None:
        raise fault

    monkeypatch.setattr(node, "status", failing)
    async with running(node) as path, connected(path) as client:
        error = (await client.ask("status"))["error"]
        assert (await client.ask("peers"))["result"] == []
    assert (error["code"], error["data"]) == (jsonrpc.LOCAL_FAULT, {"code": code, "hint": hint})
    assert str(fault) in caplog.text


async def test_a_fault_of_this_program_is_logged_and_ends_neither_node_nor_connection(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(node, "open_book", failing)
    async with running(node) as path, connected(path) as client:
        assert (await client.ask("tips"))["error"]["data"]["code"] == "internal-error"
        assert "result" in await client.ask("status")
    assert "ZeroDivisionError" in caplog.text


# --------------------------------------------------------------------------------------------- bounds


async def test_a_line_that_never_ends_is_refused_by_name(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        client.writer.write(b"x" * (socket_session.MAX_LINE + 1))
        closed = await client.receive()
        assert closed["method"] == "closed"
        assert closed["params"]["code"] == "line-too-long"


async def test_no_more_calls_are_taken_than_may_be_under_way(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_session, "MAX_UNDER_WAY", 10)
    monkeypatch.setattr(socket_session, "MAX_MERGED", 4)
    node.answers = False
    entries = [payment(node, nonce) for nonce in range(35)]
    async with running(node) as path, connected(path) as client, connected(path) as other:
        for entry in entries:
            client.send("submit", entry.nonce, entry=entry.raw.hex())
        await client.writer.drain()
        answered = 0
        while answered < len(entries):
            assert "result" in await other.ask("status")  # others are served meanwhile
            waiting = [event for event in node.posted if isinstance(event, Submit)]
            node.posted.clear()
            assert sum(len(event.raws) for event in waiting) <= 10
            assert all(len(event.raws) <= 4 for event in waiting)
            assert node.control is not None
            for event in waiting:
                node.control.answered(Answer(event.request, ["00" * 32] * len(event.raws)))
                for _ in event.raws:
                    assert (await client.receive())["id"] == answered
                    answered += 1


async def test_questions_wait_while_many_are_under_way(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_session, "MAX_READS", 2)
    async with running(node) as path, connected(path) as client:
        for number in range(50):
            client.send("block", number, name=1)
        answers = [await client.receive() for _ in range(50)]
        assert sorted(answer["id"] for answer in answers) == list(range(50))


async def test_answers_that_nobody_reads_stop_the_questions(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends and never reads fills its own side, not the node's memory."""
    monkeypatch.setattr(socket_session, "_PAUSE_ABOVE", 1 << 12)
    asked = 0
    status = node.status

    def counted() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return status() | {"filling": "x" * 10_000}

    node.status = counted  # type: ignore[method-assign]
    async with running(node) as path, connected(path, limit=1 << 16) as client, connected(path) as other:
        for number in range(3_000):
            client.send("status", number)
        for _ in range(50):
            await other.ask("peers")
        assert asked < 1_000
        answers = [await client.receive() for _ in range(3_000)]
        assert [answer["id"] for answer in answers] == list(range(3_000))


async def test_too_many_connections_are_refused_by_name(node: FakeNode) -> None:
    async with running(node) as path:
        clients = []
        for _ in range(MAX_SESSIONS):
            reader, writer = await asyncio.open_unix_connection(path)
            clients.append(Client(reader, writer))
            assert "result" in await clients[-1].ask("peers")
        async with connected(path) as client:
            assert (await client.receive())["params"]["code"] == "too-many-connections"
            assert await client.ended()
        for kept in clients:
            kept.writer.close()


# -------------------------------------------------------------------------------------- subscriptions


async def test_a_subscriber_gets_each_notice_of_its_level(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        assert node.control is not None
        node.tell(Notice("early", "nobody listens yet"))
        assert not node.control.hears(Level.ERROR)
        assert (await client.ask("subscribe"))["result"] == {"level": "info"}
        node.tell(Notice("quiet", "not for info", Level.DEBUG))
        assert [node.control.hears(level) for level in (Level.DEBUG, Level.INFO)] == [False, True]
        node.tell(Notice("block-connected", "peer bob: block 3 connected", fields={"height": 3}))
        assert await client.receive() == {
            "jsonrpc": "2.0",
            "method": "event",
            "params": {
                "time_ms": 1_700_000_500_000,
                "kind": "block-connected",
                "level": "info",
                "text": "peer bob: block 3 connected",
                "fields": {"height": 3},
            },
        }
        assert "result" in await client.ask("subscribe", level="debug")
        node.tell(Notice("quiet", "for debug", Level.DEBUG))
        assert (await client.receive())["params"]["level"] == "debug"
        assert (await client.ask("unsubscribe"))["result"] == {}
        node.tell(Notice("late", "nobody listens any more"))
        assert "result" in await client.ask("status")


async def test_a_subscriber_that_does_not_read_is_disconnected_with_the_reason(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_session, "MAX_UNREAD", 1 << 16)
    monkeypatch.setattr(socket_session, "LINGER_S", 60.0)  # it does read in the end
    async with running(node) as path, connected(path, limit=1 << 16) as client:
        assert "result" in await client.ask("subscribe")
        node_notices = 0
        assert node.control is not None
        while node.control._sessions and node_notices < 5_000:
            node.tell(Notice("long", "x" * 10_000))
            node_notices += 1
            async with connected(path) as other:
                assert "result" in await other.ask("peers")
            if all(kept.least_level is None or kept._closing for kept in node.control._sessions):
                break
        assert node_notices < 5_000
        last = None
        while line := await client.reader.readline():
            last = json.loads(line)
        assert last is not None
        assert last["method"] == "closed"
        assert last["params"]["code"] == "too-slow"


# ---------------------------------------------------------------------------------------- the socket


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_node(node: FakeNode) -> None:
    async with running(node) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_socket_left_of_a_killed_node_is_replaced(node: FakeNode) -> None:
    path = node.folder / "node.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with running(node), connected(path) as client:
        assert "result" in await client.ask("status")


async def test_a_socket_that_somebody_answers_on_is_left_alone(node: FakeNode) -> None:
    async with running(node) as path, connected(path) as client:
        with pytest.raises(PathError, match="another node answers"):
            await Control(node, path).start()
        assert "result" in await client.ask("status")


async def test_a_file_in_the_place_of_the_socket_is_left_alone(node: FakeNode) -> None:
    path = node.folder / "node.sock"
    path.write_text("mine")
    with pytest.raises(PathError, match="in the place"):
        await Control(node, path).start()
    assert path.read_text() == "mine"


async def test_a_folder_that_is_missing_is_named(node: FakeNode) -> None:
    with pytest.raises(PathError, match="cannot listen on"):
        await Control(node, node.folder / "missing" / "node.sock").start()


async def test_whoever_asks_for_the_stop_stays_connected_until_the_process_is_gone(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    real_dup = os.dup

    def noted(descriptor: int) -> int:
        kept.append(real_dup(descriptor))
        return kept[-1]

    monkeypatch.setattr(os, "dup", noted)
    async with running(node) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        client = Client(reader, writer)
        assert (await client.ask("stop"))["result"] == {"stopping": True}
        assert node.stopped.is_set()
    assert len(kept) == 1
    assert not reader.at_eof()
    os.close(kept[0])  # what the end of the process does
    assert await client.ended()
    writer.close()
