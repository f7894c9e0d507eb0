"""A chain whose disk and threads the test plays: what is asked of them is done when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from node.chain import Chain
from node.checks import SignatureChecks
from node.events import CheckSignatures, Persist
from node.ledger.entry import Entry
from node.ledger.signature import verify_many
from node.outbox import Outbox
from node.outcomes import BlockCondemned, BlockConnected, Outcome, Switched
from node.storage.memory import MemoryDisk, memory_disk, open_memory
from node.storage.port import Batch, BlockRecord, Standing, Store, Writer
from tests.building import Built, ChainBuilder, Key, key, with_allocations

ANN, BOB, CEM = key("ann"), key("bob"), key("cem")
RICH = with_allocations({ANN: 1_000_000_00, BOB: 1_000_000_00})
LATE_MS = 4_000_000_000_000
"""A clock by which no block of these tests is from the future; Unix milliseconds."""
PEER = 7


class Node:
    """A chain over a book, in memory where no other is given."""

    def __init__(
        self,
        builder: ChainBuilder,
        disk: MemoryDisk | None = None,
        *,
        book: tuple[Store, Writer] | None = None,
        is_verified: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self.builder = builder
        self.disk = disk or memory_disk(builder.parameters)
        self.store, self.writer = book or open_memory(self.disk)
        self.out = Outbox(self.store)
        self.checks = SignatureChecks(self.out)
        self.saving: deque[Batch] = deque()
        """Batches that are not on the disk yet."""
        self.asked: list[CheckSignatures] = []
        """Signatures that are not answered yet."""
        self.outcomes: list[Outcome] = []
        """All that happened."""
        self.after_save: Callable[[], None] = lambda: None
        self.chain = Chain(
            builder.parameters, builder.network_id, self.store, self.out, self.checks, is_verified
        )

    # ------------------------------------------------------------------------------------ what peers do

    def headers(self, *blocks: Built, now_ms: int = LATE_MS) -> None:
        """Tell of the headers up to each of these blocks."""
        for block in blocks:
            self.chain.headers.add([at.header for at in block.path()[1:]], now_ms, PEER)
        self._gather()

    def body(self, block: Built, origin: int = PEER) -> BlockRecord | None:
        """Hand over one body, whose header is known."""
        record = self.chain.offer(block.raw, origin)
        self._gather()
        return record

    def give(self, *blocks: Built) -> None:
        """Hand over blocks, headers first, and let all be done."""
        for block in blocks:
            self.headers(block)
        for block in blocks:
            self.body(block)
        self.settle()

    # ---------------------------------------------------------------------------------- what the driver does

    def advance(self, budget: int = 2_000, now_ms: int = LATE_MS) -> bool:
        """Do one step of the core."""
        more = self.chain.advance(now_ms, budget)
        self._gather()
        return more

    def save(self, count: int | None = None) -> None:
        """Commit the oldest batches, all where no number is given, and say so."""
        for _ in range(len(self.saving) if count is None else min(count, len(self.saving))):
            batch = self.saving.popleft()
            self.writer.commit([batch])
            self.after_save()
            self.out.persisted(batch.number)
        self._gather()

    def answer(self, index: int = 0) -> None:
        """Answer one batch of signatures."""
        asked = self.asked.pop(index)
        self.checks.answered(asked.job, verify_many(asked.items))

    def settle(self, now_ms: int = LATE_MS) -> None:
        """Do all that can be done."""
        while self.advance(now_ms=now_ms) or self.asked or self.saving:
            while self.asked:
                self.answer()
            self.save()

    def _gather(self) -> None:
        for effect in self.out.drain():
            if isinstance(effect, Persist):
                self.saving.append(effect.batch)
            elif isinstance(effect, CheckSignatures):
                self.asked.append(effect)
        self.outcomes += self.chain.outcomes
        self.chain.outcomes.clear()

    # ------------------------------------------------------------------------------------------- views

    def record(self, block: Built) -> BlockRecord:
        """Return what the node knows of a block, whose header it has."""
        record = self.store.find(block.hash)
        assert record is not None
        return record

    def standing(self, block: Built) -> Standing:
        return self.record(block).standing

    def condemned(self) -> list[tuple[int, str]]:
        """Return the height and rule of each block that was condemned, in order."""
        found = [outcome for outcome in self.outcomes if isinstance(outcome, BlockCondemned)]
        return [(outcome.record.height, str(outcome.broken.rule)) for outcome in found]

    def switches(self) -> list[Switched]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Switched)]

    def connected(self) -> list[int]:
        """Return the heights that were connected to the tip, in order."""
        return [outcome.record.height for outcome in self.outcomes if isinstance(outcome, BlockConnected)]

    def is_at(self, tip: Built) -> bool:
        """Tell whether the book is the one that ends in `tip`: its blocks, and its accounts to the last."""
        main = [self.store.main_at(height) for height in range(tip.height + 2)]
        hashes = [record.hash for record in main if record is not None]
        accounts = {key: tuple(account) for key, account in self.disk.accounts.items()}
        return (
            self.chain.tip.hash == tip.hash
            and hashes == [block.hash for block in tip.path()]
            and (bool(self.saving) or accounts == self.builder.accounts_at(tip))
        )


class Payer:
    """Pays along one branch, so that nonces fit."""

    def __init__(self, builder: ChainBuilder, sender: Key = ANN, *, signed: bool = True) -> None:
        self.builder = builder
        self.sender = sender
        self.signed = signed
        self.nonce = 0

    def pay(self, count: int = 1, recipient: Key = CEM) -> list[Entry]:
        entries = [
            self.builder.entry(self.sender, recipient, 1_00, nonce=self.nonce + step, signed=self.signed)
            for step in range(count)
        ]
        self.nonce += count
        return entries

    def line(
        self, parent: Built | None, blocks: int, entries: int = 1, *, miner: Key | None = None
    ) -> list[Built]:
        """Return blocks one on the other, each with payments."""
        line = []
        for _ in range(blocks):
            parent = self.builder.block(parent, self.pay(entries), miner=miner)
            line.append(parent)
        return line


@dataclass
class Applied:
    """Counts the entries that are applied to accounts, and that are undone."""

    applied: int = 0
    undone: int = 0

    def now(self) -> tuple[int, int]:
        """Return how many since the last call."""
        found = (self.applied, self.undone)
        self.applied = self.undone = 0
        return found


def copy_of(disk: MemoryDisk) -> MemoryDisk:
    """Return what is on a disk at this moment."""
    return replace(
        disk,
        records=list(disk.records),
        ids=dict(disk.ids),
        bodies=dict(disk.bodies),
        main=list(disk.main),
        accounts=dict(disk.accounts),
        children=set(disk.children),
        txids={txid: list(places) for txid, places in disk.txids.items()},
        history={key: list(places) for key, places in disk.history.items()},
        values=dict(disk.values),
    )


def oddities(disk: MemoryDisk) -> Iterable[str]:
    """Yield what should never be on a disk, whatever was lost when the node stopped."""
    records = disk.records
    for above, block_id in zip(disk.main[1:], disk.main[:-1], strict=True):
        if records[above].parent_id != block_id:
            yield f"block {above} of the main chain does not follow {block_id}"
    for block_id in disk.main:
        if records[block_id].standing is not Standing.PROVEN:
            yield f"block {block_id} of the main chain is not proven"
    for record in records[1:]:
        parent = records[record.parent_id]
        has_body = record.id in disk.bodies
        if has_body and parent.id not in disk.bodies:
            yield f"block {record.id} has a body, its parent has none"
        if record.standing in (Standing.STORED, Standing.PROVEN) and not has_body:
            yield f"block {record.id} is said to be stored"
        if record.standing is not Standing.CONDEMNED and parent.standing is Standing.CONDEMNED:
            yield f"block {record.id} is good, its parent is condemned"
        if record.standing is Standing.PROVEN and parent.standing is not Standing.PROVEN:
            yield f"block {record.id} is proven, its parent is not"


def sound(disk: MemoryDisk) -> bool:
    """Tell whether nothing is odd; a failed test shows what is."""
    assert list(oddities(disk)) == []
    return True
