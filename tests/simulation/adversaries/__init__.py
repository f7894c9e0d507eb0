"""Those who take part without being honest: `KINDS` by name, and `recruit`, which draws some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from tests.simulation.adversaries import blocks, entries, headers, mining, parts, peers, time, wire
from tests.simulation.adversaries.party import Adversary, Scene, wallet_of
from tests.simulation.adversaries.script import Script

KINDS: Final[Mapping[str, Callable[[Adversary], Script]]] = {
    "invalid-blocks": blocks.invalid_blocks,
    "bad-bodies": blocks.bad_bodies,
    "withheld": blocks.withheld,
    "bad-tips": blocks.bad_tips,
    "wrong-short-ids": parts.wrong_short_ids,
    "endless-parts": parts.endless_parts,
    "greedy-for-parts": parts.greedy_for_parts,
    "wrong-parts": parts.wrong_parts,
    "low-work-flood": headers.low_work_flood,
    "endless-headers": headers.endless_headers,
    "endless-inventory": entries.endless_inventory,
    "replays": entries.replays,
    "conflicts": entries.conflicts,
    "bad-entries": entries.bad_entries,
    "selfish": mining.selfish,
    "ties": mining.ties,
    "from-future": time.from_future,
    "timestamp-bomb": time.timestamp_bomb,
    "wrong-clocks": time.wrong_clocks,
    "stale": peers.stale,
    "wrong-network": peers.wrong_network,
    "stolen-identity": peers.stolen_identity,
    "address-flood": peers.address_flood,
    "last-to-answer": wire.last_to_answer,
    "never-reads": wire.never_reads,
    "garbage": wire.garbage,
    "slow-handshakes": wire.slow_handshakes,
    "crowd": wire.crowd,
    "newer-version": wire.newer_version,
    "go-between": peers.go_between,
}
"""What each tries stands at its function, and what must come of it."""
SHARE: Final = 0.25
"""Of the hash rate, of all of them together."""


def recruit(count: int, kinds: Sequence[str], scene: Scene, dice: Random) -> list[Adversary]:
    """Return so many of them, of kinds drawn from these (none: of all)."""
    names = list(kinds or KINDS)
    found = []
    for number in range(count):
        kind = dice.choice(names)
        found.append(Adversary(number, kind, KINDS[kind], scene, Random(f"{dice.getrandbits(64)} {number}")))
    return found


__all__ = ["KINDS", "SHARE", "Adversary", "Scene", "Script", "recruit", "wallet_of"]
