"""Compact blocks on their way: passed on after their proof of work, and put together of pending entries.

Pure. What is missing of a block is asked for by position of the peer that sent it; where that does not lead
to the header's own body the whole block is asked for, as if nobody had sent any part. Passing on claims
nothing but the proof of work: nobody pays for a compact block whose body turns out to break a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.chain import Chain
from node.compact import DoesNotFit, Partial, compact_of
from node.events import NOTHING, Level, Now
from node.ledger import rules
from node.ledger.block import LEAST_IN_BLOCK, Header, decode_header
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.messages import (
    SHORT_ID_BYTES,
    BlockEntries,
    CompactBlock,
    Feature,
    GetBlockEntries,
    Kind,
    NotFound,
)
from node.outbox import Outbox
from node.recent import Recent
from node.sessions import Session, Sessions
from node.storage.port import BlockRecord, Store
from node.sync import Sync

MAX_PARTIALS: Final = 8
"""Blocks that are being put together, in all: each took a block's work, or stands on such a one."""
MAX_VERSIONS: Final = 3
"""Ways in which peers tell of one block: nothing but the whole block shows whose short ids are right."""
MAX_UNANSWERED: Final = 8
"""Questions for entries of blocks that a peer has left open; then it is asked for whole blocks only."""
MAX_PASSED: Final = 8
"""Blocks passed on that are not at hand yet, and whose entries peers may wait for."""
MAX_ASKED_BESIDE: Final = 1_000
"""Entries of a block that are asked for beside the whole block, or beside those of another copy."""
MAX_WAITED_FOR: Final = 1_000
"""Entries of a block that is not at hand yet for which a peer may wait; who lacks more asks for the block."""
KEPT_BLOCKS: Final = 4
"""The latest blocks that were told of by their short ids, kept to hand out entries of."""
REMEMBERED: Final = 64
"""Compact blocks of one peer, and to one peer, that are remembered."""
SLICE: Final = 2_000
"""Pending entries looked through before others get a turn: 1.3 ms."""
_SLICE_COST: Final = 250
"""What that weighs beside entries that are connected."""
_UNREQUESTED_COST: Final = 10
_FAULTY_COST: Final = 100


@dataclass(slots=True)
class _Peer:
    """What the relay knows of one connection."""

    sent: Recent[bytes, None] = field(default_factory=lambda: Recent(REMEMBERED))
    """Blocks that it may ask entries of, once each."""
    came: Recent[bytes, None] = field(default_factory=lambda: Recent(REMEMBERED))
    """Compact blocks that it sent: each is looked at once."""
    awaited: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    """Positions asked of it, by block."""


@dataclass(slots=True)
class _Part:
    """A block that is being put together."""

    record: BlockRecord
    connection: int
    """Who sent it, and is asked for what is missing."""
    compact: CompactBlock
    partial: Partial
    reserved: bool
    """This peer is waited for, and nobody is asked for the whole block meanwhile."""
    asked: tuple[int, ...] | None = None
    """Positions whose entries it was asked for."""
    work: Iterator[int] | None = None
    """What is being done; None while entries are awaited."""
    is_new: bool = True
    """It came in this step: what passes it on leaves before any more is done."""


class Relay:
    """Compact blocks of one node."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        sync: Sync,
        sessions: Sessions,
        out: Outbox,
        at_hand: Callable[[], list[Entry]],
    ) -> None:
        """`at_hand()` gives the entries that a block may be made of: pending, being checked, saved."""
        self._store = store
        self._chain = chain
        self._sync = sync
        self._sessions = sessions
        self._out = out
        self._at_hand = at_hand
        self._peers: dict[int, _Peer] = {}
        self._parts: dict[tuple[bytes, int], _Part] = {}
        """By block and connection."""
        self._kept: Recent[bytes, tuple[bytes, ...]] = Recent(KEPT_BLOCKS)
        """Entries of blocks that were told of by their short ids."""
        self._passed: dict[bytes, dict[int, tuple[int, ...]]] = {}
        """Blocks passed on that are not at hand yet; who waits for which of their entries."""
        self._has_dropped = False
        """A block is to be asked for whole."""
        self.given_up: Callable[[bytes], None] = lambda _: None
        """Called with each block that is waited for no more: it is at hand now, or is not coming."""

    def closed(self, connection: int) -> None:
        """Forget a peer, and what was to be put together with its help."""
        self._peers.pop(connection, None)
        for askers in self._passed.values():
            askers.pop(connection, None)
        for block_hash, whose in list(self._parts):
            if whose == connection:
                del self._parts[block_hash, whose]

    def _peer(self, connection: int) -> _Peer:
        return self._peers.setdefault(connection, _Peer())

    # ------------------------------------------------------------------------------------------ told of

    def compact_came(self, connection: int, compact: CompactBlock, now: Now) -> None:
        """Take a COMPACT_BLOCK: check its header, pass it on, and begin to put the block together."""
        try:
            header = _check(compact, self._chain.parameters)
        except RuleBroken as broken:
            self._sessions.fault(
                connection, broken.rule, _FAULTY_COST, f"compact block: {broken.detail}", now
            )
            return
        came = self._peer(connection).came
        if header.hash in came:
            self._sync.told_of(connection, (header.hash,), now)  # it may have the block by now
            return
        record = self._sync.header_came(connection, header, now)
        if record is not None and self._chain.is_wanted(record) and record.work > self._chain.tip.work:
            came.note(header.hash, None)
            if record.parent_id == self._chain.tip.id:
                self._pass_on(connection, compact, record)
            self._begin(connection, compact, record, now)
        self._sync.schedule(now)

    def _pass_on(self, origin: int, compact: CompactBlock, record: BlockRecord) -> None:
        """Send another's block on, unchecked but for its header; to each peer at most once."""
        if record.hash in self._passed:
            return
        self._passed[record.hash] = {}
        while len(self._passed) > MAX_PASSED:
            self._give_up(next(iter(self._passed)))
        parent = self._chain.tip
        # Where the parent is not durable, those who were told of it may not have heard yet.
        is_durable = self._chain.tree.is_ancestor(parent, self._store.durable_tip())
        after = NOTHING if is_durable else self._out.latest
        for session in self._sessions.open():
            if session.connection != origin and self._wants(session, record, parent):
                self.tell(session, compact, record, after)

    def _wants(self, session: Session, record: BlockRecord, parent: BlockRecord) -> bool:
        tree, known = self._chain.tree, self._sync.known_to(session.connection)
        return (
            session.link.agreed(Feature.COMPACT_BLOCKS)
            and any(tree.is_ancestor(parent, one) for one in known)
            and not any(tree.is_ancestor(record, one) for one in known)
        )

    def tell(self, session: Session, compact: CompactBlock, record: BlockRecord, after: int) -> None:
        """Tell a peer of a block by its short ids, once batch `after` is durable."""
        self._peer(session.connection).sent.note(record.hash, None)
        self._sessions.send(session.connection, compact, after)
        self._sync.told(session.connection, record)

    def compact_of(self, sane: rules.SaneBlock) -> CompactBlock:
        """Return how to tell of a connected block, whose entries may be asked for from now on."""
        self._kept.note(sane.header.hash, sane.block.entries)
        return compact_of(sane.block, sane.txids)

    # ------------------------------------------------------------------------------------- put together

    def _begin(self, connection: int, compact: CompactBlock, record: BlockRecord, now: Now) -> None:
        others = self._parts_of(record.hash)
        # Neither short ids nor coinbase are bound to the header before all is put together: anyone may have
        # changed them on the way, so what another peer says of the same block is looked at beside it.
        told = any(other.compact == compact or other.connection == connection for other in others)
        if told or len(others) >= MAX_VERSIONS:
            return
        parent = self._chain.tree.parent(record)
        if not self._chain.has_body(parent) and not self._parts_of(parent.hash):
            return  # what comes before it is missing: it is fetched in its turn
        reserved = not others and self._sync.reserve(connection, record, now)
        part = _Part(record, connection, compact, Partial(compact, record.header), reserved)
        part.work = self._look(part, now)
        self._parts[record.hash, connection] = part
        while len(self._parts) > MAX_PARTIALS:
            self._drop(next(iter(self._parts.values())))

    def _parts_of(self, block_hash: bytes) -> list[_Part]:
        return [part for part in self._parts.values() if part.record.hash == block_hash]

    def advance(self, budget: int, now: Now) -> bool:
        """Work on blocks that are put together, some `budget` entries; True where there is more to do."""
        for key, part in list(self._parts.items()):
            if part.is_new:
                part.is_new = False
                continue
            if self._parts.get(key) is not part:
                continue  # another one has brought the block meanwhile
            if self._chain.headers.is_condemned(part.record):
                self._drop(part)
            while part.work is not None and budget > 0:
                try:
                    budget -= next(part.work)
                except StopIteration:
                    part.work = None
        if self._has_dropped:
            self._has_dropped = False
            self._sync.schedule(now)
        return any(part.work is not None for part in self._parts.values())

    def _look(self, part: _Part, now: Now) -> Iterator[int]:
        """Look for the block's entries among those at hand; ask for the others."""
        at_hand = self._at_hand()
        for start in range(0, len(at_hand), SLICE):
            if part.partial.is_complete:
                break
            part.partial.look_through(at_hand[start : start + SLICE])
            yield _SLICE_COST
        if part.partial.is_complete:
            self._finish(part, now)
        elif part.reserved or len(part.partial.missing()) <= MAX_ASKED_BESIDE:
            self._ask(part)
        else:
            self._drop(part)  # the whole block is on its way

    def _ask(self, part: _Part) -> None:
        peer = self._peer(part.connection)
        if len(peer.awaited) >= MAX_UNANSWERED:
            self._drop(part)
            return
        part.asked = peer.awaited[part.record.hash] = part.partial.missing()
        self._sessions.send(part.connection, GetBlockEntries(part.record.hash, part.asked))

    def entries_came(self, connection: int, message: BlockEntries, now: Now) -> None:
        """Take a BLOCK_ENTRIES."""
        positions = self._peer(connection).awaited.pop(message.block_hash, None)
        part = self._parts.get((message.block_hash, connection))
        if positions is None:
            self._sessions.fault(
                connection, "unrequested-block", _UNREQUESTED_COST, "entries of a block nobody asked for", now
            )
        elif len(positions) != len(message.raws):
            if part is not None:
                self._drop(part)
            detail = f"{len(message.raws)} entries of a block, {len(positions)} were asked for"
            self._sessions.fault(connection, "block-entries-count", _FAULTY_COST, detail, now)
        elif part is not None and part.asked is positions:  # else it answers what was dropped meanwhile
            part.work = self._fill(part, positions, message.raws, now)

    def _fill(self, part: _Part, positions: Sequence[int], raws: Sequence[bytes], now: Now) -> Iterator[int]:
        for start in range(0, len(raws), SLICE):
            end = start + SLICE
            try:
                part.partial.fill(positions[start:end], raws[start:end])
            except DoesNotFit as error:
                self._misfits(part, str(error))
                return
            yield len(raws[start:end])
        self._finish(part, now)

    def _finish(self, part: _Part, now: Now) -> None:
        made = part.partial.put_together()
        try:
            is_good = self._chain.offer_parts(made.block, made.leaves, made.entries, part.connection)
        except RuleBroken as broken:
            self._misfits(part, str(broken))
            return
        if part.reserved:  # else somebody else is waited for, or sends the whole block
            self._sync.came_in_parts(part.connection, part.record, len(made.block.raw), now)
        for one in self._parts_of(part.record.hash):
            del self._parts[part.record.hash, one.connection]
            if one.reserved and one is not part:
                self._sync.release(one.connection, part.record)
        if is_good:
            self._kept.note(part.record.hash, made.block.entries)
            self._answer_askers(part.record.hash, made.block.entries, now)

    def _misfits(self, part: _Part, why: str) -> None:
        """What was put together is not the header's body; it may be the short ids: nobody is to blame."""
        self._drop(part)
        self._out.notice(
            "compact-block-misfits",
            f"peer {self._sessions.name(part.connection)}: block {part.record.height} "
            f"{part.record.hash.hex()[:8]}… is asked for whole ({why})",
            Level.DEBUG,
        )

    def _drop(self, part: _Part) -> None:
        """Put a block together no more: it is asked for whole."""
        part.work = None
        self._parts.pop((part.record.hash, part.connection), None)
        if part.reserved:
            self._sync.release(part.connection, part.record)
        self._has_dropped = True

    def not_found(self, connection: int, hashes: Sequence[bytes]) -> tuple[bytes, ...]:
        """Take a NOT_FOUND of blocks; return those of which no entries were asked for."""
        awaited = self._peer(connection).awaited
        for block_hash in hashes:
            if block_hash in awaited:
                part = self._parts.get((block_hash, connection))
                if part is not None:
                    self._drop(part)
        others = tuple(block_hash for block_hash in hashes if block_hash not in awaited)
        for block_hash in hashes:
            awaited.pop(block_hash, None)
        return others

    # ------------------------------------------------------------------------------------------ asked for

    def asked_for(self, connection: int, asked: GetBlockEntries, now: Now) -> None:
        """Answer a GET_BLOCK_ENTRIES, now or once the block is at hand."""
        peer, block_hash = self._peer(connection), asked.block_hash
        if block_hash not in peer.sent:
            self._sessions.fault(
                connection,
                "unannounced-block",
                _UNREQUESTED_COST,
                "entries asked for of a block that it was not sent in parts, or once more",
                now,
            )
            return
        peer.sent.forget(block_hash)
        raws = self._kept.get(block_hash)
        if raws is not None:
            self._hand_out(connection, block_hash, asked.positions, raws, now)
        elif block_hash in self._passed and len(asked.positions) <= MAX_WAITED_FOR:
            self._passed[block_hash][connection] = asked.positions
        else:
            self._sessions.send(connection, NotFound(Kind.BLOCK, (block_hash,)))

    def _hand_out(
        self,
        connection: int,
        block_hash: bytes,
        positions: tuple[int, ...],
        raws: Sequence[bytes],
        now: Now,
    ) -> None:
        if positions[-1] >= len(raws):
            detail = f"entry {positions[-1]} asked for of a block of {len(raws)}"
            self._sessions.fault(connection, "position-out-of-range", _FAULTY_COST, detail, now)
            return
        entries = tuple(raws[position] for position in positions)
        self._sessions.send(connection, BlockEntries(block_hash, entries))

    def is_coming(self, block_hash: bytes) -> bool:
        """True for a block that was passed on and is not at hand yet: who asks for it may wait."""
        return block_hash in self._passed

    def settled(self, record: BlockRecord, raws: Sequence[bytes], now: Now) -> None:
        """A block was connected, put aside or condemned: nobody need wait for it any more.

        `raws`: its entries, where they are at hand and good.
        """
        for part in self._parts_of(record.hash):
            self._drop(part)
        if raws:
            self._answer_askers(record.hash, raws, now)
        self._give_up(record.hash)

    def _answer_askers(self, block_hash: bytes, raws: Sequence[bytes], now: Now) -> None:
        askers = self._passed.get(block_hash)
        if askers:
            self._passed[block_hash] = {}
            for connection, positions in askers.items():
                self._hand_out(connection, block_hash, positions, raws, now)

    def _give_up(self, block_hash: bytes) -> None:
        askers = self._passed.pop(block_hash, None)
        if askers is None:
            return
        for connection in askers:
            self._sessions.send(connection, NotFound(Kind.BLOCK, (block_hash,)))
        self.given_up(block_hash)


def _check(compact: CompactBlock, parameters: Parameters) -> Header:
    """Return the header, to which the body belongs. Raises RuleBroken: what no node would have passed on."""
    header = decode_header(compact.header)
    if compact.body.root() != header.body_root:
        raise RuleBroken(Rule.BODY_ROOT, "the body does not hash to the header's body root")
    count = len(compact.short_ids) // SHORT_ID_BYTES + 1
    if compact.body.count != count:
        raise RuleBroken(Rule.ENTRY_COUNT, f"count is {compact.body.count}, there are {count} leaves")
    # Whoever lacks them all must be able to ask for them: a question has room for what a block has room for.
    if (count - 1) * LEAST_IN_BLOCK > parameters.maximum_block_bytes:
        raise RuleBroken(Rule.BLOCK_SIZE, f"{count - 1} entries are more than a block of this network holds")
    return header
