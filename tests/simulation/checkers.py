"""What must hold in every world, at every moment: compared with a model that shares no code with the node.

Safety is looked at as it happens: each tip, each thing said to a peer, each answer, each start. What can only
be judged when nothing is under way is looked at in quiet moments, by `look`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node import events, frames
from node.disk import Write
from node.events import Effect, Notice
from node.headers import PARKED_HEADERS
from node.ledger.block import decode_header, hash_header
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.messages import BlockMessage, CompactBlock, Headers, Hello, Inventory, Kind, Message, Type
from node.storage.port import Standing
from tests.simulation.ledger import Block, Broken, Ledger, Unknown, hash_of
from tests.simulation.machine import Machine
from tests.simulation.network import most_unsent

CLAIMS: Final = (Type.HELLO, Type.INVENTORY, Type.HEADERS, Type.BLOCK, Type.COMPACT_BLOCK)
"""Messages that tell of what must be durable; the last one only where the block is one's own."""
BUSY: Final = (events.Again, events.Persist, events.CheckSignatures)
"""Effects after which a machine is not at rest."""
DISK_TROUBLE: Final = ("is full", "I/O error", "Input/output error", "No space left on device")
"""What the reason of a halt says, where a disk is full or a write fails."""
ROOMY: Final = 1_000
"""Pending entries that a node must hold so that no world fills it."""
MAX_DIALLED: Final = 16
"""Connections that a node dials, beside those that it lets in."""
MAX_HELD_BYTES: Final = (64 << 20) + (24 << 20)
"""Of blocks that wait to be connected, and those on their way."""


MAX_MESSAGE: Final = 2 << 20
"""The longest message beside a block, of which the rest has not come, and what came with its end."""


class Failure(Exception):
    """What should never be so, as a sentence."""


def bounds(machine: Machine) -> Iterator[tuple[str, int, int]]:
    """Yield what others can fill: what it is, how much there is, how much there may be."""
    core = machine.core
    book = core.links.book
    intake, mempool = core.intake, core.mempool
    block_bytes = core.parameters.maximum_block_bytes
    yield "connections", len(core.sessions.every()), machine.build.max_peers + MAX_DIALLED
    yield "headers from the future", core.chain.headers.parked_count(), 64
    yield "bytes of blocks held", core.chain.held_bytes, MAX_HELD_BYTES
    yield "pending entries", len(core.mempool), machine.build.pool_entries
    yield "bytes of pending entries", core.mempool.size, 16 << 20
    yield "signatures asked for", machine.checks_out, 64
    yield "addresses", len(book.addresses), 2_000 + len(machine.build.peers)
    yield "bans", len(book.bans(machine.now().wall_ms)), 1_000
    yield "entries in check", len(intake._in_check), 10_000
    yield "signatures in check", core._checks.in_flight, 10_000 + 8_192 + block_bytes // 100
    yield "entries turned away", len(intake._turned_away), 10_000
    yield "entries verified", len(intake.verified), 100_000
    yield "nonces taken by others", len(mempool._winners), 10_000
    yield "own entries confirmed", len(mempool._own_confirmed), 10_000
    yield "own entries unheard", len(core.gossip._unheard), machine.build.pool_entries + 1_000
    yield "requests to mine", len(core.mining._asked), 16
    yield "hosts and identities charged", len(book._scores._debts), 2_000
    yield "nonces of greetings", len(core.links._nonces), 512
    yield "refusals told", len(core.links._told_refusals), machine.build.max_peers
    yield "blocks asked for", len(core.sync._owner), 16 * len(core.sessions.every())
    yield "blocks in the window", len(core.sync._window), 1_024
    yield "blocks put together", len(core.relay._parts), 8
    yield "blocks passed on", len(core.relay._passed), 8
    yield "blocks kept", len(core.relay._kept), 4
    yield "entries asked for", len(core.gossip._fetching._asked), 1_000 * len(core.sessions.every())
    most_unread = 2 * most_unsent(block_bytes)
    for session in core.sessions.every():
        yield "bytes for a peer", session.unsent, most_unread
        yield "bytes held for a peer", core.out.held_bytes(session.connection), most_unread
        yield "bytes of a message", len(session.link._buffer), 2 * block_bytes + MAX_MESSAGE
    for told in core.gossip._peers.values():
        yield "entries known to a peer", len(told.known), 20_000
        yield "entries to tell", len(told.to_tell), machine.build.pool_entries + 1_000
        yield "blocks to serve", len(told.to_serve), 64
    for askers in core.relay._passed.values():
        yield "who waits for entries of a block", len(askers), len(core.sessions.every())
        for positions in askers.values():
            yield "entries of a block waited for", len(positions), 1_000
    for relayed in core.relay._peers.values():
        yield "compact blocks remembered", len(relayed.sent) + len(relayed.came), 128
        yield "entries of blocks asked of a peer", len(relayed.awaited), 8
    for asked in core.gossip._fetching._peers.values():
        yield "entries told of", len(asked.backlog), 60_000
        yield "entries asked of a peer", asked.asked, 1_000
    for peer in core.sync._peers.values():
        yield "blocks asked of a peer", len(peer.in_flight), 16
        yield "late blocks", len(peer.late), 256
        yield "missing blocks", len(peer.missing), 256
        yield "batches measured", len(peer.measured.batches) if peer.measured else 0, 1 << 21


@dataclass(slots=True)
class Accepted:
    """An entry that a node has told somebody it took."""

    entry: Entry
    machines: dict[int, None]
    """Those that told so while their clocks were right."""
    time_ms: int


@dataclass(slots=True)
class Seen:
    """What is known of one machine from outside."""

    durable: dict[bytes, None] = field(default_factory=dict)
    """Hashes of blocks whose bodies are durable."""
    tip: bytes = b""
    """As it was last looked at."""
    has_moved: bool = False
    """It had another tip at the last step; what follows for pending entries is drawn in the next."""
    work: int = 0
    """Of the heaviest valid block whose body is durable."""
    lost: dict[bytes, None] = field(default_factory=dict)
    """What another entry kept out of a chain once, or out of a pool that holds few: no node waits for that to
    change."""
    is_fresh: bool = False
    """It was started, and has not been at rest since."""
    may_halt: bool = False
    """Its disk was made to fail."""
    promised: dict[bytes, Entry] = field(default_factory=dict)
    """What it has told somebody it took, by txid."""
    latest_ms: int = 0
    """The latest time of a tip that it was ever on: what had expired there is gone for good."""
    pool: dict[bytes, Entry] = field(default_factory=dict)
    """What waited after its last step, by txid; followed only where a node holds few."""
    undone: dict[bytes, None] = field(default_factory=dict)
    """Txids of blocks that it left: back among what waits only where there is room."""
    parked: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """When the headers from the future are due that waited at the last look, and their parents; by hash."""


class Checkers:
    """Satisfies machine.Watcher."""

    def __init__(self, parameters: Parameters, ledger: Ledger, honest: dict[str, str]) -> None:
        """`honest`: names of those that must never be charged, by host and by identity in hexadecimal."""
        self.ledger = ledger
        self.accepted: dict[bytes, Accepted] = {}
        self.deepest = 0
        """Blocks undone by the deepest switch."""
        self.switches = 0
        self.bad_blocks: dict[bytes, str] = {}
        """Hashes of blocks that break the law, and how."""
        self.rivals: dict[tuple[bytes, int], dict[bytes, None]] = {}
        self._dearest: dict[tuple[bytes, int], int] = {}
        """By sender and nonce, the most that was offered anywhere, also where clocks are wrong."""
        """(sender, nonce) to the entries that a node whose clock is right took under it."""
        self.crowded: dict[bytes, None] = {}
        """Txids of what some node had no room for: no promise of the network any more."""
        self.released: dict[bytes, None] = {}
        """Txids of what only nodes took whose clocks were set wrong since."""
        self.looks = 0
        self.skipped = 0
        """Looks that met a busy machine."""
        self._parameters = parameters
        self._honest = honest
        self._seen: dict[int, Seen] = {}
        self._typed: dict[tuple[int, int], tuple[Entry, ...]] = {}
        self._now_ms = 0

    def seen(self, machine: Machine) -> Seen:
        """Return what is known of a machine."""
        seen = self._seen.get(machine.build.number)
        if seen is None:
            seen = self._seen[machine.build.number] = Seen()
        return seen

    # ---------------------------------------------------------------------------------------- blocks

    def _learn(self, raw: bytes) -> Block | None:
        """Take a block into the model; None where it breaks the law."""
        block_hash = hash_of(raw)
        if block_hash in self.bad_blocks:
            return None
        try:
            return self.ledger.at(self.ledger.add(raw))
        except Broken as broken:
            self.bad_blocks[block_hash] = str(broken)
        except Unknown:
            self.bad_blocks[block_hash] = "its parent breaks the law"
        return None

    def _learn_branch(self, machine: Machine, tip: bytes) -> Block:
        """Take the blocks up to this one, which the machine has, into the model."""
        store = machine.core.store
        missing = []
        record = store.find(tip)
        while record is not None and not self.ledger.knows(record.hash):
            raw = store.body(record.id)
            if raw is None:
                raise Failure(f"{machine.name}: the body of block {record.height} of its main chain is gone")
            missing.append(raw)
            record = store.record(record.parent_id)
        for raw in reversed(missing):
            if self._learn(raw) is None:
                why = self.bad_blocks[hash_of(raw)]
                raise Failure(f"{machine.name}: its main chain has a block that breaks the law: {why}")
        return self.ledger.at(tip)

    # ---------------------------------------------------------------------------------------- steps

    def stepped(self, machine: Machine, effects: Sequence[Effect]) -> None:
        """Look at the tip, and at whom it blames."""
        for effect in effects:
            if isinstance(effect, Notice) and effect.kind == "peer-fault":
                self._blames(machine, effect)
        tip = machine.core.store.tip().hash
        seen = self.seen(machine)
        is_same_tip = tip == seen.tip and not seen.has_moved
        seen.has_moved = tip != seen.tip
        if seen.has_moved:
            self._moved(machine, seen, tip)
        if machine.build.pool_entries < ROOMY:
            self._watch_pool(machine, seen, effects, is_same_tip=is_same_tip)
        is_at_rest = not machine.is_busy() and not any(isinstance(effect, BUSY) for effect in effects)
        if seen.is_fresh and is_at_rest:
            # Before anybody else could tell it again of what it had promised to keep.
            seen.is_fresh = False
            self._judge_promises(machine, self.ledger.at(tip))

    def _watch_pool(
        self, machine: Machine, seen: Seen, effects: Sequence[Effect], *, is_same_tip: bool
    ) -> None:
        """See that what leaves the pool or is kept out of it for want of room could not stay, and note it."""
        pool, most = machine.core.mempool, machine.build.pool_entries
        before, seen.pool = seen.pool, {pending.entry.txid: pending.entry for pending in pool}
        told = {str(effect.fields.get("txid")): None for effect in effects if isinstance(effect, Notice)}
        no_room = [
            bytes.fromhex(str(effect.fields["txid"]))
            for effect in effects
            if isinstance(effect, Notice) and effect.fields.get("code") == "mempool-full"
        ]
        gone = [txid for txid in before if txid not in seen.pool]
        for txid in gone:
            # What took its place may have left again within the step: then only its notice is to be seen.
            winner = pool.winner_of(txid)
            if winner is not None and winner.hex() in told:
                seen.lost[txid] = self.crowded[txid] = None
        evicted = self._without_reason(seen, before, gone) if gone else []
        if (no_room or evicted) and is_same_tip and len(pool) < most:
            raise Failure(
                f"{machine.name}: has room for {most} pending entries, holds {len(pool)}, takes none"
            )
        for txid in evicted:
            if txid in seen.promised:
                raise Failure(f"{machine.name}: evicted entry {txid.hex()[:8]}, which was typed there")
        self.crowded.update(dict.fromkeys([*no_room, *evicted]))

    def _without_reason(self, seen: Seen, before: dict[bytes, Entry], gone: list[bytes]) -> list[bytes]:
        """Return those that left the pool neither for a block nor for their lifetime nor for a rival.

        What a rival took the place of is noted: the rival itself may be evicted later.
        """
        accounts = self.ledger.at(seen.tip).accounts
        taken = {(entry.sender, entry.nonce): None for entry in seen.pool.values()}
        found = []
        for txid in gone:
            entry = before[txid]
            if (entry.sender, entry.nonce) in taken:
                seen.lost[txid] = self.crowded[txid] = None
            elif not (
                entry.nonce < accounts.get(entry.sender, (0, 0))[1]
                or entry.timestamp_ms + self._parameters.lifetime_ms <= seen.latest_ms
                or txid in seen.undone
                or txid in seen.lost
            ):
                found.append(txid)
        return found

    def _blames(self, machine: Machine, notice: Notice) -> None:
        host = str(notice.fields["host"])
        if host in self._honest:
            raise Failure(f"{machine.name} blames {self._honest[host]}, which is honest: {notice.text}")

    def _moved(self, machine: Machine, seen: Seen, tip: bytes) -> None:
        """Judge a new tip: valid, with the model's accounts, and heavier than the one before."""
        block = self._learn_branch(machine, tip)
        seen.latest_ms = max(seen.latest_ms, block.timestamp_ms)
        left: dict[bytes, None] = {}
        if seen.tip:
            before = self.ledger.at(seen.tip)
            is_above = len(block.path) > before.height and block.path[before.height] == before.hash
            if not is_above:
                if block.work <= before.work:
                    raise Failure(
                        f"{machine.name}: left block {before.height} of work {before.work} "
                        f"for block {block.height} of work {block.work}, which is not heavier"
                    )
                common = sum(1 for one, other in zip(block.path, before.path, strict=False) if one == other)
                self.deepest = max(self.deepest, before.height - common + 1)
                self.switches += 1
                for block_hash in before.path[common:]:
                    left.update(dict.fromkeys(self.ledger.at(block_hash).accounts))
                self._left(machine, seen, before.path[common:])
        seen.tip = tip
        self._compare_accounts(machine, block, left)
        for txid, entry in seen.promised.items():
            is_used = entry.nonce < block.accounts.get(entry.sender, (0, 0))[1]
            if is_used and not self.ledger.confirmed(tip, txid):
                seen.lost[txid] = None

    def _left(self, machine: Machine, seen: Seen, hashes: Iterable[bytes]) -> None:
        """Note what was in blocks that a node left, where it may have no room to let it wait again."""
        if machine.build.pool_entries >= ROOMY:
            return
        for block_hash in hashes:
            seen.undone.update(dict.fromkeys(self.ledger.at(block_hash).txids))
        self.crowded.update(seen.undone)

    def _compare_accounts(self, machine: Machine, block: Block, left: Iterable[bytes] = ()) -> None:
        """Compare each account; `left`: of the branch that was undone, some of which may be no more."""
        store = machine.core.store
        for key, (balance, nonce) in block.accounts.items():
            account = store.account(key)
            if (account.balance, account.nonce) != (balance, nonce):
                raise Failure(
                    f"{machine.name}: at block {block.height} the account {key.hex()[:8]} is {account}, "
                    f"by the law it has {balance} and nonce {nonce}"
                )
        for key in [*left, *(self.ledger.at(block.parent).accounts if block.height else ())]:
            if key not in block.accounts and any(store.account(key)):
                raise Failure(f"{machine.name}: an account that is empty is not: {key.hex()[:8]}")
        if self.ledger.supply(block.hash) != self.ledger.scheduled(block.height):
            raise Failure(f"{machine.name}: the supply at block {block.height} is not the schedule's")

    # ---------------------------------------------------------------------------------------- the disk

    def wrote(self, machine: Machine, writes: Sequence[Write]) -> None:
        """Note what is durable."""
        seen = self.seen(machine)
        for write in writes:
            if isinstance(write, events.Persist):
                for _, raw in write.batch.bodies:
                    self._stored(seen, raw)

    def _stored(self, seen: Seen, raw: bytes) -> None:
        seen.durable[hash_of(raw)] = None
        block = self._learn(raw)
        if block is not None:
            seen.work = max(seen.work, block.work)

    def booted(self, machine: Machine) -> None:
        """See that a start found all that was durable, and all that was promised."""
        store = machine.core.store
        seen = self.seen(machine)
        seen.is_fresh = True
        was_durable, seen.durable = seen.durable, {}
        for number in range(store.next_id()):
            raw = store.body(number)
            if raw is not None:
                self._stored(seen, raw)
        for block_hash in was_durable:
            record = store.find(block_hash)
            if record is None or (
                block_hash not in seen.durable and record.standing is not Standing.CONDEMNED
            ):
                raise Failure(f"{machine.name}: a block that was durable is gone: {block_hash.hex()[:8]}")
        tip = store.tip().hash
        block = self._learn_branch(machine, tip)
        if seen.tip:
            path = dict.fromkeys(block.path)
            self._left(machine, seen, [one for one in self.ledger.at(seen.tip).path if one not in path])
        seen.tip = tip
        seen.parked.clear()
        seen.pool.clear()
        self._compare_accounts(machine, block)

    def halted(self, machine: Machine, reason: str) -> None:
        """A machine gave up: only a disk that failed is a reason, and must be the one that is given."""
        if not (self.seen(machine).may_halt and any(word in reason for word in DISK_TROUBLE)):
            raise Failure(f"{machine.name} halts without a fault of its machine: {reason}")

    # ---------------------------------------------------------------------------------------- what is said

    def sends(self, machine: Machine, effect: events.Send) -> None:
        """See that nothing is claimed that a crash could take back."""
        if effect.after > machine.durable:
            raise Failure(f"{machine.name}: says what waits for batch {effect.after} before that is durable")
        data, at = effect.data, 0
        while at + frames.FRAME.size <= len(data):
            length, number = frames.FRAME.unpack_from(data, at)
            if number in CLAIMS:
                payload = data[at + frames.FRAME.size : at + frames.FRAME.size - 1 + length]
                self._claims(machine, frames.decode(Type(number), payload))
            at += frames.FRAME.size - 1 + length

    def _claims(self, machine: Machine, message: Message) -> None:
        hashes: Sequence[bytes] = ()
        match message:
            case Inventory() if message.kind is Kind.BLOCK:
                hashes = message.hashes
            case Headers():
                hashes = [hash_header(raw) for raw in message.raws]
            case BlockMessage():
                hashes = (hash_of(message.raw),)
            case CompactBlock():
                self._passes_on(machine, message)
            case Hello():
                self._greets(machine, message)
        seen = self.seen(machine)
        for block_hash in hashes:
            if block_hash not in seen.durable:
                raise Failure(
                    f"{machine.name}: tells a peer of block {block_hash.hex()[:8]}, which is not durable"
                )

    def _passes_on(self, machine: Machine, message: CompactBlock) -> None:
        """See that a block which is not durable is somebody else's, and stands on one that is.

        The tip may have moved elsewhere while the message waited for that.
        """
        block_hash = hash_header(message.header)
        if block_hash in self.seen(machine).durable:
            return
        if machine.core.mining.is_own(block_hash):
            raise Failure(f"{machine.name}: tells of its block {block_hash.hex()[:8]}, which is not durable")
        if decode_header(message.header).previous not in self.seen(machine).durable:
            raise Failure(f"{machine.name}: passes block {block_hash.hex()[:8]} on, whose parent it has not")

    def _greets(self, machine: Machine, hello: Hello) -> None:
        if hello.work > self.seen(machine).work:
            raise Failure(f"{machine.name}: greets with work {hello.work}, which is not durable")

    # ---------------------------------------------------------------------------------------- requests

    def typed(self, machine: Machine, request: int, entries: tuple[Entry, ...], now_ms: int) -> None:
        """Somebody is about to offer these to a machine."""
        self._now_ms = now_ms
        self._typed[machine.build.number, request] = entries
        for entry in entries:
            place = entry.sender, entry.nonce
            self._dearest[place] = max(self._dearest.get(place, 0), entry.fee)

    def answered(self, machine: Machine, effect: events.Answer | events.Refuse) -> None:
        """Note what a machine has promised."""
        entries = self._typed.pop((machine.build.number, effect.request), None)
        if isinstance(effect, events.Refuse):
            return
        if effect.after > machine.durable:
            raise Failure(f"{machine.name}: answers before batch {effect.after} is durable")
        results = effect.result
        if entries is None or not isinstance(results, list):
            return
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, str):
                self.seen(machine).promised[entry.txid] = entry
                if machine.is_wrong:
                    continue  # it may be the only one that takes an entry of its own time
                accepted = self.accepted.setdefault(entry.txid, Accepted(entry, {}, self._now_ms))
                accepted.machines[machine.build.number] = None
                self.rivals.setdefault((entry.sender, entry.nonce), {})[entry.txid] = None

    # ---------------------------------------------------------------------------------------- quiet moments

    def look(self, machine: Machine) -> None:
        """Judge a machine that is up; what it is busy with is left for a quiet moment."""
        core = machine.core
        for what, found, most in bounds(machine):
            if found > most:
                raise Failure(f"{machine.name}: {what}: {found}, where {most} is the bound")
        self.looks += 1
        if machine.is_busy():
            self.skipped += 1
            return
        tip = self.ledger.at(core.store.tip().hash)
        coins, due = machine.medium.coins(), sum(balance for balance, _ in tip.accounts.values())
        if coins != due:
            raise Failure(f"{machine.name}: its accounts hold {coins} together, by the law {due}")
        heaviest = self.seen(machine).work
        if tip.work < heaviest:
            raise Failure(
                f"{machine.name}: its tip is block {tip.height} of work {tip.work}, "
                f"and it holds a valid branch of work {heaviest}"
            )
        self._judge_pending(machine, tip)
        self._judge_promises(machine, tip)
        self._judge_parked(machine)

    def _judge_pending(self, machine: Machine, tip: Block) -> None:
        for pending in machine.core.mempool:
            entry = pending.entry
            _, nonce = tip.accounts.get(entry.sender, (0, 0))
            if entry.nonce < nonce:
                raise Failure(f"{machine.name}: holds an entry as pending whose nonce {entry.nonce} is used")
            if entry.timestamp_ms + self._parameters.lifetime_ms <= tip.timestamp_ms:
                raise Failure(f"{machine.name}: holds an entry as pending whose lifetime is over")

    def _judge_promises(self, machine: Machine, tip: Block) -> None:
        """See that what it said it took waits, unless it is in its chain or void: others may not have it."""
        seen = self.seen(machine)
        missing = [
            txid
            for txid in seen.promised
            if not self.ledger.confirmed(tip.hash, txid) and txid not in machine.core.mempool
        ]
        if not missing:
            return
        waiting = machine.core.pending()
        between = {entry.txid: None for entry in waiting}
        taken = {(entry.sender, entry.nonce): None for entry in waiting}
        # What comes back of undone blocks, or after a restart of what was evicted since it was saved, may
        # have taken all the places of a small pool.
        is_crowded = bool(seen.undone or machine.lives > 1) and machine.build.pool_entries < ROOMY
        for txid in missing:
            entry = seen.promised[txid]
            _, nonce = tip.accounts.get(entry.sender, (0, 0))
            is_void = (
                entry.nonce < nonce
                or entry.timestamp_ms + self._parameters.lifetime_ms <= max(seen.latest_ms, tip.timestamp_ms)
                or (entry.sender, entry.nonce) in taken
                or txid in seen.lost
                or txid in seen.undone
                or self._is_outbid(entry)
            )
            if is_crowded:
                self.crowded[txid] = None
            elif txid not in between and not is_void:
                raise Failure(
                    f"{machine.name}: it took entry {txid.hex()[:8]}, which is neither in its chain nor void "
                    "and waits no more"
                )

    def _is_outbid(self, entry: Entry) -> bool:
        """Tell whether a dearer one was typed for its nonce: it may have taken its place, and expired."""
        return self._dearest.get((entry.sender, entry.nonce), 0) > entry.fee

    def _judge_parked(self, machine: Machine) -> None:
        """See that a header from the future enters when its time has come, but behind a condemned block."""
        core, seen = machine.core, self.seen(machine)
        now_ms = machine.now().wall_ms
        before, seen.parked = seen.parked, {}
        waiting = core.chain.headers._parked
        if len(waiting) < PARKED_HEADERS:  # else some have been dropped for others
            seen.parked = {one.header.hash: (one.due_ms, one.header.previous) for one in waiting.values()}
        for block_hash, (due_ms, previous) in before.items():
            parent = core.store.find(previous)
            if parent is not None and core.chain.headers.is_condemned(parent):
                continue
            if due_ms <= now_ms and block_hash not in waiting and core.store.find(block_hash) is None:
                raise Failure(f"{machine.name}: forgot block {block_hash.hex()[:8]} when its time had come")

    # ---------------------------------------------------------------------------------------- in the end

    def release(self, wrong: Sequence[int]) -> None:
        """Ask no more for what was promised only by machines whose clocks are wrong by now."""
        for txid, accepted in self.accepted.items():
            if all(machine in wrong for machine in accepted.machines):
                self.released[txid] = None

    def unsettled(self, tip: bytes, now_ms: int) -> list[Accepted]:
        """Return what was promised and is neither in this chain nor void on it."""
        block = self.ledger.at(tip)
        confirmed: dict[bytes, None] = {}
        for block_hash in block.path:
            confirmed.update(dict.fromkeys(self.ledger.at(block_hash).txids))
        return [
            promise
            for txid, promise in self.accepted.items()
            if txid not in confirmed and not self._is_void(promise.entry, block, now_ms)
        ]

    def _owes(self, sender: bytes, nonce: int) -> int:
        """Return what all that was taken of a sender, and is not confirmed, costs together."""
        return sum(
            max(self.accepted[txid].entry.amount + self.accepted[txid].entry.fee for txid in txids)
            for (owner, used), txids in self.rivals.items()
            if owner == sender and used >= nonce
        )

    def _is_void(self, entry: Entry, tip: Block, now_ms: int) -> bool:
        """Tell whether no block above this tip can hold it, or nothing obliges one to.

        No clock of a miner that is right is behind `now_ms`, and no block of theirs either.
        """
        balance, nonce = tip.accounts.get(entry.sender, (0, 0))
        if entry.txid in self.released:
            return True
        if entry.txid in self.crowded:
            return True  # whoever has room still may be no miner, and tells of it once
        if entry.nonce < nonce:
            return True  # another entry has used it
        if entry.timestamp_ms + self._parameters.lifetime_ms < max(tip.timestamp_ms + 1, now_ms):
            return True
        # Each node may hold another one of those taken under this nonce; what is mined first decides.
        rivals = [self.accepted[txid].entry for txid in self.rivals[entry.sender, entry.nonce]]
        if self._owes(entry.sender, nonce) > balance:
            return True  # more was typed than there is: which of it fits depends on who has heard of what
        if entry.nonce == nonce:
            return any(balance < rival.amount + rival.fee for rival in rivals)
        known = [self.accepted[txid].entry for txid in self.rivals.get((entry.sender, entry.nonce - 1), {})]
        return not known or all(self._is_void(one, tip, now_ms) for one in known)
