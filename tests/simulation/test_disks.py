"""Disks of the simulator: what was durable is there after any crash, what was under way in part, in order."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from node import startup
from node.disk import PEERS_NAME, Write
from node.events import Persist, SavePeers, SavePending
from node.ledger.block import network_id
from node.ledger.state import Account
from node.mempool.saved import VERSION
from node.sealed import seal
from node.storage import inspecting
from node.storage.faults import DiskFull
from node.storage.memory import MemoryDisk, memory_disk, open_memory
from node.storage.port import Batch, Connected, Place, Standing, StorageFault, Store, Switch
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME
from tests.building import Built, ChainBuilder, key, record_of, with_allocations
from tests.chaining import copy_of
from tests.simulation.disks import LOG_NAME, FolderMedium, Medium, MemoryMedium, Opened
from tests.simulation.steps import JOURNAL_NAME
from tests.simulation.tearing import torn_log

PEOPLE = tuple(key(name) for name in ("ann", "bob", "cem"))
KEYS = tuple(person.public for person in PEOPLE)
PARAMETERS = with_allocations({PEOPLE[0]: 1_000})
NETWORK = network_id(PARAMETERS)
MOST_BLOCKS = 60
"""Of one run: every one is read again after each crash."""

Making = Callable[[Path], Medium]


def in_memory(_folder: Path) -> Medium:
    return MemoryMedium(PARAMETERS)


def in_folder(folder: Path) -> Medium:
    return FolderMedium(PARAMETERS, folder)


BOTH = pytest.mark.parametrize("make", [in_memory, in_folder])


@dataclass(frozen=True)
class State:
    """What is on the disk after some write."""

    book: MemoryDisk
    pending: tuple[bytes, ...] = ()
    journal: tuple[bytes, ...] = ()
    peers: bytes | None = None

    def after(self, write: Write) -> State:
        if isinstance(write, SavePeers):
            return replace(self, peers=write.content)
        if isinstance(write, SavePending):
            return replace(self, pending=self.pending + self.journal, journal=())
        book = copy_of(self.book)
        open_memory(book)[1].commit([write.batch])
        return replace(self, book=book, journal=self.journal + tuple(write.batch.journal))


def view(store: Store, txids: Sequence[bytes]) -> object:
    """Return all that can be read."""
    end = Place(2**32, 0)
    ids = range(store.next_id())
    return (
        store.tip(),
        [store.record(block_id) for block_id in ids],
        [store.find(store.record(block_id).hash) for block_id in ids],
        [store.body(block_id) for block_id in ids],
        store.main_headers(0, 1_000),
        store.leaves(),
        [(store.account(owner), store.history_of(owner, end, 1_000)) for owner in KEYS],
        [store.places_of(txid) for txid in txids],
        [store.value(name) for name in ("a", "b")],
    )


class Crashing:
    """One medium, a plain model beside it, and somebody who writes what nodes write."""

    def __init__(self, medium: Medium, folder: Path, seed: int) -> None:
        self.medium = medium
        self.folder = folder
        self.dice = Random(seed)
        self.model = State(memory_disk(PARAMETERS))
        self.txids: list[bytes] = []
        self.count = 0
        self.faults = 0
        self.chain = ChainBuilder(PARAMETERS)
        self.blocks: dict[bytes, Built] = {self.chain.genesis.hash: self.chain.genesis}

    def cycle(self) -> None:
        """Start, write some, crash while more is under way, and see what is there."""
        opened = self.start()
        number = 0
        for _ in range(self.dice.randrange(4)):
            writes, states = self.make(opened.store, self.dice.randint(1, 4), number)
            batches = [write.batch for write in writes if isinstance(write, Persist)]
            said = self.medium.write(writes)
            assert said == (batches[-1].number if batches else 0)
            self.model = states[-1]
            number = max(number, said)
            opened.store.settle(number)
        if not self.dice.randrange(4):
            self.fault(opened.store, number)
            return
        writes, states = self.make(opened.store, self.dice.randint(0, 6), number)
        self.medium.crash(writes, self.dice)
        self.check(self.start(), writes, [self.model, *states])

    def fault(self, store: Store, number: int) -> None:
        """Write to a disk that is full, or fails once; start again where that was told."""
        writes, states = self.make(store, self.dice.randint(1, 5), number)
        is_full = self.dice.randrange(2) == 0
        if is_full:
            self.medium.fill(True)  # noqa: FBT003 - a switch
        else:
            self.medium.fail_next()
        try:
            self.medium.write(writes)
        except StorageFault:
            self.faults += 1
            self.medium.fill(False)  # noqa: FBT003 - a switch
            self.check(self.start(), writes, [self.model, *states])
        else:
            assert is_full, "a write went through that was to fail"
            self.medium.fill(False)  # noqa: FBT003 - a switch
            self.model = states[-1]

    def start(self) -> Opened:
        return self.medium.open(7)

    def make(self, store: Store, count: int, last: int) -> tuple[list[Write], list[State]]:
        """Return writes, and the state after each."""
        writes: list[Write] = []
        states = [self.model]
        for _ in range(count):
            self.count += 1
            kind = self.dice.randrange(12)
            if kind == 0:
                saved = states[-1].pending + states[-1].journal
                write: Write = SavePending(seal(VERSION, (NETWORK, [(raw, 1, 3) for raw in saved])))
            elif kind == 1:
                write = SavePeers(self.dice.randbytes(self.dice.randrange(500)))
            else:
                last += 1
                write = Persist(self.batch(store, last, kind))
                store.stage(write.batch)
            writes.append(write)
            states.append(states[-1].after(write))
        return writes, states[1:]

    def batch(self, store: Store, number: int, kind: int) -> Batch:
        batch = Batch(number)
        if kind < 6:
            batch.journal = [self.dice.randbytes(self.dice.randrange(1, 400)) for _ in range(kind - 1)]
        if kind == 2:
            return batch
        batch.values[self.dice.choice("ab")] = self.dice.randbytes(self.dice.choice((2, 3_000)))
        if kind > 3 and store.next_id() < MOST_BLOCKS:
            self.add_block(store, batch, on_main=kind > 6)
        elif kind > 9:
            self.switch(store, batch)
        return batch

    def add_block(self, store: Store, batch: Batch, *, on_main: bool) -> None:
        parent = store.tip() if on_main else store.record(self.dice.randrange(store.next_id()))
        pays = [
            self.chain.entry(
                self.dice.choice(PEOPLE), self.dice.choice(PEOPLE), self.count * 10 + turn, signed=False
            )
            for turn in range(self.dice.randrange(8))
        ]
        built = self.chain.block(
            self.blocks[parent.hash], pays, miner=self.dice.choice(PEOPLE), note=str(self.count)
        )
        self.blocks[built.hash] = built
        self.txids += [built.coinbase_leaf, *(entry.txid for entry in pays)]
        record = record_of(built, store.next_id(), parent_id=parent.id, standing=Standing.PROVEN)
        batch.records.append(record)
        batch.bodies.append((record.id, built.raw))
        if on_main:
            assert built.coinbase is not None
            batch.connected.append(Connected(record, built.coinbase, built.coinbase_leaf, built.entries))
            self.pay(batch)

    def switch(self, store: Store, batch: Batch) -> None:
        """Follow another leaf; where it is the tip already, nothing."""
        new = fork = self.dice.choice(store.leaves())
        while store.main_at(fork.height) != fork:
            fork = store.record(fork.parent_id)
        if fork != new:
            batch.switch = Switch(fork, new)
            batch.scratch = store.scratch()
            for owner in KEYS:
                batch.scratch[owner] = Account(self.dice.randrange(5), 9)
            batch.accounts[KEYS[0]] = Account(self.dice.randrange(5), 8)

    def pay(self, batch: Batch) -> None:
        for owner in KEYS:
            batch.accounts[owner] = Account(self.dice.randrange(3), self.dice.randrange(3))

    def check(self, opened: Opened, writes: Sequence[Write], states: list[State]) -> None:
        """The book is as after one of the writes; so is the rest, or one step on."""
        found = view(opened.store, self.txids)
        saved = tuple(one.raw for one in opened.saved)
        for at, state in enumerate(states):
            if found != view(open_memory(state.book)[0], self.txids):
                continue
            after = self.files_after(opened, state, writes[at:])
            if after is not None:
                self.model = after
                break
        else:
            pytest.fail(f"no prefix of {writes} leaves this; {len(saved)} saved")
        self.look_deeper()

    def files_after(self, opened: Opened, state: State, rest: Sequence[Write]) -> State | None:
        """Return the state with what is in the files, None where they cannot come from this one."""
        saved = tuple(one.raw for one in opened.saved)
        assert all(one.own for one in opened.saved)
        typed = tuple(one.raw for one in opened.saved if one.received_ms == 7)
        pending = saved[: len(saved) - len(typed)]
        seen = replace(state, pending=pending, journal=typed, peers=opened.peer_book)
        first = rest[0] if rest else None
        if isinstance(first, SavePending) and seen == replace(state, pending=state.pending + state.journal):
            return seen  # the file is new, the journal not emptied yet
        more: list[bytes] = []
        for write in rest:
            if not isinstance(write, Persist):
                break
            more += write.batch.journal
        if seen == replace(state, journal=typed) and typed[: len(state.journal)] == state.journal:
            following = iter(more)
            if all(raw in following for raw in typed[len(state.journal) :]):
                return seen
        return None

    def look_deeper(self) -> None:
        """Where there is a file, it is in order throughout."""
        path = self.folder / BOOK_NAME
        if not path.exists():
            return
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with contextlib.closing(open_read_only(path)) as book:
            assert inspecting.miscounted_segment(book) is None
            assert inspecting.misplaced_leaf(book) is None


def crash_often(make: Making, folder: Path, seed: int, cycles: int) -> Crashing:
    """Let one medium crash again and again; return how it went."""
    medium = make(folder)
    run = Crashing(medium, folder, seed)
    for _ in range(cycles):
        run.cycle()
    medium.close()
    return run


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_a_crash_loses_nothing_durable_and_leaves_the_rest_in_order(
    make: Making, seed: int, tmp_path: Path
) -> None:
    run = crash_often(make, tmp_path, seed, 20)
    assert run.faults


@BOTH
def test_the_same_seed_leaves_the_same_disk(make: Making, tmp_path: Path) -> None:
    runs = [crash_often(make, tmp_path / name, 9, 10) for name in ("one", "two")]
    assert runs[0].model == runs[1].model
    assert runs[0].dice.getstate() == runs[1].dice.getstate()


def test_a_crash_while_the_book_is_made_leaves_one_that_opens(tmp_path: Path) -> None:
    made = FolderMedium(PARAMETERS, tmp_path / "made")
    made.open()
    book = (tmp_path / "made" / BOOK_NAME).read_bytes()
    log = (tmp_path / "made" / LOG_NAME).read_bytes()
    made.close()
    dice = Random(5)
    for turn in range(30):
        folder = tmp_path / str(turn)
        folder.mkdir(0o700)
        for name, content in ((BOOK_NAME, book), (LOG_NAME, torn_log(b"", log, dice))):
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)
        medium = FolderMedium(PARAMETERS, folder)
        assert medium.open().store.tip().height == 0
        medium.close()


def journalled(number: int, *raws: bytes) -> Persist:
    return Persist(Batch(number, journal=list(raws), values={"a": bytes(9_000)}))


@BOTH
def test_a_full_disk_is_named_and_not_started_on_until_there_is_room(make: Making, tmp_path: Path) -> None:
    medium = make(tmp_path)
    medium.open()
    assert medium.write([journalled(1, b"one")]) == 1
    medium.fill(True)  # noqa: FBT003 - a switch
    for write in (journalled(2, b"two"), Persist(Batch(2, values={"b": bytes(9_000)}))):
        with pytest.raises(DiskFull, match="free some space"):
            medium.write([write])
    for save in (SavePending(b""), SavePeers(b"")):
        with pytest.raises(StorageFault, match="No space left"):
            medium.write([save])
    with pytest.raises(DiskFull):
        medium.open()
    medium.fill(False)  # noqa: FBT003 - a switch
    opened = medium.open()
    assert [one.raw for one in opened.saved] == [b"one"]
    assert opened.store.value("b") is None
    assert opened.peer_book is None
    medium.close()


@BOTH
def test_each_failure_meets_another_step_and_what_follows_is_not_written(
    make: Making, tmp_path: Path
) -> None:
    medium = make(tmp_path)
    told = []
    pending = seal(VERSION, (NETWORK, [(b"saved", 1, 3)]))
    for _ in range(5):
        medium.open()
        medium.fail_next()
        with pytest.raises(StorageFault) as caught:
            medium.write([journalled(1, b"typed"), SavePending(pending), SavePeers(b"peers")])
        told.append(str(caught.value))
    assert medium.open().peer_book is None
    assert len(set(told)) == 4
    assert not [text for text in told if str(tmp_path) in text]
    assert medium.write([SavePeers(b"peers")]) == 0
    assert medium.open().peer_book == b"peers"
    medium.close()


def test_a_folder_is_what_the_daemon_reads(tmp_path: Path) -> None:
    assert JOURNAL_NAME == startup.JOURNAL_NAME
    medium = FolderMedium(PARAMETERS, tmp_path)
    medium.open()
    medium.write([journalled(1, b"one"), SavePeers(b"peers")])
    medium.close()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {BOOK_NAME, JOURNAL_NAME, PEERS_NAME}


def test_nothing_is_torn_where_no_file_is_open(tmp_path: Path) -> None:
    medium = FolderMedium(PARAMETERS, tmp_path)
    medium.crash([], Random(1))
    assert list(tmp_path.iterdir()) == []
