"""One whole core, and peers that say what the test tells them to; disk and threads answer at once.

Deterministic, no I/O. What the core says to a puppet is in `heard`; time passes when the test says so.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from node import events, frames
from node.core import Core, CoreSettings
from node.events import Effect, Event, Notice, Now
from node.ledger import signature
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.links import KnownPeer, LinkSettings
from node.mempool import Saved
from node.messages import (
    PROTOCOL_VERSION,
    BlockMessage,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Kind,
    Message,
    Ping,
    Pong,
    rules_hash,
)
from node.protocol import Connection, PeerFault
from node.storage.memory import MemoryDisk, memory_disk, open_memory
from tests.building import EASY, Built, Key, key

START_MS: Final = EASY.genesis_ms + 30 * 86_400_000
"""The clock at the start: no block of the tests is from its future; Unix milliseconds."""
M = TypeVar("M", bound=Message)


class Subject:
    """The node under test."""

    def __init__(
        self,
        parameters: Parameters = EASY,
        *,
        disk: MemoryDisk | None = None,
        peers: tuple[KnownPeer, ...] = (),
        mode: str = "off",
        max_peers: int = 32,
        discovery: bool = False,
        loopback_only: bool = False,
        book: bytes | None = None,
        saved: Sequence[Saved] = (),
        mono_ms: int = 1_000_000,
    ) -> None:
        self.parameters = parameters
        self.network_id = network_id(parameters)
        self.key = key("the node")
        self.wall_ms = START_MS
        self.mono_ms = mono_ms
        self.disk = disk or memory_disk(parameters)
        self.store, self._writer = open_memory(self.disk)
        self.puppets: dict[int, Puppet] = {}
        self.dials: list[events.Dial] = []
        self.closed: dict[int, str] = {}
        """Connections that the node ended, and why."""
        self.notices: list[Notice] = []
        self.answers: dict[int, object] = {}
        self.mining: events.Mine | None = None
        self.saved_peers: bytes | None = None
        self.checks_held: deque[events.CheckSignatures] | None = None
        """Where not None, signatures are answered when the test says so."""
        self.writes_held: deque[events.Persist] | None = None
        """Where not None, the disk writes when the test says so."""
        self.steps = 0
        self._queue: deque[Event] = deque()
        self._next = 0
        links = LinkSettings(
            identity=self.key.public,
            sign=lambda message: signature.sign(self.key.seed, message),
            agent="subject",
            port=9_000,
            peers=peers,
            discovery=discovery,
            max_peers=max_peers,
            loopback_only=loopback_only,
        )
        settings = CoreSettings(parameters, links, mode, self.key.public)
        self.core = Core(settings, self.store, random.Random(1), self.now(), peer_book=book)
        self._carry_out(self.core.start(saved, self.now()))
        self._run()

    def now(self) -> Now:
        return Now(self.wall_ms, self.mono_ms)

    def number(self) -> int:
        self._next += 1
        return self._next

    def take(self, event: Event) -> None:
        """Hand over an event, and all that follows from it at once."""
        self._queue.append(event)
        self._run()

    def _run(self) -> None:
        while self._queue:
            self.steps += 1
            self._carry_out(self.core.step(self._queue.popleft(), self.now()))

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, ticking when the core wants it."""
        end = self.mono_ms + milliseconds
        while True:
            due = max(self.core.deadline(self.now()), self.mono_ms + 1)
            if due > end:
                break
            self._advance_to(due)
            self.take(events.Tick())
        self._advance_to(end)

    def _advance_to(self, mono_ms: int) -> None:
        self.wall_ms += mono_ms - self.mono_ms
        self.mono_ms = mono_ms

    def answer_checks(self) -> None:
        """Answer the signatures that are held."""
        held, self.checks_held = self.checks_held or (), None
        for asked in held:
            self.take(events.SignaturesChecked(asked.job, tuple(signature.verify_many(asked.items))))

    def write(self) -> None:
        """Write what the disk was kept from."""
        held, self.writes_held = self.writes_held or (), None
        for effect in held:
            self._write(effect)
        self._run()

    def _write(self, effect: events.Persist) -> None:
        self._writer.commit([effect.batch])
        self._queue.append(events.Persisted(effect.batch.number))

    def _carry_out(self, effects: Iterable[Effect]) -> None:  # noqa: PLR0912 - one line an effect
        for effect in effects:
            match effect:
                case events.Send():
                    puppet = self.puppets.get(effect.connection)
                    if puppet is not None:
                        puppet.hear(effect.data)
                case events.Close():
                    self.closed[effect.connection] = effect.reason
                    self.puppets.pop(effect.connection, None)
                case events.Dial():
                    self.dials.append(effect)
                case events.Persist():
                    if self.writes_held is not None:
                        self.writes_held.append(effect)
                    else:
                        self._write(effect)
                case events.CheckSignatures():
                    if self.checks_held is not None:
                        self.checks_held.append(effect)
                    else:
                        valid = tuple(signature.verify_many(effect.items))
                        self._queue.append(events.SignaturesChecked(effect.job, valid))
                case events.Mine():
                    self.mining = effect
                case events.StopMining():
                    self.mining = None
                case events.Again():
                    self._queue.append(events.Continue())
                case events.Answer():
                    self.answers[effect.request] = effect.result
                case events.Refuse():
                    self.answers[effect.request] = effect
                case Notice():
                    self.notices.append(effect)
                case events.SavePeers():
                    self.saved_peers = effect.content
                case events.SavePending():
                    pass
                case events.Halt():
                    raise AssertionError(effect.reason)

    def later(self, event: Event) -> None:
        """Hand over an event after those at hand."""
        self._queue.append(event)

    def told(self, kind: str) -> list[str]:
        """Return the texts of the notices of one kind."""
        return [notice.text for notice in self.notices if notice.kind == kind]

    @property
    def height(self) -> int:
        return self.core.chain.tip.height

    @property
    def tip(self) -> bytes:
        return self.core.chain.tip.hash


class Puppet:
    """A peer that has greeted, unless told otherwise, and then says what the test wants."""

    def __init__(
        self,
        subject: Subject,
        name: str = "puppet",
        *,
        host: str = "198.51.100.7",
        port: int = 9_000,
        dial: events.Dial | None = None,
        greets: bool = True,
        clock_ms: int = 0,
        network: bytes | None = None,
        features: int = 0,
    ) -> None:
        """`dial`: that of the node which it answers; None: it dials. `clock_ms`: how far its is ahead."""
        self.subject = subject
        self.number = subject.number()
        self.key: Key = key(name)
        self.pongs = True
        self._greets = greets
        self.heard: list[Message] = []
        self.serves: dict[bytes, Built] = {}
        """Blocks that it hands out when asked."""
        hello = Hello(
            version=PROTOCOL_VERSION,
            network_id=network or subject.network_id,
            rules_hash=rules_hash(),
            identity=self.key.public,
            nonce=self.number.to_bytes(16, "big"),
            agent=name,
            port=port,
            height=0,
            work=0,
            time_ms=subject.wall_ms + clock_ms,
            features=features,
        )
        self.link = Connection(
            dialled=dial is None,
            hello=hello,
            sign=lambda message: signature.sign(self.key.seed, message),
            parameters=subject.parameters,
        )
        subject.puppets[self.number] = self
        if dial is None:
            subject.take(events.PeerConnected(self.number, host, 50_000 + self.number, None))
        else:
            subject.take(events.PeerConnected(self.number, dial.host, dial.port, dial.dial))
        if greets:
            self.give(self.link.outgoing())

    def hear(self, data: bytes) -> None:
        with suppress(PeerFault):  # of the node, by the book of a puppet that keeps another
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        for message in self.link.receive(data):
            if isinstance(message, Ping):
                if self.pongs:
                    self._later(frames.encode(Pong(message.token)))
            elif not isinstance(message, Hello):
                self.heard.append(message)
            if isinstance(message, GetData) and message.kind is Kind.BLOCK:
                for block_hash in message.hashes:
                    if block_hash in self.serves:
                        self._later(frames.encode(BlockMessage(self.serves[block_hash].raw)))
        out = self.link.outgoing()
        if out and self._greets:
            self._later(out)

    def _later(self, data: bytes) -> None:
        self.subject.later(events.PeerData(self.number, data))

    def give(self, data: bytes) -> None:
        """Hand over any bytes."""
        self.subject.take(events.PeerData(self.number, data))

    def say(self, *messages: Message) -> None:
        """Say these, in one piece."""
        self.give(b"".join(frames.encode(message) for message in messages))

    def show(self, *blocks: Built) -> None:
        """Send headers."""
        self.say(Headers(tuple(block.header.raw for block in blocks)))

    def all(self, kind: type[M]) -> list[M]:
        """Return what it heard of one type."""
        return [message for message in self.heard if isinstance(message, kind)]

    def asked_blocks(self) -> list[bytes]:
        """Return the hashes of all blocks that it was asked for, in order."""
        return [h for asked in self.all(GetData) if asked.kind is Kind.BLOCK for h in asked.hashes]

    def asked_headers(self) -> GetHeaders:
        """Return the last question for headers."""
        return self.all(GetHeaders)[-1]

    def answer_headers(self, branch: Sequence[Built], most: int = 2_000) -> bool:
        """Answer the last question as a node on this branch would; True where it is asked for more."""
        heights = {block.hash: block.height for block in branch}
        start = next((heights[h] for h in self.asked_headers().locator if h in heights), 0)
        part = [block for block in branch if block.height > start][:most]
        before = len(self.all(GetHeaders))
        self.show(*part)
        return len(self.all(GetHeaders)) > before

    @property
    def is_there(self) -> bool:
        """True until the node has ended the connection."""
        return self.number not in self.subject.closed

    @property
    def score(self) -> int:
        session = self.subject.core.sessions.get(self.number)
        assert session is not None, "it is gone"
        return self.subject.core.links.score(session)
