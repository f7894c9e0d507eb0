"""Bodies in memory: blocks on their way from the wire, or back from the store, to where they are connected.

Pure. Bounded by `MAX_HELD_BYTES`: above it, what waits for a parent is forgotten and fetched again, and what
is right in context is put aside to the store until its turn comes (see `chain`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from node.ledger import rules
from node.ledger.block import decode_block
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock
from node.storage.port import BlockRecord, Standing, StorageFault, Store
from node.tree import Tree

MAX_HELD_BYTES: Final = 64 << 20
"""Bodies in memory; what is decoded of them takes some five times as much."""
FRESH_BYTES: Final = 4 << 20
"""Of the blocks connected or taken back last, which stay taken apart: some ten full ones."""
AVAILABLE: Final = (Standing.STORED, Standing.PROVEN)
"""Standings of a block whose body is stored, with those of all before it."""
OURSELVES: Final = -1
"""Origin of a block that this node made or stored itself."""


@dataclass(slots=True)
class Held:
    """A block whose body is at hand."""

    record: BlockRecord
    """As it was when the body came; its standing may have changed since."""
    sane: SaneBlock
    origin: int
    """The connection it came from, or OURSELVES."""
    stored: bool = False
    """True where the store has the body already."""
    verified: bool = False
    """True where its signatures need no check: it was proven before, or we made it of checked entries."""
    entries: list[Entry] = field(default_factory=list)
    """Decoded, as soon as it is prepared."""
    passed_on: bool = False
    """It came as a compact block: whoever passed it on had not connected it, and answers for nothing."""
    prepared: bool = False
    """True once it is right in context and its signatures are asked for; so are all before it, or stored."""
    answered: bool = False
    bad: list[int] = field(default_factory=list)
    """Positions of entries whose signature does not verify, ascending."""

    @property
    def to_blame(self) -> int:
        """Who pays where it breaks a rule."""
        return OURSELVES if self.passed_on else self.origin

    @property
    def size(self) -> int:
        """Bytes of the block."""
        return len(self.sane.block.raw)

    @property
    def is_apart(self) -> bool:
        """True once all its entries are decoded."""
        return len(self.entries) == len(self.sane.block.entries)

    def take_apart(self, at_once: int) -> Iterator[int]:
        """Decode the entries that are not decoded yet, so many at once; yields how many they were."""
        while not self.is_apart:
            done = len(self.entries)
            self.entries += rules.sane_entries(self.sane, done, done + at_once)
            yield len(self.entries) - done


class Bodies:
    """The bodies at hand, and those that can be read again."""

    def __init__(self, parameters: Parameters, store: Store, tree: Tree) -> None:
        self._parameters = parameters
        self._store = store
        self._tree = tree
        self._held: dict[int, Held] = {}
        self._orphans: dict[int, list[Held]] = {}
        """Those of them that wait for a parent's body, by its id."""
        self._read: dict[int, None] = {}
        """Ids of those of them that are stored, and only kept while some branch wants them."""
        self._by_work: list[tuple[int, int]] = []
        """Heap of (work, id) of those that are prepared, and of some that have gone."""
        self.bytes = 0
        """What they take, as bytes of blocks."""
        self._fresh: OrderedDict[int, Held] = OrderedDict()
        """Connected or read lately, so that their bytes were hashed to their headers in this memory."""
        self._fresh_bytes = 0

    def get(self, block_id: int) -> Held | None:
        """Return the body of a block, None where it is not in memory."""
        return self._held.get(block_id)

    def take(self, held: Held) -> None:
        """Hold a body."""
        self._held[held.record.id] = held
        self.bytes += held.size

    def release(self, block_id: int) -> None:
        """Let go of a body."""
        held = self._held.pop(block_id, None)
        if held is not None:
            self.bytes -= held.size
            self._read.pop(block_id, None)

    def connected(self, held: Held) -> None:
        """Let go of a body that is connected, and keep it at hand for a while."""
        self.release(held.record.id)
        self._keep_fresh(held)

    def _keep_fresh(self, held: Held) -> None:
        if held.record.id not in self._fresh:
            self._fresh[held.record.id] = held
            self._fresh_bytes += held.size
        while self._fresh_bytes > FRESH_BYTES:
            self._fresh_bytes -= self._fresh.popitem(last=False)[1].size

    def prepared(self, held: Held) -> None:
        """Note that a body that is held is right in context, and that its signatures are being checked."""
        held.prepared = True
        heappush(self._by_work, (held.record.work, held.record.id))

    def overtaken(self, work: int) -> Iterator[Held]:
        """Yield prepared bodies with no more than this work, once each; parents before their children."""
        while self._by_work and self._by_work[0][0] <= work:
            held = self._held.get(heappop(self._by_work)[1])
            if held is not None and held.prepared:
                yield held

    def drop_heirs(self, record: BlockRecord) -> None:
        """Let go of a block and all that descends from it."""
        heirs = [
            held
            for held in self._held.values()
            if held.record.height >= record.height and self._tree.is_ancestor(record, held.record)
        ]
        for held in heirs:
            self.release(held.record.id)
            if held.record.id != record.id:
                self._orphans.pop(held.record.parent_id, None)

    # ------------------------------------------------------------------------------------------ orphans

    def wait(self, held: Held) -> None:
        """Let a body that is held wait for its parent's; forget all that wait where memory is full."""
        self._orphans.setdefault(held.record.parent_id, []).append(held)
        if self.bytes > MAX_HELD_BYTES:
            for waiting in self._orphans.values():
                for orphan in waiting:
                    self.release(orphan.record.id)
            self._orphans.clear()

    def adopt(self, parent_id: int) -> list[Held]:
        """Return what waited for this block, in order of arrival; it waits no more."""
        return self._orphans.pop(parent_id, [])

    # ---------------------------------------------------------------------------------------- the store

    def recall(self, record: BlockRecord) -> Held:
        """Return a stored block, and keep it at hand: as it was lately, else read and hashed to its header.

        Raises StorageFault where there is none or the bytes are not the header's.
        """
        held = self._fresh.get(record.id)
        if held is None:
            held = Held(record, self.load(record), OURSELVES, stored=True)
            self._keep_fresh(held)
        return held

    def at_hand(self, above: BlockRecord, upto: BlockRecord) -> list[Held]:
        """Return blocks connected or read lately that are above `above` and below or at `upto`."""
        return [
            held
            for held in self._fresh.values()
            if above.height < held.record.height
            and self._tree.is_ancestor(held.record, upto)
            and held.is_apart
        ]

    def load(self, record: BlockRecord) -> SaneBlock:
        """Return a stored block, read and hashed again to its header.

        Raises StorageFault where there is none or the bytes are not the header's.
        """
        raw = self._store.body(record.id)
        if raw is None:
            raise StorageFault(f"block {record.height} ({record.hash.hex()[:16]}) is missing from the book")
        try:
            block = decode_block(raw)
            if block.header.hash != record.hash:
                raise RuleBroken(Rule.BODY_ROOT, "the stored bytes are another block's")
            return rules.sane_block(block, self._parameters)
        except RuleBroken as broken:
            raise StorageFault(
                f"the stored block {record.height} ({record.hash.hex()[:16]}) was changed here: {broken}"
            ) from broken

    def read(self, record: BlockRecord) -> Held:
        """Hold the body of a stored block. Raises StorageFault."""
        fresh = self._fresh.get(record.id)
        sane, entries = (self.load(record), []) if fresh is None else (fresh.sane, list(fresh.entries))
        verified = record.standing is Standing.PROVEN
        held = Held(record, sane, OURSELVES, stored=True, verified=verified, entries=entries)
        self.take(held)
        self._read[record.id] = None
        return held

    def keep_while_wanted(self, held: Held) -> None:
        """Treat a body that has been stored like one that was read."""
        self._read[held.record.id] = None

    def forget_read(self) -> None:
        """Let go of the bodies that can be read again."""
        for block_id in list(self._read):
            self.release(block_id)
