"""Downloads: a node and peers that say what the test wants, and whole nodes in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from node.events import PeerGone, SignaturesChecked
from node.messages import BlockMessage, GetHeaders, Headers, Inventory, Kind, NotFound
from tests.building import Built, ChainBuilder, Changes, key
from tests.chaining import RICH, Payer
from tests.driving import World
from tests.puppets import Puppet, Subject

CHAIN = ChainBuilder()
MAIN = CHAIN.blocks(None, 100, miner=key("ann"))
OTHER = CHAIN.blocks(None, 130, miner=key("bob"))
THIRD = CHAIN.blocks(None, 130, miner=key("carol"))


def holding(blocks: Sequence[Built], **options: str) -> tuple[Subject, Puppet]:
    """A node that has these blocks from a peer."""
    subject = Subject(**options)  # type: ignore[arg-type] # the few that are given here are texts
    peer = Puppet(subject, "honest", host="203.0.113.1")
    give(peer, blocks)
    assert subject.height == len(blocks)
    return subject, peer


def give(peer: Puppet, blocks: Sequence[Built]) -> None:
    """Show blocks and hand them out."""
    peer.serves |= {block.hash: block for block in blocks}
    peer.show(*blocks)


def knows(subject: Subject, block: Built) -> bool:
    return subject.store.find(block.hash) is not None


@pytest.fixture
def short_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Headers in one answer, fewer than on the wire."""
    monkeypatch.setattr("node.sync.MAX_HEADERS", 20)
    return 20


# ------------------------------------------------------------------------------------------------ headers


def test_headers_beyond_one_answer_are_asked_for_until_there_are_no_more(short_batches: int) -> None:
    subject = Subject()
    peer = Puppet(subject)
    while peer.answer_headers(MAIN, short_batches):
        pass
    assert subject.core.chain.headers.best.hash == MAIN[-1].hash
    assert len(peer.all(GetHeaders)) == 6


def test_a_long_lighter_branch_is_told_once_and_not_for_ever(short_batches: int) -> None:
    subject = Subject()
    heavy, light = Puppet(subject, "heavy"), Puppet(subject, "light", host="203.0.113.2")
    while heavy.answer_headers(OTHER, short_batches):
        pass
    asked_again = [light.answer_headers(MAIN, short_batches) for _ in range(6)]
    assert not asked_again[-1], "nothing is asked after the last one"
    assert knows(subject, MAIN[-1])
    subject.pass_time(61_000)
    assert not light.answer_headers(MAIN, short_batches), (
        "the next time it goes on from where that branch was"
    )


def test_a_fork_far_below_with_little_work_does_not_enter_the_tree_and_is_no_fault() -> None:
    subject, _ = holding(MAIN)
    peer = Puppet(subject)
    peer.show(*OTHER[:50])
    assert not knows(subject, OTHER[0])
    assert peer.score == 0


def test_a_branch_is_measured_first_and_fetched_again_once_its_work_is_enough(short_batches: int) -> None:
    subject, _ = holding(MAIN)
    peer = Puppet(subject)
    peer.serves = {block.hash: block for block in OTHER}
    for _ in range(3):
        assert not knows(subject, OTHER[0])
        peer.answer_headers(OTHER, short_batches)
    assert not knows(subject, OTHER[0])
    assert peer.asked_headers().locator == (subject.core.chain.tree.record(0).hash,), "from the fork on"
    while peer.answer_headers(OTHER, short_batches):
        pass
    assert subject.tip == OTHER[-1].hash
    assert peer.score == 0


def test_other_headers_than_were_measured_are_charged_and_do_not_enter(short_batches: int) -> None:
    subject, _ = holding(MAIN)
    peer = Puppet(subject)
    for _ in range(3):
        peer.answer_headers(OTHER, short_batches)
    peer.answer_headers(THIRD, short_batches)
    assert peer.score == 20
    assert not knows(subject, OTHER[0])
    assert not knows(subject, THIRD[0])


def test_a_peer_that_changes_its_branch_midway_is_measured_anew_and_blamed_for_nothing(
    short_batches: int,
) -> None:
    subject, _ = holding(MAIN)
    peer = Puppet(subject)
    peer.answer_headers(OTHER, short_batches)
    peer.answer_headers(THIRD, short_batches)  # from genesis again, as it has nothing of the locator
    while peer.answer_headers(THIRD, short_batches):
        pass
    assert knows(subject, THIRD[-1])
    assert peer.score == 0
    assert not knows(subject, OTHER[0])


@pytest.mark.parametrize("answers", [1, 3])
def test_a_tip_announced_while_a_branch_is_measured_or_fetched_again_disturbs_nothing(
    short_batches: int, answers: int
) -> None:
    subject, _ = holding(MAIN)
    peer = Puppet(subject)
    for _ in range(answers):
        peer.answer_headers(OTHER[:-1], short_batches)
    asked = len(peer.all(GetHeaders))
    for block in OTHER[-3:]:
        peer.show(block)
    assert len(peer.all(GetHeaders)) == asked
    while peer.answer_headers(OTHER, short_batches):
        pass
    assert knows(subject, OTHER[-1])
    assert peer.score == 0


def test_tips_announced_before_the_first_answer_are_no_fault() -> None:
    subject = Subject()
    peer = Puppet(subject)
    for block in MAIN[10:20]:
        peer.show(block)
    peer.answer_headers(MAIN[:20])
    assert knows(subject, MAIN[19])
    assert peer.score == 0


def test_headers_that_connect_to_nothing_again_and_again_are_charged() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.show()
    for _ in range(7):
        assert peer.is_there
        peer.show(MAIN[50])
        if peer.is_there:
            peer.show()  # the answer to what it was asked: it has nothing
    assert not peer.is_there


@pytest.mark.parametrize("changes", [Changes(version=7), Changes(height=9), Changes(bits=0x207FFFFE)])
def test_a_header_that_breaks_a_rule_bans_who_told_of_it(changes: Changes) -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.show(CHAIN.block(None, changes=changes))
    assert not peer.is_there
    assert "banned" in subject.told("peer-fault")[0]


def test_a_quiet_peer_is_asked_again_after_a_minute_and_one_that_does_not_answer_after_half() -> None:
    subject = Subject()
    quiet, mute = Puppet(subject, "quiet"), Puppet(subject, "mute", host="203.0.113.2")
    quiet.show()
    subject.pass_time(29_000)
    assert (len(quiet.all(GetHeaders)), len(mute.all(GetHeaders))) == (1, 1)
    subject.pass_time(2_000)
    assert (len(quiet.all(GetHeaders)), len(mute.all(GetHeaders))) == (1, 2)
    subject.pass_time(30_000)
    assert len(quiet.all(GetHeaders)) == 2


# ------------------------------------------------------------------------------------------------- future


def test_a_header_from_the_future_waits_for_its_time_and_nobody_is_blamed_nor_for_its_children() -> None:
    subject, _ = holding(MAIN[:3])
    peer = Puppet(subject)
    early = CHAIN.block(MAIN[2], timestamp_ms=subject.wall_ms + 40_000)
    heirs = [early]
    for _ in range(4):
        heirs.append(CHAIN.block(heirs[-1]))
    peer.serves = {block.hash: block for block in heirs}
    peer.show(*MAIN[:3], early)
    assert not knows(subject, early)
    for heir in heirs[1:]:
        peer.show(heir)
        peer.answer_headers([*MAIN[:3], *heirs])
    subject.pass_time(9_000)
    assert subject.height == 3
    subject.pass_time(2_000)
    assert subject.tip == early.hash
    peer.answer_headers([*MAIN[:3], *heirs])
    subject.pass_time(10_000)
    peer.answer_headers([*MAIN[:3], *heirs])
    assert subject.tip == heirs[-1].hash
    assert peer.score == 0


def test_a_parked_block_comes_from_another_where_who_told_of_it_has_left() -> None:
    subject, other = holding(MAIN[:3])
    peer = Puppet(subject)
    early = CHAIN.block(MAIN[2], timestamp_ms=subject.wall_ms + 40_000)
    other.show(*MAIN[:3])
    peer.show(*MAIN[:3], early)
    subject.take(PeerGone(peer.number, "gone"))
    other.serves[early.hash] = early
    subject.pass_time(11_000)
    other.answer_headers([*MAIN[:3], early])
    assert subject.tip == early.hash


# ------------------------------------------------------------------------------------------------- blocks


def test_blocks_are_asked_of_several_peers_at_once_each_of_one_and_in_bounds() -> None:
    subject = Subject()
    peers = [Puppet(subject, name, host=f"203.0.113.{i}") for i, name in enumerate("abc", 1)]
    for peer in peers:
        peer.show(*MAIN)
    asked = [peer.asked_blocks() for peer in peers]
    assert [len(hashes) for hashes in asked] == [16, 8, 0], "24 blocks of the longest size fit the window"
    assert sorted(h for hashes in asked for h in hashes) == sorted(block.hash for block in MAIN[:24])


def test_a_whole_branch_comes_in_a_moving_window_from_three_peers() -> None:
    subject = Subject()
    for i, name in enumerate("abc", 1):
        give(Puppet(subject, name, host=f"203.0.113.{i}"), MAIN)
    assert subject.tip == MAIN[-1].hash


def test_a_heavier_branch_is_fetched_though_the_blocks_of_the_one_before_it_are_withheld() -> None:
    subject = Subject()
    Puppet(subject, "withholds", host="203.0.113.1").show(*OTHER[:100])
    peer = Puppet(subject, "honest", host="203.0.113.2")
    give(peer, THIRD[:120])
    assert subject.tip == THIRD[119].hash


@pytest.mark.parametrize("size", [3, 20])
def test_no_block_is_fetched_twice_while_the_signatures_are_behind(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    line = Payer(ChainBuilder(RICH)).line(None, 60, entries=size)
    window = 5 * len(line[0].raw)
    monkeypatch.setattr("node.sync.WINDOW_BYTES", window)
    monkeypatch.setattr("node.bodies.MAX_HELD_BYTES", 2 * window)
    monkeypatch.setattr("node.chain.MAX_IN_CHECK", 2 * size)
    subject = Subject(RICH)
    waiting = subject.checks_held = deque()
    peer = Puppet(subject)
    give(peer, line)
    while waiting:
        assert subject.core.chain.held_bytes <= 2 * window
        asked_first = waiting.popleft()
        subject.take(SignaturesChecked(asked_first.job, (True,) * size))
    assert subject.height == 60
    asked = peer.asked_blocks()
    assert len(asked) == len(set(asked)) == 60


def test_a_peer_that_stalls_loses_its_turn_and_what_comes_late_is_no_fault() -> None:
    subject = Subject()
    slow = Puppet(subject, "slow")
    slow.show(*MAIN[:20])
    assert len(slow.asked_blocks()) == 16
    other = Puppet(subject, "other", host="203.0.113.2")
    give(other, MAIN[:20])
    assert subject.height == 0, "the first ones are still asked of the slow one"
    subject.pass_time(2_500)
    assert subject.height == 20
    for block in MAIN[:16]:
        slow.say(BlockMessage(block.raw))
    assert slow.score == 0


def test_a_peer_that_stalls_alone_is_asked_again_and_again_later() -> None:
    subject = Subject()
    slow = Puppet(subject)
    slow.show(*MAIN[:3])
    times = []
    for second in range(60):
        before = len(slow.asked_blocks())
        subject.pass_time(1_000)
        if len(slow.asked_blocks()) > before:
            times.append(second)
    assert 2 <= len(times) <= 5
    slow.say(*(BlockMessage(block.raw) for block in MAIN[:3]))
    assert subject.height == 3
    assert slow.score == 0


def test_a_peer_that_was_asked_again_and_again_may_answer_each_time() -> None:
    subject = Subject()
    slow = Puppet(subject)
    slow.show(MAIN[0])
    subject.pass_time(60_000)
    asked = len(slow.asked_blocks())
    assert asked >= 3
    slow.say(*[BlockMessage(MAIN[0].raw)] * asked)
    assert slow.score == 0
    slow.say(BlockMessage(MAIN[0].raw))
    assert slow.score > 0


def test_a_block_that_nobody_asked_for_is_charged_and_not_taken() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.say(BlockMessage(MAIN[0].raw))
    assert peer.score == 10
    assert subject.height == 0


def test_what_one_peer_has_not_is_asked_of_another() -> None:
    subject = Subject()
    without, other = Puppet(subject, "without"), Puppet(subject, "with", host="203.0.113.2")
    without.show(*MAIN[:3])
    give(other, MAIN[:3])
    without.say(NotFound(Kind.BLOCK, tuple(without.asked_blocks())))
    assert subject.height == 3
    assert without.score == 0


def test_what_a_peer_had_not_is_asked_of_it_again_after_a_while() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.show(*MAIN[:3])
    peer.say(NotFound(Kind.BLOCK, tuple(peer.asked_blocks())))
    assert len(peer.asked_blocks()) == 3
    peer.serves = {block.hash: block for block in MAIN}
    subject.pass_time(61_000)
    assert subject.height == 3


def test_blocks_that_are_withheld_stop_neither_mining_nor_telling_for_longer_than_patience() -> None:
    subject, honest = holding(MAIN[:10], mode="on")
    bad = Puppet(subject, "withholds")
    bad.show(*OTHER[:40])
    bad.show(*OTHER[:40])
    assert subject.mining is None
    assert not subject.core.sync.reason(subject.store.tip())[0]
    subject.pass_time(21_000)
    assert subject.mining is not None
    honest.heard.clear()
    give(honest, MAIN[:12])
    assert subject.height == 12
    assert len(bad.all(Headers)) + len(bad.all(Inventory)) >= 1, "told though a heavier one is said to exist"


def test_a_branch_with_the_tips_own_work_is_fetched_although_we_told_that_peer_of_our_tip() -> None:
    subject, peer = holding(MAIN[:5])
    other = Puppet(subject, "other", host="203.0.113.2")
    give(other, MAIN[:6])
    assert peer.all(Headers)[-1].raws == (MAIN[5].header.raw,), "it was told of block 6"
    rival = CHAIN.block(MAIN[4], miner=key("rival"))
    give(peer, [rival])
    assert subject.tip == MAIN[5].hash
    assert [record.hash for record in subject.core.chain.rivals()] == [rival.hash]


def test_a_long_branch_with_the_tips_own_work_is_fetched_too() -> None:
    subject, _ = holding(MAIN[:40])
    give(Puppet(subject, "other"), OTHER[:40])
    assert [record.hash for record in subject.core.chain.rivals()] == [OTHER[39].hash]


# -------------------------------------------------------------------------------------------------- views


def test_it_is_always_said_why_the_node_is_not_in_sync() -> None:
    subject = Subject()
    assert subject.core.sync.reason(subject.store.tip()) == (True, "no peers")
    peer = Puppet(subject)
    peer.show(*MAIN[:3])
    assert subject.core.sync.reason(subject.store.tip()) == (False, "downloading blocks: 0 of 3")
    peer.say(*(BlockMessage(block.raw) for block in MAIN[:3]))
    assert subject.core.sync.reason(subject.store.tip()) == (True, "up to date with 1 peer")


def test_what_a_peer_that_left_had_shown_counts_no_more() -> None:
    subject = Subject()
    peer = Puppet(subject, "gone")
    Puppet(subject, "stays", host="203.0.113.2")
    peer.show(*MAIN[:3])
    subject.take(PeerGone(peer.number, "gone"))
    assert subject.core.sync.reason(subject.store.tip()) == (True, "up to date with 1 peer")


def test_headers_of_a_peer_that_left_are_followed_by_the_blocks_of_another_that_has_them() -> None:
    world = World()
    first = world.add(mode="off")
    second = world.add((0,), mode="off")
    first.mine(30)
    world.run_until(lambda: second.height == 30)
    late = world.add((0, 1), mode="off")
    world.part(late, second)
    world.run_until(lambda: late.core.chain.headers.best.height == 30)
    assert late.height == 0
    world.part(late, first)
    world.run(1_000)
    world.join(late, second)
    world.run_until(lambda: late.tip == second.tip)
