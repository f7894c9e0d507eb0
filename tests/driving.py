"""A small driver of whole cores in one process: virtual time, connections, a disk that is late.

Deterministic: the same calls and seed, the same run. What a core asks for is carried out after a delay; what
is in flight when a node crashes is lost, and it starts again from what its disk committed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node import events
from node.core import Core, CoreSettings
from node.endpoint import Endpoint
from node.events import Effect, Event, Notice, Now
from node.ledger import signature
from node.ledger.block import hash_header, network_id
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from node.ledger.params import Parameters
from node.links import KnownPeer, LinkSettings
from node.mempool import Saved, load_dump
from node.storage.memory import MemoryDisk, memory_disk, open_memory
from tests.building import EASY, Key, key

START_MS: Final = EASY.genesis_ms + 3_600_000
"""When a world begins: an hour after its genesis; Unix milliseconds."""
LATENCY_MS: Final = 5
DISK_MS: Final = 3
CHECK_MS: Final = 2
MEAN_SEARCH_MS: Final = 1_000
FIRST_PORT: Final = 9000


@dataclass(slots=True)
class _Wire:
    """One end of a connection."""

    node: Driven
    number: int
    other: int


class World:
    """Virtual time, and everything that lies between nodes."""

    def __init__(self, seed: int = 1, parameters: Parameters = EASY) -> None:
        self.parameters = parameters
        self.network_id = network_id(parameters)
        self.random = random.Random(seed)
        self.now_ms = 0
        """Since the start."""
        self.nodes: list[Driven] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._wires: dict[int, _Wire] = {}
        self._parted: dict[frozenset[int], None] = {}

    def add(self, peers: tuple[int, ...] = (), **options: str) -> Driven:
        """Start a node that is configured with these others, by their number."""
        node = Driven(self, len(self.nodes), peers, **options)
        self.nodes.append(node)
        node.boot()
        return node

    def after(self, delay_ms: int, do: Callable[[], None]) -> None:
        """Have something happen later; what was asked for first happens first."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now_ms + delay_ms, self._sequence, do))

    def run(self, for_ms: int) -> None:
        """Let time pass."""
        end = self.now_ms + for_ms
        while self._heap and self._heap[0][0] <= end:
            self.now_ms, _, do = heapq.heappop(self._heap)
            do()
        self.now_ms = end

    def run_until(self, is_so: Callable[[], bool], within_ms: int = 120_000) -> None:
        """Let time pass until something is so. Raises AssertionError where it does not become so."""
        end = self.now_ms + within_ms
        while not is_so():
            assert self._heap, "nothing is going to happen any more"
            assert self._heap[0][0] <= end, f"not within {within_ms} ms"
            self.now_ms, _, do = heapq.heappop(self._heap)
            do()

    # ---------------------------------------------------------------------------------------- the network

    def dial(self, node: Driven, effect: events.Dial) -> None:
        """Connect to the node that listens there."""
        number = effect.port - FIRST_PORT
        there = self.nodes[number] if 0 <= number < len(self.nodes) else None

        def connect() -> None:
            if there is None or not there.is_up or frozenset((node.number, there.number)) in self._parted:
                node.take(events.DialFailed(effect.dial, "nobody listens"))
                return
            ours, theirs = self._sequence * 2, self._sequence * 2 + 1
            self._wires[ours] = _Wire(node, ours, theirs)
            self._wires[theirs] = _Wire(there, theirs, ours)
            node.take(events.PeerConnected(ours, effect.host, effect.port, effect.dial))
            there.take(events.PeerConnected(theirs, node.host, 50_000, None))

        self.after(LATENCY_MS, node.guarded(connect))

    def carry(self, node: Driven, effect: events.Send) -> None:
        """Carry bytes to the other end, in order."""
        wire = self._wires.get(effect.connection)
        if wire is None:
            return

        def arrive() -> None:
            other = self._wires.get(wire.other)
            if other is not None:
                other.node.take(events.PeerData(wire.other, effect.data))

        self.after(LATENCY_MS, arrive)
        self.after(LATENCY_MS, node.guarded(lambda: node.take(events.PeerDrained(effect.connection, 0))))

    def hang_up(self, connection: int, reason: str) -> None:
        """End a connection from one side; the other hears of it."""
        wire = self._wires.pop(connection, None)
        if wire is None:
            return

        def hear() -> None:
            other = self._wires.pop(wire.other, None)
            if other is not None:
                other.node.take(events.PeerGone(wire.other, reason))

        self.after(LATENCY_MS, hear)

    def part(self, left: Driven, right: Driven) -> None:
        """Cut two nodes off from each other, until `join`."""
        self._parted[frozenset((left.number, right.number))] = None
        for wire in list(self._wires.values()):
            other = self._wires.get(wire.other)
            if wire.node is left and other is not None and other.node is right:
                del self._wires[wire.number], self._wires[other.number]
                left.take(events.PeerGone(wire.number, "cut off"))
                right.take(events.PeerGone(other.number, "cut off"))

    def join(self, left: Driven, right: Driven) -> None:
        """Let two nodes reach each other again."""
        self._parted.pop(frozenset((left.number, right.number)), None)

    def drop_all_of(self, node: Driven) -> None:
        """A node died: its connections end at the other side."""
        for wire in list(self._wires.values()):
            if wire.node is node:
                self.hang_up(wire.number, "the other side died")


@dataclass(slots=True)
class Journal:
    """What of pending entries is on the disk."""

    saved: bytes | None = None
    own: list[bytes] = field(default_factory=list)
    peers: bytes | None = None


class Driven:
    """One node."""

    def __init__(self, world: World, number: int, peers: tuple[int, ...], *, mode: str = "on-demand") -> None:
        self.world = world
        self.number = number
        self.host = f"10.0.0.{number + 1}"
        self.key: Key = key(f"node {number}")
        self.mode = mode
        self.clock_error_ms = 0
        self.disk_ms = DISK_MS
        self.disk: MemoryDisk = memory_disk(world.parameters)
        self.journal = Journal()
        self.answers: dict[int, object] = {}
        """Request to result, or to the Refuse effect."""
        self.notices: list[Notice] = []
        self.sent: list[events.Send] = []
        self.halted: events.Halt | None = None
        self.durable = 0
        """The last batch committed."""
        self.is_up = False
        self.is_mining = False
        self._peers = peers
        self._life = 0
        self._job = 0
        self._next_request = 0
        self._tick_ms: int | None = None
        self.core: Core

    # ---------------------------------------------------------------------------------------- life, death

    def boot(self) -> None:
        """Start from what is on the disk."""
        self._life += 1
        self.is_up = True
        self.durable = 0
        store, self._writer = open_memory(self.disk)
        peers = tuple(
            KnownPeer(Endpoint(f"10.0.0.{peer + 1}", FIRST_PORT + peer), f"n{peer}", None)
            for peer in self._peers
        )
        links = LinkSettings(
            identity=self.key.public,
            sign=lambda message: signature.sign(self.key.seed, message),
            agent="driven",
            port=FIRST_PORT + self.number,
            peers=peers,
            discovery=False,
            max_peers=32,
            loopback_only=False,
        )
        settings = CoreSettings(self.world.parameters, links, self.mode, self.key.public)
        dice = random.Random(self.world.random.randrange(1 << 60))
        self.core = Core(settings, store, dice, self.now(), peer_book=self.journal.peers)
        saved = load_dump(self.journal.saved, self.world.network_id) if self.journal.saved else []
        saved = [*saved, *(Saved(raw, own=True, received_ms=0) for raw in self.journal.own)]
        self._carry_out(self.core.start(saved, self.now()))

    def crash(self) -> None:
        """Die at once; what was not committed is lost."""
        self.is_up = False
        self.is_mining = False
        self._life += 1
        self.world.drop_all_of(self)

    def guarded(self, do: Callable[[], None]) -> Callable[[], None]:
        """Return what to do only while this life lasts."""
        life = self._life
        return lambda: do() if self._life == life else None

    def now(self) -> Now:
        """Return this node's clock."""
        return Now(START_MS + self.world.now_ms + self.clock_error_ms, self.world.now_ms)

    def take(self, event: Event) -> None:
        """Hand an event to the core and carry out what it says."""
        if self.is_up and self.halted is None:
            self._carry_out(self.core.step(event, self.now()))

    def _plan_tick(self) -> None:
        due_ms = max(self.core.deadline(self.now()), self.world.now_ms + 1)
        if self._tick_ms is None or self._tick_ms <= self.world.now_ms or due_ms < self._tick_ms:
            self._tick_ms = due_ms
            self.world.after(due_ms - self.world.now_ms, self.guarded(lambda: self._tick(due_ms)))

    def _tick(self, due_ms: int) -> None:
        if self._tick_ms == due_ms:
            self._tick_ms = None
            self.take(events.Tick())

    # -------------------------------------------------------------------------------------------- effects

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do(effect)
        self._plan_tick()

    def _do(self, effect: Effect) -> None:  # noqa: PLR0912 - one line an effect
        world = self.world
        match effect:
            case events.Dial():
                world.dial(self, effect)
            case events.Send():
                assert effect.after <= self.durable, "a claim left before what it claims was durable"
                self.sent.append(effect)
                world.carry(self, effect)
            case events.Close():
                world.hang_up(effect.connection, effect.reason)
            case events.Persist():
                world.after(self.disk_ms, self.guarded(lambda: self._commit(effect)))
            case events.SavePending():
                world.after(self.disk_ms, self.guarded(lambda: self._save(effect.content)))
            case events.SavePeers():
                self.journal.peers = effect.content
            case events.CheckSignatures():
                verdicts = tuple(signature.verify_many(effect.items))
                answer = events.SignaturesChecked(effect.job, verdicts)
                world.after(CHECK_MS, self.guarded(lambda: self.take(answer)))
            case events.Mine():
                self.is_mining = True
                self._job = effect.job
                delay = 1 + int(world.random.expovariate(1 / MEAN_SEARCH_MS))
                world.after(delay, self.guarded(lambda: self._search(effect)))
            case events.StopMining():
                self.is_mining = False
                self._job = 0
            case events.Again():
                world.after(0, self.guarded(lambda: self.take(events.Continue())))
            case events.Answer():
                assert effect.after <= self.durable, "an answer left before what it claims was durable"
                self.answers[effect.request] = effect.result
            case events.Refuse():
                self.answers[effect.request] = effect
            case Notice():
                self.notices.append(effect)
            case events.Halt():
                self.halted = effect

    def _commit(self, effect: events.Persist) -> None:
        self.journal.own.extend(effect.batch.journal)
        self._writer.commit([effect.batch])
        self.durable = effect.batch.number
        self.take(events.Persisted(effect.batch.number))

    def _save(self, content: bytes) -> None:
        self.journal.saved = content
        self.journal.own.clear()

    def _search(self, job: events.Mine) -> None:
        if self._job != job.job:
            return
        nonce = self.world.random.randrange(1 << 60)
        while int.from_bytes(hash_header(job.prefix + nonce.to_bytes(8, "big")), "big") > job.target:
            nonce += 1
        self.take(events.Solved(job.job, nonce))

    # ------------------------------------------------------------------------------------ what people do

    def request(self) -> int:
        """Return a number for a request."""
        self._next_request += 1
        return self._next_request

    def mine(self, blocks: int = 1) -> int:
        """Ask for blocks of its own; return the number of the request."""
        request = self.request()
        self.take(events.MineBlocks(request, blocks))
        return request

    def submit(self, *entries: Entry, replace: bool = False) -> int:
        """Type entries; return the number of the request."""
        request = self.request()
        self.take(events.Submit(request, tuple(entry.raw for entry in entries), replace))
        return request

    def entry(
        self, recipient: Key | bytes, amount: int, *, fee: int = 1, nonce: int | None = None, memo: str = ""
    ) -> Entry:
        """Return an entry signed by this node's wallet, with the lowest free nonce where none is given."""
        core = self.core
        if nonce is None:
            nonce = core.mempool.lowest_free_nonce(self.key.public, core.store.account(self.key.public).nonce)
        message = unsigned_message(
            self.world.network_id,
            sender=self.key.public,
            recipient=recipient if isinstance(recipient, bytes) else recipient.public,
            amount=amount,
            fee=fee,
            nonce=nonce,
            timestamp_ms=self.now().wall_ms,
            memo=memo,
        )
        return assemble_entry(self.world.network_id, message, signature.sign(self.key.seed, message))

    def told(self, kind: str) -> list[str]:
        """Return the texts of its notices of one kind."""
        return [notice.text for notice in self.notices if notice.kind == kind]

    @property
    def tip(self) -> bytes:
        """Hash of the tip."""
        return self.core.chain.tip.hash

    @property
    def height(self) -> int:
        """Height of the tip."""
        return self.core.chain.tip.height
