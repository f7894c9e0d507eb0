"""The chain: bodies are checked, the heaviest valid branch is followed, and proven before the switch.

Pure. The work is done in steps that are advanced in slices, so that a node goes on listening while it
connects large blocks or leaves one long branch for another. One block at a time:

    offered    its bytes are the header's own, and sane                                   offer
    prepared   it is right in context, its entries are decoded, their signatures asked    _prepare
    connected  its entries are applied: to the tip, or on the side                        _extend, _climb

A branch that forks off below the tip is proven on a scratch copy of the accounts: the tip's blocks are undone
there, the branch's applied, and only when it is valid and heavier is the switch made, in one batch. The
scratch copy outlives the attempt: what was proven once is not proven again for another tip on it.

Nothing waits inside a step: a step is begun only when what it needs is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from node.bodies import AVAILABLE, MAX_HELD_BYTES, OURSELVES, Bodies, Held
from node.checks import SignatureChecks
from node.connecting import BLOCK_COST, SLICE, Connecting
from node.events import NOTHING
from node.headers import Headers
from node.ledger import rules, state
from node.ledger.block import Block, Coinbase, decode_block
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock
from node.noted import LAST_REORG, UNSAVED_SWITCHES, decode_unsaved, encode_unsaved
from node.outbox import Outbox
from node.outcomes import BlockCondemned, BlockConnected, BlockStored, Outcome, Switched
from node.proving import Proving
from node.recount import recount
from node.storage.port import BlockRecord, Connected, Standing, StorageFault, Store, Switch
from node.tree import Tree

BUDGET: Final = 2_000
"""Entries handled in one step of the core."""
MAX_IN_CHECK: Final = 8_192
"""Signatures of blocks being checked above which no further block is prepared: decoded, it takes memory."""
MAX_UNSAVED_ENTRIES: Final = 40_000
"""What the disk may be behind, in entries, before the chain waits for it."""
MAX_EARLY_BYTES: Final = MAX_HELD_BYTES // 4
"""Bodies in memory up to which signatures are checked of blocks whose branch is heavier by its headers only:
the last body may never come, and room is left for what does."""
READ_AHEAD_ENTRIES: Final = 16_000
"""Entries of stored blocks read ahead of proving, so that their signatures are checked meanwhile."""
DEEP_BLOCKS: Final = 6
"""A switch that undoes this many blocks is told loudly."""
LATE_MS: Final = 3_600 * 1_000
"""So is one that undoes a block first seen longer ago; milliseconds."""

MAX_UNSAVED_SWITCHES: Final = 256
"""Of one minute."""
_OF_ACCOUNTS: Final = (Rule.NONCE_USED, Rule.NONCE_GAP, Rule.OVERSPEND)
"""Rules that an edited account makes an honest block seem to break."""


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
        self._bodies = Bodies(parameters, store, self.tree)
        self._connecting = Connecting(parameters, self.tree, self._bodies)
        self._proving = Proving(store, self.tree, self._connecting)
        self._intake: deque[Held] = deque()
        """Bodies to be prepared: each one's parent is prepared or stored."""
        self._in_check = 0
        """Signatures of blocks that are being checked."""
        self._candidates: dict[int, BlockRecord] = {}
        """Heads of branches heavier than the tip whose bodies are all prepared or stored, by id."""
        self._step: Iterator[int] | None = None
        """What is being done, until it is done."""
        self._last_switch = NOTHING
        """The batch of the last switch."""
        self._now_ms = 0
        self.outcomes: list[Outcome] = []
        """What happened since the core last looked."""
        self._find_candidates()

    # ----------------------------------------------------------------------------------------- views

    @property
    def tip(self) -> BlockRecord:
        """The last block of the main chain."""
        return self._store.tip()

    @property
    def held_bytes(self) -> int:
        """Bodies in memory; bytes."""
        return self._bodies.bytes

    def is_prepared(self, record: BlockRecord) -> bool:
        """True where the bodies of the block and of all before it are at hand and right in context."""
        if record.standing in AVAILABLE:
            return True
        held = self._bodies.get(record.id)
        return held is not None and held.prepared

    def has_body(self, record: BlockRecord) -> bool:
        """True where the body is stored or in memory, so that it need not be fetched."""
        return record.standing in AVAILABLE or self._bodies.get(record.id) is not None

    def rivals(self) -> list[BlockRecord]:
        """Return branches with the work of the tip whose blocks are at hand: a tie that one block ends."""
        tip = self.tip
        return [
            head
            for head in self.headers.heads()
            if head.work == tip.work and head.id != tip.id and head.standing in AVAILABLE
        ]

    def load(self, record: BlockRecord) -> SaneBlock:
        """Return a stored block, read and hashed again to its header.

        Raises StorageFault where there is none or the bytes are not the header's.
        """
        return self._bodies.load(record)

    def recall(self, record: BlockRecord) -> Held:
        """Return the same with its entries: from memory where it was connected lately. StorageFault."""
        return self._bodies.recall(record)

    # ------------------------------------------------------------------------------------- in come bodies

    def offer(self, raw: bytes, origin: int, *, passed_on: bool = False) -> BlockRecord | None:
        """Take the bytes of a block whose header is known; returns its record, None where it is not wanted.

        `passed_on`: it was told of before its sender had connected it. Raises RuleBroken where the bytes are
        no block or say nothing about their header. A block that breaks a rule is condemned, now or when it is
        connected: see `outcomes`.
        """
        block = decode_block(raw)
        record = self._store.find(block.header.hash)
        if record is None:
            raise RuleBroken(Rule.UNKNOWN_PARENT, "a block whose header is not known")
        if not self.is_wanted(record):
            return None
        try:
            sane = rules.sane_block(block, self.parameters)
        except RuleBroken as broken:
            if broken.rule.says_nothing_about_the_header:
                raise
            self._condemn(record, broken, OURSELVES if passed_on else origin, origin)
        else:
            self._hold(Held(record, sane, origin, passed_on=passed_on))
        return record

    def offer_parts(self, block: Block, leaves: tuple[bytes, ...], entries: list[Entry], origin: int) -> bool:
        """Take a block that was put together of entries decoded before; `leaves` are those of its tree.

        Its header is known. False where it is not wanted any more, or was condemned at once. Raises
        RuleBroken where the parts are not the header's. Whoever passed them on did not know the block yet,
        and is not charged where it breaks a rule.
        """
        record = self._store.find(block.header.hash)
        if record is None or not self.is_wanted(record):
            return False
        try:
            sane = rules.sane_block(block, self.parameters, leaves)
        except RuleBroken as broken:
            if broken.rule.says_nothing_about_the_header:
                raise
            self._condemn(record, broken, OURSELVES, origin)
            return False
        self._hold(Held(record, sane, origin, entries=entries, passed_on=True))
        return True

    def offer_own(self, sane: SaneBlock, entries: list[Entry]) -> BlockRecord | None:
        """Take a block that this node mined, made of entries whose signatures were checked."""
        record = self._store.find(sane.header.hash)
        if record is None or not self.is_wanted(record):
            return None
        self._hold(Held(record, sane, OURSELVES, verified=True, entries=entries))
        return record

    def is_wanted(self, record: BlockRecord) -> bool:
        """True for a block whose body is not at hand and may still be of use."""
        return (
            record.standing is Standing.HEADER
            and self._bodies.get(record.id) is None
            and not self.headers.is_condemned(record)
        )

    def _hold(self, held: Held) -> None:
        self._bodies.take(held)
        if self.is_prepared(self.tree.parent(held.record)):
            self._intake.append(held)
        else:
            self._bodies.wait(held)

    # ------------------------------------------------------------------------------------------- the steps

    def advance(self, now_ms: int, budget: int = BUDGET) -> bool:
        """Work on some `budget` entries; True where there is more to do at once.

        Where it waits for signatures or the disk, the next call after the answer goes on. `now_ms`: Unix
        milliseconds, for what is remembered of a switch.
        """
        self._now_ms = now_ms
        while True:
            if self._step is None:
                self._step = self._next_step()
                if self._step is None:
                    return False
            if budget <= 0:
                return True
            try:
                budget -= next(self._step)
            except StopIteration:
                self._step = None

    def _next_step(self) -> Iterator[int] | None:
        """Choose what to do next; None where there is nothing, or nothing without an answer from outside."""
        if self._out.entries_in_flight > MAX_UNSAVED_ENTRIES:
            return None
        if self.headers.has_unmarked:
            return self.headers.mark()
        if self._intake and self._in_check <= MAX_IN_CHECK:
            return self._prepare(self._intake.popleft())
        if not self._candidates:
            self._bodies.forget_read()
            return None
        return self._towards(max(self._candidates.values(), key=_by_work_then_arrival))

    def _towards(self, target: BlockRecord) -> Iterator[int] | None:
        """Choose the step that leads to the heaviest branch; the tip goes on meanwhile where it can."""
        tip = self.tip
        ahead = [block for block in self._candidates.values() if self.tree.is_ancestor(tip, block)]
        if ahead:
            heaviest = max(ahead, key=_by_work_then_arrival)
            child = self.tree.ancestor(heaviest, tip.height + 1)
            # A child that would only tie with the target must not take its place: the first seen wins.
            if heaviest.id == target.id or child.work < target.work:
                held = self._bodies.get(child.id)
                if held is None:
                    return self._read_ahead(child, heaviest)
                if held.answered:
                    return self._extend(held)
                # Where memory is full, what is read for one would be forgotten for the other, without end.
                if heaviest.id == target.id or self._bodies.bytes > MAX_HELD_BYTES:
                    return None
        return self._prove(target)

    def _prove(self, target: BlockRecord) -> Iterator[int] | None:
        """Choose the step that brings the accounts on the side nearer to `target`."""
        at = self._proving.towards(target)
        if not self.tree.is_ancestor(at, target):
            return self._proving.descend()
        child = self.tree.ancestor(target, at.height + 1)
        held = self._bodies.get(child.id)
        if held is None:
            return self._read_ahead(child, target)
        return self._climb(held) if held.answered else None

    # ------------------------------------------------------------------------------------------- preparing

    def _prepare(self, held: Held) -> Iterator[int]:
        """Check a block in context, decode its entries, and ask for their signatures or put it aside."""
        record = held.record
        if self._bodies.get(record.id) is not held:
            return  # dropped meanwhile, with a condemned block before it
        yield BLOCK_COST
        try:
            parent = self.tree.parent(record)
            rules.check_block_in_context(held.sane, self.tree.frontier(parent).root())
            yield from self._decode(held)
        except RuleBroken as broken:
            self._condemn(record, broken, held.to_blame, held.origin)
            return
        if record.work > self.tip.work:
            self._candidates.pop(record.parent_id, None)
            self._candidates[record.id] = record
            if self._bodies.bytes > MAX_HELD_BYTES:
                self._put_aside(held)
            else:
                self._ask(held)
        elif self._leads_to_more(record) and self._bodies.bytes <= MAX_EARLY_BYTES:
            self._store_with_parents(held)  # should its branch stop short, nothing waits for it here
            held.origin = OURSELVES  # as of one that is put aside and read again
            self._ask(held)
        else:
            self._put_aside(held)
        self._intake.extend(self._bodies.adopt(record.id))

    def _leads_to_more(self, record: BlockRecord) -> bool:
        """True where the heaviest headers, which are heavier than the tip, stand on this block."""
        best = self.headers.best
        return best.work > self.tip.work and self.tree.is_ancestor(record, best)

    def _decode(self, held: Held) -> Iterator[int]:
        timestamp_ms = held.record.header.timestamp_ms
        made_here = bool(held.entries)
        for start in range(0, len(held.sane.block.entries), SLICE):
            if not made_here:
                held.entries += rules.sane_entries(held.sane, start, start + SLICE)
            part = held.entries[start : start + SLICE]
            rules.check_entries_in_context(part, start, timestamp_ms, self.parameters)
            yield len(part)

    def _ask(self, held: Held) -> None:
        """Have the signatures checked that are not known yet."""
        self._bodies.prepared(held)
        if held.verified:
            held.answered = True
            return
        positions = [
            position for position, entry in enumerate(held.entries) if not self._is_verified(entry.txid)
        ]
        items = rules.signature_items(self.network_id, [held.entries[position] for position in positions])

        self._in_check += len(items)

        def done(bad: list[int]) -> None:
            self._in_check -= len(items)
            held.bad = [positions[index] for index in bad]
            held.answered = True

        self._checks.ask(items, done)

    def _put_aside(self, held: Held) -> None:
        """Store a block until its turn comes, and let go of it; its signatures are checked then, if ever."""
        self._store_with_parents(held)
        self._bodies.release(held.record.id)

    def _store_with_parents(self, held: Held) -> None:
        path = [held]
        while True:  # on disk no body lacks its parent's
            parent = self._bodies.get(path[-1].record.parent_id)
            if parent is None or parent.stored:
                break
            path.append(parent)
        for one in reversed(path):
            number = self._store_body(one, Standing.STORED)
            self.outcomes.append(BlockStored(self._store.record(one.record.id), number))

    def _store_body(self, held: Held, standing: Standing) -> int:
        """Write down what is known of a block off the main chain, with its body; return the batch."""
        batch = self._out.batch()
        batch.records.append(replace(self._store.record(held.record.id), standing=standing))
        weight = BLOCK_COST
        if not held.stored:
            batch.bodies.append((held.record.id, held.sane.block.raw))
            held.stored = True
            weight += len(held.entries)
        return self._out.stage(batch, weight)

    def _read_ahead(self, first: BlockRecord, target: BlockRecord) -> Iterator[int]:
        """Read the stored block `first`, and some behind it whose signatures are checked meanwhile."""
        if self._bodies.bytes > MAX_HELD_BYTES:
            self._bodies.forget_read()
        entries = 0
        for block in self.tree.path(self.tree.parent(first), target):
            record = self._store.record(block.id)
            if entries > READ_AHEAD_ENTRIES or not self.is_prepared(record):
                break
            if self._bodies.get(record.id) is None:
                held = self._bodies.read(record)
                yield from held.take_apart(SLICE)
                self._ask(held)
                if self._bodies.bytes > MAX_HELD_BYTES:
                    break
                entries += len(held.entries)
            entries += BLOCK_COST
            yield BLOCK_COST

    # ---------------------------------------------------------------------------------- connecting to the tip

    def _extend(self, held: Held) -> Iterator[int]:
        """Connect the tip's child."""
        changes = state.Changes(self._store.account_state)
        try:
            yield from self._connecting.apply(held, changes)
        except RuleBroken as broken:
            yield from self._suspect_this_disk(held, broken)
            self._refuse(held, broken)
            return
        self._proving.keep(changes)
        record = replace(self._store.record(held.record.id), standing=Standing.PROVEN)
        batch = self._out.batch()
        batch.records.append(record)
        if not held.stored:
            batch.bodies.append((record.id, held.sane.block.raw))
        batch.accounts = changes
        batch.connected.append(_connected(record, held))
        batch.followed = any(block.height > record.height for block in self._candidates.values())
        number = self._out.stage(batch, len(held.entries) + BLOCK_COST)
        self._bodies.connected(held)
        self._tip_changed()
        credited = self.credited_by(record, held.sane.coinbase)
        self.outcomes.append(BlockConnected(record, held.entries, credited, held.origin, number, held.sane))

    def credited_by(self, record: BlockRecord, own: Coinbase) -> tuple[bytes, ...]:
        """Return whom the block, whose coinbase is `own`, credits when it connects.

        With maturity that is the miner of an earlier block, or no one yet.
        """
        coinbase = self._connecting.credited_by(record, own)
        return () if coinbase is None else (coinbase.miner,)

    # --------------------------------------------------------------------------------- proving on the side

    def _climb(self, held: Held) -> Iterator[int]:
        """Apply a block on the side; switch once its branch is heavier than the tip."""
        try:
            yield from self._proving.climb(held)
        except RuleBroken as broken:
            yield from self._suspect_this_disk(held, broken)
            self._refuse(held, broken)
            return
        self._store_body(held, Standing.PROVEN)
        self._bodies.connected(held)
        if held.record.work > self.tip.work:
            self._switch(self._store.record(held.record.id))

    def _switch(self, new: BlockRecord) -> None:
        """Leave the tip's branch for the proven one, in one batch."""
        old = self.tip
        fork = self.tree.fork_point(old, new)
        batch = self._out.batch()
        lately = self._bodies.at_hand(fork, new)
        batch.switch = Switch(fork, new, {held.record.id: _connected(held.record, held) for held in lately})
        batch.scratch = self._proving.hand_over()
        since_ms = self._now_ms - self.tree.ancestor(old, fork.height + 1).first_seen_ms
        loud = old.height - fork.height >= DEEP_BLOCKS or since_ms > LATE_MS
        switched = Switched(old, new, fork, batch.number, self._now_ms, loud)
        if loud:
            batch.values[LAST_REORG] = switched.remembered.encode()
        batch.values[UNSAVED_SWITCHES] = self._with_unsaved(old, fork)
        self._last_switch = self._out.stage(batch, BLOCK_COST)
        self._tip_changed()
        self.outcomes.append(switched)

    def _with_unsaved(self, old: BlockRecord, fork: BlockRecord) -> bytes:
        """Return the switches whose undone entries are in no file of pending ones yet, with this one."""
        noted: list[tuple[bytes, int]] = [(left.hash, at.height) for left, at in self.unsaved_switches()]
        noted.append((old.hash, fork.height))
        return encode_unsaved(noted[-MAX_UNSAVED_SWITCHES:])

    def unsaved_switches(self) -> list[tuple[BlockRecord, BlockRecord]]:
        """Return (tip that was left, fork) of each switch since the pending entries were last saved.

        Raises StorageFault where the stored value is none that a node writes.
        """
        found = []
        for block_hash, height in decode_unsaved(self._store.value(UNSAVED_SWITCHES)):
            left = self._store.find(block_hash)
            if left is not None and height <= left.height:
                found.append((left, self.tree.ancestor(left, height)))
        return found

    def pending_saved(self) -> None:
        """Forget the switches: the entries that they undid stand in the file of pending ones."""
        if self._store.value(UNSAVED_SWITCHES):
            batch = self._out.batch()
            batch.values[UNSAVED_SWITCHES] = b""
            self._out.stage(batch)

    # ------------------------------------------------------------------------------------------ fork choice

    def _suspect_this_disk(self, held: Held, broken: RuleBroken) -> Iterator[int]:
        """Work the payer's account out anew before it is taken for broke; StorageFault where it differs."""
        if broken.rule not in _OF_ACCOUNTS or broken.position is None:
            return
        if self._out.durable < self._last_switch:
            return  # the index on the disk may be of either branch
        key = held.entries[broken.position].sender
        counted = yield from recount(self.parameters, self._store, self.tree, self.load, key)
        stored = self._store.account(key)
        if counted is not None and counted != stored:
            raise StorageFault(
                f"the account {key.hex()} has {stored.balance} at nonce {stored.nonce} in this book, and "
                f"{counted.balance} at nonce {counted.nonce} by its blocks: it was changed here"
            )

    def _refuse(self, held: Held, broken: RuleBroken) -> None:
        """Condemn a block that does not connect. Raises StorageFault where this machine is wrong."""
        record = self._store.record(held.record.id)
        if record.standing is Standing.PROVEN:
            raise StorageFault(
                f"block {record.height} ({record.hash.hex()[:16]}) was valid when it was first connected and "
                f"now breaks a rule ({broken}): the accounts in this book were changed"
            ) from broken
        self._condemn(record, broken, held.to_blame, held.origin)

    def _condemn(self, record: BlockRecord, broken: RuleBroken, origin: int, came_from: int) -> None:
        """Remember a block by the rule it broke; drop what descends from it."""
        self.outcomes.append(BlockCondemned(record, broken, origin, came_from))
        self.headers.condemn(record, broken.rule)
        self._bodies.drop_heirs(record)
        self._find_candidates()
        self._let_go()

    def _find_candidates(self) -> None:
        """Look anew for branches heavier than the tip whose bodies are at hand."""
        self._candidates.clear()
        work = self.tip.work
        for head in self.headers.heads():
            if head.work > work:
                block = self.tree.last_that(head, self.is_prepared)
                if block.work > work:
                    self._candidates[block.id] = block

    def _tip_changed(self) -> None:
        """Let go of what the tip has overtaken."""
        work = self.tip.work
        self.headers.tip_moved()
        for block_id in [block.id for block in self._candidates.values() if block.work <= work]:
            del self._candidates[block_id]
        self._let_go()

    def _let_go(self) -> None:
        """Let go of bodies with no more than the tip's work, unless a heavier branch stands on them."""
        early = []
        for held in self._bodies.overtaken(self.tip.work):
            if not held.stored:
                self._store_with_parents(held)
            if any(self.tree.is_ancestor(held.record, block) for block in self._candidates.values()):
                self._bodies.keep_while_wanted(held)  # its signatures are being checked, or were
            elif self._leads_to_more(held.record) and self._bodies.bytes <= MAX_EARLY_BYTES:
                early.append(held)
            else:
                self._bodies.release(held.record.id)
        for held in early:
            self._bodies.prepared(held)  # it is looked at again when the tip changes again


def _connected(record: BlockRecord, held: Held) -> Connected:
    return Connected(record, held.sane.coinbase, held.sane.leaves[0], held.entries)


def _by_work_then_arrival(block: BlockRecord) -> tuple[int, int]:
    return block.work, -block.id
