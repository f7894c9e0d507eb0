"""A node without peers, disk or workers behind a real local socket, for tests of the socket and commands."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast
from unittest import mock

from node.answers import Json, Waiting
from node.control import Control
from node.events import Answer, Event, Level, MineBlocks, Notice, PeerCommand, Refuse, Submit
from node.jsonrpc import Call
from node.ledger import signature
from node.ledger.address import encode_address
from node.ledger.entry import Entry, decode_entry, signed_message
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.socket_session import Reply, Session
from node.weighing import Seen
from tests.building import Built, ChainBuilder, key
from tests.memory_book import MemoryBook

OWNER = key("owner of the fake node")
NOW_MS = 1_700_000_500_000


class FakeNode:
    """Satisfies `methods.Node`. Takes entries and mines by rules of its own, just enough for the commands."""

    def __init__(self, chain: ChainBuilder, tip: Built, data_dir: Path) -> None:
        self.chain = chain
        self.book = MemoryBook(chain, tip)
        self.top = tip
        self.folder = data_dir
        self.owner = OWNER.public
        self.entries: dict[tuple[bytes, int], Entry] = {}
        self.lost: dict[bytes, Waiting] = {}
        self.posted: list[Event] = []
        self.answers = True
        """False: the core stays silent."""
        self.peer_list: list[Json] = []
        self.status_changes: Json = {}
        self.control: Control | None = None
        self.stopped = asyncio.Event()
        self.subscribed = threading.Event()

    @property
    def parameters(self) -> Parameters:
        return self.chain.parameters

    @property
    def data_dir(self) -> Path:
        return self.folder

    @property
    def wallet(self) -> str:
        return "default"

    @property
    def public_key(self) -> bytes:
        return self.owner

    def audit(self) -> Json:
        return {"found": [], "last_heal": None}

    def heal(self) -> Json:
        return {"healing": True}

    def status(self) -> Json:
        tip = self.book.tip()
        return {
            "network": self.parameters.name,
            "network_id": self.chain.network_id.hex(),
            "height": tip.height,
            "tip": tip.hash.hex(),
            "work": hex(tip.work),
            "headers_height": tip.height,
            "synced": True,
            "sync_reason": "no peers",
            "peers": len(self.peer_list),
            "pending": len(self.entries),
            "mining": {
                "mode": "on-demand",
                "hashrate": 0,
                "kernel": "hashlib",
                "address": encode_address(self.parameters.prefix, self.owner),
            },
            "address": encode_address(self.parameters.prefix, self.owner),
            "clock_offset_ms": None,
            "last_reorg": None,
            "rewrite_cost_s": 12,
            "uptime_s": 34,
            "version": "1.2.3",
            "page": None,
        } | self.status_changes

    def peers(self) -> list[Json]:
        return self.peer_list

    def settings(self) -> list[Json]:
        return [{"name": "port", "value": 9000, "origin": "default"}]

    def pending(self) -> Sequence[Entry]:
        return list(self.entries.values())  # a copy at once: tests put more in from threads of theirs

    def pending_of(self, key: bytes) -> Sequence[Entry]:
        return [entry for entry in self.pending() if key in (entry.sender, entry.recipient)]

    def waiting(self, txid: bytes) -> Waiting | None:
        found = next((entry for entry in self.pending() if entry.txid == txid), None)
        return Waiting("pending", found) if found else self.lost.get(txid)

    def seen(self, txid: bytes) -> Seen:
        heights = tuple(peer["height"] for peer in self.peer_list)
        heard = len(self.peer_list) if self.waiting(txid) else 0
        return Seen(NOW_MS, heights, heard)

    def open_book(self) -> MemoryBook:
        return self.book

    def stop(self) -> None:
        self.stopped.set()

    def post(self, event: Event) -> None:
        self.posted.append(event)
        if not self.answers or self.control is None:
            return
        match event:
            case Submit():
                results = [self._submitted(raw, replace=event.replace) for raw in event.raws]
                self.control.answered(Answer(event.request, results))
            case MineBlocks():
                self.control.answered(Answer(event.request, [self.mine() for _ in range(event.blocks)]))
            case PeerCommand(target="nobody:1"):
                self.control.answered(Refuse(event.request, "not-found", "there is no such peer"))
            case PeerCommand():
                self.control.answered(Answer(event.request, {"action": event.action, "target": event.target}))
            case _:
                pass

    def mine(self) -> str:
        """Put all pending entries in a block, tell of it, and return its hash."""
        entries = sorted(self.entries.values(), key=lambda entry: (entry.sender, entry.nonce))
        self.entries.clear()
        self.top = self.chain.block(self.top, entries, miner=self.owner)
        self.book = MemoryBook(self.chain, self.top)
        text = f"mined block {self.top.height} {self.top.hash.hex()[:4]}…"
        self.tell(Notice("block-mined", text, fields={"hash": self.top.hash.hex()}))
        return self.top.hash.hex()

    def tell(self, notice: Notice) -> None:
        assert self.control is not None
        self.control.tell(notice, NOW_MS)

    def _submitted(self, raw: bytes, *, replace: bool) -> object:
        try:
            entry = decode_entry(raw)
        except RuleBroken as broken:
            return {"code": str(broken.rule), "message": broken.detail}
        message = signed_message(self.chain.network_id, raw)
        if not signature.verify(entry.sender, message, entry.signature):
            return {"code": "entry-signature", "message": "the signature is not the sender's"}
        account = self.book.account(entry.sender)
        old = self.entries.get((entry.sender, entry.nonce))
        if entry.nonce < account.nonce or (old and not replace):
            return {"code": "nonce-used", "message": f"nonce {entry.nonce} is used", "hint": "sign it again"}
        if old and entry.fee < old.fee + max(1, -(-old.fee // 10)):
            return {"code": "fee-too-low-to-replace", "message": "too little", "hint": "offer more"}
        if entry.fee < self.parameters.minimum_fee:
            return {"code": "fee-too-low", "message": "the fee is too low", "hint": "offer more"}
        if entry.amount + entry.fee > account.balance:
            return {"code": "overspend", "message": f"the sender has {account.balance}", "hint": "wait"}
        self.entries[entry.sender, entry.nonce] = entry
        return entry.txid.hex()


class _Control(Control):
    """Notes a subscription."""

    def call(self, session: Session, call: Call, reply: Reply) -> None:
        super().call(session, call, reply)
        if call.method == "subscribe":
            cast("FakeNode", self._node).subscribed.set()


class Served:
    """A fake node whose socket is served on a thread of its own."""

    def __init__(self, node: FakeNode, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self._loop = loop

    def tell(self, kind: str, text: str, level: Level = Level.INFO) -> None:
        """Have it tell a notice."""
        self._loop.call_soon_threadsafe(self.node.tell, Notice(kind, text, level))

    def stop(self) -> None:
        """Have it stop."""
        self._loop.call_soon_threadsafe(self.node.stop)

    def wait_for_subscriber(self) -> None:
        """Return once somebody listens to its notices."""
        assert self.node.subscribed.wait(60)


@contextmanager
def served(node: FakeNode) -> Iterator[Served]:
    """Serve the node at `node.sock` in its folder until the end of the block, or until it is stopped."""
    ready = threading.Event()
    real_dup = os.dup
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        control = _Control(node, node.folder / "node.sock")
        node.control = control
        await control.start()
        loops.append(asyncio.get_running_loop())
        ready.set()
        await node.stopped.wait()
        kept: list[int] = []
        with mock.patch.object(os, "dup", lambda number: kept.append(real_dup(number))):
            await control.close()
        for descriptor in kept:  # what the end of the process does for the one who asked for it
            os.close(descriptor)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield Served(node, loops[0])
    finally:
        with suppress(RuntimeError):  # it was stopped, and its loop is closed
            loops[0].call_soon_threadsafe(node.stopped.set)
        thread.join()
