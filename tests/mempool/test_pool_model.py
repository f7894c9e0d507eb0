"""The pool against a plain, slow model of it, over random lives of a small network.

The model is a list. Of choices that the pool is free in (which of equals is evicted, what fills a block) it
asks only that they are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.ledger import rules
from node.ledger.block import Coinbase
from node.ledger.entry import Entry
from node.ledger.state import ABSENT, Account, AccountState, apply_coinbase, apply_entry
from node.mempool import Added, Mempool, Pending, Refused, block_overhead, entry_bytes
from tests.building import EASY, ChainBuilder, Key, key

START = 1_700_000_001_000
LIFETIME = 14 * 86_400_000
DRIFT = 30_000
BUILDER = ChainBuilder()
SENDERS = [key(f"sender {number}") for number in range(4)]
MAX_ENTRIES = 6
MAX_BYTES = 1_300

senders = st.sampled_from(SENDERS)
amounts = st.integers(0, 60)


class Offer(NamedTuple):
    """An entry that someone offers, mostly a fair one."""

    sender: Key
    recipient: Key
    ahead: int
    fee: int
    amount: int
    memo: str
    time: int
    own: bool
    replace: bool


offers = st.builds(
    Offer,
    sender=senders,
    recipient=senders,
    ahead=st.sampled_from([0] * 6 + [1] * 4 + [2, 2, 3, -1, 64, 65]),
    fee=st.sampled_from([1, 1, 1, 2, 2, 3, 4, 8, 30, 0]),
    amount=amounts,
    memo=st.sampled_from(["", "", "", "m" * 60, "m" * 250]),
    time=st.sampled_from([START] * 9 + [START + 1_000, START + DRIFT, START - LIFETIME, START + DRIFT + 1]),
    own=st.sampled_from([False, False, False, True]),
    replace=st.sampled_from([True, True, False]),
)


@dataclass
class Ledger:
    """The accounts, changed by the law alone."""

    accounts: dict[bytes, AccountState] = field(default_factory=dict)

    def __getitem__(self, public: bytes) -> Account:
        return Account(*self.accounts.get(public, ABSENT))

    def __setitem__(self, public: bytes, account: AccountState) -> None:
        self.accounts[public] = account

    def copy(self) -> Ledger:
        return Ledger(dict(self.accounts))


@dataclass
class Mined:
    """A block, as far as the pool is concerned."""

    entries: list[Entry]
    miner: bytes
    before: Ledger
    timestamp: int


class Model:
    """What the pool should hold."""

    def __init__(self) -> None:
        self.waiting: list[Pending] = []

    def at(self, sender: bytes, nonce: int) -> Pending | None:
        return next((p for p in self.waiting if (p.entry.sender, p.entry.nonce) == (sender, nonce)), None)

    def of(self, sender: bytes) -> list[Pending]:
        mine = [pending for pending in self.waiting if pending.entry.sender == sender]
        return sorted(mine, key=lambda pending: pending.entry.nonce)

    def drop(self, entry: Entry) -> Pending:
        gone = next(pending for pending in self.waiting if pending.entry == entry)
        self.waiting.remove(gone)
        return gone

    def is_over(self) -> bool:
        size = sum(len(pending.entry.raw) for pending in self.waiting)
        return len(self.waiting) > MAX_ENTRIES or size > MAX_BYTES

    def refusal(self, entry: Entry, account: Account, tip: int, now: int, *, replace: bool) -> str | None:
        """The policy, apart from the room."""
        if any(pending.entry == entry for pending in self.waiting):
            return "already-pending"
        if entry.nonce < account.nonce:
            return "nonce-used"
        if entry.timestamp_ms + LIFETIME <= tip:
            return "entry-expired"
        if entry.nonce - account.nonce > 64:
            return "nonce-too-far"
        if entry.fee < 1:
            return "fee-too-low"
        if entry.timestamp_ms - now > DRIFT:
            return "entry-from-future"
        old = self.at(entry.sender, entry.nonce)
        if old is not None and not replace:
            return "nonce-used"
        if old is not None and entry.fee * 10 < max(old.entry.fee * 11, old.entry.fee * 10 + 10):
            return "fee-too-low-to-replace"
        others = [p.entry for p in self.of(entry.sender) if p is not old]
        if sum(e.amount + e.fee for e in [*others, entry]) > account.balance:
            return "overspend"
        return None

    def worth(self, sender: bytes, ledger: Ledger) -> tuple[bool, int] | None:
        """What a sender's highest nonce is worth to the pool; None where it may not be evicted."""
        mine = self.of(sender)
        if not mine or mine[-1].own:
            return None
        account = ledger[sender]
        complete = [p.entry.nonce for p in mine] == [account.nonce + step for step in range(len(mine))]
        paid = sum(p.entry.amount + p.entry.fee for p in mine) <= account.balance
        return (complete and paid, mine[-1].entry.fee)

    def cheapest(self, ledger: Ledger) -> tuple[bool, int] | None:
        values = [self.worth(sender.public, ledger) for sender in SENDERS]
        return min((value for value in values if value is not None), default=None)

    def evict(self, victim: Entry, newcomer: Pending, worth: tuple[bool, int], ledger: Ledger) -> None:
        """Take out the victim, which must be one of those whose turn it is."""
        assert self.is_full_for(newcomer)
        old = self.at(newcomer.entry.sender, newcomer.entry.nonce)
        if old is not None and self.worth(victim.sender, ledger) != self.cheapest(ledger):
            self.drop(old.entry)  # it was the cheapest itself; it leaves either way
        tail = self.of(victim.sender)[-1]
        assert tail.entry == victim
        assert not tail.own
        value = self.worth(victim.sender, ledger)
        assert value is not None
        assert value == self.cheapest(ledger)
        assert newcomer.own or value < worth
        assert victim.sender != newcomer.entry.sender or victim.nonce > newcomer.entry.nonce
        self.drop(victim)

    def is_full_for(self, newcomer: Pending) -> bool:
        """Tell whether a bound is passed with the newcomer in, and what it replaces out."""
        after = Model()
        place = (newcomer.entry.sender, newcomer.entry.nonce)
        after.waiting = [p for p in self.waiting if (p.entry.sender, p.entry.nonce) != place]
        after.waiting.append(newcomer)
        return after.is_over()

    def value_of(self, entry: Entry, account: Account) -> tuple[bool, int]:
        """What a newcomer would be worth."""
        ahead = range(account.nonce, entry.nonce)
        return (all(self.at(entry.sender, nonce) for nonce in ahead), entry.fee)


class PoolLife(RuleBasedStateMachine):
    """A node's pool while entries come, blocks are connected, and the chain switches."""

    @initialize()
    def begin(self) -> None:
        self.pool = Mempool(EASY, max_entries=MAX_ENTRIES, max_bytes=MAX_BYTES)
        self.model = Model()
        self.ledger = Ledger({sender.public: Account(200, 0) for sender in SENDERS})
        self.chain: list[Mined] = []
        self.tip = START
        self.now = START

    # ------------------------------------------------------------------------------------------- entries

    @rule(entries=st.lists(offers, min_size=1, max_size=8))
    def offer(self, entries: list[Offer]) -> None:
        for entry in entries:
            self.offer_one(entry)

    def offer_one(self, offer: Offer) -> None:
        account = self.ledger[offer.sender.public]
        nonce = account.nonce + offer.ahead
        if nonce < 0:
            return
        entry = BUILDER.entry(
            offer.sender,
            offer.recipient,
            offer.amount,
            fee=offer.fee,
            nonce=nonce,
            timestamp_ms=offer.time,
            memo=offer.memo,
            signed=False,
        )
        own, replace = offer.own, offer.replace
        expected = self.model.refusal(entry, account, self.tip, self.now, replace=replace)
        newcomer = Pending(entry, own, self.now)
        admitted, _ = self.outcome(self.pool.admit, newcomer, account, own=own, replace=replace)
        before = set(self.pool)
        code, added = self.outcome(
            self.pool.add, newcomer, account, own=own, received_ms=self.now, replace=replace
        )
        if not isinstance(added, Added):
            assert code == (expected or "mempool-full")
            assert admitted in (None, code)
            assert set(self.pool) == before
            if expected is None:
                self.check_no_room(newcomer, account)
            return
        assert admitted is None
        assert expected is None
        old = self.model.at(entry.sender, nonce)
        assert added.replaced == (old.entry if old else None)
        worth = self.model.value_of(entry, account)
        for victim in added.evicted:
            self.model.evict(victim, newcomer, worth, self.ledger)
        assert not self.model.is_full_for(newcomer)
        if old is not None:
            assert self.pool.winner_of(old.entry.txid) == entry.txid
            self.model.waiting = [pending for pending in self.model.waiting if pending is not old]
        self.model.waiting.append(newcomer)

    def outcome(
        self, action: Callable[..., Added | None], newcomer: Pending, account: Account, **options: object
    ) -> tuple[str | None, Added | None]:
        """Return the code of the refusal, or None and what was answered."""
        try:
            return None, action(newcomer.entry, account, self.tip, self.now, **options)
        except Refused as refused:
            return refused.code, None

    def check_no_room(self, newcomer: Pending, account: Account) -> None:
        """A refusal for want of room must be right: push out by the book, until nobody may be."""
        model = Model()
        model.waiting = list(self.model.waiting)
        entry = newcomer.entry
        while model.is_full_for(newcomer):
            cheapest = model.cheapest(self.ledger)
            if cheapest is None or (not newcomer.own and cheapest >= model.value_of(entry, account)):
                return
            equal = [s for s in SENDERS if model.worth(s.public, self.ledger) == cheapest]
            tails = [model.of(sender.public)[-1].entry for sender in equal]
            if any(tail.sender == entry.sender and tail.nonce < entry.nonce for tail in tails):
                return
            if len(tails) > 1:
                return  # which of equals went first may decide how many had to
            model.drop(tails[0])
        pytest.fail("there was room to be made")

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.model.waiting) - 1))
        pending = self.model.waiting[place]
        assert self.pool.adopt(pending.entry.txid)
        self.model.waiting[place] = pending._replace(own=True)

    # -------------------------------------------------------------------------------------------- blocks

    def mine(self, data: st.DataObject, ledger: Ledger, miner: bytes, timestamp: int) -> Mined:
        """Return a block of pending entries and rivals to them, applied to `ledger`."""
        before = ledger.copy()
        chosen: list[Entry] = []
        for sender in data.draw(st.lists(senders, max_size=5)):
            account = ledger[sender.public]
            pending = self.model.at(sender.public, account.nonce)
            rival = data.draw(st.booleans())
            fee = data.draw(st.integers(1, 9))
            amount = data.draw(amounts | st.just(max(0, account.balance - fee - 20)))
            entry = BUILDER.entry(
                sender,
                data.draw(senders),
                amount,
                fee=fee,
                nonce=account.nonce,
                timestamp_ms=START,
                memo="a rival",
                signed=False,
            )
            if pending is not None and not rival:
                entry = pending.entry
            if entry.amount + entry.fee <= account.balance:
                apply_entry(ledger, entry)
                chosen.append(entry)
        fees = sum(entry.fee for entry in chosen)
        apply_coinbase(ledger, Coinbase(1, miner, 20 + fees, ""))
        return Mined(chosen, miner, before, timestamp)

    def connect(self, block: Mined) -> None:
        settled = self.pool.block_connected(block.entries, self.ledger.__getitem__, credited=[block.miner])
        confirmed, conflicted = [], []
        for entry in block.entries:
            pending = self.model.at(entry.sender, entry.nonce)
            if pending is None:
                continue
            self.model.drop(pending.entry)
            if pending.entry == entry:
                confirmed.append(entry)
            else:
                conflicted.append(pending.entry)
                assert self.pool.winner_of(pending.entry.txid) == entry.txid
        assert (settled.confirmed, settled.conflicted) == (confirmed, conflicted)
        self.chain.append(block)

    @rule(data=st.data(), miner=senders, step=st.sampled_from([1, 1_000, LIFETIME // 2]))
    def block(self, data: st.DataObject, miner: Key, step: int) -> None:
        self.tip += step
        self.now = max(self.now, self.tip)
        self.connect(self.mine(data, self.ledger, miner.public, self.tip))

    @precondition(lambda self: self.chain)
    @rule(data=st.data(), miner=senders)
    def switch(self, data: st.DataObject, miner: Key) -> None:
        """Some blocks leave, one more joins; the pool is told when the accounts are those of the new tip."""
        depth = data.draw(st.integers(1, min(3, len(self.chain))))
        undone = self.chain[-depth:][::-1]
        del self.chain[-depth:]
        self.ledger = undone[-1].before.copy()
        joined = [self.mine(data, self.ledger, miner.public, self.tip + step) for step in range(depth + 1)]
        self.tip += depth
        for block in undone:
            self.take_back(block)
        for block in joined:
            self.connect(block)

    def take_back(self, block: Mined) -> None:
        returned = self.pool.block_disconnected(
            block.entries, self.ledger.__getitem__, self.tip, self.now, debited=[block.miner]
        )
        before = [pending.entry for pending in self.model.waiting]
        own = [pending.entry for pending in self.model.waiting if pending.own]
        after = [pending.entry for pending in self.pool]
        for entry in block.entries:
            used = entry.nonce < self.ledger[entry.sender].nonce
            expired = entry.timestamp_ms + LIFETIME <= self.tip
            if used:
                assert entry not in after
            elif not expired and not self.model.at(entry.sender, entry.nonce):
                assert (entry in returned.pending) or (entry in returned.lost)
            if expired and entry not in before:
                assert entry not in after
        # Whatever left has been told of, or another took its place; what was typed here stays.
        for entry in before:
            replaced = self.pool.winner_of(entry.txid) is not None
            assert entry in after or entry in returned.lost or replaced
            assert entry not in own or entry in after or replaced
        assert set(after) <= set(before) | set(block.entries)
        self.model.waiting = list(self.pool)

    @rule()
    def expire(self) -> None:
        gone = self.pool.expire(self.tip)
        expected = [p.entry for p in self.model.waiting if p.entry.timestamp_ms + LIFETIME <= self.tip]
        assert set(gone) == set(expected)
        for entry in gone:
            self.model.drop(entry)

    # ------------------------------------------------------------------------------------------ template

    @rule(
        maximum=st.sampled_from([500, 900, 1_400, 1 << 20]),
        ahead=st.sampled_from([1, 1_000, LIFETIME]),
        note=st.sampled_from(["", "a note"]),
    )
    def template(self, maximum: int, ahead: int, note: str) -> None:
        timestamp = self.tip + ahead
        template = self.pool.template(maximum, timestamp, self.ledger.__getitem__, note=note)
        assert template.dropped == []
        assert template.fees == sum(entry.fee for entry in template.entries)
        ledger = self.ledger.copy()
        room = maximum - block_overhead(note)
        for entry in template.entries:
            rules.check_entry_in_context(entry, timestamp, EASY)
            apply_entry(ledger, entry)
            room -= entry_bytes(entry.raw)
        assert room >= 0 or template.entries == []
        spent = {s.public: self.spendable(s.public, template.entries) for s in SENDERS}
        for sender in SENDERS:
            following = self.model.at(sender.public, ledger[sender.public].nonce)
            if following is not None:
                entry = following.entry
                late = not entry.timestamp_ms - DRIFT <= timestamp <= entry.timestamp_ms + LIFETIME
                poor = entry.amount + entry.fee > spent[sender.public]
                assert late or poor or entry_bytes(entry.raw) > room

    def spendable(self, sender: bytes, entries: list[Entry]) -> int:
        spent = sum(entry.amount + entry.fee for entry in entries if entry.sender == sender)
        return self.ledger[sender].balance - spent

    # ---------------------------------------------------------------------------------------- invariants

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert set(self.pool) == set(self.model.waiting)
        assert len(self.pool) == len(self.model.waiting) <= MAX_ENTRIES
        assert self.pool.size == sum(len(p.entry.raw) for p in self.model.waiting) <= MAX_BYTES

    @invariant()
    def knows_each_sender(self) -> None:
        for sender in SENDERS:
            mine = self.model.of(sender.public)
            cost = sum(p.entry.amount + p.entry.fee for p in mine)
            assert self.pool.pending_cost(sender.public) == cost


TestPoolLife = PoolLife.TestCase
