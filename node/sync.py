"""Headers first, then blocks from several peers at once.

Pure. Headers enter the tree only when their branch's work comes near the tip's; before that a branch is only
measured (running work, last header, one hash a batch) and fetched a second time against those hashes. Blocks
are asked for inside a window that moves with what is prepared, at most `IN_FLIGHT` a peer; a peer that stalls
loses its turn, not the node's progress.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Final, NamedTuple, TypeVar

from node.chain import Chain
from node.events import Level, Now
from node.ledger import rules
from node.ledger.block import HEADER_BYTES, Header, decode_header, hash_header
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.messages import MAX_HEADERS, GetData, GetHeaders, Kind
from node.outbox import Outbox
from node.sessions import Sessions
from node.storage.port import BlockRecord, Store

IN_FLIGHT: Final = 16
"""Blocks asked of one peer and not yet there."""
WINDOW: Final = 1_024
"""Blocks ahead of what is prepared that may be asked for."""
WINDOW_BYTES: Final = 24 << 20
"""Bodies that may be on their way or waiting in memory."""
FIRST_STALL_MS: Final = 2_000
LONGEST_STALL_MS: Final = 64_000
HEADERS_ANSWER_MS: Final = 30_000
"""A peer may take this long to answer GET_HEADERS before it is asked again."""
REFRESH_MS: Final = 60_000
"""A quiet peer is asked for headers this often, in case an announcement was lost with a connection."""
NEAR_BLOCKS: Final = 40
"""Headers enter the tree when their branch's work passes that of the block this far below the tip."""
MEASURED_BATCHES: Final = 1 << 21
"""Batches of headers measured before a branch is given up: past the height that a u32 holds."""
PATIENCE_MS: Final = 5_000
"""A heavier branch whose blocks do not come hinders mining and telling no longer than this.

Long enough to ask a second peer; short against the interval of blocks, for whoever mines a header and keeps
its body back must not thereby stop the others.
"""

_BLOCK_HEADER: Final = slice(3, 3 + HEADER_BYTES)
"""Where the header stands in a canonical block: behind an array header and a bin 8 header."""
_LATE_BLOCKS: Final = 256
_UNREQUESTED_COST: Final = 10
_UNCONNECTED_COST: Final = 20

T = TypeVar("T")


class _Placed(NamedTuple):
    """A header that is measured only: not in the tree."""

    header: Header
    chain_time: int


@dataclass(slots=True)
class _Measured:
    """A branch of little work so far, known by one hash a batch."""

    fork: BlockRecord
    last: _Placed
    work: int
    batches: list[bytes] = field(default_factory=list)
    """Hash of the last header of each batch."""
    fetched: int | None = None
    """Once its work is enough: how many batches were fetched again."""

    @property
    def next_after(self) -> bytes:
        """Hash of the header that the next answer follows."""
        if self.fetched is None:
            return self.last.header.hash
        return self.batches[self.fetched - 1] if self.fetched else self.fork.hash


@dataclass(slots=True)
class _Peer:
    """What sync knows of one connection."""

    best: BlockRecord | None = None
    """The heaviest block of the tree that it has told of; the last one of equals."""
    told: BlockRecord | None = None
    """The last block whose header we sent it: its blocks are not asked of it, nor told again."""
    asked_ms: int | None = None
    """When GET_HEADERS was sent that is not answered yet."""
    refresh_ms: int = 0
    in_flight: dict[bytes, BlockRecord] = field(default_factory=dict)
    late: dict[bytes, int] = field(default_factory=dict)
    """Asked for, timed out, given to others, and how often: no fault when they come after all, each time."""
    missing: dict[bytes, None] = field(default_factory=dict)
    """What it said it has not."""
    stall_ms: int = FIRST_STALL_MS
    progress_ms: int = 0
    rest_until_ms: int = 0
    measured: _Measured | None = None
    unconnected: int = 0
    in_parts: dict[bytes, None] = field(default_factory=dict)
    """Blocks that it told of by their short ids, before it had connected them perhaps."""


class Sync:
    """Downloads of one node."""

    def __init__(
        self, parameters: Parameters, store: Store, chain: Chain, sessions: Sessions, out: Outbox
    ) -> None:
        self._parameters = parameters
        self._store = store
        self._chain = chain
        self._sessions = sessions
        self._out = out
        self._peers: dict[int, _Peer] = {}
        self._owner: dict[bytes, int] = {}
        """Block hash -> connection it was asked of."""
        self._window: deque[BlockRecord] = deque()
        self._window_target = -1
        self._block_bytes = parameters.maximum_block_bytes
        """What a block took lately, for the window."""
        self._progress_ms: int | None = None
        """When a block of the heaviest branch last came, or it was first known; monotonic milliseconds."""

    # -------------------------------------------------------------------------------------- connections

    def opened(self, connection: int, now: Now) -> None:
        """Ask a new peer for what it has."""
        self._peers[connection] = _Peer()
        self._ask_headers(connection, now)

    def closed(self, connection: int, now: Now) -> None:
        """Give what was asked of a lost peer to the others."""
        peer = self._peers.pop(connection, None)
        if peer is not None:
            for block_hash in peer.in_flight:
                self._owner.pop(block_hash, None)
            self.schedule(now)

    # ------------------------------------------------------------------------------------------ headers

    def _ask_headers(self, connection: int, now: Now, locator: tuple[bytes, ...] | None = None) -> None:
        peer = self._peers[connection]
        peer.asked_ms = now.mono_ms
        peer.refresh_ms = now.mono_ms + REFRESH_MS
        self._sessions.send(connection, GetHeaders(locator or self._locator(peer)))

    def _locator(self, peer: _Peer) -> tuple[bytes, ...]:
        """Return where to go on: one block before the best header, so that who has that one shows it.

        An empty answer would leave it unknown who has the blocks of headers that came from somebody else.
        A peer on a branch of its own goes on from there, or a long one would be told again and again.
        """
        tree, best = self._chain.tree, self._chain.headers.best
        if peer.best is not None and not tree.is_ancestor(peer.best, best):
            best = peer.best
        return tree.locator(tree.parent(best) if best.height else best)

    def told_of(self, connection: int, hashes: Sequence[bytes], now: Now) -> None:
        """Take an INVENTORY of blocks."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        unknown = False
        for block_hash in hashes:
            record = self._store.find(block_hash)
            if record is None:
                unknown = True
            else:
                self._has(peer, record)
        if unknown and peer.asked_ms is None and peer.measured is None:
            self._ask_headers(connection, now)
        self.schedule(now)

    def headers_came(self, connection: int, raws: Sequence[bytes], now: Now) -> None:
        """Take a HEADERS message, asked for or announced."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        try:
            headers = [decode_header(raw) for raw in raws]
            if any(after.previous != before.hash for before, after in pairwise(headers)):
                raise RuleBroken(Rule.UNKNOWN_PARENT, "headers that do not follow each other")
            for header in headers:
                rules.sane_header(header)  # what a header claims to be worth counts only where it was done
            if not self._is_stray(peer, headers):
                peer.asked_ms = None
                self._place(connection, peer, headers, now)
        except RuleBroken as broken:
            peer.measured = None
            self._sessions.fault(connection, broken.rule, 100, f"headers: {broken.detail}", now)
        self.schedule(now)

    def header_came(self, connection: int, header: Header, now: Now) -> BlockRecord | None:
        """Take the header of a COMPACT_BLOCK; return its record, None where it is of no use (yet).

        One that was condemned is no fault: whoever passes it on may not know. Call `schedule` afterwards.
        """
        peer = self._peers.get(connection)
        if peer is None:
            return None
        peer.in_parts[header.hash] = None
        _bound(peer.in_parts, _LATE_BLOCKS)
        try:
            rules.sane_header(header)
            known = self._store.find(header.hash)
            if known is not None:
                self._has(peer, known)
                return None if self._chain.headers.is_condemned(known) else known
            parent = self._store.find(header.previous)
            if parent is None:
                if peer.asked_ms is None and peer.measured is None:
                    self._not_connected(connection, peer, now)
            elif parent.work + header.work >= self._enough_work():
                return self._take(connection, peer, [header], now, may_wait=True)
        except RuleBroken as broken:
            self._sessions.fault(connection, broken.rule, 100, f"compact block: {broken.detail}", now)
        return None

    def _is_stray(self, peer: _Peer, headers: list[Header]) -> bool:
        """True for a new tip announced while an answer is due: that one will hold what lies between."""
        if not headers or peer.asked_ms is None:
            return False
        previous = headers[0].previous
        is_next = peer.measured is not None and previous == peer.measured.next_after
        return not is_next and self._store.find(previous) is None

    def _place(self, connection: int, peer: _Peer, headers: list[Header], now: Now) -> None:
        if not headers:
            peer.measured = None
            return
        if peer.measured is not None:
            if headers[0].previous == peer.measured.next_after:
                self._go_on_measuring(connection, peer, peer.measured, headers, now)
                return
            peer.measured = None  # the peer has changed its branch meanwhile: start anew, nobody to blame
        parent = self._store.find(headers[0].previous)
        if parent is None:
            self._not_connected(connection, peer, now)
            return
        peer.unconnected = 0
        enough = parent.work + sum(header.work for header in headers) >= self._enough_work()
        if enough or self._store.find(headers[-1].hash) is not None:
            self._take(connection, peer, headers, now)
        else:
            peer.measured = _Measured(parent, _Placed(parent.header, parent.chain_time), parent.work)
            self._go_on_measuring(connection, peer, peer.measured, headers, now)

    def _not_connected(self, connection: int, peer: _Peer, now: Now) -> None:
        """Ask for what lies between; a peer that goes on sending what connects to nothing pays for it."""
        peer.unconnected += 1
        if peer.unconnected > 2:
            self._sessions.fault(
                connection, Rule.UNKNOWN_PARENT, _UNCONNECTED_COST, "headers that connect to nothing", now
            )
        if connection in self._peers:
            self._ask_headers(connection, now)

    def _enough_work(self) -> int:
        """Return the cumulative work from which headers enter the tree."""
        tip = self._chain.tip
        return self._chain.tree.ancestor(tip, max(0, tip.height - NEAR_BLOCKS)).work

    def _take(
        self, connection: int, peer: _Peer, headers: list[Header], now: Now, *, may_wait: bool = False
    ) -> BlockRecord | None:
        """Enter headers into the tree, and ask for more where there may be more; return the last entered."""
        taken = self._chain.headers.add(headers, now.wall_ms, connection, may_wait=may_wait)
        if taken.last is not None:
            self._has(peer, taken.last)
        if taken.parked:
            self._out.notice(
                "header-parked",
                f"peer {self._sessions.name(connection)}: block {headers[-1].height} from the future waits",
                fields={"height": headers[-1].height},
            )
        elif len(headers) == MAX_HEADERS and taken.last is not None:
            # From where this branch is now: from the best header on, a lighter one would never end.
            self._ask_headers(connection, now, self._chain.tree.locator(taken.last))
        return taken.last

    def _has(self, peer: _Peer, record: BlockRecord) -> None:
        headers = self._chain.headers
        peer.missing.pop(record.hash, None)  # it may have got it since
        if headers.is_condemned(record):
            return
        if peer.best is None or record.work >= peer.best.work or headers.is_condemned(peer.best):
            peer.best = record

    def _go_on_measuring(
        self, connection: int, peer: _Peer, measured: _Measured, headers: list[Header], now: Now
    ) -> None:
        """Count the work of a branch without keeping it, then fetch it again against one hash a batch."""
        if measured.fetched is not None:
            self._fetch_again(connection, peer, measured, headers, now)
            return
        for header in headers:
            rules.check_header_in_context(header, measured.last, self._parameters)
            chain_time = rules.chain_time_of(header, measured.last, self._parameters)
            measured.last = _Placed(header, chain_time)
            measured.work += header.work
        measured.batches.append(headers[-1].hash)
        if measured.work >= self._enough_work():
            measured.fetched = 0
            self._ask_headers(connection, now, (measured.fork.hash,))
        elif len(headers) == MAX_HEADERS and len(measured.batches) < MEASURED_BATCHES:
            self._ask_headers(connection, now, (headers[-1].hash,))
        else:
            peer.measured = None  # a branch of little work: of no use to us, and no fault of theirs

    def _fetch_again(
        self, connection: int, peer: _Peer, measured: _Measured, headers: list[Header], now: Now
    ) -> None:
        """Take one batch of a branch whose work was measured: it must end in the hash it ended in then."""
        batch = measured.fetched or 0
        if headers[-1].hash != measured.batches[batch]:
            cut = [index for index, header in enumerate(headers) if header.hash == measured.batches[batch]]
            if not cut:
                peer.measured = None
                self._sessions.fault(
                    connection,
                    Rule.UNKNOWN_PARENT,
                    _UNCONNECTED_COST,
                    "other headers than it showed before",
                    now,
                )
                return
            headers = headers[: cut[0] + 1]
        measured.fetched = batch + 1
        if measured.fetched == len(measured.batches):
            peer.measured = None
        taken = self._chain.headers.add(headers, now.wall_ms, connection)
        if taken.last is not None:
            self._has(peer, taken.last)
        if taken.parked:
            peer.measured = None
        elif peer.measured is None and taken.last is not None:
            self._ask_headers(connection, now, self._chain.tree.locator(taken.last))
        else:
            self._ask_headers(connection, now, (headers[-1].hash,))

    # ------------------------------------------------------------------------------------------- blocks

    def block_came(self, connection: int, raw: bytes, now: Now) -> None:
        """Take a BLOCK message."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        block_hash = hash_header(raw[_BLOCK_HEADER])
        if not self._take_off(peer, block_hash):
            self._sessions.fault(
                connection, "unrequested-block", _UNREQUESTED_COST, "a block nobody asked for", now
            )
            return
        self._delivered(peer, self._store.find(block_hash), len(raw), now)
        try:
            self._chain.offer(raw, connection, passed_on=block_hash in peer.in_parts)
        except RuleBroken as broken:
            self._sessions.fault(
                connection, broken.rule, 100, f"block {block_hash.hex()[:16]}: {broken.detail}", now
            )
        self.schedule(now)

    def _take_off(self, peer: _Peer, block_hash: bytes) -> bool:
        """Wait no more for a block that was asked of this peer; False where none was."""
        if peer.in_flight.pop(block_hash, None) is not None:
            self._owner.pop(block_hash, None)
        elif block_hash in peer.late:
            peer.late[block_hash] -= 1
            if not peer.late[block_hash]:
                del peer.late[block_hash]
        else:
            return False
        return True

    def _delivered(self, peer: _Peer, record: BlockRecord | None, size: int, now: Now) -> None:
        peer.progress_ms = now.mono_ms
        if record is not None and self._chain.tree.is_ancestor(record, self._chain.headers.best):
            self._progress_ms = now.mono_ms
        peer.rest_until_ms = 0
        peer.stall_ms = max(FIRST_STALL_MS, peer.stall_ms * 7 // 8)
        self._block_bytes = (self._block_bytes * 7 + size) // 8

    def reserve(self, connection: int, record: BlockRecord, now: Now) -> bool:
        """Ask nobody for a block while this peer sends it in parts; False where that cannot be.

        Where it is asked of somebody, or as much as may be of this peer, or this peer stalled lately. One
        that does not go on loses it like a block that was asked of it.
        """
        peer = self._peers.get(connection)
        if peer is None or record.hash in self._owner or len(peer.in_flight) >= IN_FLIGHT:
            return False
        if peer.rest_until_ms > now.mono_ms:
            return False
        if not peer.in_flight:
            peer.progress_ms = now.mono_ms
        peer.in_flight[record.hash] = record
        self._owner[record.hash] = connection
        return True

    def release(self, connection: int, record: BlockRecord) -> None:
        """Have a block that came in parts fetched like any other; call `schedule` afterwards."""
        peer = self._peers.get(connection)
        if peer is not None:
            self._take_off(peer, record.hash)

    def came_in_parts(self, connection: int, record: BlockRecord, size: int, now: Now) -> None:
        """A block of which this peer sent the parts is at hand."""
        peer = self._peers.get(connection)
        if peer is not None and self._take_off(peer, record.hash):
            self._delivered(peer, record, size, now)

    def not_found(self, connection: int, hashes: Sequence[bytes], now: Now) -> None:
        """Take a NOT_FOUND of blocks: others may have them."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        for block_hash in hashes:
            if peer.in_flight.pop(block_hash, None) is not None:
                self._owner.pop(block_hash, None)
                peer.missing[block_hash] = None
                _bound(peer.missing, _LATE_BLOCKS)
        self.schedule(now)

    def schedule(self, now: Now) -> None:
        """Ask peers for the blocks that are wanted next."""
        if not self._has_heavier():
            self._progress_ms = None
        elif self._progress_ms is None:
            self._progress_ms = now.mono_ms
        able = self._able(now)
        if not able:
            return
        room = max(0, WINDOW_BYTES - self._chain.held_bytes) // max(1, self._block_bytes) - len(self._owner)
        is_full = room <= 0
        room = max(room, 1)
        requests: dict[int, list[bytes]] = {}
        for record in self._wanted(only_next=is_full):
            if room <= 0 or not able:
                break
            connection = self._pick(record, able)
            if connection is None:
                continue
            peer = self._peers[connection]
            if not peer.in_flight:
                peer.progress_ms = now.mono_ms
            peer.in_flight[record.hash] = record
            self._owner[record.hash] = connection
            requests.setdefault(connection, []).append(record.hash)
            room -= 1
        for connection, hashes in requests.items():
            self._sessions.send(connection, GetData(Kind.BLOCK, tuple(hashes)))

    def _wanted(self, *, only_next: bool) -> Iterator[BlockRecord]:
        """Yield blocks to be asked for, in the order in which they are needed.

        `only_next`: of each branch the one that all others wait for, or none where that is at hand.
        """
        tip, best = self._chain.tip, self._chain.headers.best
        reach = 1 if only_next else WINDOW
        if best.work > tip.work:
            self._move_window(best)
            yield from (record for record in islice(self._window, reach) if self._is_missing(record))
        for other in self._others(tip, best):
            base = self._chain.tree.last_that(other, self._chain.is_prepared)
            path = islice(self._chain.tree.path(base, other), reach)
            yield from (record for record in path if self._is_missing(record))

    def _others(self, tip: BlockRecord, best: BlockRecord) -> list[BlockRecord]:
        """Return branches beside the heaviest that peers are on, with the tip's own work at least.

        The heaviest may never come: who withholds its blocks must keep nobody from following the others. And
        one with the tip's own work is wanted so that the tie can be ended.
        """
        shown = {peer.best.id: peer.best for peer in self._peers.values() if peer.best is not None}
        return [
            record
            for record in shown.values()
            if record.work >= tip.work
            and not self._chain.has_body(self._store.record(record.id))
            and not self._chain.headers.is_condemned(record)
            and not (best.work > tip.work and self._chain.tree.is_ancestor(record, best))
        ]

    def _is_missing(self, record: BlockRecord) -> bool:
        return record.hash not in self._owner and not self._chain.has_body(record)

    def _has_heavier(self) -> bool:
        return self._chain.headers.best.work > self._chain.tip.work

    def _move_window(self, target: BlockRecord) -> None:
        chain = self._chain
        while self._window and chain.is_prepared(self._store.record(self._window[0].id)):
            self._window.popleft()
        if self._window_target != target.id or len(self._window) < IN_FLIGHT:
            self._window_target = target.id
            base = chain.tree.last_that(target, chain.is_prepared)
            upto = chain.tree.ancestor(target, min(target.height, base.height + WINDOW))
            self._window = deque(chain.tree.path(base, upto))

    def _able(self, now: Now) -> dict[int, int]:
        """Return how many more blocks each peer may be asked for now."""
        return {
            connection: IN_FLIGHT - len(peer.in_flight)
            for connection, peer in self._peers.items()
            if peer.best is not None and peer.rest_until_ms <= now.mono_ms and len(peer.in_flight) < IN_FLIGHT
        }

    def _pick(self, record: BlockRecord, able: dict[int, int]) -> int | None:
        """Choose the peer with most room that has the block; one that still owes it only if no other has."""
        by_room = sorted(able, key=lambda one: (record.hash in self._peers[one].late, -able[one]))
        for connection in by_room:
            peer = self._peers[connection]
            if (
                peer.best is not None
                and record.hash not in peer.missing
                and self._chain.tree.is_ancestor(record, peer.best)
            ):
                able[connection] -= 1
                if able[connection] == 0:
                    del able[connection]
                return connection
        return None

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now) -> None:
        """Take blocks away from peers that stall, ask quiet peers again, let parked headers in."""
        for connection, peer in list(self._peers.items()):
            if peer.in_flight and now.mono_ms >= peer.progress_ms + peer.stall_ms:
                self._stalled(connection, peer, now)
            answer_due = peer.asked_ms is not None and now.mono_ms >= peer.asked_ms + HEADERS_ANSWER_MS
            if answer_due or (peer.asked_ms is None and now.mono_ms >= peer.refresh_ms):
                peer.measured = None
                peer.missing.clear()  # it may have them by now
                self._ask_headers(connection, now)
        parked = self._chain.headers.due(now.wall_ms)
        for one in parked:
            self._enter_parked(one.header, one.origin, now)
        if parked:
            self._ask_all(now)
        self.schedule(now)

    def _stalled(self, connection: int, peer: _Peer, now: Now) -> None:
        """Ask others for what a peer did not send; it rests, unless it may never have had any of it."""
        self._out.notice(
            "peer-stalls",
            f"peer {self._sessions.name(connection)}: {len(peer.in_flight)} blocks did not come in "
            f"{peer.stall_ms // 1000} s, asking others",
            Level.INFO,
        )
        owes = False
        for block_hash in peer.in_flight:
            self._owner.pop(block_hash, None)
            peer.late[block_hash] = peer.late.get(block_hash, 0) + 1
            if block_hash in peer.in_parts:  # it passed the block on, and may wait for it like us
                peer.missing[block_hash] = None
            else:
                owes = True
        _bound(peer.late, _LATE_BLOCKS)
        _bound(peer.missing, _LATE_BLOCKS)
        peer.in_flight.clear()
        if not owes:
            return
        peer.rest_until_ms = now.mono_ms + peer.stall_ms
        peer.stall_ms = min(LONGEST_STALL_MS, peer.stall_ms * 2)

    def _enter_parked(self, header: Header, origin: int, now: Now) -> None:
        try:
            taken = self._chain.headers.add([header], now.wall_ms, origin)
        except RuleBroken as broken:
            self._sessions.fault(
                origin, broken.rule, 100, f"header {header.hash.hex()[:16]}: {broken.detail}", now
            )
            return
        peer = self._peers.get(origin)
        if peer is not None and taken.last is not None:
            self._has(peer, taken.last)

    def _ask_all(self, now: Now) -> None:
        """A parked header has entered: others may have it too, and more may have been built on it."""
        for connection, peer in self._peers.items():
            if peer.asked_ms is None and peer.measured is None:
                self._ask_headers(connection, now)

    def deadline(self, now: Now) -> int | None:
        """Return when `tick` is wanted next; monotonic milliseconds."""
        times = []
        for peer in self._peers.values():
            if peer.in_flight:
                times.append(peer.progress_ms + peer.stall_ms)
            if peer.rest_until_ms > now.mono_ms:
                times.append(peer.rest_until_ms)
            times.append(peer.refresh_ms if peer.asked_ms is None else peer.asked_ms + HEADERS_ANSWER_MS)
        due_ms = self._chain.headers.next_due_ms()
        if due_ms is not None:
            times.append(now.mono_ms + max(0, due_ms - now.wall_ms))
        return min(times, default=None)

    # ------------------------------------------------------------------------------------------- views

    def known_best(self, connection: int) -> BlockRecord | None:
        """Return the heaviest block that a peer has told of."""
        peer = self._peers.get(connection)
        return peer.best if peer is not None else None

    def known_to(self, connection: int) -> list[BlockRecord]:
        """Return the blocks up to which a peer knows the headers: by what it told, and by what we told it."""
        peer = self._peers.get(connection)
        return [] if peer is None else [known for known in (peer.best, peer.told) if known is not None]

    def told(self, connection: int, record: BlockRecord) -> None:
        """Note that we sent a peer this block's header."""
        peer = self._peers.get(connection)
        if peer is not None:
            peer.told = record

    def untold(self, connection: int, record: BlockRecord) -> None:
        """Tell a peer of this block again when it is connected: it asked for it in vain."""
        peer = self._peers.get(connection)
        if peer is not None and peer.told is not None and peer.told.id == record.id:
            peer.told = self._chain.tree.parent(record)

    def is_downloading(self, now: Now) -> bool:
        """True while blocks of a heavier branch come in; withheld ones soon count as none."""
        if self._progress_ms is None or not self._has_heavier():
            return False
        return now.mono_ms - self._progress_ms < PATIENCE_MS

    def learned(self, connection: int, record: BlockRecord) -> None:
        """Note that a peer has a block: it asked for what follows it."""
        peer = self._peers.get(connection)
        if peer is not None:
            self._has(peer, record)

    def reason(self, tip: BlockRecord) -> tuple[bool, str]:
        """Return whether no connected peer has shown a heavier branch than `tip`, and what to tell people."""
        if not self._peers:
            return True, "no peers"
        measuring = [peer.measured for peer in self._peers.values() if peer.measured is not None]
        shown = [peer.best for peer in self._peers.values() if peer.best is not None]
        shown = [best for best in shown if not self._chain.headers.is_condemned(best)]
        best = max(shown, key=lambda record: record.work, default=tip)
        if best.work > tip.work:
            return False, f"downloading blocks: {tip.height} of {best.height}"
        if any(measured.work > tip.work for measured in measuring):
            return (
                False,
                f"downloading headers: height {max(measured.last.header.height for measured in measuring)}",
            )
        if self._chain.headers.parked_count():
            return True, "up to date, but blocks from the future wait: is this machine's clock right?"
        count = len(self._peers)
        return True, f"up to date with {count} {'peer' if count == 1 else 'peers'}"


def _bound(table: dict[bytes, T], most: int) -> None:
    while len(table) > most:
        del table[next(iter(table))]
