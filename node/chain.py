"""The chain: bodies are checked, the heaviest valid branch is followed, and proven before the switch.

Pure. The work is a job that is advanced in slices of at most `SLICE` entries, so that a node goes on
listening while it connects large blocks or leaves one long branch for another. One block at a time:

    offered    its bytes are the header's own, and right in context          offer
    prepared   its entries are decoded, their signatures asked for           _prepare
    connected  its entries are applied: to the tip, or on the side           _extend, _prove

A branch that forks off below the tip is proven on a scratch copy of the accounts: the tip's blocks are undone
there, the branch's applied, and only when it is valid and heavier is the switch made, in one batch. The
scratch copy outlives the attempt: what was proven once is not proven again for another tip on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from node.checks import SignatureChecks
from node.headers import Headers
from node.ledger import codec, rules, state
from node.ledger.block import Coinbase, decode_block
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock
from node.outbox import Outbox
from node.storage.port import BlockRecord, Connected, Scratch, Standing, StorageFault, Store
from node.tree import Tree

SLICE: Final = 2_000
"""Entries handled before others get a turn."""
MAX_UNSAVED_ENTRIES: Final = 40_000
"""Connected entries that the disk may be behind before connecting waits for it."""
LOOK_AHEAD_ENTRIES: Final = 16_000
"""Entries of stored blocks read ahead of proving, so that their signatures are checked meanwhile."""
DEEP_BLOCKS: Final = 6
"""A switch that undoes this many blocks is told loudly."""
LATE_MS: Final = 3_600 * 1_000
"""So is one that undoes a block first seen longer ago; milliseconds."""
OURSELVES: Final = -1
"""Origin of a block that this node made or stored itself."""
_COINBASES: Final = 256
"""Coinbases kept at hand for networks with maturity."""

LAST_REORG: Final = "last_reorg"
"""Name of the stored value that remembers the last loud switch."""
MAX_HELD_BYTES: Final = 64 << 20
"""Bodies in memory; above it, those that wait for a parent are forgotten and fetched again."""

_AVAILABLE: Final = (Standing.STORED, Standing.PROVEN)


@dataclass(slots=True)
class _Held:
    """A block whose body is at hand, on its way to be connected."""

    record: BlockRecord
    sane: SaneBlock
    origin: int
    """The connection it came from, or OURSELVES."""
    stored: bool
    """True where the store has the body already."""
    verified: bool = False
    """True where its signatures need no check: it was proven before, or we made it of checked entries."""
    entries: list[Entry] = field(default_factory=list)
    asked: bool = False
    answered: bool = False
    bad: list[int] = field(default_factory=list)
    """Positions of entries whose signature does not verify."""


class BlockConnected(NamedTuple):
    """The tip has a child now."""

    record: BlockRecord
    entries: list[Entry]
    miner: bytes
    """Who was credited."""
    origin: int
    batch: int


class Switched(NamedTuple):
    """The main chain is another branch now."""

    old: BlockRecord
    new: BlockRecord
    fork: BlockRecord
    batch: int
    at_ms: int
    """When, by our clock; Unix milliseconds."""
    loud: bool
    """True for a switch that was deep or late; it is remembered, and the old branch stays as evidence."""

    def encode(self) -> bytes:
        """Return what is remembered: time, height of the fork, old and new height and hash."""
        return codec.encode(
            (self.at_ms, self.fork.height, self.old.height, self.old.hash, self.new.height, self.new.hash)
        )


class BlockStored(NamedTuple):
    """A block of a branch that is not heavier was put aside."""

    record: BlockRecord
    batch: int


class BlockCondemned(NamedTuple):
    """A block breaks a rule; its origin sent the body."""

    record: BlockRecord
    broken: RuleBroken
    origin: int


Outcome = BlockConnected | Switched | BlockStored | BlockCondemned


@dataclass(slots=True)
class _Proof:
    """The accounts as they are after block `at`, on the side."""

    scratch: Scratch
    at: BlockRecord


class Chain:
    """The book of one node: the tree of headers, the bodies, and the accounts at the tip."""

    def __init__(
        self,
        parameters: Parameters,
        network_id: bytes,
        store: Store,
        out: Outbox,
        checks: SignatureChecks,
        is_verified: Callable[[bytes], bool],
    ) -> None:
        """`is_verified` tells whether the entry of a txid had its signature checked before."""
        self.parameters = parameters
        self.network_id = network_id
        self.headers = Headers(parameters, store, out)
        self.tree: Tree = self.headers.tree
        self._store = store
        self._out = out
        self._checks = checks
        self._is_verified = is_verified
        self._held: dict[int, _Held] = {}
        self._orphans: dict[int, list[_Held]] = {}
        self._intake: deque[_Held] = deque()
        self._candidates: dict[int, BlockRecord] = {}
        self._proof: _Proof | None = None
        self._coinbases: dict[int, Coinbase] = {}
        self._job: Iterator[int] | None = None
        self._is_waiting = False
        self._now_ms = 0
        self.outcomes: list[Outcome] = []
        """What happened since the core last looked."""
        self.held_bytes = 0
        """Bodies in memory."""
        self._find_candidates()

    # ----------------------------------------------------------------------------------------- views

    @property
    def tip(self) -> BlockRecord:
        """The last block of the main chain."""
        return self._store.tip()

    def is_prepared(self, record: BlockRecord) -> bool:
        """True where the bodies of the block and of all before it are at hand and right in context."""
        held = self._held.get(record.id)
        return record.standing in _AVAILABLE or (
            held is not None and held.asked and record.standing is not Standing.CONDEMNED
        )

    def has_body(self, record: BlockRecord) -> bool:
        """True where the body is stored or in memory, so that it need not be fetched."""
        return record.standing in _AVAILABLE or record.id in self._held

    def rivals(self) -> list[BlockRecord]:
        """Return branches with the work of the tip whose blocks are at hand: a tie that one block ends."""
        tip = self.tip
        return [
            leaf
            for leaf in self.headers.leaves()
            if leaf.work == tip.work and leaf.id != tip.id and leaf.standing in _AVAILABLE
        ]

    def load(self, record: BlockRecord) -> SaneBlock:
        """Return a stored block, hashed again to its header.

        Raises StorageFault where there is none or the bytes are not the header's.
        """
        raw = self._store.body(record.id)
        if raw is None:
            raise StorageFault(f"block {record.height} ({record.hash.hex()[:16]}) is missing from the book")
        try:
            block = decode_block(raw)
            if block.header.hash != record.hash:
                raise RuleBroken(Rule.BODY_ROOT, "the stored bytes are another block's")
            return rules.sane_block(block, self.parameters)
        except RuleBroken as broken:
            raise StorageFault(
                f"the stored block {record.height} ({record.hash.hex()[:16]}) was changed here: {broken}"
            ) from broken

    # ------------------------------------------------------------------------------------- in come bodies

    def offer(self, raw: bytes, origin: int) -> BlockRecord | None:
        """Take the bytes of a block whose header is known; returns its record, None where it is not wanted.

        Raises RuleBroken where the bytes are no block, or say nothing about their header, or break a rule
        that can be seen at once (then the block is condemned too).
        """
        block = decode_block(raw)
        record = self._store.find(block.header.hash)
        if record is None:
            raise RuleBroken(Rule.UNKNOWN_PARENT, "a block whose header is not known")
        if record.standing is not Standing.HEADER or record.id in self._held:
            return None
        try:
            sane = rules.sane_block(block, self.parameters)
        except RuleBroken as broken:
            if not broken.rule.says_nothing_about_the_header:
                self._intake_condemned(record, broken, origin)
            raise
        self._hold(_Held(record, sane, origin, stored=False))
        return record

    def offer_own(self, sane: SaneBlock, entries: list[Entry]) -> BlockRecord | None:
        """Take a block that this node mined, made of entries whose signatures were checked."""
        record = self._store.find(sane.header.hash)
        if record is None or record.standing is not Standing.HEADER or record.id in self._held:
            return None
        held = _Held(record, sane, OURSELVES, stored=False, verified=True)
        held.entries = entries
        self._hold(held)
        return record

    def _hold(self, held: _Held) -> None:
        self._held[held.record.id] = held
        self.held_bytes += len(held.sane.block.raw)
        parent = self._store.record(held.record.parent_id)
        if parent.standing in _AVAILABLE or (parent.id in self._held and self._held[parent.id].asked):
            self._intake.append(held)
            self._start()
        elif self.held_bytes <= MAX_HELD_BYTES:
            self._orphans.setdefault(parent.id, []).append(held)
        else:
            self._release(held.record.id)
            self.forget_orphans()

    def forget_orphans(self) -> None:
        """Drop the bodies that wait for a parent's; they can be fetched again."""
        for waiting in self._orphans.values():
            for held in waiting:
                self._release(held.record.id)
        self._orphans.clear()

    def _release(self, block_id: int) -> None:
        held = self._held.pop(block_id, None)
        if held is not None:
            self.held_bytes -= len(held.sane.block.raw)

    def _intake_condemned(self, record: BlockRecord, broken: RuleBroken, origin: int) -> None:
        for _ in self._condemn(record, broken, origin):
            pass

    # ------------------------------------------------------------------------------------------- the job

    def _start(self) -> None:
        self._is_waiting = False
        if self._job is None:
            self._job = self._run()

    def wake(self) -> None:
        """Look again at what the job waited for: signatures came back, or the disk caught up."""
        self._start()

    def advance(self, now_ms: int, budget: int = SLICE) -> bool:
        """Work on up to about `budget` entries; True where there is more to do at once.

        `now_ms`: Unix milliseconds, for what is remembered of a switch.
        """
        self._now_ms = now_ms
        while self._job is not None and not self._is_waiting:
            if budget <= 0:
                return True
            try:
                budget -= next(self._job)
            except StopIteration:
                self._job = None
        return False

    def _run(self) -> Iterator[int]:
        """Do the next thing while there is one; wait where it needs an answer from outside."""
        while True:
            if self._intake:
                yield from self._prepare(self._intake.popleft())
                continue
            step = self._next_step()
            if step is None:
                return
            yield from step

    def _next_step(self) -> Iterator[int] | None:
        """Choose: the tip's child first, for the tip is served until a switch; then the heaviest branch."""
        if not self._candidates:
            for block_id in [held.record.id for held in self._held.values() if held.stored]:
                self._release(block_id)
            return None
        tip = self.tip
        target = max(self._candidates.values(), key=lambda block: (block.work, -block.id))
        ahead = [block for block in self._candidates.values() if self.tree.is_ancestor(tip, block)]
        if ahead:
            heaviest = max(ahead, key=lambda block: (block.work, -block.id))
            child = self._at_hand(self.tree.ancestor(heaviest, tip.height + 1), heaviest)
            if child.answered or target is heaviest:
                return self._extend(child)
        return self._prove(target)

    def _wait(self) -> Iterator[int]:
        """Stop until `wake`."""
        self._is_waiting = True
        yield 0

    def _at_hand(self, record: BlockRecord, towards: BlockRecord) -> _Held:
        """Return the block with its signatures asked for; stored ones are read, with some of those behind."""
        held = self._held.get(record.id)
        if held is not None and held.asked:
            return held
        ahead = 0
        for block in self.tree.path(self.tree.parent(record), towards):
            held = self._held.get(block.id)
            if held is None:
                if block.standing not in _AVAILABLE:
                    break
                held = _Held(block, self.load(block), OURSELVES, stored=True)
                held.verified = block.standing is Standing.PROVEN
                self._held[block.id] = held
                self.held_bytes += len(held.sane.block.raw)
            if not held.asked:
                held.entries = held.entries or rules.sane_entries(held.sane.block.entries, 0)
                self._ask(held)
            ahead += len(held.entries)
            if ahead >= LOOK_AHEAD_ENTRIES:
                break
        return self._held[record.id]

    # ------------------------------------------------------------------------------------------- preparing

    def _prepare(self, held: _Held) -> Iterator[int]:
        """Check a block in context, decode its entries, and ask for their signatures or put it aside."""
        record = held.record
        if self._store.record(record.id).standing is not Standing.HEADER:
            self._release(record.id)
            return
        try:
            parent = self.tree.parent(record)
            rules.check_block_in_context(held.sane, self.tree.frontier(parent).root())
            yield from self._decode(held)
        except RuleBroken as broken:
            yield from self._condemn(record, broken, held.origin)
            return
        if record.work > self.tip.work:
            self._ask(held)
            self._candidates.pop(record.parent_id, None)
            self._candidates[record.id] = record
        else:
            self._put_aside(held)
        self._intake.extend(self._orphans.pop(record.id, ()))

    def _decode(self, held: _Held) -> Iterator[int]:
        raws = held.sane.block.entries
        timestamp_ms = held.record.header.timestamp_ms
        made_here = bool(held.entries)
        for start in range(0, len(raws), SLICE):
            if not made_here:
                held.entries += rules.sane_entries(raws[start : start + SLICE], start)
            part = held.entries[start : start + SLICE]
            rules.check_entries_in_context(part, start, timestamp_ms, self.parameters)
            yield len(part)

    def _put_aside(self, held: _Held) -> None:
        """Store a block of a branch that is not heavier; its signatures are checked if it ever is."""
        batch = self._out.batch()
        record = self._restand(held.record, Standing.STORED)
        batch.records.append(record)
        batch.bodies.append((record.id, held.sane.block.raw))
        number = self._out.stage(batch)
        self.headers.replaced(record)
        self._release(record.id)
        self.outcomes.append(BlockStored(record, number))

    def _ask(self, held: _Held) -> None:
        held.asked = True
        if held.verified:
            held.answered = True
            return
        positions = [
            position for position, entry in enumerate(held.entries) if not self._is_verified(entry.txid)
        ]
        items = rules.signature_items(self.network_id, [held.entries[position] for position in positions])

        def done(bad: list[int]) -> None:
            held.bad = [positions[index] for index in bad]
            held.answered = True
            self.wake()

        self._checks.ask(items, done)

    # ---------------------------------------------------------------------------------- connecting to the tip

    def _extend(self, held: _Held) -> Iterator[int]:
        """Connect the tip's child, once its signatures are checked and the disk is not too far behind."""
        if not held.answered or self._out.entries_in_flight > MAX_UNSAVED_ENTRIES:
            yield from self._wait()
            return
        changes = state.Changes(self._store.account)
        try:
            yield from self._apply(held, changes)
        except RuleBroken as broken:
            yield from self._condemn(held.record, broken, held.origin)
            return
        if self._proof is not None:
            for key in changes.changed:
                self._proof.scratch.keep(key, self._store.account(key))
        record = self._restand(held.record, Standing.PROVEN)
        batch = self._out.batch()
        batch.records.append(record)
        if not held.stored:
            batch.bodies.append((record.id, held.sane.block.raw))
        batch.accounts = changes.changed
        batch.connected.append(Connected(record, held.sane.coinbase, held.sane.leaves[0], held.entries))
        number = self._out.stage(batch, len(held.entries) + 1)
        self.headers.replaced(record)
        self._release(record.id)
        self._tip_changed()
        miner = held.sane.coinbase.miner
        self.outcomes.append(BlockConnected(record, held.entries, miner, held.origin, number))

    def _apply(self, held: _Held, accounts: state.Accounts) -> Iterator[int]:
        """Apply a block to accounts on the side, in slices. Raises RuleBroken."""
        if held.bad:
            raise rules.signature_broken(held.bad[0])
        fees = 0
        for start in range(0, len(held.entries), SLICE):
            part = held.entries[start : start + SLICE]
            fees += state.apply_entries(accounts, part, start)
            yield len(part)
        rules.check_coinbase_amount(held.sane.coinbase, fees, self.parameters)
        matured = self._matured(held.record, held.sane.coinbase)
        if matured is not None:
            state.apply_coinbase(accounts, matured)
        yield 1

    def _matured(self, record: BlockRecord, own: Coinbase) -> Coinbase | None:
        """Return the coinbase that is credited when `record` connects."""
        height = rules.matured_height(record.height, self.parameters)
        if height is None:
            return None
        if height == record.height:
            return own
        block = self.tree.ancestor(record, height)
        if block.id not in self._coinbases:
            held = self._held.get(block.id)
            self._coinbases[block.id] = held.sane.coinbase if held else self.load(block).coinbase
            if len(self._coinbases) > _COINBASES:
                del self._coinbases[next(iter(self._coinbases))]
        return self._coinbases[block.id]

    # --------------------------------------------------------------------------------- proving on the side

    def _prove(self, target: BlockRecord) -> Iterator[int]:
        """Bring the scratch accounts one block nearer to `target`: back to the fork, then up, then switch."""
        proof = self._proof_towards(target)
        if self.tree.is_ancestor(proof.at, target):
            held = self._at_hand(self.tree.ancestor(target, proof.at.height + 1), target)
            if not held.answered:
                yield from self._wait()
                return
            changes = state.Changes(proof.scratch.read)
            try:
                yield from self._apply(held, changes)
            except RuleBroken as broken:
                yield from self._condemn(held.record, broken, held.origin)
                return
            for key, account in changes.changed.items():
                proof.scratch.write(key, account)
            proof.at = self._proven(held)
            if proof.at.work > self.tip.work:
                self._switch(proof)
        else:
            yield from self._undo(proof)

    def _proof_towards(self, target: BlockRecord) -> _Proof:
        """Return the scratch accounts nearest to `target`: those kept from before, or new ones at the tip."""
        tip = self.tip
        if self._proof is not None:
            kept = self.tree.fork_point(self._proof.at, target)
            fresh = self.tree.fork_point(tip, target)
            if self._proof.at.height - 2 * kept.height <= tip.height - 2 * fresh.height:
                return self._proof
            self._proof.scratch.close()
        self._proof = _Proof(self._store.scratch(), tip)
        return self._proof

    def _undo(self, proof: _Proof) -> Iterator[int]:
        """Take the block `proof.at` back, on the side. The bytes are hashed to their header first."""
        record = proof.at
        sane = self.load(record)
        scratch = proof.scratch
        matured = self._matured(record, sane.coinbase)
        raws = sane.block.entries
        if matured is not None:
            state.undo_coinbase(scratch, matured)
        for end in range(len(raws), 0, -SLICE):
            start = max(0, end - SLICE)
            for entry in reversed(rules.sane_entries(raws[start:end], start)):
                state.undo_entry(scratch, entry)
            yield end - start
        proof.at = self.tree.parent(record)
        yield 1

    def _proven(self, held: _Held) -> BlockRecord:
        """Note that a side block is valid, so that its signatures are never checked again."""
        record = self._restand(held.record, Standing.PROVEN)
        batch = self._out.batch()
        batch.records.append(record)
        if not held.stored:
            batch.bodies.append((record.id, held.sane.block.raw))
        self._out.stage(batch, len(held.entries))
        self.headers.replaced(record)
        self._release(record.id)
        return record

    def _switch(self, proof: _Proof) -> None:
        """Leave the tip's branch for the proven one, in one batch."""
        old, new = self.tip, self._store.record(proof.at.id)
        fork = self.tree.fork_point(old, new)
        batch = self._out.batch()
        walk = old
        while walk.id != fork.id:
            batch.disconnected.append(walk)
            walk = self.tree.parent(walk)
        batch.connected.extend(Connected(record) for record in self.tree.path(fork, new))
        batch.scratch = proof.scratch
        self._proof = None
        undone = batch.disconnected
        since_ms = self._now_ms - undone[-1].first_seen_ms
        loud = len(undone) >= DEEP_BLOCKS or since_ms > LATE_MS
        switched = Switched(old, new, fork, batch.number, self._now_ms, loud)
        if loud:
            batch.values[LAST_REORG] = switched.encode()
        self._out.stage(batch)
        self._tip_changed()
        self.outcomes.append(switched)

    # ------------------------------------------------------------------------------------------ fork choice

    def _condemn(self, record: BlockRecord, broken: RuleBroken, origin: int) -> Iterator[int]:
        """Remember a block by the rule it broke; drop what descends from it."""
        self.outcomes.append(BlockCondemned(record, broken, origin))
        yield from self.headers.condemn(self._store.record(record.id), broken.rule)
        doomed = [held for held in self._held.values() if self.tree.is_ancestor(record, held.record)]
        for held in doomed:
            self._release(held.record.id)
            self._orphans.pop(held.record.parent_id, None)
        self._orphans.pop(record.id, None)
        self._intake = deque(held for held in self._intake if held.record.id in self._held)
        self._find_candidates()

    def _find_candidates(self) -> None:
        """Look anew for branches heavier than the tip whose bodies are at hand."""
        self._candidates.clear()
        tip = self.tip
        for leaf in self.headers.leaves():
            if leaf.work > tip.work:
                head = self.tree.last_that(leaf, self.is_prepared)
                if head.work > tip.work:
                    self._candidates[head.id] = head
        if self._candidates:
            self._start()

    def _tip_changed(self) -> None:
        """Put aside what the tip has overtaken."""
        work = self.tip.work
        for block_id in [block.id for block in self._candidates.values() if block.work <= work]:
            del self._candidates[block_id]
        overtaken = [
            held
            for held in self._held.values()
            if held.asked and not held.stored and held.record.work <= work
        ]
        for held in sorted(overtaken, key=lambda held: held.record.height):
            self._put_aside(held)

    def _restand(self, record: BlockRecord, standing: Standing) -> BlockRecord:
        return replace(self._store.record(record.id), standing=standing)
