"""A world: nodes, network, people and what goes wrong, drawn from a seed; then a time in which nothing does.

First there is trouble, up to `until_ms`. Then what comes and goes is over, whoever is down is started again,
and within `SETTLE_MS` and `SETTLE_BLOCKS` block intervals the nodes whose clocks are right must stand on one
tip, with everything that was promised in it or void.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Final

from node.endpoint import Endpoint
from node.ledger import params
from node.ledger.block import genesis_block, network_id
from node.ledger.params import Parameters
from node.links import KnownPeer
from tests.building import Key, key
from tests.simulation.adversaries import SHARE, Scene, recruit, wallet_of
from tests.simulation.checkers import ROOMY, Checkers, Failure
from tests.simulation.disks import FolderMedium, Medium, MemoryMedium
from tests.simulation.faults import Load, Profile, healed
from tests.simulation.kernel import Kernel
from tests.simulation.ledger import Ledger, read_terms
from tests.simulation.machine import Build, Machine, Surroundings, Turn, address_of
from tests.simulation.network import Network, Party
from tests.simulation.people import People, last_wallet
from tests.simulation.trace import Trace

DRIFT_MS: Final = 30_000
HASHES_A_BLOCK: Final = 256
"""Expected, at the difficulty of genesis."""
LOOK_MS: Final = 1_000
"""How often quiet moments are looked for."""
START_MS: Final = 1_000
"""How often it is looked for who is down."""
SETTLE_MS: Final = 400_000
"""Longer than a node waits before it dials a friend again."""
SETTLE_BLOCKS: Final = 12
BEHIND_BLOCKS: Final = 6
"""How far a node may be behind where the chain grows too fast for it ever to be at rest."""
MAX_PEERS: Final = 32
AFTERWARDS_MS: Final = 3_000
"""How long a world goes on after its last starts."""
LAST_COINS: Final = 1_000_000_000
"""What each wallet has that pays when the trouble is over."""
LAST_FEE: Final = 8
"""Of the first payment when the trouble is over, where nodes hold fewer; each further one offers double."""
PROVE_MS: Final = 30_000
"""After so long another payment is typed, where the first has not been confirmed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked for."""

    seed: int
    nodes: int
    profile: Profile
    until_ms: int
    folder: Path
    """Where real disks may keep their folders."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run that did not fail."""

    trace: str
    virtual_ms: int
    steps: int
    height: int
    accepted: int
    deepest: int
    switches: int
    settled_ms: int
    """From the end of the trouble to one tip."""
    looks: int
    """How often a node was looked at."""
    skipped: int
    """Of these, how often it was busy, so that what can only be judged at rest was not."""


def parameters_of(load: Load, allocations: list[tuple[bytes, int]]) -> Parameters:
    """Return the terms of a world's network; `allocations` of its genesis: (key, amount)."""
    found = replace(
        params.BUILT_IN,
        name="simulated",
        prefix="sim",
        symbol="SIM",
        interval_ms=load.interval_ms,
        half_life_ms=load.interval_ms * 40,
        genesis_bits=0x2000FFFF,  # one in 256 hashes
        easiest_bits=0x207FFFFF,
        halving_interval=load.halving_interval,
        allocations=tuple(sorted(allocations)),
        maximum_block_bytes=load.block_bytes,
        drift_ms=DRIFT_MS,
        lifetime_ms=load.lifetime_ms,
        maturity=load.maturity,
    )
    params.validate(found)
    return found


class World:
    """One run."""

    def __init__(self, settings: Settings, *, follow: Callable[[str], None] | None = None) -> None:
        self.settings = settings
        self.faults, self.load = settings.profile.faults, settings.profile.load
        self.kernel = Kernel()
        self.trace = Trace(lambda: self.kernel.now_ms, follow=follow)
        self._dice = self._dice_for("world")
        wallets = [key(f"wallet {number}") for number in range(settings.nodes)]
        hostile = [wallet_of(number) for number in range(self.load.adversaries)]
        coins = [(wallet.public, self.load.first_coins) for wallet in [*wallets, *hostile]]
        coins += [(last_wallet(number).public, LAST_COINS) for number in range(settings.nodes)]
        self.parameters = parameters_of(self.load, coins)
        self.network_id = network_id(self.parameters)
        self.network = Network(
            self.kernel,
            self.trace,
            self.faults,
            self._dice_for("network"),
            block_bytes=self.parameters.maximum_block_bytes,
        )
        honest = {address_of(number)[0]: f"n{number}" for number in range(settings.nodes)}
        honest |= {wallet.public.hex(): f"n{number}" for number, wallet in enumerate(wallets)}
        ledger = Ledger(read_terms(genesis_block(self.parameters).raw), self.network_id)
        self.checkers = Checkers(self.parameters, ledger, honest)
        self._around = Surroundings(
            self.kernel, self.network, self.trace, self.parameters, self.checkers, self.load.age_ms
        )
        self._modes = [self._mode(number) for number in range(settings.nodes)]
        """Whether each mines; all that do have together what makes blocks at the network's interval."""
        self._right_so_far: dict[int, None] = {}
        self.machines = [self._machine(number, wallet) for number, wallet in enumerate(wallets)]
        self.people = People(
            self.load, self.network_id, wallets, self.machines, self.checkers, self._dice_for("people")
        )
        self.adversaries = recruit(
            self.load.adversaries, self.load.adversary_kinds, self._scene(), self._dice_for("adversaries")
        )
        self._is_troubled = True
        self._last_payments: dict[int, list[bytes]] = {}
        """By machine, txids of what was typed there after the trouble."""
        self._starting: dict[int, None] = {}
        """Numbers of machines that are down and will be started."""

    def _dice_for(self, what: str) -> Random:
        # Seeding with a text does not depend on the interpreter's hash seed: it is hashed with SHA-512.
        return Random(f"{self.settings.seed} {what}")

    # ------------------------------------------------------------------------------------ how it is made

    def _mode(self, number: int) -> str:
        roll = self._dice.randrange(1000)
        if roll < self.load.steady_miners:
            return "on"
        return "on-demand" if roll < self.load.steady_miners + self.load.on_demand or number == 0 else "off"

    def _machine(self, number: int, wallet: Key) -> Machine:
        faults, load, dice = self.faults, self.load, self._dice
        count = self.settings.nodes
        others = [other for other in range(count) if other != number]
        chosen = dice.sample(others, min(load.peers, len(others)))
        # One of the peers is a node before this one whose clock is right, so that those are one network: who
        # takes everything to be from the future passes nothing on.
        if number and not any(other in self._right_so_far for other in chosen):
            chosen[-1] = dice.choice(list(self._right_so_far))
        peers = tuple(KnownPeer(Endpoint(*address_of(other)), f"n{other}", None) for other in chosen)
        is_wrong = number > 0 and dice.randrange(1000) < faults.wrong_clocks
        error = self._wrong_error() if is_wrong else self._right_error()
        turns = self._turn(number, error, is_wrong=is_wrong)
        if not (is_wrong if turns is None else turns.is_wrong):
            self._right_so_far[number] = None
        build = Build(
            number=number,
            key=wallet,
            mode=self._modes[number],
            peers=peers,
            discovery=load.discovery,
            max_peers=MAX_PEERS,
            hashes_per_ms=HASHES_A_BLOCK / load.interval_ms / sum(mode != "off" for mode in self._modes),
            clock_error_ms=error,
            clock_drift_ppm=dice.randint(-faults.clock_drift_ppm, faults.clock_drift_ppm),
            is_wrong=is_wrong,
            turns=turns,
            is_newer=dice.randrange(1000) < faults.newer,
            is_older=dice.randrange(1000) < faults.older,
            pool_entries=load.pool_entries,
        )
        medium: Medium = MemoryMedium(self.parameters)
        if dice.randrange(1000) < faults.real_disks:
            medium = FolderMedium(self.parameters, self.settings.folder / f"n{number}")
        machine = Machine(build, self._around, medium, self._dice_for(f"machine {number}"))
        self.network.join(machine)
        return machine

    def _right_error(self) -> int:
        return self._dice.randint(-self.faults.clock_error_ms, self.faults.clock_error_ms)

    def _wrong_error(self) -> int:
        least, most = self._dice.choice(((DRIFT_MS // 4 + 1, 2 * DRIFT_MS), (2 * DRIFT_MS, 3_600_000)))
        return self._dice.choice((-1, 1)) * self._dice.randint(least, most)

    def _turn(self, number: int, error_ms: int, *, is_wrong: bool) -> Turn | None:
        """Draw whether and when the clock is set right, or wrong, while there is trouble.

        One that was far ahead stays so: what its node has taken of others like it is law for it, and the rest
        would wait for up to an hour to follow.
        """
        dice, faults = self._dice, self.faults
        share = faults.mended_clocks if is_wrong else faults.spoilt_clocks
        if number == 0 or dice.randrange(1000) >= share or (is_wrong and error_ms > 2 * DRIFT_MS):
            return None
        time_ms = dice.randrange(self.settings.until_ms)
        return Turn(time_ms, self._right_error() if is_wrong else self._wrong_error(), not is_wrong)

    def _scene(self) -> Scene:
        return Scene(
            kernel=self.kernel,
            network=self.network,
            trace=self.trace,
            parameters=self.parameters,
            age_ms=self.load.age_ms,
            honest=[Endpoint(machine.host, machine.port) for machine in self.machines],
            identities=[machine.build.key.public for machine in self.machines],
            hashes_per_ms=SHARE * HASHES_A_BLOCK / self.load.interval_ms / max(1, self.load.adversaries),
        )

    # ---------------------------------------------------------------------------------------- how it runs

    def run(self) -> Outcome:
        """Run to the end. Raises Failure; any other exception is a fault of the node or of the simulator."""
        try:
            self.begin()
            self.kernel.run_until(self.settings.until_ms)
            self._heal()
            settled_ms = self._settle()
            self._restart_all()
        finally:
            for machine in self.machines:
                machine.medium.close()
        return Outcome(
            trace=self.trace.hex,
            virtual_ms=self.kernel.now_ms,
            steps=sum(machine.steps for machine in self.machines),
            height=self._common_tip_height(),
            accepted=len(self.checkers.accepted),
            deepest=self.checkers.deepest,
            switches=self.checkers.switches,
            settled_ms=settled_ms,
            looks=self.checkers.looks,
            skipped=self.checkers.skipped,
        )

    def begin(self) -> None:
        """Plan what happens: starts, faults, people."""
        dice = self._dice
        for machine in self.machines:
            is_late = machine.build.number > 0 and dice.randrange(1000) < self.faults.late
            start_ms = dice.randrange(self.settings.until_ms) if is_late else dice.randrange(1_000)
            self._start_at(machine, start_ms)
            self._plan_turn(machine)
        for adversary in self.adversaries:
            adversary.begin()
        faults, load = self.faults, self.load
        for every_ms, happen in (
            (faults.reset_every_ms, self.network.reset_any),
            (faults.clog_every_ms, self.network.clog_any),
            (faults.partition_every_ms, self._partition),
            (faults.crash_every_ms, self._crash),
            (faults.pause_every_ms, self._pause),
            (faults.disk_full_every_ms, self._fill_a_disk),
            (faults.disk_error_every_ms, self._fail_a_write),
            (faults.clock_jump_every_ms, self._set_a_clock),
            (load.pay_every_ms, lambda: self.people.pay(self.kernel.now_ms)),
            (load.ask_every_ms, self.people.ask_for_a_block),
        ):
            if every_ms:
                self._repeat(every_ms, happen)
        self._keep_looking()
        self._keep_starting()

    def _plan_turn(self, machine: Machine) -> None:
        turns = machine.build.turns
        if turns is not None:
            self.kernel.at(turns.time_ms, lambda: machine.set_clock(turns))

    def _repeat(self, every_ms: int, happen: Callable[[], None]) -> None:
        """Have something happen again and again, at random times, while there is trouble."""

        def once() -> None:
            if self._is_troubled:
                happen()
                plan()

        def plan() -> None:
            self.kernel.after(1 + int(self._dice.expovariate(1 / every_ms)), once)

        plan()

    def _keep_looking(self) -> None:
        for machine in self.machines:
            if machine.is_up:
                self.checkers.look(machine)
        self.kernel.after(LOOK_MS, self._keep_looking)

    # ---------------------------------------------------------------------------------------- what goes wrong

    def _up(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.is_up]

    def _start_at(self, machine: Machine, time_ms: int) -> None:
        self._starting[machine.build.number] = None
        self.kernel.at(time_ms, lambda: self._start(machine))

    def _start(self, machine: Machine) -> None:
        self._starting.pop(machine.build.number, None)
        if not machine.is_up:
            machine.boot()

    def _keep_starting(self) -> None:
        """Have the owner of a node that is down, for whatever reason, start it again, some time later."""
        for machine in self.machines:
            if not machine.is_up and machine.build.number not in self._starting:
                down_ms = self._dice.randrange(2 * self.faults.down_ms + 1) if self._is_troubled else 0
                self._start_at(machine, self.kernel.now_ms + down_ms)
        self.kernel.after(START_MS, self._keep_starting)

    def _crash(self) -> None:
        up, dice = self._up(), self._dice
        if not up:
            return
        machine = dice.choice(up)
        silently = dice.randrange(1000) < self.faults.vanish
        if dice.randrange(1000) < self.faults.stop:
            machine.stop()
            return
        dice.choice((machine.crash, machine.crash_between_effects, machine.crash_at_a_save))(
            silently=silently
        )

    def _pause(self) -> None:
        up = self._up()
        if up:
            machine = self._dice.choice(up)
            machine.pause()
            self.kernel.after(1 + self._dice.randrange(2 * self.faults.pause_ms), machine.resume)

    def _partition(self) -> None:
        dice = self._dice
        parties: list[Party] = [*self.machines, *self.adversaries]
        dice.shuffle(parties)
        at = dice.randrange(1, max(2, len(parties)))
        one_way = dice.randrange(1000) < self.faults.one_way
        sides = [" ".join(party.name for party in side) for side in (parties[:at], parties[at:])]
        self.trace.tell(f"network: cut {sides[0]} {'>' if one_way else '|'} {sides[1]}")
        pairs = self.network.cut(parties[:at], parties[at:], one_way=one_way)

        def mend() -> None:
            self.trace.tell(f"network: joined {sides[0]} | {sides[1]}")
            self.network.mend(pairs)

        self.kernel.after(1 + dice.randrange(2 * self.faults.partition_ms), mend)

    def _fill_a_disk(self) -> None:
        machine = self._dice.choice(self.machines)
        self.trace.tell(f"{machine.name}: its disk is full")
        self.checkers.seen(machine).may_halt = True
        machine.medium.fill(full=True)
        self.kernel.after(
            1 + self._dice.randrange(2 * self.faults.disk_full_ms), lambda: machine.medium.fill(full=False)
        )

    def _fail_a_write(self) -> None:
        machine = self._dice.choice(self.machines)
        self.trace.tell(f"{machine.name}: its next write fails")
        self.checkers.seen(machine).may_halt = True
        machine.medium.fail_next()

    def _set_a_clock(self) -> None:
        machine = self._dice.choice(self.machines)
        if machine.is_wrong or not self.faults.clock_error_ms:
            return
        machine.clock_error_ms = self._right_error()
        self.trace.tell(f"{machine.name}: its clock is set to {machine.clock_error_ms:+} ms")

    # ---------------------------------------------------------------------------------------- when it is over

    def _heal(self) -> None:
        self.trace.tell("world: the trouble is over")
        self._is_troubled = False
        self.checkers.release([machine.build.number for machine in self.machines if machine.is_wrong])
        self.network.faults = self.faults = healed(self.faults)
        for machine in self.machines:
            machine.resume()
            machine.disarm()
            machine.medium.fill(full=False)
            self._start(machine)
        for adversary in self.adversaries:
            adversary.rest()
        self.network.mend_all()

    def _settle(self) -> int:
        """Let time pass until the nodes agree and every promise is kept. Raises Failure."""
        start_ms = self.kernel.now_ms
        height = max(
            (machine.core.store.tip().height for machine in self._right() if machine.is_up), default=0
        )
        limit_ms = start_ms + SETTLE_MS + SETTLE_BLOCKS * self.load.interval_ms
        while self.kernel.now_ms < limit_ms:
            if (self.kernel.now_ms - start_ms) % PROVE_MS == 0:
                self._pay_at_last()
            self.kernel.run_until(self.kernel.now_ms + LOOK_MS)
            if self._is_settled():
                return self.kernel.now_ms - start_ms
        if self._keeps_up(height) or self._is_tied() or self._is_outvoted() or self._is_clogged():
            return self.kernel.now_ms - start_ms
        raise Failure(self._why_unsettled())

    def _is_outvoted(self) -> bool:
        """Tell whether most clocks are wrong: those that are right see theirs as off, and do not mine."""
        return 2 * len(self._right()) <= len(self.machines)

    def _is_clogged(self) -> bool:
        """Tell whether each miner's small pool is full of what its owner typed, and of what that stands on.

        What was typed is never pushed out; where an entry before it is missing, that one finds no room.
        """
        right = [machine for machine in self._right() if machine.is_up]
        tips = {machine.core.store.durable_tip().hash: None for machine in right}
        miners = [machine.core.mempool for machine in right if machine.build.mode != "off"]
        full = [pool for pool in miners if len(pool) >= self.load.pool_entries]
        return (
            len(tips) == 1
            and len(full) == len(miners) > 0
            and not any(pool._cheapest_queue() for pool in full)
        )

    def _pay_at_last(self) -> None:
        """Have somebody pay at each node: only a network that lives can settle that."""
        for machine in self._right():
            if machine.is_up and not self._has_paid(machine, machine.core.store.durable_tip().hash):
                typed = self._last_payments.setdefault(machine.build.number, [])
                # Where there is no room for all, who offers more gets in, as the refusal says.
                fee = LAST_FEE << len(typed) if self.load.pool_entries < ROOMY else 1
                typed.append(self.people.pay_at_last(machine, fee, self.kernel.now_ms))

    def _lives(self, tip: bytes) -> bool:
        """Tell whether a payment typed at each node, after the trouble, is in this chain."""
        right = self._right()
        if self.load.pool_entries >= ROOMY:
            return all(self._has_paid(machine, tip) for machine in right)
        # Who holds as much as it may of its owner's own, or was refused by its peers, has to wait.
        paid = [self._has_paid(machine, tip) for machine in right]
        waits = [self._is_crowded(machine) for machine in right]
        return any(paid) and all(one or other for one, other in zip(paid, waits, strict=True))

    def _is_crowded(self, machine: Machine) -> bool:
        typed = self._last_payments.get(machine.build.number, ())
        is_full = len(machine.core.mempool) >= self.load.pool_entries
        return is_full or any(txid in self.checkers.crowded for txid in typed)

    def _has_paid(self, machine: Machine, tip: bytes) -> bool:
        typed = self._last_payments.get(machine.build.number, ())
        return any(self.checkers.ledger.confirmed(tip, txid) for txid in typed)

    def _right(self) -> list[Machine]:
        return [machine for machine in self.machines if not machine.is_wrong]

    def _is_settled(self) -> bool:
        right = self._right()
        if not all(machine.is_up and not machine.is_busy() for machine in right):
            return False
        tips = {machine.core.store.durable_tip().hash: None for machine in right}
        tip = next(iter(tips))
        return len(tips) == 1 and self._lives(tip) and not self._unsettled(tip)

    def _keeps_up(self, height: int) -> bool:
        """Tell whether they agree on all but the last blocks of a chain that grows faster than it travels.

        Where blocks come every few seconds over slow ways and disks, some node is always a block behind.
        """
        right = self._right()
        if not all(machine.is_up for machine in right):
            return False
        tips = [self.checkers.ledger.at(machine.core.store.durable_tip().hash) for machine in right]
        agreed = _common([tip.path for tip in tips])
        last = len(agreed) - 1
        is_near = max(tip.height for tip in tips) - last <= BEHIND_BLOCKS
        if not is_near or last < height + SETTLE_BLOCKS // 2:
            return False
        return self._lives(agreed[-1]) and not self._unsettled(agreed[-1])

    def _is_tied(self) -> bool:
        """Tell whether they are at rest on two short branches of the same work, of which no miner knows both.

        On demand the next payment ends such a tie. Only the nodes between the two sides know of it, and they
        do not tell: what is not proven they cannot answer for.
        """
        right = self._right()
        if not all(machine.is_up and not machine.is_busy() for machine in right):
            return False
        tips = {machine.core.store.durable_tip().hash: None for machine in right}
        blocks = [self.checkers.ledger.at(tip) for tip in tips]
        works = {block.work: None for block in blocks}
        depth = max(block.height for block in blocks) - (len(_common([block.path for block in blocks])) - 1)
        if len(works) > 1 or depth > BEHIND_BLOCKS:
            return False
        knows = any(machine.core.chain.rivals() for machine in right if machine.build.mode != "off")
        return not knows and all(self._lives(tip) and not self._unsettled(tip) for tip in tips)

    def _unsettled(self, tip: bytes) -> list[str]:
        now_ms = min(machine.now().wall_ms for machine in self._right())
        promises = self.checkers.unsettled(tip, now_ms)
        return [
            f"n{min(promise.machines)} took an entry at {promise.time_ms} ms, neither confirmed nor void: "
            f"{promise.entry.txid.hex()[:8]}, nonce {promise.entry.nonce} of {promise.entry.sender.hex()[:8]}"
            for promise in promises
        ]

    def _why_unsettled(self) -> str:
        lines = [f"not settled within {SETTLE_MS} ms and {SETTLE_BLOCKS} block intervals:"]
        for machine in self.machines:
            if not machine.is_up:
                lines.append(f"{machine.name} is down")
                continue
            tip = self.checkers.ledger.at(machine.core.store.durable_tip().hash)
            clock = " (wrong clock)" if machine.is_wrong else ""
            lines.append(
                f"{machine.name}{clock} is on block {tip.height} "
                f"{tip.hash.hex()[:8]} of work {tip.work}, {len(machine.core.sessions.every())} connections, "
                f"{len(machine.core.mempool)} pending, busy: {machine.is_busy()}"
            )
        right = [machine for machine in self._right() if machine.is_up]
        lines += self._unsettled(right[0].core.store.durable_tip().hash)[:20] if right else []
        return "\n".join(lines)

    def _restart_all(self) -> None:
        """See that what each node has persisted opens again."""
        tips = [machine.core.store.durable_tip() for machine in self.machines]
        for machine in self.machines:
            machine.crash(silently=False)
        for machine in self.machines:
            machine.boot()
            if not machine.is_up:
                raise Failure(f"{machine.name} does not start again")
        self.kernel.run_until(self.kernel.now_ms + AFTERWARDS_MS)
        for machine, tip in zip(self.machines, tips, strict=True):
            if machine.core.store.tip().work < tip.work:
                raise Failure(f"{machine.name}: went back from work {tip.work} with its last start")

    def _common_tip_height(self) -> int:
        return max(machine.core.store.durable_tip().height for machine in self._right())


def _common(paths: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Return what all paths begin with."""
    rows = takewhile(lambda row: len(dict.fromkeys(row)) == 1, zip(*paths, strict=False))
    return [row[0] for row in rows]
