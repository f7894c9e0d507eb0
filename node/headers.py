"""The headers: which are known, which branch is heaviest, which wait for their time, which are condemned.

Pure. A header enters only when it follows its parent by the rules and carries its proof of work; bodies and
accounts are the business of `chain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
_MARKED_AT_ONCE: Final = 2_000
"""Descendants of a condemned block marked before others get a turn."""


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


class Headers:
    """The tree of headers over a store."""

    def __init__(self, parameters: Parameters, store: Store, out: Outbox) -> None:
        self._parameters = parameters
        self._store = store
        self._out = out
        self.tree = Tree(store)
        self._leaves = {leaf.id: leaf for leaf in store.leaves()}
        self._parked: dict[bytes, Parked] = {}
        self.best = store.tip()
        """The head of the heaviest branch of headers that is not condemned; the first seen of equals."""
        self._find_best()

    # -------------------------------------------------------------------------------------- entering

    def add(self, headers: Iterable[Header], now_ms: int, origin: int) -> HeadersTaken:
        """Take a run of headers, each the child of the one before; the first one's parent is known.

        Raises RuleBroken at the first that breaks a rule; those before it stay. `now_ms` is our own clock:
        it decides only whether a header must wait.
        """
        batch = self._out.batch()
        last: BlockRecord | None = None
        parked = False
        try:
            for header in headers:
                known = self._store.find(header.hash)
                if known is None:
                    parent = self._parent_of(header, last)
                    if self._is_parked(header, parent, now_ms, origin):
                        parked = True
                        break
                    known = self._enter(header, parent, self._store.next_id() + len(batch.records), now_ms)
                    batch.records.append(known)
                elif known.standing is Standing.CONDEMNED:
                    raise RuleBroken(
                        Rule.CONDEMNED_PARENT, f"block {known.height} was condemned: {known.rule}"
                    )
                last = known
        finally:
            if batch.records:
                self._out.stage(batch)
            self.tree.fresh.clear()
        return HeadersTaken(last, len(batch.records), parked)

    def _parent_of(self, header: Header, last: BlockRecord | None) -> BlockRecord:
        parent = (
            last if last is not None and last.hash == header.previous else self._store.find(header.previous)
        )
        if parent is None:
            raise RuleBroken(Rule.UNKNOWN_PARENT, f"the block before {header.hash.hex()} is not known")
        if parent.standing is Standing.CONDEMNED:
            raise RuleBroken(Rule.CONDEMNED_PARENT, f"descends from a block that breaks {parent.rule}")
        return parent

    def _is_parked(self, header: Header, parent: BlockRecord, now_ms: int, origin: int) -> bool:
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
        self._leaves.pop(parent.id, None)
        self._leaves[block_id] = record
        if record.work > self.best.work:
            self.best = record
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

    # -------------------------------------------------------------------------------- changed standing

    def replaced(self, record: BlockRecord) -> None:
        """Take note of a new standing of a block that may be a leaf or the best."""
        if record.id in self._leaves:
            self._leaves[record.id] = record
        if record.id == self.best.id:
            self.best = record

    def condemn(self, record: BlockRecord, rule: Rule) -> Iterator[int]:
        """Condemn a block and its descendants for good, in slices; yields how many were marked."""
        self._mark([replace(record, standing=Standing.CONDEMNED, rule=str(rule))])
        heirs = [
            leaf
            for leaf in self._leaves.values()
            if leaf.id != record.id and self.tree.is_ancestor(record, leaf)
        ]
        for leaf in heirs:
            self._leaves[leaf.id] = replace(
                leaf, standing=Standing.CONDEMNED, rule=str(Rule.CONDEMNED_PARENT)
            )
        self._find_best()
        for leaf in heirs:
            doomed = []
            for heir in self.tree.path(record, leaf):
                if heir.standing is not Standing.CONDEMNED:
                    doomed.append(replace(heir, standing=Standing.CONDEMNED, rule=str(Rule.CONDEMNED_PARENT)))
                if len(doomed) >= _MARKED_AT_ONCE:
                    self._mark(doomed)
                    yield len(doomed)
                    doomed = []
            self._mark(doomed)
            yield len(doomed)

    def _mark(self, records: list[BlockRecord]) -> None:
        if records:
            batch = self._out.batch()
            batch.records.extend(records)
            self._out.stage(batch)
            for record in records:
                self.replaced(record)

    def _find_best(self) -> None:
        """Look for the heaviest branch anew, among the leaves; called at start and when one was condemned."""
        self.best = self._store.tip()
        for leaf in sorted(self._leaves.values(), key=lambda leaf: leaf.id):
            head = self.tree.last_that(leaf, lambda block: block.standing is not Standing.CONDEMNED)
            if head.work > self.best.work:
                self.best = head

    # ------------------------------------------------------------------------------------------- views

    def leaves(self) -> list[BlockRecord]:
        """Return the blocks without children, in order of arrival."""
        return [self._store.record(block_id) for block_id in sorted(self._leaves)]
