"""A life of random events against a plain model of the ledger and of fork choice.

A tree of blocks grows, good and bad ones, some ahead of their time; headers and bodies come in any order;
answers about signatures and from the disk come late or never, and the node is stopped at any moment. Whenever
all has come to rest, the tip is the end of a heaviest branch that the model finds valid, and the accounts are
the model's. What is from the future is not in the book, and is once its time has come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node import bodies, chain, checks, headers, proving
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.storage.memory import MemoryDisk
from tests.building import EASY, NO_CHANGES, Built, ChainBuilder, Changes, key, with_allocations
from tests.chaining import PEER, Node, copy_of, oddities

PEOPLE = tuple(key(name) for name in ("ann", "bob", "cem"))
# Sixteen hashes a block at first; pauses of 40 s ease it by half, down to two: work is not length.
PARAMETERS = replace(
    with_allocations({PEOPLE[0]: 1_000_00, PEOPLE[1]: 1_00}), genesis_bits=0x200FFFFF, maturity=1
)
FEE = 1
DRIFT_MS = 30_000


class Payment(NamedTuple):
    """An entry as the model sees it."""

    sender: bytes
    recipient: bytes
    amount: int
    nonce: int
    is_signed: bool


@dataclass
class Modelled:
    """A block as the model sees it."""

    parent: int
    work: int
    miner: bytes
    payments: list[Payment]
    is_odd: bool
    """Breaks a rule that needs no accounts."""


@dataclass
class Ledger:
    """Accounts after a block: key to [balance, next nonce]."""

    accounts: dict[bytes, list[int]]

    def copy(self) -> Ledger:
        return Ledger({owner: list(account) for owner, account in self.accounts.items()})

    def pay(self, payment: Payment) -> bool:
        """Move the money; False where that is against the rules."""
        sender = self.accounts.get(payment.sender, [0, 0])
        cost = payment.amount + FEE
        if not payment.is_signed or payment.nonce != sender[1] or cost > sender[0]:
            return False
        self.accounts[payment.sender] = [sender[0] - cost, sender[1] + 1]
        recipient = self.accounts.setdefault(payment.recipient, [0, 0])
        recipient[0] += payment.amount
        return True


class Model:
    """All blocks ever made, by number, and what the book is after each."""

    def __init__(self) -> None:
        start = Ledger({PEOPLE[0].public: [1_000_00, 0], PEOPLE[1].public: [1_00, 0]})
        self.blocks = [Modelled(-1, 0, b"", [], is_odd=False)]
        self.ledgers: list[Ledger | None] = [start]

    def add(self, block: Modelled) -> None:
        self.blocks.append(block)
        self.ledgers.append(self._after(block))

    def _after(self, block: Modelled) -> Ledger | None:
        """Return the accounts after a block, None where it or one before it is bad."""
        before = self.ledgers[block.parent]
        if before is None or block.is_odd:
            return None
        ledger = before.copy()
        if not all(ledger.pay(payment) for payment in block.payments):
            return None
        if block.parent > 0:  # a reward is credited one block later
            parent = self.blocks[block.parent]
            reward = 50_00 + FEE * len(parent.payments)
            ledger.accounts.setdefault(parent.miner, [0, 0])[0] += reward
        return ledger

    def path(self, number: int) -> list[int]:
        """Return a block and those before it, genesis left out."""
        found = []
        while number > 0:
            found.append(number)
            number = self.blocks[number].parent
        return found[::-1]


class Plan(NamedTuple):
    """What a block is to be like."""

    wanted: list[tuple[int, int, int]]
    """Payments: who, to whom, how much; those that cannot be paid are left out."""
    miner: int
    pause_ms: int
    fault: str


work = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1, 30, 100, 2_000])),
    st.tuples(st.just("answer"), st.integers(0, 100)),
    st.tuples(st.just("save"), st.integers(1, 6)),
)
people = st.integers(0, 2)
plans = st.builds(
    Plan,
    wanted=st.lists(st.tuples(people, people, st.sampled_from([0, 1, 50, 99, 400_00])), max_size=4),
    miner=people,
    pause_ms=st.sampled_from([1_000, 1_000, 1_000, 40_000]),
    fault=st.sampled_from([""] * 54 + ["signature", "nonce", "overspend", "coinbase", "history", "count"]),
)


class ChainMachine(RuleBasedStateMachine):
    """A node, the blocks that exist, and what it was given of them."""

    @initialize()
    def begin(self) -> None:
        self.builder = ChainBuilder(PARAMETERS)
        self.model = Model()
        self.built: list[Built] = [self.builder.genesis]
        self.numbers = {self.builder.genesis.hash: 0}
        self.told: set[int] = set()
        self.given: set[int] = set()
        self.early: set[int] = set()
        """Blocks whose headers wait in the node for their time."""
        self.now_ms = EASY.genesis_ms + 200_000
        self.node = Node(self.builder)
        self.tip = self.node.chain.tip

    # ---------------------------------------------------------------------------------------- the world

    @rule(
        parent=st.integers(0, 10_000),
        recent=st.sampled_from([2, 4, 1_000]),
        branch=st.lists(plans, min_size=1, max_size=5),
        arrives=st.sampled_from(["not", "headers", "in order", "in order", "backwards"]),
    )
    def a_branch_grows(self, parent: int, recent: int, branch: list[Plan], arrives: str) -> None:
        """Blocks one on the other, on one of the most recent."""
        at = len(self.built) - 1 - parent % min(recent, len(self.built))
        for plan in branch:
            at = self.make(at, plan)
        if arrives == "headers":
            self.tell(at)
        elif arrives != "not":
            self.give_branch(at, backwards=arrives == "backwards")

    def make(self, parent: int, plan: Plan) -> int:
        before = self.model.ledgers[parent] or self.model.ledgers[0]
        assert before is not None
        book = before.copy()
        made: list[Payment] = []
        for sender, recipient, amount in plan.wanted:
            owner = PEOPLE[sender].public
            nonce = book.accounts.get(owner, [0, 0])[1]
            payment = Payment(owner, PEOPLE[recipient].public, amount, nonce, is_signed=True)
            if book.pay(payment):
                made.append(payment)
        fault = plan.fault
        if fault == "overspend":
            owner, nonce = PEOPLE[2].public, book.accounts.get(PEOPLE[2].public, [0, 0])[1]
            made.append(Payment(owner, PEOPLE[0].public, 1_000_000_00, nonce, is_signed=True))
        if made and fault == "nonce":
            made[0] = made[0]._replace(nonce=made[0].nonce + 1)
        if made and fault == "signature":
            made[-1] = made[-1]._replace(is_signed=False)
        block = self.builder.block(
            self.built[parent],
            [self.entry(payment) for payment in made],
            timestamp_ms=self.built[parent].timestamp_ms + plan.pause_ms,
            miner=PEOPLE[plan.miner],
            note=str(len(self.built)),
            changes={
                "coinbase": Changes(coinbase_amount=50_00 + len(made) * FEE + 1),
                "history": Changes(history_root=bytes(32)),
                "count": Changes(count=60),
            }.get(fault, NO_CHANGES),
        )
        self.numbers[block.hash] = len(self.built)
        self.built.append(block)
        is_odd = fault in ("coinbase", "history", "count")
        self.model.add(Modelled(parent, block.work, PEOPLE[plan.miner].public, made, is_odd=is_odd))
        return len(self.built) - 1

    def entry(self, payment: Payment) -> Entry:
        sender = next(person for person in PEOPLE if person.public == payment.sender)
        return self.builder.entry(
            sender,
            payment.recipient,
            payment.amount,
            nonce=payment.nonce,
            timestamp_ms=EASY.genesis_ms,
            signed=payment.is_signed,
        )

    # -------------------------------------------------------------------------------------- what comes in

    def tell(self, number: int) -> bool:
        """Tell of a block's header and all before it; False where they are refused, or not all known yet."""
        path = self.model.path(number)
        try:
            self.node.headers(self.built[number], now_ms=self.now_ms)
        except RuleBroken as broken:
            if broken.rule != "condemned-parent" or self.model.ledgers[number] is not None:
                raise
            self.told |= {at for at in path if self.knows(at)}
            return False
        known = [at for at in path if self.knows(at)]
        self.told |= set(known)
        if known == path:
            return True
        first = path[len(known)]
        assert self.due_ms(first) > self.now_ms, "only the future keeps a good header out"
        self.early.add(first)
        return False

    def due_ms(self, number: int) -> int:
        return self.built[number].timestamp_ms - DRIFT_MS

    def knows(self, number: int) -> bool:
        return self.node.store.find(self.built[number].hash) is not None

    def give(self, number: int) -> None:
        """Hand over a body; where it is bad and that can be seen at once, it is condemned at once."""
        if self.tell(number):
            self.node.body(self.built[number], origin=PEER)
            self.given.add(number)

    @precondition(lambda self: len(self.built) > 1)
    @rule(data=st.data())
    def headers_come(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.integers(1, len(self.built) - 1)))

    @precondition(lambda self: len(self.built) > 1)
    @rule(data=st.data(), count=st.integers(1, 4))
    def bodies_come(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            self.give(data.draw(st.integers(1, len(self.built) - 1)))

    @precondition(lambda self: len(self.built) > 1)
    @rule(back=st.integers(0, 10_000), recent=st.sampled_from([3, 8, 1_000]), backwards=st.booleans())
    def a_whole_branch_comes(self, back: int, recent: int, backwards: bool) -> None:
        last = len(self.built) - 1
        self.give_branch(last - back % min(recent, last), backwards=backwards)

    def give_branch(self, end: int, *, backwards: bool) -> None:
        path = self.model.path(end)
        for number in reversed(path) if backwards else path:
            if not self.is_stored(number):
                self.give(number)

    @rule(passes_ms=st.sampled_from([1_000, 10_000, 60_000]))
    def time_passes(self, passes_ms: int) -> None:
        """What has waited for its time is told of again, as whoever drives the chain does."""
        self.now_ms += passes_ms
        for parked in self.node.chain.headers.due(self.now_ms):
            self.tell(self.numbers[parked.header.hash])
        due = {number for number in self.early if self.due_ms(number) <= self.now_ms}
        self.early -= due
        for number in due:
            assert self.knows(number) or self.model.ledgers[self.model.blocks[number].parent] is None

    @rule(steps=st.lists(work, min_size=1, max_size=10))
    def work_is_done(self, steps: list[tuple[str, int]]) -> None:
        """Some of it: the core's own, answers about signatures, the disk's."""
        for kind, number in steps:
            if kind == "advance":
                self.node.advance(number)
            elif kind == "save":
                self.node.save(number)
            elif self.node.asked:
                self.node.answer(number % len(self.node.asked))

    @precondition(lambda self: self.given)
    @rule()
    def the_node_is_stopped_and_started(self) -> None:
        """What was not on the disk is lost; so are bodies in memory."""
        self.node = Node(self.builder, self.node.disk)
        self.told = {number for number in self.told if self.knows(number)}
        self.given = set()
        self.early = set()
        self.tip = self.node.chain.tip

    def teardown(self) -> None:
        if hasattr(self, "node"):
            self.all_comes_to_rest()

    @precondition(lambda self: len(self.built) > 3)
    @rule()
    def all_comes_to_rest(self) -> None:
        known = self.rest()
        valid = [number for number in known if self.model.ledgers[number] is not None]
        heaviest = max(self.model.blocks[number].work for number in valid)
        tip = self.numbers[self.node.chain.tip.hash]
        assert self.model.blocks[tip].work == heaviest
        assert tip in valid
        assert self.node.chain.held_bytes <= self.waiting_bytes()
        self.check_disk(self.node.disk)
        # Another node that finds this disk has nothing to do.
        again = Node(self.builder, copy_of(self.node.disk))
        again.settle()
        assert again.chain.tip.hash == self.node.chain.tip.hash
        assert again.chain.headers.best.work == self.node.chain.headers.best.work

    def rest(self) -> set[int]:
        """Let all be done, forgotten bodies among it; return the blocks whose bodies are all known."""
        while True:
            self.node.settle()
            missing = [
                number
                for number in sorted(self.given)
                if not self.node.chain.has_body(self.node.record(self.built[number]))
                and not self.node.chain.headers.is_condemned(self.node.record(self.built[number]))
                and all(self.is_stored(before) for before in self.model.path(number)[:-1])
            ]
            if not missing:
                break
            for number in missing:
                self.node.body(self.built[number])
        return {0} | {
            number
            for number in sorted(self.told)
            if all(before in self.given or self.is_stored(before) for before in self.model.path(number))
        }

    def is_stored(self, number: int) -> bool:
        """Tell whether its body is in the book, as the node sees it."""
        record = self.node.store.find(self.built[number].hash)
        return record is not None and self.node.store.body(record.id) is not None

    def waiting_bytes(self) -> int:
        """Return the bytes of what waits for its parent's body, or for the rest of a heavier branch."""
        chain = self.node.chain
        best = chain.headers.best if chain.headers.best.work > chain.tip.work else chain.tree.record(0)
        return sum(
            len(self.built[number].raw)
            for number in self.given
            if not self.is_stored(number)
            or chain.tree.is_ancestor(self.node.record(self.built[number]), best)
        )

    # --------------------------------------------------------------------------------------- what holds

    @invariant()
    def the_tip_only_moves_to_more_work_and_is_valid(self) -> None:
        if not hasattr(self, "node"):
            return
        tip = self.node.chain.tip
        assert tip.work > self.tip.work or tip.hash == self.tip.hash
        self.tip = tip
        ledger = self.model.ledgers[self.numbers[tip.hash]]
        assert ledger is not None
        for owner, account in ledger.accounts.items():
            assert list(self.node.store.account(owner)) == account

    @invariant()
    def what_is_on_the_disk_is_whole(self) -> None:
        if hasattr(self, "node"):
            self.check_disk(self.node.disk)

    def check_disk(self, disk: MemoryDisk) -> None:
        assert list(oddities(disk)) == []
        ledger = self.model.ledgers[self.numbers[disk.tip().hash]]
        assert ledger is not None
        there = {owner: account for owner, account in ledger.accounts.items() if account != [0, 0]}
        assert {owner: list(account) for owner, account in disk.accounts.items()} == there
        for record in disk.records:
            assert record.header.timestamp_ms <= self.now_ms + DRIFT_MS
            # Nobody is condemned who is good; nobody counts as proven who is not.
            is_valid = self.model.ledgers[self.numbers[record.hash]] is not None
            assert is_valid or record.standing.name != "PROVEN"
            assert not is_valid or record.standing.name != "CONDEMNED"


class SmallMachine(ChainMachine):
    """The same with hardly any memory, a slow disk and everything in small parts."""


@pytest.fixture(autouse=True)
def _all_signatures_take_their_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "INLINE", 0)
    monkeypatch.setattr(checks, "CHUNK", 2)
    if request.cls is TestSmall:
        for module in (bodies, chain):
            monkeypatch.setattr(module, "MAX_HELD_BYTES", 2_000)
        monkeypatch.setattr(chain, "MAX_UNSAVED_ENTRIES", 100)
        monkeypatch.setattr(chain, "READ_AHEAD_ENTRIES", 40)
        monkeypatch.setattr(proving, "PROOF_KEPT_BLOCKS", 2)
        monkeypatch.setattr(headers, "MARKED_AT_ONCE", 2)


TestRoomy = ChainMachine.TestCase
TestRoomy.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestSmall = SmallMachine.TestCase
TestSmall.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
