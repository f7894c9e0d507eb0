"""Each kind of adversary in a small world: it does what it is there for, and the nodes get over it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.simulation.adversaries import KINDS
from tests.simulation.adversaries.party import Adversary
from tests.simulation.faults import Faults, Load, Profile
from tests.simulation.world import Outcome, Settings, World

pytestmark = pytest.mark.swarm

_FAULT = re.compile(r"n\d+: peer \S+: ([a-z-]+): .*\(cost")
FOREIGN_BODIES = ("block-encoding", "body-root", "entries-root")
ALL_RULES = (
    *("block-encoding", "block-size", "body-root", "coinbase-amount", "coinbase-encoding", "coinbase-height"),
    *("condemned-parent", "difficulty", "entries-root", "entry-count", "entry-encoding", "entry-expired"),
    *("entry-from-future", "entry-memo", "entry-signature", "entry-version", "extension-root", "fee-too-low"),
    *("header-encoding", "header-height", "header-version", "history-root", "nonce-gap", "nonce-used"),
    *("overspend", "proof-of-work", "timestamp-order", "unknown-parent"),
)


@dataclass
class Played:
    """A world that is over."""

    world: World
    outcome: Outcome
    lines: list[str]
    charged: dict[str, int] = field(default_factory=dict)
    """How often each fault was charged; to whom is the checkers' matter."""

    @property
    def adversary(self) -> Adversary:
        return self.world.adversaries[0]

    @property
    def tip(self) -> bytes:
        return self.world.machines[0].core.store.durable_tip().hash

    def mined(self) -> int:
        """How many blocks of the main chain are by the adversaries."""
        wallets = [one.wallet.public for one in self.world.adversaries]
        ledger = self.world.checkers.ledger
        return sum(ledger.at(one).coinbase.miner in wallets for one in ledger.at(self.tip).path)

    def confirmed(self) -> int:
        """How many entries of the main chain are by the adversary."""
        ledger = self.world.checkers.ledger
        entries = [entry for one in ledger.at(self.tip).path for entry in ledger.at(one).entries]
        return sum(entry.sender == self.adversary.wallet.public for entry in entries)

    def said(self, text: str) -> int:
        """How many lines of the trace have this in them."""
        return sum(text in line for line in self.lines)

    def banned(self) -> list[str]:
        """Whom the nodes have banned by themselves."""
        return [
            ban.subject
            for machine in self.world.machines
            for ban in machine.core.links.book.bans(machine.now().wall_ms)
        ]


def play(
    kind: str,
    folder: Path,
    *,
    seed: int = 1,
    count: int = 1,
    until_ms: int = 60_000,
    steady: int = 500,
    faults: Faults = Faults(),  # noqa: B008 - frozen
) -> Played:
    """Run a world of five nodes with adversaries of one kind; one that fails raises."""
    load = Load(
        adversaries=count,
        adversary_kinds=(kind,),
        interval_ms=5_000,
        steady_miners=steady,
        pay_every_ms=3_000,
        block_bytes=1 << 16,
    )
    lines: list[str] = []
    world = World(Settings(seed, 5, Profile(faults, load), until_ms, folder), follow=lines.append)
    played = Played(world, world.run(), lines)
    for line in lines:
        found = _FAULT.search(line)
        if found:
            played.charged[found[1]] = played.charged.get(found[1], 0) + 1
    honest = [machine.build.key.public.hex() for machine in world.machines]
    assert not [subject for subject in played.banned() if subject.startswith("2") and "." in subject]
    assert not [subject for subject in played.banned() if subject in honest]
    return played


def test_blocks_that_break_any_rule_are_refused_by_its_name(tmp_path: Path) -> None:
    played = play("invalid-blocks", tmp_path, count=5, until_ms=100_000)
    assert [code for code in ALL_RULES if code not in played.charged] == []
    assert played.mined() == 0


def test_a_body_that_is_not_the_headers_does_not_keep_the_block_from_being_taken(tmp_path: Path) -> None:
    played = play("bad-bodies", tmp_path)
    assert played.charged
    assert not [code for code in played.charged if code not in FOREIGN_BODIES]
    assert played.mined() > 0


def test_blocks_whose_bodies_nobody_gets_hold_nobody_up(tmp_path: Path) -> None:
    played = play("withheld", tmp_path)
    assert played.adversary.acts > 3
    assert (played.mined(), played.charged) == (0, {})


def test_good_blocks_are_taken_without_the_bad_ones_on_them(tmp_path: Path) -> None:
    played = play("bad-tips", tmp_path)
    assert played.charged
    assert played.said("by short ids on block") > 3
    assert played.said("refused for good") > played.adversary.acts  # by those it was passed on to as well
    assert played.mined() > 0


def test_short_ids_that_lead_astray_keep_no_block_from_being_taken(tmp_path: Path) -> None:
    played = play("wrong-short-ids", tmp_path)
    assert played.said("is asked for whole")
    assert played.said("changed copies of a block") > 10
    assert played.charged == {}
    assert played.mined() > 0
    assert played.confirmed() > 0


def test_parts_that_nobody_gets_hold_nobody_up(tmp_path: Path) -> None:
    played = play("endless-parts", tmp_path)
    assert played.adversary.acts > 20
    assert (played.mined(), played.charged) == (0, {})
    assert played.outcome.height > 3


def test_who_asks_for_parts_that_it_was_not_sent_pays_for_it(tmp_path: Path) -> None:
    played = play("greedy-for-parts", tmp_path)
    assert played.adversary.acts > 10
    assert "unannounced-block" in played.charged
    assert not [one for one in played.charged if one not in {"unannounced-block", "position-out-of-range"}]


def test_of_wrong_parts_those_cost_that_can_only_be_ones_own_doing(tmp_path: Path) -> None:
    played = play("wrong-parts", tmp_path, until_ms=120_000)
    assert played.said("is asked for whole")
    assert sorted(played.charged) == ["block-entries-count", "unrequested-block"]
    assert played.mined() > 0


def test_headers_of_little_work_are_listened_to_and_forgotten(tmp_path: Path) -> None:
    played = play("low-work-flood", tmp_path)
    assert played.adversary.acts > 10
    assert (played.mined(), played.charged) == (0, {})


def test_headers_that_connect_to_nothing_are_charged_for_in_the_end(tmp_path: Path) -> None:
    assert list(play("endless-headers", tmp_path).charged) == ["unknown-parent"]


def test_what_does_not_exist_may_be_told_of_up_to_a_bound(tmp_path: Path) -> None:
    played = play("endless-inventory", tmp_path, until_ms=90_000)
    assert played.adversary.acts > 50
    assert not [code for code in played.charged if code != "too-many-entries-told"]


def test_entries_that_are_sent_again_are_no_fault_and_not_paid_again(tmp_path: Path) -> None:
    played = play("replays", tmp_path)
    assert played.adversary.acts > 3
    assert played.charged == {}


def test_of_entries_that_conflict_one_is_confirmed(tmp_path: Path) -> None:
    played = play("conflicts", tmp_path)
    assert played.charged == {}
    assert 0 < played.confirmed() < played.adversary.acts


def test_entries_that_nobody_may_take_are_charged_where_no_honest_program_sends_them(tmp_path: Path) -> None:
    played = play("bad-entries", tmp_path)
    assert sorted(played.charged) == ["entry-encoding", "entry-signature"]
    assert played.confirmed() == 0


def test_a_branch_mined_in_secret_is_followed_when_it_is_heavier(tmp_path: Path) -> None:
    played = play("selfish", tmp_path, until_ms=90_000)
    assert played.adversary.acts > 3
    assert played.mined() > 0
    assert played.outcome.switches > 0
    assert played.confirmed() > 0


def test_a_tie_that_splits_the_nodes_ends(tmp_path: Path) -> None:
    played = play("ties", tmp_path, steady=0)
    assert played.adversary.acts > 3
    assert played.outcome.switches > 0


def test_blocks_from_the_future_are_nobodys_fault_and_taken_when_their_time_has_come(tmp_path: Path) -> None:
    played = play("from-future", tmp_path)
    assert played.charged == {}
    assert played.mined() > 0


def test_times_at_the_edges_do_not_throw_difficulty_off(tmp_path: Path) -> None:
    played = play("timestamp-bomb", tmp_path)
    assert played.adversary.acts > 3
    assert played.charged == {}
    assert played.mined() > 0


def test_however_many_callers_say_that_it_is_later_mining_goes_on(tmp_path: Path) -> None:
    played = play("wrong-clocks", tmp_path, count=8)
    assert played.adversary.acts > 0
    assert played.outcome.height > 3


def test_nobody_goes_back_to_where_a_stale_peer_is(tmp_path: Path) -> None:
    played = play("stale", tmp_path)
    assert played.adversary.acts > 0
    assert played.charged == {}


def test_a_node_of_another_network_is_shown_out_and_not_banned(tmp_path: Path) -> None:
    played = play("wrong-network", tmp_path)
    assert played.adversary.acts > 0
    assert played.said("connected from 60.") == 0
    assert played.banned() == []


def test_an_identity_that_is_not_proven_is_nobodys(tmp_path: Path) -> None:
    played = play("stolen-identity", tmp_path)
    assert list(played.charged) == ["bad-auth"]


def test_addresses_of_nobody_do_not_fill_the_book(tmp_path: Path) -> None:
    played = play("address-flood", tmp_path)
    assert played.adversary.acts > 10
    assert played.charged == {}
    for machine in played.world.machines:
        assert len(list(machine.core.links.book.addresses.saved())) < 300


def test_who_is_always_last_to_answer_costs_a_wait(tmp_path: Path) -> None:
    played = play("last-to-answer", tmp_path)
    assert played.adversary.acts > 10
    assert played.charged == {}


def test_who_never_reads_is_dropped(tmp_path: Path) -> None:
    played = play("never-reads", tmp_path, until_ms=110_000)
    assert played.adversary.acts > 10
    assert played.said("silent for 60 s")
    assert played.charged == {}


def test_bytes_that_mean_nothing_cost_the_connection(tmp_path: Path) -> None:
    played = play("garbage", tmp_path)
    assert len(played.charged) >= 4


def test_a_handshake_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    played = play("slow-handshakes", tmp_path)
    assert played.adversary.acts > 10
    assert played.charged == {}
    assert played.said("(slow-handshakes)") == 0


def test_one_host_that_calls_and_calls_keeps_nobody_out(tmp_path: Path) -> None:
    played = play("crowd", tmp_path, faults=Faults(crash_every_ms=6_000, down_ms=3_000), until_ms=40_000)
    assert played.said("makes room for another host") > 0
    assert played.charged == {}


def test_a_later_version_is_a_peer_like_any_other(tmp_path: Path) -> None:
    played = play("newer-version", tmp_path)
    assert played.adversary.acts > 10
    assert played.said("(newer-version)") > 0
    assert played.banned() == []


def test_whoever_stands_between_two_nodes_cannot_have_one_banned_by_the_other(tmp_path: Path) -> None:
    played = play("go-between", tmp_path, count=2, until_ms=90_000)
    assert played.said("what 2") > 0
    assert played.charged


def test_the_same_seed_is_the_same_world(tmp_path: Path) -> None:
    first, second = (play(kind, tmp_path, until_ms=20_000) for kind in ("invalid-blocks", "invalid-blocks"))
    assert first.outcome.trace == second.outcome.trace


def test_every_kind_has_its_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f'play("{kind}"' not in text] == []


@pytest.mark.parametrize("count", [0, 3])
def test_as_many_take_part_as_are_asked_for(tmp_path: Path, count: int) -> None:
    assert len(play("stale", tmp_path, count=count, until_ms=1_000).world.adversaries) == count
