"""A calm network of many nodes, for measuring: the production cores, nothing that goes wrong, and a tally.

Pure. What it adds to the world of the checkers is one line a host, which all connections of it share, and a
count of what is said. The checkers are left out: they would cost more than what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, NamedTuple

from node import events
from node.disk import Write
from node.endpoint import Endpoint
from node.events import Effect
from node.frames import FRAME
from node.ledger import params, signature
from node.ledger.block import network_id
from node.ledger.entry import assemble_entry, unsigned_message
from node.ledger.params import Parameters
from node.links import KnownPeer
from node.messages import Type
from tests.building import key
from tests.simulation.disks import MemoryMedium
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel
from tests.simulation.ledger import hash_of
from tests.simulation.machine import AGE_MS, Build, Machine, Surroundings, address_of
from tests.simulation.network import Network
from tests.simulation.trace import Trace

DIALLED: Final = 8
"""Connections that a node dials, as the daemon does."""
MAX_PEERS: Final = 32
"""Connections that it has room for, as the daemon does."""
LINE_BYTES_PER_MS: Final = 2_500
"""20 Mbit/s out of each host."""
LATENCY_MS: Final = (10, 150)
"""One way, of a pair of hosts, drawn evenly."""
DISK_MS: Final = (1, 10)
SETTLE_MS: Final = 15_000
"""All connections are open by then."""
PAYERS: Final = 64
LONG_MEMO: Final = "m" * 256
HASTE: Final = 10.0
"""Hashes a millisecond of a node that is asked for a block, so that nothing else happens meanwhile."""
FULL_ENTRY_US: Final = 16
"""What an entry of a full block holds it up at each node: 32 ms for 2,000 of them, by benchmarks.relay."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a crowd is."""

    nodes: int
    seed: int = 1
    interval_ms: int = 15_000
    mines: bool = False
    """All nodes mine all the time; else only who is asked."""
    block_bytes: int = 1 << 20
    """Limit of the network."""
    weight: int = 0
    """Bytes that a block weighs on a line, where it is shorter; 0: as many as it has."""
    worth: int = 0
    """Bytes of entries that a node works through at each block, where these are more than `weight`."""
    discovery: bool = False
    compact: bool = False
    """Blocks go on by short ids; else whole, as between nodes that do not have that feature."""


class CrowdFault(Exception):
    """What must not happen where nothing goes wrong: the figure would be worth nothing."""


class Count(NamedTuple):
    """Messages, and their bytes with their frames."""

    messages: int
    size: int


@dataclass(slots=True)
class Tally:
    """What a crowd said, and when it had which block. Satisfies machine.Watcher."""

    kernel: Kernel
    weight: int = 0
    """Bytes that a block counts for at least."""
    is_counting: bool = True
    messages: dict[int, int] = field(default_factory=dict)
    """By type of message, since the last `take`."""
    sizes: dict[int, int] = field(default_factory=dict)
    found_ms: dict[bytes, int] = field(default_factory=dict)
    """When each block was first on the way to a disk: when it was found."""
    had_ms: dict[bytes, dict[int, int]] = field(default_factory=dict)
    """By block, by node: when it was durable."""
    sent: dict[int, int] = field(default_factory=dict)
    """Bytes by node, since the last `take`."""

    def booted(self, machine: Machine) -> None:
        """Nothing to note."""

    def stepped(self, machine: Machine, effects: Sequence[Effect]) -> None:  # noqa: ARG002 - a Watcher's
        for effect in effects:
            if isinstance(effect, events.Persist):
                for block_hash in _blocks_of(effect):
                    self.found_ms.setdefault(block_hash, self.kernel.now_ms)

    def sends(self, machine: Machine, effect: events.Send) -> None:
        if not self.is_counting:
            return
        data, at = effect.data, 0
        number = machine.build.number
        while at < len(data):
            length, kind = FRAME.unpack_from(data, at)
            length += FRAME.size - 1
            at += length
            size = max(length, self.weight) if kind == Type.BLOCK else length
            self.messages[kind] = self.messages.get(kind, 0) + 1
            self.sizes[kind] = self.sizes.get(kind, 0) + size
            self.sent[number] = self.sent.get(number, 0) + size

    def wrote(self, machine: Machine, writes: Sequence[Write]) -> None:
        for write in writes:
            if isinstance(write, events.Persist):
                for block_hash in _blocks_of(write):
                    had = self.had_ms.setdefault(block_hash, {})
                    had.setdefault(machine.build.number, self.kernel.now_ms)

    def answered(self, machine: Machine, effect: events.Answer | events.Refuse) -> None:
        """See that nothing was refused: it would not be in the figures. Raises CrowdFault."""
        results = effect.result if isinstance(effect, events.Answer) else [effect]
        for result in results if isinstance(results, list) else ():
            if not isinstance(result, str):
                raise CrowdFault(f"{machine.name} refuses: {result}")

    def halted(self, machine: Machine, reason: str) -> None:
        """Raise CrowdFault."""
        raise CrowdFault(f"{machine.name} halts: {reason}")

    def take(self) -> dict[str, Count]:
        """Return what was said since the last call, by the name of the message."""
        found = {
            Type(kind).name: Count(self.messages[kind], self.sizes[kind]) for kind in sorted(self.messages)
        }
        self.messages, self.sizes, self.sent = {}, {}, {}
        return found


def _blocks_of(write: events.Persist) -> list[bytes]:
    return [hash_of(raw) for _, raw in write.batch.bodies]


class Lines:
    """One line out of each host: what is sent first leaves first. Satisfies network.Uplink."""

    def __init__(self, weight: int) -> None:
        """`weight`: what a block weighs at least; bytes."""
        self._weight = weight
        self._free_us: dict[str, int] = {}

    def __call__(self, host: str, data: bytes, start_ms: int) -> int:
        is_block = len(data) >= FRAME.size and data[FRAME.size - 1] == Type.BLOCK
        size = max(len(data), self._weight) if is_block else len(data)
        start_us = max(self._free_us.get(host, 0), start_ms * 1_000)
        free_us = self._free_us[host] = start_us + size * 1_000 // LINE_BYTES_PER_MS
        return -(-free_us // 1_000)


class Crowd:
    """The nodes."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.kernel = Kernel()
        self.trace = Trace(lambda: self.kernel.now_ms)
        self.tally = Tally(self.kernel, terms.weight)
        self.parameters = _parameters(terms)
        self._network_id = network_id(self.parameters)
        self._dice = Random(f"{terms.seed} crowd")
        faults = Faults(
            latency_ms=LATENCY_MS, jitter_ms=5, split=0, disk_ms=disk_ms(max(terms.weight, terms.worth))
        )
        self.network = Network(self.kernel, self.trace, faults, Random(f"{terms.seed} network"))
        self.network.uplink = Lines(terms.weight)
        around = Surroundings(self.kernel, self.network, self.trace, self.parameters, self.tally)
        self.machines = [self._machine(number, around) for number in range(terms.nodes)]
        self._nonces = [0] * PAYERS
        self._paid = 0

    def _machine(self, number: int, around: Surroundings) -> Machine:
        terms, dice = self.terms, self._dice
        others = dice.sample(range(terms.nodes - 1), min(DIALLED, terms.nodes - 1))
        chosen = [other + (other >= number) for other in others]
        build = Build(
            number=number,
            key=key(f"node {number}"),
            mode="on" if terms.mines else "off",
            peers=tuple(KnownPeer(Endpoint(*address_of(other)), f"n{other}", None) for other in chosen),
            discovery=terms.discovery,
            max_peers=MAX_PEERS,
            hashes_per_ms=256 / terms.interval_ms / terms.nodes if terms.mines else HASTE,
            clock_error_ms=-AGE_MS,  # the network begins now
            clock_drift_ppm=0,
            is_wrong=False,
            is_older=not terms.compact,
        )
        medium = MemoryMedium(self.parameters)
        machine = Machine(build, around, medium, Random(f"{terms.seed} machine {number}"))
        self.network.join(machine)
        return machine

    # ------------------------------------------------------------------------------------ what happens to it

    def settle(self) -> None:
        """Start all nodes and let them connect."""
        for machine in self.machines:
            machine.boot()
        self.wait(SETTLE_MS)

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self.kernel.run_until(self.kernel.now_ms + milliseconds)

    def pay(self, count: int, memo: str) -> None:
        """Have entries typed at a random node, in one array."""
        machine = self._dice.choice(self.machines)
        raws = tuple(self._entry(machine, memo) for _ in range(count))
        machine.request(lambda request: events.Submit(request, raws, replace=False))

    def _entry(self, machine: Machine, memo: str) -> bytes:
        payer = self._paid % PAYERS
        self._paid += 1
        wallet = key(f"payer {payer}")
        message = unsigned_message(
            self._network_id,
            sender=wallet.public,
            recipient=key(f"payer {(payer + 1) % PAYERS}").public,
            amount=1,
            fee=1,
            nonce=self._nonces[payer],
            timestamp_ms=machine.now().wall_ms,
            memo=memo,
        )
        self._nonces[payer] += 1
        return assemble_entry(self._network_id, message, signature.sign(wallet.seed, message)).raw

    def mine(self) -> bytes:
        """Have a random node mine a block; return its hash, once it is found."""
        machine = self._dice.choice(self.machines)
        before = len(self.tally.found_ms)
        machine.request(lambda request: events.MineBlocks(request, 1))
        while len(self.tally.found_ms) == before:
            self.wait(1)
        return next(reversed(self.tally.found_ms))

    def spread(self, block_hash: bytes, limit_ms: int = 120_000) -> list[int]:
        """Wait until all nodes have a block; return after how long each had it, ascending; milliseconds."""
        until_ms = self.kernel.now_ms + limit_ms
        while len(self.tally.had_ms.get(block_hash, ())) < self.terms.nodes and self.kernel.now_ms < until_ms:
            self.wait(10)
        found_ms = self.tally.found_ms[block_hash]
        return sorted(had_ms - found_ms for had_ms in self.tally.had_ms[block_hash].values())

    def least_pending(self) -> int:
        """Return the least number of pending entries that a node has."""
        return min(len(machine.core.mempool) for machine in self.machines)

    def connections(self) -> int:
        """Return how many ends of connections all nodes have."""
        return sum(len(machine.core.sessions.every()) for machine in self.machines)

    def slow_down_disks(self, size: int) -> None:
        """Let what follows take as long as blocks of so many bytes."""
        self.network.faults = replace(self.network.faults, disk_ms=disk_ms(size))


def disk_ms(size: int) -> tuple[int, int]:
    """Return what a node needs from a block's last byte until it is durable; entries of 250 bytes."""
    added = size // 250 * FULL_ENTRY_US // 1_000
    return DISK_MS[0] + added, DISK_MS[1] + added


def _parameters(terms: Terms) -> Parameters:
    found = replace(
        params.BUILT_IN,
        name="crowd",
        prefix="crowd",
        symbol="CROWD",
        interval_ms=terms.interval_ms,
        half_life_ms=365 * 86_400_000,  # the difficulty stays as it is
        genesis_bits=0x2000FFFF,  # one in 256 hashes
        easiest_bits=0x207FFFFF,
        allocations=tuple(sorted((key(f"payer {number}").public, 1_000_000) for number in range(PAYERS))),
        maximum_block_bytes=terms.block_bytes,
    )
    params.validate(found)
    return found
