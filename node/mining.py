"""When to mine, and on what: templates, mining on demand, and the blocks that people ask for.

Pure; the search itself is done by the workers of `miner`. On demand means: while the template holds an entry,
or while another branch has as much work as the tip, for one block ends that tie. Entries typed here start it
at once; for those of peers nodes wait a random time, so that not all of them mine the same entry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from node.chain import Chain
from node.events import Answer, Level, Mine, Now, Refuse, StopMining
from node.ledger import difficulty, merkle, rules
from node.ledger.block import EXTENSION_ROOT, PREFIX_BYTES, Body, Coinbase, Header, encode_block
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters, rules_version
from node.mempool import Mempool
from node.outbox import Outbox
from node.recent import Recent
from node.storage.port import BlockRecord, Store

LONGEST_WAIT_MS: Final = 2_000
"""On demand, entries from peers start the search after a random time up to this."""
REFRESH_MS: Final = 10_000
"""A template's time is brought up to date this often."""
NEW_ENTRIES_MS: Final = 1_000
"""New entries enter a template that is being mined no sooner than this after it was made."""
MAX_ASKED: Final = 16
"""Requests of `mine` that wait."""
MAX_BLOCKS: Final = 1_000_000
"""Of one request."""
_OWN_BLOCKS: Final = 64
"""Blocks mined here that are remembered with their entries."""


class Random(Protocol):
    """The randomness that the driver hands in."""

    def randrange(self, stop: int, /) -> int:
        """Return an integer from 0 to stop - 1."""


@dataclass(slots=True)
class _Job:
    """A block that lacks its nonce."""

    number: int
    parent: BlockRecord
    header: Header
    body: Body
    coinbase: Coinbase
    entries: list[Entry]
    made_ms: int


@dataclass(slots=True)
class _Asked:
    """A request for blocks of our own."""

    request: int
    left: int
    hashes: list[str] = field(default_factory=list)
    batch: int = 0


class Mining:
    """What this node mines."""

    def __init__(
        self,
        parameters: Parameters,
        store: Store,
        chain: Chain,
        mempool: Mempool,
        out: Outbox,
        random: Random,
        *,
        mode: str,
        miner: bytes,
        must_wait: Callable[[Now], bool],
        complaint: Callable[[Now], str],
    ) -> None:
        """`mode`: off, on-demand or on. `miner`: the key paid.

        `must_wait(now)` is true while a heavier branch is being downloaded; `complaint(now)` says what people
        must mend before this node may mine, "" where nothing is wrong.
        """
        self._parameters = parameters
        self._store = store
        self._chain = chain
        self._mempool = mempool
        self._out = out
        self._random = random
        self._mode = mode
        self._miner = miner
        self._must_wait = must_wait
        self._complaint = complaint
        self._job: _Job | None = None
        self._next_job = 1
        self._asked: deque[_Asked] = deque()
        self._start_ms: int | None = None
        """On demand: when the search may start; monotonic milliseconds."""
        self._has_new_entries = False
        self._barren_tip = -1
        """The tip on which no pending entry can be mined; looked at again with a new entry or tip."""
        self._own: Recent[bytes, list[Entry]] = Recent(_OWN_BLOCKS)
        self._told_complaint = ""
        self._is_held = False
        """Wanted, and kept from it by `_is_hindered`."""
        self._not_before_ms = 0
        self._awaited: BlockRecord | None = None
        """A block of our own that is being connected: until then there is nothing to mine on."""
        self.hashrate = 0
        """Hashes per second, as last measured while working; remembered when idle."""

    @property
    def is_working(self) -> bool:
        """True while workers search."""
        return self._job is not None

    # ------------------------------------------------------------------------------------------ reasons

    def entry_added(self, *, own: bool, now: Now) -> None:
        """Take note of a new pending entry."""
        self._has_new_entries = True
        self._barren_tip = -1
        if self._start_ms is None or self._start_ms > now.mono_ms:  # else nothing is waited for any more
            wait = 0 if own else self._random.randrange(LONGEST_WAIT_MS + 1)
            self._wish(now.mono_ms + wait)

    def _wish(self, start_ms: int) -> None:
        if self._start_ms is None or start_ms < self._start_ms:
            self._start_ms = start_ms

    def ask(self, request: int, count: int, now: Now) -> None:
        """Mine `count` blocks for a request of the local socket."""
        complaint = self._complaint(now)
        if complaint:
            hint = "or ban the peers whose clocks are wrong; then ask again"
            self._out.emit(Refuse(request, "mining-held", f"not mining: {complaint}", hint))
        elif not 1 <= count <= MAX_BLOCKS:
            self._out.emit(Refuse(request, "bad-count", f"{count} blocks", f"ask for 1 to {MAX_BLOCKS}"))
        elif len(self._asked) >= MAX_ASKED:
            self._out.emit(
                Refuse(request, "busy", "too many requests to mine wait already", "try again later")
            )
        else:
            self._asked.append(_Asked(request, count))
            self.update(now)

    def forget(self, request: int, now: Now) -> None:
        """Whoever asked is gone."""
        self._asked = deque(asked for asked in self._asked if asked.request != request)
        self.update(now)

    def _wants(self, now: Now) -> bool:
        if any(asked.left for asked in self._asked) or self._mode == "on":
            return True
        if self._mode == "off" or self._start_ms is None or now.mono_ms < self._start_ms:
            return False
        return len(self._mempool) > 0 or bool(self._chain.rivals())

    # --------------------------------------------------------------------------------------------- jobs

    def update(self, now: Now) -> None:
        """Start, change or stop the search as things are now."""
        if self._mode == "on-demand":
            self._reckon_demand(now)
        self._is_held = False
        if self._awaits_own() or not self._wants(now) or self._is_hindered(now):
            self._stop()
            return
        if self._job is None or self._is_stale(self._job, now):
            self._begin(now)

    def _awaits_own(self) -> bool:
        awaited = self._awaited
        if awaited is not None and (
            self._chain.tip.work >= awaited.work or self._chain.headers.is_condemned(awaited)
        ):
            self._awaited = None
        return self._awaited is not None

    def _reckon_demand(self, now: Now) -> None:
        """On demand: set when to start, where there is something to mine; forget it, where there is not."""
        is_barren = self._barren_tip == self._chain.tip.id
        if not ((len(self._mempool) and not is_barren) or self._chain.rivals()):
            self._start_ms = None
        elif self._start_ms is None:
            self._wish(now.mono_ms + self._random.randrange(LONGEST_WAIT_MS + 1))

    def _is_hindered(self, now: Now) -> bool:
        complaint = self._complaint(now)
        if complaint and not self._told_complaint:  # once: the seconds in it change all the time
            self._out.notice(
                "mining-held", f"not mining: {complaint}", Level.WARNING, fields={"reason": complaint}
            )
        self._told_complaint = complaint
        self._is_held = bool(complaint) or self._must_wait(now)
        return self._is_held

    def _is_stale(self, job: _Job, now: Now) -> bool:
        age = now.mono_ms - job.made_ms
        return (
            job.parent.id != self._chain.tip.id
            or age >= REFRESH_MS
            or (self._has_new_entries and (age >= NEW_ENTRIES_MS or not job.entries))
        )

    def _begin(self, now: Now) -> None:
        parent = self._chain.tip
        timestamp_ms = max(now.wall_ms, parent.header.timestamp_ms + 1)
        if timestamp_ms > now.wall_ms + self._parameters.drift_ms:
            # The tip is from our future; a block on it would be refused by everyone, ourselves first.
            self._not_before_ms = now.mono_ms + timestamp_ms - now.wall_ms - self._parameters.drift_ms
            self._stop()
            return
        chosen = self._choose(timestamp_ms)
        self._has_new_entries = False
        if not chosen and not self._wants_empty():
            self._stop()
            self._start_ms = None
            self._barren_tip = parent.id
            return
        self._job = self._make(parent, timestamp_ms, chosen, now)
        self._next_job += 1
        header = self._job.header
        prefix = header.raw[:PREFIX_BYTES]
        self._out.emit(Mine(self._job.number, prefix, difficulty.bits_to_target(header.bits)))

    def _wants_empty(self) -> bool:
        """True where a block without entries serves somebody."""
        return any(asked.left for asked in self._asked) or self._mode == "on" or bool(self._chain.rivals())

    def _choose(self, timestamp_ms: int) -> list[Entry]:
        template = self._mempool.template(
            self._parameters.maximum_block_bytes, timestamp_ms, self._store.account
        )
        for entry, code in template.dropped:
            self._out.notice(
                "entry-dropped",
                f"entry {entry.txid.hex()[:8]}… left the pending ones: it can never be mined ({code})",
                fields={"txid": entry.txid.hex(), "code": str(code)},
            )
        return template.entries

    def _make(self, parent: BlockRecord, timestamp_ms: int, entries: list[Entry], now: Now) -> _Job:
        height = parent.height + 1
        fees = sum(entry.fee for entry in entries)
        coinbase = Coinbase(height, self._miner, self._parameters.reward(height) + fees, "")
        leaves = [merkle.leaf_hash(coinbase.encode()), *(entry.txid for entry in entries)]
        history_root = self._chain.tree.frontier(parent).root()
        body = Body(len(leaves), merkle.tree_root(leaves), history_root, EXTENSION_ROOT)
        header = Header(
            version=rules_version(height),
            height=height,
            previous=parent.hash,
            body_root=body.root(),
            timestamp_ms=timestamp_ms,
            bits=rules.required_bits(parent, self._parameters),
            nonce=0,
        )
        return _Job(self._next_job, parent, header, body, coinbase, entries, now.mono_ms)

    def _stop(self) -> None:
        if self._job is not None:
            self._job = None
            self._out.emit(StopMining())

    # ----------------------------------------------------------------------------------------- solutions

    def solved(self, number: int, nonce: int, now: Now) -> None:
        """Take a nonce; one for an old job is of no use any more."""
        job = self._job
        if job is None or job.number != number or job.parent.id != self._chain.tip.id:
            return
        header = replace(job.header, nonce=nonce)
        if header.timestamp_ms > now.wall_ms + self._parameters.drift_ms:
            self._stop()  # the clock was set back meanwhile: by it, this block would be from the future
            return
        raws = tuple(entry.raw for entry in job.entries)
        block = encode_block(header, job.body, job.coinbase.encode(), raws)
        self._own.note(header.hash, job.entries)
        try:
            taken = self._chain.headers.add([header], now.wall_ms, -1, may_wait=True)
            if taken.last is not None:
                leaves = (merkle.leaf_hash(block.first_leaf), *(entry.txid for entry in job.entries))
                sane = rules.sane_block(block, self._parameters, leaves)
                self._awaited = self._chain.offer_own(sane, job.entries)
        except RuleBroken as broken:
            self.condemned(header.hash, broken)
        # The search goes on when the block is connected, or on the same tip where it was refused.
        self._stop()

    def is_own(self, block_hash: bytes) -> bool:
        """True for a block that was mined here lately."""
        return block_hash in self._own

    def condemned(self, block_hash: bytes, broken: RuleBroken) -> None:
        """A block of our own was refused: drop the entry that did it, so that it never stops the mining."""
        self._out.notice("own-block-refused", f"a block mined here breaks a rule: {broken}", Level.ERROR)
        entries = self._own.get(block_hash) or []
        doomed = entries if broken.position is None else [entries[broken.position]]
        for entry in doomed:
            self._mempool.remove(entry.txid)

    def connected(self, record: BlockRecord, batch: int) -> None:
        """A block is on the main chain: where it is our own, count it for whoever asked."""
        if not self.is_own(record.hash):
            return
        for asked in self._asked:
            if asked.left:
                asked.left -= 1
                asked.hashes.append(record.hash.hex())
                asked.batch = batch
                break
        while self._asked and not self._asked[0].left:
            done = self._asked.popleft()
            self._out.claim(Answer(done.request, done.hashes, done.batch), done.batch)

    def shut_down(self) -> None:
        """Mine no more."""
        self._mode = "off"
        self._asked.clear()
        self._job = None

    # --------------------------------------------------------------------------------------------- time

    def deadline(self, now: Now) -> int | None:
        """Return when `update` is wanted next; monotonic milliseconds."""
        times = []
        if self._job is not None:
            times.append(self._job.made_ms + (NEW_ENTRIES_MS if self._has_new_entries else REFRESH_MS))
        elif self._mode == "on-demand" and self._start_ms is not None and self._start_ms > now.mono_ms:
            times.append(self._start_ms)
        if self._job is None and self._not_before_ms > now.mono_ms:
            times.append(self._not_before_ms)
        if self._is_held:
            times.append(now.mono_ms + 1_000)
        return min(times, default=None)
