"""Relay: what to tell whom, and what to hand out when asked.

Pure. Entries are told by INVENTORY to those who are not known to have them, and fetched from one peer at a
time; new blocks by COMPACT_BLOCK (see `relay`) or HEADERS where the peer is known to have what comes before
them, else by INVENTORY. Whatever is told or
served of the book waits until it is durable, and stored bytes are hashed again before they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.chain import Chain
from node.events import Now
from node.fetching import Fetching, TooManyTold
from node.ledger.block import hash_header
from node.ledger.entry import Entry
from node.ledger.rules import SaneBlock
from node.messages import (
    MAX_ENTRIES,
    MAX_HASHES,
    MAX_HEADERS,
    BlockMessage,
    CompactBlock,
    Entries,
    Feature,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    Kind,
    NotFound,
)
from node.outbox import Outbox
from node.recent import Recent
from node.relay import Relay
from node.sessions import Session, Sessions
from node.storage.port import BlockRecord, Standing, Store
from node.sync import Sync

TRICKLE_MS: Final = 50
"""Entries are told in groups this far apart: few messages, and little delay."""
KNOWN_ENTRIES: Final = 20_000
"""Entries that a peer is remembered to have."""
OFFER_AGAIN_MS: Final = 15_000
"""Own entries are told again this often until a peer has them."""
REMIND_MS: Final = 120_000
"""And this often as long as they wait: a peer that had one may have had to let it go."""
TOLD_AT_ONCE: Final = 8
"""New headers told in one HEADERS; a peer further behind gets the tip's hash and asks."""
SERVED_BLOCKS: Final = 64
"""Blocks that a peer may have asked for and not yet got: more is a fault."""
SERVED_AT_ONCE: Final = 2
"""Blocks read and hashed for one peer before others get a turn: 3 ms for each full one."""
_GREEDY_COST: Final = 20
_OFFER_LOOK_MS: Final = 1_000


@dataclass(slots=True)
class _Peer:
    """What gossip knows of one connection."""

    known: Recent[bytes, None] = field(default_factory=lambda: Recent(KNOWN_ENTRIES))
    to_tell: dict[bytes, None] = field(default_factory=dict)
    flush_ms: int | None = None
    to_serve: dict[bytes, None] = field(default_factory=dict)


class Gossip:
    """Relay of one node."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        sync: Sync,
        sessions: Sessions,
        out: Outbox,
        pending: Callable[[bytes], Entry | None],
        is_known: Callable[[bytes], bool],
        room: Callable[[], int],
        relay: Relay,
    ) -> None:
        """`pending(txid)` gives an entry to be handed out; `is_known(txid)` means that none is wanted.

        `room()` tells how many more could be taken in now.
        """
        self._store = store
        self._chain = chain
        self._sync = sync
        self._sessions = sessions
        self._out = out
        self._pending = pending
        self._relay = relay
        relay.given_up = self._serve_waiting
        self._fetching = Fetching(is_known, room, self._ask)
        self._peers: dict[int, _Peer] = {}
        self._serving: dict[int, None] = {}
        """Connections that are being sent blocks, a few at once."""
        self._unheard: dict[bytes, int] = {}
        """Own entries that no peer is known to have -> when to offer them again; monotonic milliseconds."""
        self._heard_of: dict[bytes, int] = {}
        """The other own entries that wait, in the same way."""
        self._offer_ms = 0

    # -------------------------------------------------------------------------------------- connections

    def opened(self, connection: int, txids: Iterable[bytes], now: Now) -> None:
        """Tell a new peer of what is pending here."""
        peer = self._peers[connection] = _Peer()
        self._fetching.opened(connection)
        for txid in txids:
            self._queue(peer, txid, now)

    def closed(self, connection: int, now: Now) -> None:
        """Forget a peer; what was asked of it is asked of others."""
        self._peers.pop(connection, None)
        self._serving.pop(connection, None)
        self._fetching.closed(connection, now)

    # ------------------------------------------------------------------------------------------ entries

    def entry_added(self, entry: Entry, origin: int | None, now: Now) -> None:
        """Tell the others of a pending entry that came from connection `origin`; None: typed here."""
        if origin is None:
            self._unheard[entry.txid] = now.mono_ms + OFFER_AGAIN_MS
        for connection, peer in self._peers.items():
            if connection != origin:
                self._queue(peer, entry.txid, now)

    def entry_gone(self, txid: bytes) -> None:
        """Offer an entry no more: it is in a block, or void."""
        self._unheard.pop(txid, None)
        self._heard_of.pop(txid, None)

    def entries_came(self, connection: int, txids: Sequence[bytes], now: Now) -> None:
        """Note that a peer has these, and that they need not be fetched any more."""
        self._fetching.came(txids, now)
        peer = self._peers.get(connection)
        for txid in txids:
            self._heard(txid)
            if peer is not None:
                peer.known.note(txid, None)

    def _queue(self, peer: _Peer, txid: bytes, now: Now) -> None:
        if txid not in peer.known:
            peer.to_tell[txid] = None
            if peer.flush_ms is None:
                peer.flush_ms = now.mono_ms + TRICKLE_MS

    def _heard(self, txid: bytes) -> None:
        due_ms = self._unheard.pop(txid, None)
        if due_ms is not None:
            self._heard_of[txid] = due_ms + REMIND_MS

    def refused(self, txid: bytes, now: Now) -> None:
        """Offer an own entry again later: a peer that asked for it would not take it.

        What it lacked may come: room, the entry before it, a clock set right; and it may be the only peer.
        """
        self._unheard[txid] = now.mono_ms + OFFER_AGAIN_MS

    def heard_by(self, txid: bytes) -> int:
        """Return how many peers have heard of an entry: by what they told, and by what they were told.

        0 for one typed here until the first of them has shown that it took it.
        """
        if txid in self._unheard:
            return 0
        return sum(txid in peer.known for peer in self._peers.values())

    def told_of_entries(self, connection: int, txids: Sequence[bytes], now: Now) -> None:
        """Take an INVENTORY of entries: ask for those that are not known."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        for txid in txids:
            peer.known.note(txid, None)
            peer.to_tell.pop(txid, None)
            self._heard(txid)
        try:
            self._fetching.told(connection, txids, now)
        except TooManyTold:
            self._sessions.fault(connection, "too-many-entries-told", 100, "more than can be pending", now)

    def _ask(self, connection: int, txids: Sequence[bytes]) -> None:
        for start in range(0, len(txids), MAX_HASHES):
            self._sessions.send(connection, GetData(Kind.ENTRY, tuple(txids[start : start + MAX_HASHES])))

    def fetch_more(self, now: Now) -> None:
        """Ask for entries that there was no room for."""
        self._fetching.go_on(now)

    def not_found(self, connection: int, txids: Sequence[bytes], now: Now) -> None:
        """Take a NOT_FOUND of entries."""
        self._fetching.not_found(connection, txids, now)

    def asked_for_entries(self, connection: int, txids: Sequence[bytes]) -> None:
        """Answer GET_DATA of entries."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        found = [(txid, self._pending(txid)) for txid in txids[:MAX_ENTRIES]]
        raws = tuple(entry.raw for _, entry in found if entry is not None)
        if raws:
            self._sessions.send(connection, Entries(raws))
        for txid, entry in found:
            if entry is not None:
                peer.known.note(txid, None)
                self._heard(txid)
        missing = tuple(txid for txid, entry in found if entry is None)
        for txid in missing:
            peer.known.forget(txid)  # it was told of it, and is to hear again should it come back
        if missing:
            self._sessions.send(connection, NotFound(Kind.ENTRY, missing))

    # ------------------------------------------------------------------------------------------- blocks

    def new_tip(self, record: BlockRecord, batch: int, sane: SaneBlock | None = None) -> None:
        """Tell everyone of a new tip, once it is durable; by its short ids whoever has all but this block.

        `sane`: the block, where it is at hand.
        """
        compact: CompactBlock | None = None
        for session in self._sessions.open():
            known = self._sync.known_to(session.connection)
            if any(self._chain.tree.is_ancestor(record, one) for one in known):
                continue
            if sane is not None and self._wants_parts(session, record, known):
                compact = compact or self._relay.compact_of(sane)
                self._relay.tell(session, compact, record, batch)
            else:
                self._tell_of_tip(session, record, known, batch)

    def _wants_parts(self, session: Session, record: BlockRecord, known: Sequence[BlockRecord]) -> bool:
        parent = self._chain.tree.parent(record)
        return session.link.agreed(Feature.COMPACT_BLOCKS) and any(
            self._chain.tree.is_ancestor(parent, one) for one in known
        )

    def _tell_of_tip(
        self, session: Session, record: BlockRecord, known: Sequence[BlockRecord], batch: int
    ) -> None:
        tree = self._chain.tree
        forks = [tree.fork_point(record, one) for one in known]
        fork = max(forks, key=lambda one: one.height, default=None)
        if fork is None or record.height - fork.height > TOLD_AT_ONCE:
            # It asks for the headers between, and only then knows this one.
            self._sessions.send(session.connection, Inventory(Kind.BLOCK, (record.hash,)), batch)
            return
        headers = tuple(block.header.raw for block in tree.path(fork, record))
        self._sessions.send(session.connection, Headers(headers), batch)
        self._sync.told(session.connection, record)

    def asked_for_headers(self, connection: int, asked: GetHeaders) -> None:
        """Answer GET_HEADERS from the main chain."""
        start = 0
        for block_hash in asked.locator:
            record = self._store.find(block_hash)
            if record is not None and self._is_on_main(record):
                start = record.height
                self._sync.learned(connection, record)
                break
        headers: list[bytes] = []
        for raw in self._store.main_headers(start + 1, MAX_HEADERS):
            headers.append(raw)
            if asked.stop.strip(b"\x00") and hash_header(raw) == asked.stop:
                break
        self._sessions.send(connection, Headers(tuple(headers)), self._out.latest)
        sent = self._store.main_at(start + len(headers))
        if sent is not None:
            self._sync.told(connection, sent)

    def _is_on_main(self, record: BlockRecord) -> bool:
        main = self._store.main_at(record.height)
        return main is not None and main.id == record.id

    def asked_for_blocks(self, connection: int, hashes: Sequence[bytes], now: Now) -> None:
        """Take a GET_DATA of blocks; they leave as fast as the peer reads."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        if len(peer.to_serve.keys() | hashes) > SERVED_BLOCKS:  # what is asked for twice is served once
            self._sessions.fault(
                connection, "too-many-blocks-asked", _GREEDY_COST, f"{len(hashes)} more blocks at once", now
            )
            return
        peer.to_serve.update(dict.fromkeys(hashes))
        self.serve(connection)

    def serve(self, connection: int) -> None:
        """Have blocks sent that a peer waits for, while it reads them."""
        self._serving[connection] = None

    def advance(self) -> bool:
        """Send blocks, a few to each peer that waits; True where there is more to do at once."""
        waiting, self._serving = self._serving, {}
        for connection in waiting:
            self._serve(connection)
        return bool(self._serving)

    def _serve(self, connection: int) -> None:
        peer = self._peers.get(connection)
        session = self._sessions.get(connection)
        if peer is None or session is None:
            return
        missing, coming = [], []
        served = 0
        while peer.to_serve and not session.is_busy:
            if served == SERVED_AT_ONCE:
                self._serving[connection] = None  # the first ones leave before more are read
                break
            block_hash = next(iter(peer.to_serve))
            del peer.to_serve[block_hash]
            record = self._store.find(block_hash)
            is_here = record is not None and record.standing in (Standing.STORED, Standing.PROVEN)
            if not is_here and self._relay.is_coming(block_hash):
                coming.append(block_hash)  # told of before it was at hand: `_serve_waiting` goes on
                continue
            if record is None or not is_here or record.height == 0:
                missing.append(block_hash)
                if record is not None:
                    self._sync.untold(connection, record)
                continue
            # Hashed to its header again: what was edited on this disk is never handed on.
            served += 1
            raw = self._chain.load(record).block.raw
            self._sessions.send(connection, BlockMessage(raw), self._out.latest)
        peer.to_serve.update(dict.fromkeys(coming))
        if missing:
            self._sessions.send(connection, NotFound(Kind.BLOCK, tuple(missing)))

    def block_settled(self, record: BlockRecord, raws: Sequence[bytes], now: Now) -> None:
        """A block was connected, put aside or condemned: answer those who were told of it before.

        `raws`: its entries, where they are at hand and good.
        """
        self._relay.settled(record, raws, now)

    def _serve_waiting(self, block_hash: bytes) -> None:
        """Answer those who wait for a block that was passed on before it was here."""
        for connection, peer in self._peers.items():
            if block_hash in peer.to_serve:
                self.serve(connection)

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now) -> None:
        """Tell what has gathered; ask others for what did not come; offer own entries again."""
        for connection, peer in self._peers.items():
            if peer.flush_ms is not None and now.mono_ms >= peer.flush_ms:
                self._flush(connection, peer)
        self._fetching.tick(now)
        if now.mono_ms >= self._offer_ms:
            self._offer_ms = now.mono_ms + _OFFER_LOOK_MS
            self._offer_again(now)

    def _flush(self, connection: int, peer: _Peer) -> None:
        txids = [txid for txid in peer.to_tell if self._pending(txid) is not None]
        peer.to_tell.clear()
        peer.flush_ms = None
        for txid in txids:
            peer.known.note(txid, None)
        for start in range(0, len(txids), MAX_HASHES):
            # What was typed here is in the journal before anyone hears of it.
            told = Inventory(Kind.ENTRY, tuple(txids[start : start + MAX_HASHES]))
            self._sessions.send(connection, told, self._out.latest)

    def _offer_again(self, now: Now) -> None:
        waiting: list[bytes] = []
        for offered, again_ms in ((self._unheard, OFFER_AGAIN_MS), (self._heard_of, REMIND_MS)):
            for txid in [txid for txid, due_ms in offered.items() if now.mono_ms >= due_ms]:
                del offered[txid]  # also what was replaced meanwhile
                if self._pending(txid) is not None:
                    offered[txid] = now.mono_ms + again_ms
                    waiting.append(txid)
        for start in range(0, len(waiting), MAX_HASHES):
            told = Inventory(Kind.ENTRY, tuple(waiting[start : start + MAX_HASHES]))
            for connection in self._peers:
                self._sessions.send(connection, told, self._out.latest)

    def deadline(self, now: Now) -> int | None:
        """Return when `tick` is wanted next; monotonic milliseconds."""
        times = [peer.flush_ms for peer in self._peers.values() if peer.flush_ms is not None]
        fetch_ms = self._fetching.deadline(now)
        if fetch_ms is not None:
            times.append(fetch_ms)
        if (self._unheard or self._heard_of) and self._peers:
            times.append(max(self._offer_ms, now.mono_ms + 1))
        return min(times, default=None)
