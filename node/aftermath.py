"""What follows when the tip moves: for pending entries, relay, mining, and the log.

Pure. The chain says what it did; here the conclusions are drawn, those that take long in slices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from node.chain import Chain
from node.connecting import SLICE
from node.events import Level, Now
from node.gossip import Gossip
from node.intake import Intake
from node.ledger.entry import Entry
from node.mempool import Mempool
from node.messages import Reject
from node.mining import Mining
from node.outbox import Outbox
from node.outcomes import BlockCondemned, BlockConnected, BlockStored, Switched
from node.sessions import Sessions
from node.storage.port import BlockRecord, Store
from node.sync import Sync


@dataclass(slots=True)
class _Leaving:
    """Entries of blocks that are connected but not yet durable: still told of as pending."""

    entries: dict[bytes, Entry] = field(default_factory=dict)
    batches: list[tuple[int, list[bytes]]] = field(default_factory=list)

    def note(self, batch: int, entries: Sequence[Entry]) -> None:
        """Keep them until the batch is durable."""
        self.batches.append((batch, [entry.txid for entry in entries]))
        self.entries.update((entry.txid, entry) for entry in entries)

    def persisted(self, batch: int) -> None:
        """Forget those of this batch and before."""
        while self.batches and self.batches[0][0] <= batch:
            for txid in self.batches.pop(0)[1]:
                self.entries.pop(txid, None)


class Aftermath:
    """The conclusions of one node."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        mempool: Mempool,
        intake: Intake,
        gossip: Gossip,
        mining: Mining,
        sync: Sync,
        sessions: Sessions,
        out: Outbox,
    ) -> None:
        self._store = store
        self._chain = chain
        self._mempool = mempool
        self._intake = intake
        self._gossip = gossip
        self._mining = mining
        self._sync = sync
        self._sessions = sessions
        self._out = out
        self._leaving = _Leaving()
        self._jobs: deque[Iterator[int]] = deque()
        """Work on pending entries after a switch, in slices."""
        self.has_changed_pending = False
        """True until whoever saves the pending entries has seen it."""

    def conclude(self, now: Now) -> bool:
        """Draw the conclusions from what the chain did since the last call; False where it did nothing."""
        outcomes, self._chain.outcomes = self._chain.outcomes, []
        for outcome in outcomes:
            self._OUTCOMES[type(outcome)](self, outcome, now)
        return bool(outcomes)

    def advance(self, budget: int) -> bool:
        """Work on pending entries after a switch, some `budget` entries; True where there is more to do."""
        while self._jobs and budget > 0:
            try:
                budget -= next(self._jobs[0])
            except StopIteration:
                self._jobs.popleft()
        return bool(self._jobs)

    def persisted(self, batch: int) -> None:
        """Forget the entries of blocks that are durable now."""
        self._leaving.persisted(batch)

    def leaving(self) -> Mapping[bytes, Entry]:
        """Return the entries, by txid, of blocks that are connected but not durable yet."""
        return self._leaving.entries

    def _block_connected(self, done: BlockConnected, now: Now) -> None:
        record = done.record
        settled = self._mempool.block_connected(done.entries, self._store.account, credited=done.credited)
        self._leaving.note(done.batch, settled.confirmed)
        self._after_new_tip(record, [*settled.confirmed, *settled.conflicted])
        self._mining.connected(record, done.batch)
        synced = not self._sync.is_downloading(now)
        took = max(0, now.wall_ms - record.first_seen_ms)
        count = len(done.entries)
        self._out.notice(
            "block-connected",
            f"{self._source(done.origin, record)}: block {record.height} {record.hash.hex()[:8]}… connected "
            f"({count} {'entry' if count == 1 else 'entries'}, +{took} ms)",
            Level.INFO if synced else Level.DEBUG,
            after=done.batch,
            fields=_fields(record) | {"entries": count, "mined_here": self._mining.is_own(record.hash)},
        )
        for entry in settled.conflicted:
            self._tell_conflicted(entry)
        if synced:
            self._gossip.new_tip(record, done.batch, done.sane)
        self._gossip.block_settled(record, done.sane.block.entries, now)

    def _source(self, origin: int, record: BlockRecord) -> str:
        if self._mining.is_own(record.hash):
            return "mined here"
        session = self._sessions.get(origin)
        return f"peer {session.name}" if session is not None else "book"

    def _after_new_tip(self, record: BlockRecord, gone: Sequence[Entry]) -> None:
        self.has_changed_pending = True
        self._intake.tip_changed()
        expired = self._mempool.expire(record.header.timestamp_ms)
        for entry in [*gone, *expired]:
            self._gossip.entry_gone(entry.txid)
        for entry in expired:
            self._out.notice(
                "entry-expired",
                f"entry {entry.txid.hex()[:8]}… left the pending ones: its lifetime is over",
                fields={"txid": entry.txid.hex()},
            )

    def _tell_conflicted(self, entry: Entry) -> None:
        self._gossip.entry_gone(entry.txid)
        self._out.notice(
            "entry-conflicted",
            f"entry {entry.txid.hex()[:8]}… is void: another entry used its nonce",
            Level.WARNING,
            fields={"txid": entry.txid.hex()},
        )

    def _switched(self, done: Switched, now: Now) -> None:
        old, new, fork = done.old, done.new, done.fork
        undone = old.height - fork.height
        self._out.notice(
            "reorganisation",
            f"switched to a heavier branch: {undone} blocks undone, {new.height - fork.height} connected, "
            f"from height {fork.height} to {new.height} {new.hash.hex()[:8]}…"
            + ("; the old branch is kept as evidence" if done.loud else ""),
            Level.WARNING if done.loud else Level.INFO,
            after=done.batch,
            fields=_fields(new) | {"undone": undone, "fork": fork.height, "loud": done.loud},
        )
        self._jobs.append(self._move_pending(done, now))
        self._gossip.new_tip(new, done.batch)

    def _move_pending(self, done: Switched, now: Now) -> Iterator[int]:
        """Let the entries of undone blocks wait again, then take out what the new branch holds."""
        yield from self._return_entries(done.old, done.fork, now)
        tree, account_of = self._chain.tree, self._store.account
        for record in tree.path(done.fork, done.new):
            held = self._chain.recall(record)
            yield from held.take_apart(SLICE)
            entries = held.entries
            credited = self._chain.credited_by(record, held.sane.coinbase)
            settled = self._mempool.block_connected(entries, account_of, credited=credited)
            if done.batch > self._out.durable:
                self._leaving.note(done.batch, settled.confirmed)
            for entry in settled.conflicted:
                self._tell_conflicted(entry)
            for entry in settled.confirmed:
                self._gossip.entry_gone(entry.txid)
            self._gossip.block_settled(record, held.sane.block.entries, now)
            yield len(entries) + 1
        self._after_new_tip(self._chain.tip, ())

    def resume(self, now: Now) -> None:
        """Go on after a restart: entries of blocks that were undone, and not saved since, wait again."""
        for left, fork in self._chain.unsaved_switches():
            self._jobs.append(self._return_entries(left, fork, now))

    @property
    def is_moving(self) -> bool:
        """True while entries of undone blocks come back: what is pending is not known in full yet."""
        return bool(self._jobs)

    def _return_entries(self, left: BlockRecord, fork: BlockRecord, now: Now) -> Iterator[int]:
        """Let the entries of the blocks above `fork` up to `left` wait again."""
        account_of = self._store.account
        timestamp_ms = self._chain.tip.header.timestamp_ms
        for record in self._chain.tree.path(fork, left):
            held = self._chain.recall(record)
            yield from held.take_apart(SLICE)
            entries = held.entries
            debited = self._chain.credited_by(record, held.sane.coinbase)
            returned = self._mempool.block_disconnected(
                entries, account_of, timestamp_ms, now.wall_ms, debited=debited
            )
            for entry in returned.pending:
                self._gossip.entry_added(entry, None if self._is_own(entry) else -1, now)
            if returned.pending:
                self._mining.entry_added(own=False, now=now)
            yield len(entries) + 1

    def _is_own(self, entry: Entry) -> bool:
        pending = self._mempool.get(entry.txid)
        return pending is not None and pending.own

    def _block_stored(self, done: BlockStored, now: Now) -> None:
        self._gossip.block_settled(done.record, (), now)
        self._out.notice(
            "block-aside",
            f"block {done.record.height} {done.record.hash.hex()[:8]}… kept: its branch is not heavier yet",
            Level.DEBUG,
            after=done.batch,
            fields=_fields(done.record),
        )

    def _block_condemned(self, done: BlockCondemned, now: Now) -> None:
        record, broken = done.record, done.broken
        self._gossip.block_settled(record, (), now)
        text = f"block {record.height} {record.hash.hex()[:8]}… refused for good: {broken}"
        if self._mining.is_own(record.hash):
            self._mining.condemned(record.hash, broken)
            return
        self._out.notice(
            "block-condemned", text, Level.WARNING, fields=_fields(record) | {"rule": str(broken.rule)}
        )
        self._sessions.fault(done.origin, broken.rule, 100, text, now)
        if done.origin != done.came_from and self._sessions.get(done.came_from) is not None:
            # Not charged, for it may have passed it on; who mined it, by an edited book, would never know.
            self._sessions.send(done.came_from, Reject(str(broken.rule), record.hash))

    _OUTCOMES: ClassVar[Mapping[type, Callable[..., None]]] = {
        BlockConnected: _block_connected,
        Switched: _switched,
        BlockStored: _block_stored,
        BlockCondemned: _block_condemned,
    }


def _fields(record: BlockRecord) -> dict[str, object]:
    return {"height": record.height, "hash": record.hash.hex()}
