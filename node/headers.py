"""The headers: which are known, which branch is heaviest, which wait for their time, which are condemned.

Pure. A header enters only when it follows its parent by the rules and carries its proof of work; bodies and
accounts are the business of `chain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Final

from node.ledger import rules
from node.ledger.block import Header
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.outbox import Outbox
from node.storage.port import BlockRecord, Standing, Store
from node.tree import Tree, skip_height

PARKED_HEADERS: Final = 64
"""Headers that wait for their time, at most."""
PARKED_AHEAD_MS: Final = 2 * 3_600 * 1_000
"""Headers further ahead of our clock are forgotten; milliseconds."""
MARKED_AT_ONCE: Final = 1_000
"""Condemned blocks written down before others get a turn."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A header from the future, right in all else, and the connection that told of it."""

    header: Header
    due_ms: int
    """When it may enter, by our clock; Unix milliseconds."""
    origin: int


@dataclass(frozen=True, slots=True)
class HeadersTaken:
    """What became of a run of headers."""

    last: BlockRecord | None
    """The last one that is in the tree, new or known before."""
    new: int
    """How many were new."""
    parked: bool
    """True where the run ended at a header from the future; nobody is to blame."""


@dataclass(frozen=True, slots=True)
class _Doomed:
    """A block that breaks a rule, until it and all that descends from it is marked."""

    record: BlockRecord
    rule: Rule
    ends: list[int]
    """Ids of the ends of the branches above it."""


class Headers:
    """The tree of headers over a store."""

    def __init__(self, parameters: Parameters, store: Store, out: Outbox) -> None:
        self._parameters = parameters
        self._store = store
        self._out = out
        self.tree = Tree(store)
        self._ends: dict[int, None] = {}
        """Ids of the blocks that are not condemned and have no child that is not (and a few that have): one
        number for each branch ever left behind, which took work near the tip's."""
        self._heads: dict[int, int] = {}
        """Id to work of those with at least the tip's work: each took that work, and the tip passes it."""
        self._doomed: list[_Doomed] = []
        """Those of one step of the core: marking goes before all else."""
        self._parked: dict[bytes, Parked] = {}
        self._best = store.tip()
        for leaf in store.leaves():
            self._add_end(self.tree.last_that(leaf, lambda block: block.standing is not Standing.CONDEMNED))
        self._find_best()

    # -------------------------------------------------------------------------------------- entering

    def add(
        self, headers: Iterable[Header], now_ms: int, origin: int, *, may_wait: bool = False
    ) -> HeadersTaken:
        """Take a run of headers, each the child of the one before; the first one's parent is known.

        Raises RuleBroken at the first that breaks a rule; those before it stay. `now_ms` is our own clock:
        it decides only whether a header must wait. `may_wait`: as for `Outbox.stage`.
        """
        batch = self._out.batch()
        last: BlockRecord | None = None
        parked = False
        try:
            for header in headers:
                known = self._store.find(header.hash)
                if known is None:
                    parent = last or self._parent_of(header)
                    if self._is_early(header, parent, now_ms, origin):
                        parked = True
                        break
                    known = self._enter(header, parent, self._store.next_id() + len(batch.records), now_ms)
                    batch.records.append(known)
                elif self.is_condemned(known):
                    raise RuleBroken(Rule.CONDEMNED_PARENT, f"block {known.height} was condemned before")
                last = known
        finally:
            if batch.records:
                self._out.stage(batch, len(batch.records), may_wait=may_wait)
            self.tree.fresh.clear()
        return HeadersTaken(last, len(batch.records), parked)

    def _parent_of(self, header: Header) -> BlockRecord:
        parent = self._store.find(header.previous)
        if parent is None:
            raise RuleBroken(Rule.UNKNOWN_PARENT, f"the block before {header.hash.hex()} is not known")
        if self.is_condemned(parent):
            raise RuleBroken(Rule.CONDEMNED_PARENT, f"block {parent.height} before it was condemned")
        return parent

    def _is_early(self, header: Header, parent: BlockRecord, now_ms: int, origin: int) -> bool:
        """Check a new header; True where its time has not come (then it is kept, or forgotten)."""
        rules.check_header_in_context(header, parent, self._parameters)
        rules.sane_header(header)
        due_ms = header.timestamp_ms - self._parameters.drift_ms
        if due_ms <= now_ms:
            return False
        if due_ms - now_ms <= PARKED_AHEAD_MS:
            self._parked[header.hash] = Parked(header, due_ms, origin)
            if len(self._parked) > PARKED_HEADERS:
                del self._parked[max(self._parked.values(), key=lambda parked: parked.due_ms).header.hash]
        return True

    def _enter(self, header: Header, parent: BlockRecord, block_id: int, now_ms: int) -> BlockRecord:
        record = BlockRecord(
            id=block_id,
            header=header,
            work=parent.work + header.work,
            chain_time=rules.chain_time_of(header, parent, self._parameters),
            parent_id=parent.id,
            skip_id=self.tree.ancestor(parent, skip_height(header.height)).id,
            first_seen_ms=now_ms,
            history_nodes=self.tree.grow(parent, block_id, header.hash),
            standing=Standing.HEADER,
        )
        self.tree.fresh[block_id] = record
        self._ends.pop(parent.id, None)
        self._heads.pop(parent.id, None)
        self._add_end(record)
        if record.work > self._best.work:
            self._best = record
        return record

    # ---------------------------------------------------------------------------- waiting for its time

    def due(self, now_ms: int) -> list[Parked]:
        """Take out the headers whose time has come, the earliest first."""
        ready = sorted(
            (p for p in self._parked.values() if p.due_ms <= now_ms), key=lambda parked: parked.due_ms
        )
        for parked in ready:
            del self._parked[parked.header.hash]
        return ready

    def next_due_ms(self) -> int | None:
        """Return when the next parked header is due, by our clock; Unix milliseconds."""
        return min((parked.due_ms for parked in self._parked.values()), default=None)

    def parked_count(self) -> int:
        """Return how many headers wait for their time."""
        return len(self._parked)

    # ------------------------------------------------------------------------------------- branches

    @property
    def best(self) -> BlockRecord:
        """The head of the heaviest branch of headers that is not condemned; the first seen of equals."""
        return self.tree.record(self._best.id)

    def heads(self) -> list[BlockRecord]:
        """Return where branches end that have at least the tip's work and are not condemned, by arrival."""
        work = self._store.tip().work
        return [self._store.record(end) for end in sorted(self._heads) if self._heads[end] >= work]

    def tip_moved(self) -> None:
        """Let go of the heads that the tip has passed: a branch that comes back brings a new one."""
        work = self._store.tip().work
        for end in [end for end, its_work in self._heads.items() if its_work < work]:
            del self._heads[end]

    def _add_end(self, record: BlockRecord) -> None:
        self._ends[record.id] = None
        if record.work >= self._store.tip().work:
            self._heads[record.id] = record.work

    def _find_best(self) -> None:
        """Look for the heaviest branch anew: at start, and when one was condemned."""
        self._best = self._store.tip()
        for head in self.heads():
            if head.work > self._best.work:
                self._best = head

    # ------------------------------------------------------------------------------------- condemned

    def is_condemned(self, record: BlockRecord) -> bool:
        """True where the block breaks a rule or descends from one that does; for good.

        As it stands now: whoever asks may have had the record since before.
        """
        return self.tree.record(record.id).standing is Standing.CONDEMNED or any(
            self.tree.is_ancestor(doomed.record, record) for doomed in self._doomed
        )

    @property
    def has_unmarked(self) -> bool:
        """True while `mark` has something to do."""
        return bool(self._doomed)

    def condemn(self, record: BlockRecord, rule: Rule) -> None:
        """Condemn a block and all that descends from it. It counts at once; `mark` writes it down."""
        if self.is_condemned(record):
            return
        ends = [
            end
            for end in self._ends
            if end >= record.id and self.tree.is_ancestor(record, self._store.record(end))
        ]
        for end in ends:
            del self._ends[end]
            self._heads.pop(end, None)
        self._doomed.append(_Doomed(record, rule, ends))
        self._add_end(self.tree.parent(record))
        self._find_best()

    def mark(self) -> Iterator[int]:
        """Write down what is condemned, in slices; yields how many blocks were marked.

        Children go before their parents, so that a node that is stopped meanwhile never finds a good block
        above a condemned one: it proves the block anew and comes to the same verdict.
        """
        while self._doomed:
            doomed = self._doomed[0]
            marked: list[BlockRecord] = []
            for record in self._above(doomed):
                heir = replace(record, standing=Standing.CONDEMNED, rule=str(Rule.CONDEMNED_PARENT))
                marked.append(heir)
                if len(marked) == MARKED_AT_ONCE:
                    self._write(marked)
                    yield len(marked)
                    marked = []
            root = self._store.record(doomed.record.id)
            marked.append(replace(root, standing=Standing.CONDEMNED, rule=str(doomed.rule)))
            self._write(marked)
            del self._doomed[0]
            yield len(marked)

    def _above(self, doomed: _Doomed) -> Iterator[BlockRecord]:
        """Yield the descendants of a block, but for those condemned before; later ones first."""
        # A parent's id is lower than its children's; the heap holds one block of each branch.
        waiting = [-end for end in doomed.ends]
        heapify(waiting)
        last = -1
        while waiting:
            block_id = -heappop(waiting)
            if block_id in (last, doomed.record.id):
                continue
            last = block_id
            record = self._store.record(block_id)
            heappush(waiting, -record.parent_id)
            yield record

    def _write(self, records: list[BlockRecord]) -> None:
        batch = self._out.batch()
        batch.records.extend(records)
        self._out.stage(batch, len(records))
