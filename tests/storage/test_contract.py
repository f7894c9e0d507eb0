"""One contract for every implementation of the port: a store never differs from a plain model of it.

The machine stages, commits, settles, switches branches and crashes at random; after each step every read is
compared with dicts that are copied whole with each batch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.ledger.merkle import leaf_hash
from node.ledger.state import Account, AccountState
from node.storage import overlay
from node.storage.port import Batch, BlockRecord, Connected, Place, Standing, Switch
from node.storage.scratch import SpillingScratch
from tests.building import Built, ChainBuilder, key, record_of, with_allocations
from tests.storage.opening import IMPLEMENTATIONS, InMemory, InSqlite, Opened, Opening

PEOPLE = tuple(key(name) for name in ("ann", "bob", "cem", "dee", "eva"))
KEYS = tuple(person.public for person in PEOPLE)
PARAMETERS = with_allocations({PEOPLE[0]: 1_000})

accounts = st.dictionaries(
    st.sampled_from(KEYS), st.builds(Account, st.integers(0, 3), st.integers(0, 2)), max_size=len(KEYS)
)


@dataclass
class State:
    """What the book holds, copied with each batch."""

    records: list[BlockRecord]
    bodies: dict[int, bytes]
    main: list[int]
    accounts: dict[bytes, AccountState]
    values: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> State:
        return State(
            list(self.records),
            dict(self.bodies),
            list(self.main),
            dict(self.accounts),
            dict(self.values),
        )

    def take(self, batch: Batch) -> None:
        for record in batch.records:
            self.records[record.id : record.id + 1] = [record]
        self.bodies.update(batch.bodies)
        if batch.switch is not None:
            branch = [batch.switch.new.id]
            while branch[-1] not in self.main:
                branch.append(self.records[branch[-1]].parent_id)
            self.main = self.main[: self.main.index(branch[-1]) + 1] + branch[-2::-1]
        self.main += [connected.record.id for connected in batch.connected]
        if batch.scratch is not None:
            self.accounts.update(batch.scratch.items())
        self.accounts.update(batch.accounts)
        self.values.update(batch.values)


class StoreMachine(RuleBasedStateMachine):
    """Drives one implementation and the model side by side."""

    opening: Opening

    @initialize(hot=st.sampled_from([1, 1_000]))
    def open(self, hot: int) -> None:
        # With next to nothing at hand all is read from below; with much, what is at hand must not grow stale.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(overlay, "HOT_ACCOUNTS", hot)
        self.patch.setattr(overlay, "HOT_BLOCKS", hot)
        self.folder = tempfile.TemporaryDirectory()
        self.opened: Opened = self.opening(PARAMETERS, Path(self.folder.name))
        self.chain = ChainBuilder(PARAMETERS)
        self.blocks: dict[int, Built] = {0: self.chain.genesis}
        genesis = self.opened.store.record(0)
        self.durable = State([genesis], {0: self.chain.genesis.raw}, [0], {KEYS[0]: Account(1_000, 0)})
        self.staged = self.durable.copy()
        self.flight: list[tuple[Batch, State]] = []
        self.committed: list[tuple[Batch, State]] = []
        self.number = 0
        self.settled_tip = 0

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.close()
            self.folder.cleanup()
            self.patch.undo()

    # ------------------------------------------------------------------------------------------ batches

    def batch(self) -> Batch:
        self.number += 1
        return Batch(self.number)

    def stage(self, batch: Batch) -> None:
        self.staged = self.staged.copy()
        self.staged.take(batch)
        self.opened.store.stage(batch)
        self.flight.append((batch, self.staged))

    def new_block(
        self, batch: Batch, parent_id: int, standing: Standing, pays: list[tuple[int, int]]
    ) -> BlockRecord:
        """Add a block to a batch; who pays whom need not be valid, as a store does not ask."""
        block_id = self.opened.store.next_id() + len(batch.records)
        entries = [
            self.chain.entry(PEOPLE[sender], PEOPLE[recipient], block_id, signed=False)
            for sender, recipient in pays
        ]
        parent = self.blocks[parent_id]
        block = self.chain.block(parent, entries, miner=PEOPLE[block_id % len(PEOPLE)], note=str(block_id))
        record = record_of(block, block_id, parent_id=parent_id, standing=standing, first_seen_ms=block_id)
        self.blocks[block_id] = block
        batch.records.append(record)
        if standing is not Standing.HEADER:
            batch.bodies.append((block_id, block.raw))
        return record

    def with_parts(self, record: BlockRecord) -> Connected:
        block = self.blocks[record.id]
        assert block.coinbase is not None
        return Connected(record, block.coinbase, block.coinbase_leaf, block.entries)

    pays = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=3)

    @rule(pays=pays, changed=accounts)
    def the_tip_gets_a_child(self, pays: list[tuple[int, int]], changed: dict[bytes, AccountState]) -> None:
        batch = self.batch()
        record = self.new_block(batch, self.opened.store.tip().id, Standing.PROVEN, pays)
        batch.connected.append(self.with_parts(record))
        batch.accounts.update(changed)
        self.stage(batch)

    @rule(data=st.data(), length=st.integers(1, 3), stored=st.booleans(), pays=pays)
    def a_branch_grows(
        self, data: st.DataObject, length: int, stored: bool, pays: list[tuple[int, int]]
    ) -> None:
        batch = self.batch()
        parent = data.draw(st.integers(0, len(self.staged.records) - 1))
        stored = stored and parent in self.staged.bodies
        for _ in range(length):
            standing = Standing.STORED if stored else Standing.HEADER
            parent = self.new_block(batch, parent, standing, pays).id
        self.stage(batch)

    @precondition(lambda self: self.staged.bodies.keys() - self.staged.main)
    @rule(data=st.data(), changed=accounts, on_the_side=accounts, spill=st.booleans())
    def another_branch_becomes_main(
        self,
        data: st.DataObject,
        changed: dict[bytes, AccountState],
        on_the_side: dict[bytes, AccountState],
        spill: bool,
    ) -> None:
        new = fork = data.draw(st.sampled_from(sorted(self.staged.bodies.keys() - self.staged.main)))
        joining = []
        while fork not in self.staged.main:
            joining.append(fork)
            fork = self.staged.records[fork].parent_id
        batch = self.batch()
        at_hand = {
            block_id: self.with_parts(self.staged.records[block_id])
            for block_id in sorted(data.draw(st.sets(st.sampled_from(joining))))
        }
        batch.switch = Switch(self.staged.records[fork], self.staged.records[new], at_hand)
        store = self.opened.store
        scratch = SpillingScratch(store.account, bound=2) if spill else store.scratch()
        for owner, account in on_the_side.items():
            scratch[owner] = account
            scratch.keep(owner, Account(9, 9))
            assert scratch[owner] == account
        batch.scratch = scratch
        batch.accounts = changed
        self.stage(batch)

    @rule(data=st.data(), standing=st.sampled_from(Standing))
    def a_block_gets_a_new_standing(self, data: st.DataObject, standing: Standing) -> None:
        batch = self.batch()
        record = data.draw(st.sampled_from(self.staged.records))
        batch.records.append(replace(record, standing=standing, rule="overspend"))
        self.stage(batch)

    @rule(name=st.sampled_from(["a", "b"]), value=st.binary(max_size=3))
    def a_value_is_set(self, name: str, value: bytes) -> None:
        batch = self.batch()
        batch.values[name] = value
        self.stage(batch)

    # -------------------------------------------------------------------------------------- what follows

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def some_are_committed(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.flight)))
        group, self.flight = self.flight[:count], self.flight[count:]
        self.opened.writer.commit([batch for batch, _ in group])
        self.committed += group
        self.durable = group[-1][1]

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def some_are_settled(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.committed)))
        batch, state = self.committed[count - 1]
        self.committed = self.committed[count:]
        self.settled_tip = state.main[-1]
        self.opened.store.settle(batch.number)

    @rule()
    def the_machine_crashes(self) -> None:
        self.opened.reopen()
        self.flight, self.committed = [], []
        self.staged = self.durable.copy()
        self.settled_tip = self.durable.main[-1]
        self.number = 0

    # ----------------------------------------------------------------------------------------- the reads

    @invariant()
    def what_is_read_is_what_was_staged(self) -> None:
        if not hasattr(self, "opened"):
            return
        store, state = self.opened.store, self.staged
        assert store.next_id() == len(state.records)
        assert store.tip() == state.records[state.main[-1]]
        assert store.durable_tip().id == self.settled_tip
        for record in state.records:
            assert store.record(record.id) == record
            assert store.find(record.hash) == record
            assert store.body(record.id) == state.bodies.get(record.id)
        assert store.find(bytes(32)) is None
        for height in range(len(state.main) + 2):
            found = store.main_at(height)
            assert found == (state.records[state.main[height]] if height < len(state.main) else None)
        headers = [state.records[block_id].header.raw for block_id in state.main]
        assert store.main_headers(0, 1_000) == headers
        assert store.main_headers(2, 2) == headers[2:4]
        for owner in KEYS:
            assert store.account(owner) == state.accounts.get(owner, Account(0, 0))
            assert store.scratch()[owner] == store.account(owner)
        for name in ("a", "b"):
            assert store.value(name) == state.values.get(name)

    @invariant()
    def what_is_indexed_is_what_is_durable(self) -> None:
        if not hasattr(self, "opened"):
            return
        store, state = self.opened.store, self.durable
        parents = {record.parent_id for record in state.records}
        assert store.leaves() == [record for record in state.records if record.id not in parents]
        touched = list(self.leaves_of_the_main_chain(state))
        for txid, place, _ in touched:
            assert store.places_of(txid) == [place]
        self.opened.check(len(touched), sum(len(keys) for _, _, keys in touched))
        for owner in KEYS:
            places = [place for _, place, keys in reversed(touched) if owner in keys]
            assert store.history_of(owner, Place(2**32, 0), 1_000) == places
            assert store.history_of(owner, Place(2**32, 0), 2) == places[:2]
            if places:
                middle = places[len(places) // 2]
                assert store.history_of(owner, middle, 1_000) == [p for p in places if p < middle]
        for block_id, block in self.blocks.items():
            if block_id and block_id not in state.main:
                assert store.places_of(leaf_hash(block.block.first_leaf)) == []

    def leaves_of_the_main_chain(self, state: State) -> Iterator[tuple[bytes, Place, set[bytes]]]:
        for height, block_id in enumerate(state.main):
            block = self.blocks[block_id]
            if block.coinbase is None:
                continue
            yield block.coinbase_leaf, Place(height, 0), {block.coinbase.miner}
            for position, entry in enumerate(block.entries, 1):
                yield entry.txid, Place(height, position), {entry.sender, entry.recipient}


class MemoryMachine(StoreMachine):
    """The port over dicts."""

    opening = InMemory


class SqliteMachine(StoreMachine):
    """The port over a file."""

    opening = InSqlite


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=100, stateful_step_count=40)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=100, stateful_step_count=40)


@pytest.fixture(params=IMPLEMENTATIONS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    implementation: Opening = request.param
    found = implementation(PARAMETERS, tmp_path)
    yield found
    found.close()


def test_a_new_book_holds_genesis_and_its_allocations(opened: Opened) -> None:
    genesis = ChainBuilder(PARAMETERS).genesis
    assert opened.store.tip().header == genesis.header
    assert opened.store.body(0) == genesis.raw
    assert opened.store.account(KEYS[0]) == Account(1_000, 0)
    assert opened.store.account(KEYS[1]) == Account(0, 0)


def test_numbers_of_batches_ascend(opened: Opened) -> None:
    opened.store.stage(Batch(2))
    with pytest.raises(ValueError, match="batch 2 staged after 2"):
        opened.store.stage(Batch(2))


def test_settling_closes_the_scratch_copy(opened: Opened) -> None:
    batch = Batch(1)
    scratch = SpillingScratch(opened.store.account, bound=1)
    for owner in KEYS:
        scratch[owner] = Account(1, 1)
    batch.scratch = scratch
    opened.store.stage(batch)
    assert opened.store.account(KEYS[3]) == Account(1, 1)
    opened.writer.commit([batch])
    opened.store.settle(1)
    assert len(scratch) == 0
    assert opened.store.account(KEYS[3]) == Account(1, 1)
