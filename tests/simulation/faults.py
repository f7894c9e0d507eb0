"""What may go wrong in a world, and how often: one dataclass, and the profiles that fill it. Pure.

Times are milliseconds of virtual time, `every` is the mean of a Poisson process over the whole world (0 is
never), shares are in a thousand. Nothing stands here that TCP, SQLite or a real clock could not do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """The knobs."""

    # The way of the bytes.
    latency_ms: tuple[int, int] = (5, 40)
    """Of a pair of hosts, drawn once between these."""
    jitter_ms: int = 5
    """Of each segment, on top."""
    loss: int = 0
    """Share of segments that are lost once and sent again, after 200 ms or a few times that."""
    bytes_per_ms: int = 0
    """Bandwidth of each direction of a connection; 0 is endless."""
    split: int = 100
    """Share of segments that arrive in two pieces."""
    reset_every_ms: int = 0
    """A connection is reset from outside."""
    clog_every_ms: int = 0
    """One direction of a connection stands still for `clog_ms`."""
    clog_ms: int = 20_000
    partition_every_ms: int = 0
    """The hosts fall into two groups that cannot reach each other, for `partition_ms`."""
    partition_ms: int = 60_000
    one_way: int = 0
    """Share of partitions that stop the bytes one way only."""

    # Machines.
    crash_every_ms: int = 0
    """A node dies: at once, or between two of the next effects that it carries out."""
    down_ms: int = 20_000
    vanish: int = 0
    """Share of crashes that take the machine's network along: nobody is told."""
    stop: int = 0
    """Share of crashes that are an orderly stop instead."""
    pause_every_ms: int = 0
    """A process stands still (SIGSTOP, a laptop's lid) for `pause_ms`."""
    pause_ms: int = 15_000
    late: int = 0
    """Share of nodes that join later, with an empty disk."""

    # Disks.
    disk_ms: tuple[int, int] = (1, 10)
    """Of a write, drawn each time."""
    disk_full_every_ms: int = 0
    disk_full_ms: int = 30_000
    disk_error_every_ms: int = 0
    """One write fails."""
    real_disks: int = 0
    """Share of nodes whose book is a real SQLite file in a folder that crashes are played out on."""

    # Clocks.
    clock_error_ms: int = 0
    """Within this either way; within the network's drift, so that such a node must keep up."""
    clock_drift_ppm: int = 0
    """Fast or slow by up to this."""
    wrong_clocks: int = 0
    """Share of nodes whose clock is off by more, up to an hour."""
    clock_jump_every_ms: int = 0
    """A clock is set: to another error within `clock_error_ms`."""
    mended_clocks: int = 0
    """Share of wrong clocks that are set right before the trouble is over; the node must then keep up."""
    spoilt_clocks: int = 0
    """Share of right clocks that are set wrong before that; the node need keep up no more."""

    # Programs.
    newer: int = 0
    """Share of nodes, honest as the others, whose program is a newer one: HELLO names features, upgrades and
    an agent that the others do not know, and now and then comes a message of a type that they skip."""
    older: int = 0
    """Share of the other nodes, honest as they are, whose program is an older one: it has no features."""


@dataclass(frozen=True, slots=True)
class Load:
    """What people do, and what the network's terms are."""

    interval_ms: int = 15_000
    pay_every_ms: int = 4_000
    """In all the world."""
    double_spend: int = 20
    """Share of payments that are typed at two nodes, each with other words, under one nonce."""
    replace: int = 20
    """Share of payments that take the place of a pending one."""
    ask_every_ms: int = 60_000
    """Somebody asks for a block, as `mine 1` does."""
    steady_miners: int = 300
    """Share of nodes that mine all the time."""
    on_demand: int = 500
    """Share of nodes that mine when something is pending."""
    peers: int = 3
    """How many others each node is configured with."""
    discovery: bool = True
    maturity: int = 0
    halving_interval: int = 2_000_000
    block_bytes: int = 1 << 20
    lifetime_ms: int = 14 * 86_400_000
    first_coins: int = 100_000
    """Of each wallet at genesis."""
    pool_entries: int = 50_000
    """How many pending entries a node holds; what has no room is refused or evicted."""
    age_ms: int = 3_600_000
    """Of genesis when a world begins: an old one eases the first blocks, a young chain is ahead of its
    schedule now and then."""
    adversaries: int = 0
    """How many."""
    adversary_kinds: tuple[str, ...] = ()
    """What they may be; none named: anything."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of world."""

    faults: Faults
    load: Load


def swarm(dice: Random) -> Profile:
    """Draw which faults there are, and how hard: some seeds have all, some few, some one alone."""
    density = dice.choice((150, 300, 500, 800))

    def some(value: T, otherwise: T) -> T:
        return value if dice.randrange(1000) < density else otherwise

    def every(least_s: int, most_s: int) -> int:
        return some(1000 * dice.randint(least_s, most_s), 0)

    latency = dice.choice(((1, 2), (5, 40), (20, 150), (100, 800)))
    faults = Faults(
        latency_ms=latency,
        jitter_ms=dice.choice((0, 5, 50, 300)),
        loss=some(dice.choice((5, 30, 100)), 0),
        bytes_per_ms=some(dice.choice((10, 50, 500)), 0),
        split=dice.choice((0, 100, 500)),
        reset_every_ms=every(10, 60),
        clog_every_ms=every(10, 60),
        clog_ms=dice.choice((2_000, 20_000, 90_000)),
        partition_every_ms=every(40, 150),
        partition_ms=dice.choice((5_000, 40_000, 120_000)),
        one_way=dice.choice((0, 300, 1000)),
        crash_every_ms=every(10, 60),
        down_ms=dice.choice((0, 5_000, 40_000)),
        vanish=dice.choice((0, 200, 1000)),
        stop=dice.choice((0, 200)),
        pause_every_ms=every(20, 90),
        pause_ms=dice.choice((500, 15_000, 70_000)),
        late=some(dice.choice((100, 400)), 0),
        disk_ms=dice.choice(((0, 1), (1, 10), (5, 80), (200, 2_000))),
        disk_full_every_ms=every(40, 200),
        disk_full_ms=dice.choice((5_000, 40_000)),
        disk_error_every_ms=every(40, 200),
        real_disks=dice.choice((0, 0, 0, 100, 300, 1000)),
        clock_error_ms=some(dice.choice((100, 1_000, 5_500)), 0),
        clock_drift_ppm=some(dice.choice((100, 2_000)), 0),
        wrong_clocks=some(dice.choice((100, 200)), 0),
        clock_jump_every_ms=every(30, 120),
        mended_clocks=dice.choice((0, 500, 1000)),
        spoilt_clocks=some(dice.choice((100, 200)), 0),
        newer=some(dice.choice((100, 500, 900)), 0),
        older=some(dice.choice((100, 500, 900)), 0),
    )
    load = Load(
        pay_every_ms=dice.choice((1_500, 4_000, 12_000)),
        double_spend=dice.choice((0, 20, 200)),
        replace=dice.choice((0, 20, 200)),
        ask_every_ms=dice.choice((0, 20_000, 60_000)),
        steady_miners=dice.choice((0, 100, 300, 1000)),
        on_demand=dice.choice((100, 500, 1000)),
        peers=dice.choice((1, 2, 3, 5)),
        discovery=dice.choice((True, True, False)),
        maturity=dice.choice((0, 0, 3)),
        halving_interval=dice.choice((10, 2_000_000)),
        block_bytes=dice.choice((1 << 12, 1 << 14, 1 << 20)),
        lifetime_ms=dice.choice((120_000, 14 * 86_400_000, 14 * 86_400_000)),
        adversaries=some(dice.choice((1, 1, 2, 3)), 0),
        age_ms=dice.choice((15_000, 3_600_000, 3_600_000)),
        first_coins=dice.choice((1_000, 6_000, 100_000)),
        pool_entries=some(dice.choice((4, 8, 16)), 50_000),
    )
    return Profile(faults, load)


def _calm(_: Random) -> Profile:
    return Profile(Faults(split=0), Load(steady_miners=1000))


def _wan(_: Random) -> Profile:
    far = Faults(latency_ms=(20, 250), jitter_ms=60, loss=20, bytes_per_ms=200, reset_every_ms=60_000)
    return Profile(far, Load())


def _crashes(_: Random) -> Profile:
    faults = Faults(crash_every_ms=8_000, down_ms=5_000, vanish=200, stop=100, real_disks=200)
    return Profile(faults, Load())


def _partitions(_: Random) -> Profile:
    faults = Faults(partition_every_ms=60_000, partition_ms=50_000, one_way=300, clog_every_ms=30_000)
    return Profile(faults, Load(steady_miners=500))


def _disks(_: Random) -> Profile:
    faults = Faults(
        crash_every_ms=15_000,
        down_ms=3_000,
        disk_full_every_ms=60_000,
        disk_error_every_ms=60_000,
        real_disks=1000,
    )
    return Profile(faults, Load())


def _clocks(_: Random) -> Profile:
    faults = Faults(
        clock_error_ms=5_000,
        clock_drift_ppm=1_000,
        wrong_clocks=250,
        clock_jump_every_ms=40_000,
        mended_clocks=500,
        spoilt_clocks=150,
    )
    return Profile(faults, Load(steady_miners=500))


def _versions(_: Random) -> Profile:
    return Profile(Faults(newer=330, older=500), Load())


def _tight(_: Random) -> Profile:
    return Profile(Faults(), Load(pay_every_ms=500, steady_miners=200, pool_entries=8))


def _hostile(dice: Random) -> Profile:
    drawn = swarm(dice)
    faults = dice.choice((Faults(), drawn.faults))
    return Profile(faults, replace(drawn.load, adversaries=dice.randint(3, 10)))


PROFILES: Final[Mapping[str, Callable[[Random], Profile]]] = {
    "swarm": swarm,
    "calm": _calm,
    "wan": _wan,
    "crashes": _crashes,
    "partitions": _partitions,
    "disks": _disks,
    "clocks": _clocks,
    "versions": _versions,
    "tight": _tight,
    "hostile": _hostile,
}
"""By name; each draws from the dice of the seed."""


def healed(faults: Faults) -> Faults:
    """Return the same world without what comes and goes: only its ways and its clocks stay as they are."""
    return replace(
        faults,
        loss=0,
        reset_every_ms=0,
        clog_every_ms=0,
        partition_every_ms=0,
        crash_every_ms=0,
        pause_every_ms=0,
        disk_full_every_ms=0,
        disk_error_every_ms=0,
        clock_jump_every_ms=0,
    )
