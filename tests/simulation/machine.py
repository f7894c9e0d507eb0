"""One simulated machine: a clock that may be wrong, a disk that is late, and the real core between them.

Carries out effects in order, as the daemon does; may die between any two of them. What is in flight then is
lost, and the next life starts from what the medium kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple, Protocol

from node import events
from node import pow as proof_of_work
from node.core import Core, CoreSettings
from node.disk import Write
from node.events import Effect, Event, Notice, Now
from node.ledger import signature
from node.ledger.params import Parameters
from node.links import KnownPeer, LinkSettings
from node.storage.port import StorageFault
from tests.building import Key
from tests.simulation import newer
from tests.simulation.disks import Medium
from tests.simulation.kernel import Action, Kernel
from tests.simulation.network import Network
from tests.simulation.trace import Trace

SEARCH_STEP: Final = 1 << 16
AGE_MS: Final = 3_600_000
"""How old the network is when a world begins, where nothing else is said."""


class Watcher(Protocol):
    """Who looks at what a machine says and does; the checkers."""

    def booted(self, machine: Machine) -> None:
        """It started, from whatever was on its disk."""

    def stepped(self, machine: Machine, effects: Sequence[Effect]) -> None:
        """Its core took a step; the effects are not carried out yet."""

    def sends(self, machine: Machine, effect: events.Send) -> None:
        """It is about to say something to a peer."""

    def wrote(self, machine: Machine, writes: Sequence[Write]) -> None:
        """This is durable now."""

    def answered(self, machine: Machine, effect: events.Answer | events.Refuse) -> None:
        """Somebody at its local socket gets an answer."""

    def halted(self, machine: Machine, reason: str) -> None:
        """It gave up, and says why."""


@dataclass(slots=True)
class Surroundings:
    """What all machines of a world share."""

    kernel: Kernel
    network: Network
    trace: Trace
    parameters: Parameters
    watcher: Watcher
    age_ms: int = AGE_MS
    """Of genesis when the world begins."""
    verdicts: dict[tuple[bytes, bytes, bytes], bool] = field(default_factory=dict)
    """Of signatures, which are the same for all: a pure function is worked out once."""


class Turn(NamedTuple):
    """A clock is set by somebody, once."""

    time_ms: int
    error_ms: int
    is_wrong: bool
    """It is off by more than the network's drift from then on."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a machine is from the beginning."""

    number: int
    key: Key
    """Of its wallet, its miner and its place in the network alike."""
    mode: str
    """off, on-demand or on."""
    peers: tuple[KnownPeer, ...]
    discovery: bool
    max_peers: int
    hashes_per_ms: float
    clock_error_ms: int
    clock_drift_ppm: int
    is_wrong: bool
    """Its clock is off by more than the network's drift, at first."""
    turns: Turn | None = None
    """When its clock is set right, or wrong."""
    is_newer: bool = False
    """It has a newer program than the others."""
    is_older: bool = False
    """It has an older program than the others."""
    pool_entries: int = 50_000
    """Pending entries that it holds at most."""


class Machine:
    """A node and what it stands on. Satisfies network.Party."""

    def __init__(self, build: Build, around: Surroundings, medium: Medium, dice: Random) -> None:
        self.build = build
        self.name = f"n{build.number}"
        self.host, self.port = address_of(build.number)
        self.medium = medium
        self.clock_error_ms = build.clock_error_ms
        self.is_wrong = build.is_wrong
        """Its clock is off by more than the network's drift."""
        self.core: Core
        self.is_up = False
        self.has_vanished = False
        self.is_paused = False
        self.durable = 0
        """Number of the last durable batch of this life."""
        self.lives = 0
        self.steps = 0
        self.is_working = False
        """True while the core has asked for a turn that it has not had yet."""
        self.checks_out = 0
        """Signature checks on their way."""
        self._around = around
        self._dice = dice
        self._jobs = 0
        self._job: events.Mine | None = None
        self._tick_ms: int | None = None
        self._writes: deque[Write] = deque()
        self._under_way: list[Write] = []
        self._waiting: deque[Action] = deque()
        self._dies_in: int | None = None
        self._dies_at_a_save = False
        self._dies_silently = False
        self._boot_ms = 0
        self._inbound: dict[int, None] = {}

    # ---------------------------------------------------------------------------------------- as a Party

    def is_listening(self) -> bool:
        return self.is_up

    def is_reachable(self) -> bool:
        return not self.has_vanished

    def has_room(self) -> bool:
        return len(self._inbound) < self.build.max_peers

    def take(self, event: Event) -> None:
        """Hand an event to the core and carry out what it says; later, while the process stands still."""
        if not self.is_up:
            return
        if self.is_paused:
            self._waiting.append(self.guarded(lambda: self.take(event)))
            return
        if isinstance(event, events.PeerConnected) and event.dial is None:
            self._inbound[event.connection] = None
        elif isinstance(event, events.PeerGone):
            self._inbound.pop(event.connection, None)
        elif isinstance(event, events.Continue):
            self.is_working = False
        elif isinstance(event, events.SignaturesChecked):
            self.checks_out -= 1
        self.steps += 1
        self._carry_out(self.core.step(event, self.now()))

    # ---------------------------------------------------------------------------------------- life, death

    def boot(self) -> None:
        """Start from what is on the disk."""
        self.lives += 1
        self.is_up, self.has_vanished, self.is_paused = True, False, False
        self.durable, self._dies_in, self._job = 0, None, None
        self._dies_at_a_save = False
        self._under_way, self._writes = [], deque()
        self.is_working, self.checks_out = False, 0
        self._tick_ms = None
        self._boot_ms = self._around.kernel.now_ms - self._dice.randrange(1 << 32)
        try:
            opened = self.medium.open(self.now().wall_ms)
        except StorageFault as fault:
            self.is_up = False
            self._around.watcher.halted(self, str(fault))
            return
        build = self.build
        links = LinkSettings(
            identity=build.key.public,
            sign=lambda message: signature.sign(build.key.seed, message),
            agent=newer.AGENT if build.is_newer else "simulated",
            port=self.port,
            peers=build.peers,
            discovery=build.discovery,
            max_peers=build.max_peers,
            loopback_only=False,
        )
        settings = CoreSettings(self._around.parameters, links, build.mode, build.key.public)
        dice = Random(self._dice.getrandbits(64))
        self.core = Core(settings, opened.store, dice, self.now(), peer_book=opened.peer_book)
        self.core.mempool._max_entries = build.pool_entries
        if build.is_newer:
            newer.greet(self.core.links)
        elif build.is_older:
            newer.greet_without_features(self.core.links)
        self._around.trace.tell(f"{self.name}: starts at height {opened.store.tip().height}")
        self._around.network.back(self)
        self._around.watcher.booted(self)
        self._carry_out(self.core.start(opened.saved, self.now()))

    def crash(self, *, silently: bool) -> None:
        """Die at once, whatever is under way; `silently`: the machine is off the network too."""
        if not self.is_up:
            return
        self._around.trace.tell(f"{self.name}: dies" + (" with its machine" if silently else ""))
        self._end(silently=silently)
        self.medium.crash(self._under_way, self._dice)
        self._under_way = []

    def crash_between_effects(self, *, silently: bool) -> None:
        """Die after some of the next effects."""
        self._dies_in = self._dice.randrange(40)
        self._dies_silently = silently

    def disarm(self) -> None:
        """Take back a death that waits for its moment."""
        self._dies_in, self._dies_at_a_save = None, False

    def crash_at_a_save(self, *, silently: bool) -> None:
        """Die while the file of pending entries is next written, between its steps or within one."""
        self._dies_at_a_save = True
        self._dies_silently = silently

    def stop(self) -> None:
        """Stop in order, as by SIGTERM: save, then go."""
        if not self.is_up or self.is_paused:
            return
        self._around.trace.tell(f"{self.name}: is stopped")
        self._carry_out(self.core.step(events.Shutdown(), self.now()))
        if self.is_up:
            self._end(silently=False)
            writes = [*self._under_way, *self._writes]
            self._under_way = []
            self._write(writes)
            self.medium.crash([], self._dice)

    def pause(self) -> None:
        """Stand still: time passes, nothing is done."""
        if self.is_up and not self.is_paused:
            self._around.trace.tell(f"{self.name}: stands still")
            self.is_paused = True

    def resume(self) -> None:
        """Go on where it stood."""
        if self.is_up and self.is_paused:
            self._around.trace.tell(f"{self.name}: goes on")
            self.is_paused = False
            while self._waiting and not self.is_paused:
                self._waiting.popleft()()

    def _end(self, *, silently: bool) -> None:
        self.is_up, self.is_paused, self.has_vanished = False, False, silently
        self.lives += 1  # what was asked for in this life is for nobody
        self._job = None
        self._waiting.clear()
        self._inbound.clear()
        self._around.network.died(self, silently=silently)

    def _halt(self, reason: str) -> None:
        """End with a message, as the daemon does when its machine fails it."""
        self._around.trace.tell(f"{self.name}: halts: {reason}")
        self._end(silently=False)
        self.medium.crash([], self._dice)
        self._around.watcher.halted(self, reason)

    def guarded(self, do: Action) -> Action:
        """Return what to do only in this life, and not while it stands still."""
        life = self.lives

        def guarded() -> None:
            if self.lives != life:
                return
            if self.is_paused:
                self._waiting.append(guarded)
            else:
                do()

        return guarded

    def is_busy(self) -> bool:
        """Tell whether something is under way that it has not drawn its conclusions from."""
        writes = bool(self._writes or self._under_way)
        return self.is_paused or self.is_working or self.checks_out > 0 or writes

    # ------------------------------------------------------------------------------------------------ time

    def now(self) -> Now:
        """Return this machine's clocks."""
        now_ms = self._around.kernel.now_ms
        drifted = now_ms * self.build.clock_drift_ppm // 1_000_000
        began_ms = self._around.parameters.genesis_ms + self._around.age_ms
        return Now(began_ms + now_ms + self.clock_error_ms + drifted, now_ms + drifted - self._boot_ms)

    def set_clock(self, turn: Turn) -> None:
        """Have somebody set the clock, right or wrong."""
        self.clock_error_ms, self.is_wrong = turn.error_ms, turn.is_wrong
        how = "wrong" if turn.is_wrong else "right"
        self._around.trace.tell(f"{self.name}: its clock is set {how}, to {turn.error_ms:+} ms")

    def _plan_tick(self) -> None:
        now = self.now()
        # A slow clock shows the deadline that much later; one look too early does no harm.
        away_ms = max(1, self.core.deadline(now) - now.mono_ms)
        due_ms = (
            self._around.kernel.now_ms + away_ms + max(0, -away_ms * self.build.clock_drift_ppm // 1_000_000)
        )
        if self._tick_ms is None or due_ms < self._tick_ms:
            self._tick_ms = due_ms
            self._around.kernel.at(due_ms, self.guarded(lambda: self._tick(due_ms)))

    def _tick(self, due_ms: int) -> None:
        if self._tick_ms == due_ms:
            self._tick_ms = None
            self.take(events.Tick())

    # -------------------------------------------------------------------------------------------- effects

    def _carry_out(self, effects: list[Effect]) -> None:
        self._around.watcher.stepped(self, effects)
        for effect in effects:
            if not self.is_up:
                return
            if self._dies_in is not None:
                self._dies_in -= 1
                if self._dies_in < 0:
                    self.crash(silently=self._dies_silently)
                    return
            self._do(effect)
        if self.is_up:
            self._plan_tick()

    def _do(self, effect: Effect) -> None:
        around = self._around
        match effect:
            case events.Send():
                around.watcher.sends(self, effect)
                around.network.send(effect.connection, self._as_said(effect))
            case events.Persist() | events.SavePending() | events.SavePeers():
                self._writes.append(effect)
                if not self._under_way:
                    self._begin_to_write()
            case events.CheckSignatures():
                self._check(effect)
            case Notice():
                around.trace.tell(f"{self.name}: {effect.text}")
            case events.Answer() | events.Refuse():
                around.watcher.answered(self, effect)
            case events.Again():
                self.is_working = True
                around.kernel.after(0, self.guarded(lambda: self.take(events.Continue())))
            case events.Close():
                self._inbound.pop(effect.connection, None)
                around.network.close(effect.connection, effect.reason)
            case events.Dial():
                life = self.lives
                around.network.dial(self, effect, lambda: self.lives == life)
            case events.Mine():
                self._search(effect)
            case events.StopMining():
                self._job = None
            case events.Halt():
                self._halt(effect.reason)

    def _as_said(self, effect: events.Send) -> bytes:
        """Return what leaves: a newer program says more now and then."""
        if not self.build.is_newer or self._dice.randrange(newer.SELDOM):
            return effect.data
        session = self.core.sessions.get(effect.connection)
        more = newer.unknown(self._dice, is_met=session is not None and session.is_open)
        self._around.trace.note(f"{self.name} says {len(more)} bytes that are not known yet")
        return more + effect.data

    def _begin_to_write(self) -> None:
        """Take all that is queued, as the daemon's writing thread does; it is done after a while."""
        self._under_way = list(self._writes)
        self._writes.clear()
        if self._dies_at_a_save and any(isinstance(write, events.SavePending) for write in self._under_way):
            self.crash(silently=self._dies_silently)
            return
        least, most = self._around.network.faults.disk_ms
        delay = self._dice.randint(least, most)
        self._around.kernel.after(delay, self.guarded(self._written))

    def _written(self) -> None:
        writes, self._under_way = self._under_way, []
        if self._write(writes):
            if self._writes:
                self._begin_to_write()
            self.take(events.Persisted(self.durable))

    def _write(self, writes: Sequence[Write]) -> bool:
        if not writes:
            return True
        try:
            durable = self.medium.write(writes)
        except StorageFault as fault:
            if self.is_up:
                self._halt(str(fault))
            return False
        self.durable = max(self.durable, durable)
        self._around.trace.note(f"{self.name} durable {self.durable}")
        self._around.watcher.wrote(self, writes)
        return True

    def _check(self, effect: events.CheckSignatures) -> None:
        verdicts = self._around.verdicts
        asked = [item for item in effect.items if item not in verdicts]
        verdicts.update(zip(asked, signature.verify_many(asked), strict=True))
        answer = events.SignaturesChecked(effect.job, tuple(verdicts[item] for item in effect.items))
        self.checks_out += 1
        delay = 1 + self._dice.randrange(4)
        self._around.kernel.after(delay, self.guarded(lambda: self.take(answer)))

    def _search(self, job: events.Mine) -> None:
        """Find a nonce when a Poisson process says so: the proof is real, the time that it takes is drawn."""
        self._job = job
        expected = (1 << 256) / (job.target + 1)
        delay = self._dice.expovariate(self.build.hashes_per_ms / expected)
        self._around.kernel.after(1 + int(delay), self.guarded(lambda: self._solve(job)))

    def _solve(self, job: events.Mine) -> None:
        if self._job is not job:
            return
        first = self._dice.getrandbits(63)
        nonce: int | None = None
        while nonce is None:
            nonce = proof_of_work.search(job.prefix, job.target, first, SEARCH_STEP)
            first += SEARCH_STEP
        self._job = None
        self.take(events.Solved(job.job, nonce))

    # ------------------------------------------------------------------------------------ what people do

    def request(self, make: Callable[[int], Event]) -> int:
        """Hand in a request of the local socket; return its number, which no other of this machine has."""
        self._jobs += 1
        number = self._jobs
        self.take(make(number))
        return number


def address_of(number: int) -> tuple[str, int]:
    """Return where a node of this number is reached: hosts of all kinds of networks."""
    return f"{20 + number // 250}.{number % 250}.0.1", 9000
