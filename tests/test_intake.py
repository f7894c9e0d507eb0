"""The way of an entry into the mempool: what was saved comes back."""

from __future__ import annotations

from collections.abc import Sequence

from node.checks import SignatureChecks
from node.events import Answer, CheckSignatures, Effect, Now, Persist
from node.intake import Intake
from node.ledger import signature
from node.ledger.entry import Entry
from node.mempool import Mempool, Saved
from node.outbox import Outbox
from node.sessions import Sessions
from node.storage.memory import memory_disk, open_memory
from tests.building import EASY, ChainBuilder, key, with_allocations

SENDERS = [key(f"sender {number}") for number in range(200)]
PARAMETERS = with_allocations(dict.fromkeys(SENDERS, 1_000_00), EASY)
NOW = Now(PARAMETERS.genesis_ms + 1_000, 0)


class World:
    """An intake, and threads that check signatures when they are told to."""

    def __init__(self, most: int = 50_000) -> None:
        self.chain = ChainBuilder(PARAMETERS)
        store, _ = open_memory(memory_disk(PARAMETERS))
        self.out = Outbox(store)
        self.checks = SignatureChecks(self.out)
        self.mempool = Mempool(PARAMETERS, max_entries=most)
        sessions = Sessions(self.out)
        self.intake = Intake(self.chain.network_id, store, self.mempool, self.checks, sessions, self.out)

    def entries(self, each: int) -> list[Entry]:
        """Return so many entries of each sender."""
        return [self.chain.entry(sender, key("shop"), 1) for _ in range(each) for sender in SENDERS]

    def check(self, effects: Sequence[Effect]) -> int:
        """Answer the checks among these effects; return how many signatures they had."""
        asked = [effect for effect in effects if isinstance(effect, CheckSignatures)]
        for effect in asked:
            self.checks.answered(effect.job, signature.verify_many(effect.items))
        return sum(len(effect.items) for effect in asked)

    def check_all(self) -> list[int]:
        """Answer until nothing is asked; return how many signatures each round had."""
        rounds: list[int] = []
        while found := self.check(self.out.drain()):
            rounds.append(found)
        return rounds


def saved(entries: Sequence[Entry], *, own: bool = False) -> list[Saved]:
    return [Saved(entry.raw, own, NOW.wall_ms - 5) for entry in entries]


def test_a_block_may_be_made_of_what_is_pending_being_checked_or_not_looked_at_again_yet() -> None:
    world = World()
    entries = world.entries(12)
    world.intake.restore(saved(entries), NOW)
    assert {entry.txid for entry in world.intake.at_hand()} == {entry.txid for entry in entries}
    world.check(world.out.drain())
    assert 0 < len(world.mempool) < len(entries)
    assert {entry.txid for entry in world.intake.at_hand()} == {entry.txid for entry in entries}
    world.check_all()
    assert world.intake.at_hand() == [pending.entry for pending in world.mempool]


def test_all_that_was_saved_is_pending_again_however_much_it_is() -> None:
    world = World()
    entries = world.entries(60)  # 12,000: more than may be in check at a time
    world.intake.restore(saved(entries), NOW)
    assert world.check_all() == [2_000] * 6
    assert [pending.entry.txid for pending in world.mempool] == [entry.txid for entry in entries]
    assert not world.intake.restoring()


def test_until_its_signature_is_checked_again_a_saved_entry_still_counts_as_pending() -> None:
    world = World()
    entries = world.entries(11)
    world.intake.restore(saved(entries), NOW)
    for _ in range(2):
        waiting = {*world.intake.restoring(), *(pending.entry.txid for pending in world.mempool)}
        assert waiting == {entry.txid for entry in entries}
        assert all(world.intake.is_known(entry.txid) for entry in entries), "not fetched from peers meanwhile"
        world.check(world.out.drain())


def test_what_was_typed_here_stays_so_though_the_file_had_it_from_a_peer() -> None:
    world = World()
    entries = world.entries(1)[:3]
    world.intake.restore([*saved(entries), *saved(entries[1:2], own=True)], NOW)
    world.check_all()
    assert [pending.own for pending in world.mempool] == [False, True, False]


def test_what_cannot_be_pending_any_more_goes_without_a_word() -> None:
    world = World()
    good, forged = world.entries(1)[:2]
    late = world.chain.entry(key("nobody"), key("shop"), 1, timestamp_ms=1)
    forged_raw = forged.raw[:-1] + bytes([forged.raw[-1] ^ 1])
    world.intake.restore(
        [
            Saved(b"no entry", own=True, received_ms=1),
            *saved([late, good]),
            Saved(forged_raw, own=True, received_ms=1),
        ],
        NOW,
    )
    world.check_all()
    assert [pending.entry for pending in world.mempool] == [good]
    assert not world.intake.restoring()


def test_an_entry_typed_again_while_the_saved_one_is_checked_is_answered_with_its_txid() -> None:
    world = World()
    entries = world.entries(11)
    world.intake.restore(saved(entries, own=True), NOW)
    world.intake.submit(1, [entries[0].raw, entries[-1].raw], NOW, replace=False)
    answers: list[object] = []
    while True:
        effects = world.out.drain()
        answers += [effect.result for effect in effects if isinstance(effect, Answer)]
        if not world.check(effects):
            break
    world.out.persisted(world.out.latest)
    answers += [effect.result for effect in world.out.drain() if isinstance(effect, Answer)]
    assert answers == [[entries[0].txid.hex(), entries[-1].txid.hex()]]
    assert len(world.mempool) == len(entries)
    assert not world.intake.restoring()


def test_what_was_typed_comes_back_before_another_of_its_nonce_which_the_file_still_has() -> None:
    """Seed 1060: the other one had been evicted since the file was written."""
    world = World()
    evicted = world.chain.entry(SENDERS[0], key("shop"), 1, nonce=0, fee=9)
    typed = world.chain.entry(SENDERS[0], key("shop"), 2, nonce=0)
    world.intake.restore([*saved([evicted]), *saved([typed], own=True)], NOW)
    world.check_all()
    assert [pending.entry for pending in world.mempool] == [typed]


def test_what_is_typed_after_a_start_takes_no_place_of_what_was_promised_before_it() -> None:
    world = World(most=3)
    *promised, new = world.entries(1)[:4]
    world.intake.restore(saved(promised, own=True), NOW)
    world.intake.submit(1, [new.raw], NOW, replace=False)
    effects = world.out.drain()
    (answer,) = [effect.result for effect in effects if isinstance(effect, Answer)]
    assert "mempool-full" in str(answer)
    world.check(effects)
    assert [pending.entry for pending in world.mempool] == promised


def test_of_two_that_take_one_nonce_the_second_is_told_that_it_is_used_unless_it_may_replace() -> None:
    world = World()
    first = world.chain.entry(SENDERS[0], key("shop"), 1, nonce=0)
    second = world.chain.entry(SENDERS[0], key("shop"), 2, nonce=0, fee=9)
    world.intake.submit(1, [first.raw], NOW, replace=False)
    world.intake.submit(2, [second.raw], NOW, replace=False)
    world.intake.submit(3, [second.raw], NOW, replace=True)
    world.out.persisted(world.out.latest)
    answers = {effect.request: effect.result for effect in world.out.drain() if isinstance(effect, Answer)}
    assert answers[1] == [first.txid.hex()]
    assert answers[3] == [second.txid.hex()]
    refused = answers[2]
    assert isinstance(refused, list)
    assert (refused[0]["code"], bool(refused[0]["hint"])) == ("nonce-used", True)


def test_an_answer_waits_until_the_entry_is_in_the_journal() -> None:
    world = World()
    entry = world.entries(1)[0]
    world.intake.submit(1, [entry.raw], NOW, replace=False)
    assert not [effect for effect in world.out.drain() if isinstance(effect, Answer)]
    world.out.persisted(world.out.latest)
    assert [effect for effect in world.out.drain() if isinstance(effect, Answer)]


def forged(entry: Entry) -> bytes:
    return entry.raw[:-1] + bytes([entry.raw[-1] ^ 1])


def test_an_entry_that_comes_alone_is_with_the_disk_before_its_signature_is_looked_at() -> None:
    world = World()
    handed: list[Persist] = []

    def take(persist: Persist) -> None:
        handed.append(persist)
        assert not len(world.mempool), "the disk has it, and the core has not come to a verdict"

    world.out.ahead = take
    entry = world.entries(1)[0]
    world.intake.submit(1, [entry.raw], NOW, replace=False)
    assert [persist.batch.journal for persist in handed] == [[entry.raw]]
    assert len(world.mempool) == 1
    effects = world.out.drain()
    assert not [effect for effect in effects if isinstance(effect, (Answer, Persist))]
    world.out.persisted(world.out.latest)
    assert world.out.drain() == [Answer(1, [entry.txid.hex()], handed[0].batch.number)]
    assert not world.intake.has_journalled_in_vain


def test_without_a_driver_that_wants_it_sooner_it_leaves_with_the_steps_rest_once() -> None:
    world = World()
    entry = world.entries(1)[0]
    world.intake.submit(1, [entry.raw], NOW, replace=False)
    persists = [effect for effect in world.out.drain() if isinstance(effect, Persist)]
    assert [persist.batch.journal for persist in persists] == [[entry.raw]]


def test_one_with_a_bad_signature_is_refused_and_no_start_takes_it_from_the_journal() -> None:
    world = World()
    raw = forged(world.entries(1)[0])
    world.intake.submit(1, [raw], NOW, replace=False)
    world.out.drain()
    world.out.persisted(world.out.latest)
    (answer,) = world.out.drain()
    assert isinstance(answer, Answer)
    assert "'code': 'entry-signature'" in str(answer.result)
    assert world.intake.has_journalled_in_vain, "or nothing would ever empty the journal"
    again = World()
    again.intake.restore([Saved(raw, own=True, received_ms=1)], NOW)
    again.check_all()
    assert not len(again.mempool)


def test_what_waits_for_an_older_one_of_its_sender_is_journalled_only_when_it_is_taken() -> None:
    """Until then something else may refuse it, and what was refused must never come back."""
    world = World()
    ann = SENDERS[0]
    older = [world.chain.entry(ann, key("shop"), 1) for _ in range(3)]
    alone = world.chain.entry(ann, key("shop"), 1)
    world.intake.submit(1, [entry.raw for entry in older], NOW, replace=False)
    asked = world.out.drain()
    world.intake.submit(2, [alone.raw], NOW, replace=False)
    assert world.out.drain() == []
    world.check(asked)
    journals = [effect.batch.journal for effect in world.out.drain() if isinstance(effect, Persist)]
    assert journals == [[entry.raw for entry in older], [alone.raw]]


def test_what_is_refused_by_policy_never_reaches_the_journal() -> None:
    world = World()
    world.intake.submit(1, [world.chain.entry(key("nobody"), key("shop"), 1).raw], NOW, replace=False)
    assert not [effect for effect in world.out.drain() if isinstance(effect, Persist)]
