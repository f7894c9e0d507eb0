"""The pool of pending entries. Pure; see the package's docstring for what it holds to."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, KeysView
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from node.ledger import codec
from node.ledger.amount import format_amount
from node.ledger.entry import Entry
from node.ledger.errors import Rule
from node.ledger.params import Parameters
from node.ledger.state import Account
from node.mempool.refused import Refused
from node.mempool.template import AccountOf, Builder, Template, block_overhead
from node.recent import Recent

MAX_ENTRIES: Final = 50_000
"""About ten full blocks of the built-in network; some 60 MB of Python objects."""
MAX_BYTES: Final = 16 << 20
"""Of the entries' own bytes: 335 for each, where most have 200."""
MAX_AHEAD: Final = 64
"""How far a nonce may lie ahead of its sender's next one."""
MAX_REMEMBERED: Final = 10_000
"""Entries that left of which something is still known: who took their nonce, or that they were typed here."""

_FEE_CLASSES: Final = codec.MAX_UINT.bit_length() + 1


class Pending(NamedTuple):
    """An entry that waits, its signature checked."""

    entry: Entry
    own: bool
    """Typed here, through the local socket: never evicted, for its txid was told."""
    received_ms: int
    """When this node first saw it; Unix milliseconds."""


class Added(NamedTuple):
    """What left the pool for an entry that was added."""

    replaced: Entry | None
    evicted: list[Entry]


class Settled(NamedTuple):
    """What left the pool because a block was connected."""

    confirmed: list[Entry]
    conflicted: list[Entry]
    """Another entry used their nonce; `winner_of` tells which."""


class Returned(NamedTuple):
    """What became of the entries of a block that was undone."""

    pending: list[Entry]
    """They wait again."""
    lost: list[Entry]
    """Past their lifetime, behind another entry of the same nonce, or without room; and whom they evicted."""


@dataclass(slots=True)
class _Queue:
    """One sender's pending entries; never empty but while it is made."""

    account: Account
    """As last told."""
    waiting: dict[int, Entry] = field(default_factory=dict)
    """By nonce."""
    nonces: list[int] = field(default_factory=list)
    """Keys of `waiting`, ascending."""
    cost: int = 0
    """Amounts and fees of all together."""
    stamp: int = 0
    """Of its one valid item in the heap."""

    @property
    def tail(self) -> Entry:
        """The entry with the highest nonce: the one that nothing here needs before it."""
        return self.waiting[self.nonces[-1]]

    @property
    def ready(self) -> bool:
        """True where all could be mined now: no nonce is missing, and the balance covers them."""
        complete = self.nonces[-1] - self.account.nonce + 1 == len(self.nonces)
        return complete and self.cost <= self.account.balance


class Mempool:
    """The pending entries of a node, keyed by (sender, nonce), bounded by count and bytes."""

    def __init__(
        self, parameters: Parameters, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._parameters = parameters
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._pending: dict[bytes, Pending] = {}
        self._own: dict[bytes, None] = {}
        self._queues: dict[bytes, _Queue] = {}
        # By bit length of the fee, each in order of arrival: what a template walks, highest first.
        self._classes: list[dict[bytes, Entry]] = [{} for _ in range(_FEE_CLASSES)]
        # Senders by what their highest nonce is worth: (ready, fee, -stamp, sender); old items are skipped.
        self._cheapest: list[tuple[bool, int, int, bytes]] = []
        self._stamp = 0
        self._bytes = 0
        self._oldest_ms = codec.MAX_UINT
        self._winners: Recent[bytes, bytes] = Recent(MAX_REMEMBERED)
        self._own_confirmed: Recent[bytes, Entry] = Recent(MAX_REMEMBERED)
        self._undone: Recent[tuple[bytes, int], bytes] = Recent(MAX_REMEMBERED)

    # ------------------------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Pending]:
        """In order of arrival. The pool must not change meanwhile."""
        return iter(self._pending.values())

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._pending

    @property
    def txids(self) -> KeysView[bytes]:
        """The names of what is pending, always as they are now."""
        return self._pending.keys()

    @property
    def size(self) -> int:
        """Bytes of all entries together."""
        return self._bytes

    def get(self, txid: bytes) -> Pending | None:
        return self._pending.get(txid)

    def pending_cost(self, key: bytes) -> int:
        """Return amounts and fees of one sender's entries together."""
        queue = self._queues.get(key)
        return queue.cost if queue else 0

    def lowest_free_nonce(self, key: bytes, confirmed_nonce: int) -> int:
        """Return the first nonce, from the account's next on, that no pending entry has."""
        queue = self._queues.get(key)
        nonce = confirmed_nonce
        while queue and nonce in queue.waiting:
            nonce += 1
        return nonce

    def winner_of(self, txid: bytes) -> bytes | None:
        """Return the txid of the entry that took this one's nonce, by replacement or in a block."""
        return self._winners.get(txid)

    # ------------------------------------------------------------------------------------------ entering

    def admit(
        self,
        entry: Entry,
        account: Account,
        tip_timestamp_ms: int,
        now_ms: int,
        *,
        own: bool = False,
        replace: bool = True,
        waited: bool = False,
    ) -> None:
        """Check by policy whether the entry may wait; made for the moment before its signature is checked.

        `account` is the sender's at the tip. Without `replace`, a nonce that another pending entry has
        counts as used. One that `waited` before this node was stopped is void only by its nonce or lifetime:
        the limits on balance, nonces ahead and the clock do not hold for it. Raises Refused:
        already-pending, nonce-used, nonce-too-far, fee-too-low, entry-expired, entry-from-future,
        fee-too-low-to-replace, overspend, mempool-full.
        """
        self._check(entry, account, tip_timestamp_ms, now_ms, own=own, replace=replace, waited=waited)

    def _check(
        self,
        entry: Entry,
        account: Account,
        tip_timestamp_ms: int,
        now_ms: int,
        *,
        own: bool,
        replace: bool,
        waited: bool,
    ) -> Entry | None:
        """Check as `admit` does; return the entry whose place this one would take by its nonce."""
        if entry.txid in self._pending:
            raise Refused("already-pending", "the entry is pending already")
        self._check_nonce_and_lifetime(entry, account, tip_timestamp_ms)
        if not waited:
            self._check_offer(entry, account, now_ms)
        old = self._at(entry)
        if old is not None:
            self._check_replacement(entry, old, allowed=replace)
        if not waited:
            self._check_balance(entry, account, old)
        if self._lacks_room(entry, old):
            self._victim_for(entry, account, own=own)
        return old

    def add(
        self,
        entry: Entry,
        account: Account,
        tip_timestamp_ms: int,
        now_ms: int,
        *,
        own: bool,
        received_ms: int,
        replace: bool = True,
        waited: bool = False,
    ) -> Added:
        """Take an entry whose signature has been checked; return what left for it.

        Checks the policy again, for things may have changed since `admit`. Raises Refused as that does.
        """
        old = self._check(entry, account, tip_timestamp_ms, now_ms, own=own, replace=replace, waited=waited)
        return self._insert(Pending(entry, own, received_ms), account, old)

    def adopt(self, txid: bytes) -> bool:
        """Make a pending entry one's own, as it was typed here too. False where it is not pending."""
        pending = self._pending.get(txid)
        if pending is None:
            return False
        self._pending[txid] = pending._replace(own=True)
        self._own[txid] = None
        self._rank(pending.entry.sender, self._queues[pending.entry.sender])
        return True

    def _check_nonce_and_lifetime(self, entry: Entry, account: Account, tip_timestamp_ms: int) -> None:
        if entry.nonce < account.nonce:
            raise Refused(
                Rule.NONCE_USED,
                f"nonce {entry.nonce} is used, the sender's next is {account.nonce}",
                "sign it again with a free one",
            )
        if self._is_expired(entry, tip_timestamp_ms):
            raise Refused(Rule.ENTRY_EXPIRED, "the entry's lifetime is over", "sign it again")

    def _check_offer(self, entry: Entry, account: Account, now_ms: int) -> None:
        parameters = self._parameters
        if entry.nonce > account.nonce + MAX_AHEAD:
            raise Refused(
                "nonce-too-far",
                f"nonce {entry.nonce} is more than {MAX_AHEAD} ahead of the sender's next, {account.nonce}",
                "try again when a block has confirmed some of the sender's entries",
            )
        if entry.fee < parameters.minimum_fee:
            fee, least = self._amount(entry.fee), self._amount(parameters.minimum_fee)
            raise Refused(Rule.FEE_TOO_LOW, f"the fee is {fee}", f"offer at least {least}")
        ahead = entry.timestamp_ms - now_ms
        if ahead > parameters.drift_ms:
            raise Refused(
                Rule.ENTRY_FROM_FUTURE,
                f"the entry's time is {ahead // 1000} s ahead of this node's",
                "set the clock that is wrong, then sign it again",
            )

    def _check_replacement(self, entry: Entry, old: Entry, *, allowed: bool) -> None:
        if not allowed:
            raise Refused(
                Rule.NONCE_USED,
                f"nonce {entry.nonce} is taken by a pending entry",
                "sign it again with a free one",
            )
        least = replacement_fee(old.fee)
        if entry.fee < least:
            raise Refused(
                "fee-too-low-to-replace",
                f"a pending entry of the same nonce offers {self._amount(old.fee)}",
                f"to replace it, offer at least {self._amount(least)}",
            )

    def _check_balance(self, entry: Entry, account: Account, old: Entry | None) -> None:
        others = self.pending_cost(entry.sender) - (_cost(old) if old else 0)
        if others + _cost(entry) > account.balance:
            cost, has = self._amount(_cost(entry)), self._amount(account.balance)
            beside = f", and {self._amount(others)} of it is meant for what is pending" if others else ""
            raise Refused(
                Rule.OVERSPEND,
                f"it costs {cost}, the sender has {has}{beside}",
                "wait until a payment to the sender is confirmed, or pay less",
            )

    def has_room_beside(self, count: int) -> bool:
        """Tell whether one more fits when `count` others, which were promised their places, have come in."""
        return len(self._pending) + count < self._max_entries

    def _lacks_room(self, entry: Entry, old: Entry | None = None) -> bool:
        """Tell whether the entry passes a bound, where `old` leaves for it."""
        count = len(self._pending) + (old is None)
        size = self._bytes + len(entry.raw) - (len(old.raw) if old else 0)
        return count > self._max_entries or size > self._max_bytes

    def _victim_for(self, entry: Entry, account: Account, *, own: bool) -> Entry:
        """Return which entry has to leave for this one: the cheapest sender's highest nonce.

        What could be mined now outweighs what could not, whatever its fee: a fee that cannot be paid is no
        offer. Raises Refused: mempool-full.
        """
        full = "as much is pending as this node holds"
        later = "try again after the next block"
        queue = self._cheapest_queue()
        if queue is None:
            raise Refused("mempool-full", full, later)
        victim = queue.tail
        worth = (self._would_be_ready(entry, account), entry.fee)
        if not own and worth <= (queue.ready, victim.fee):
            offer = f"offer more than {self._amount(victim.fee)}, or {later}"
            raise Refused("mempool-full", f"{full}, and all of it pays as much", offer)
        if victim.sender == entry.sender and victim.nonce < entry.nonce:
            offer = f"offer more for those, or {later}"
            raise Refused("mempool-full", f"{full}, and the sender's entries before it pay the least", offer)
        return victim

    def _would_be_ready(self, entry: Entry, account: Account) -> bool:
        """Tell whether every nonce from the account's to the entry's waits. The balance was checked."""
        queue = self._queues.get(entry.sender)
        nonces = queue.nonces if queue else []
        before = bisect_left(nonces, entry.nonce) - bisect_left(nonces, account.nonce)
        return before == entry.nonce - account.nonce

    def _insert(self, pending: Pending, account: Account, old: Entry | None) -> Added:
        """Put it in, after taking out what must make room and `old`, which it replaces.

        Raises Refused(mempool-full); then the pool is as it was, but for the order of arrival.
        """
        entry = pending.entry
        evicted = self._make_room(pending, account) if self._lacks_room(entry, old) else []
        if old is not None:
            if self._at(entry) is old:
                self._take(old)
            self._winners.note(old.txid, entry.txid)
        self._put(pending, account)
        self._winners.forget(entry.txid)
        return Added(old, [leaver for leaver in evicted if leaver is not old])

    def _make_room(self, pending: Pending, account: Account) -> list[Entry]:
        """Take out and return what has to leave for this one. Raises as `_insert`."""
        entry = pending.entry
        taken = []
        try:
            # What it replaces stays until the room is made: without it, what follows would look unpayable.
            while self._lacks_room(entry, self._at(entry)):
                taken.append(self._take(self._victim_for(entry, account, own=pending.own)))
        except Refused:
            for leaver, its_account in reversed(taken):
                self._put(leaver, its_account)
            raise
        return [leaver.entry for leaver, _ in taken]

    # ------------------------------------------------------------------------------------------- leaving

    def remove(self, txid: bytes) -> Entry | None:
        """Take one out, as when a block made with it was refused. None where it is not pending."""
        pending = self._pending.get(txid)
        return self._take(pending.entry)[0].entry if pending else None

    def expire(self, tip_timestamp_ms: int) -> list[Entry]:
        """Take out and return what no block on this tip can hold, for its lifetime is over."""
        if self._oldest_ms + self._parameters.lifetime_ms > tip_timestamp_ms:
            return []
        waiting = [pending.entry for pending in self]
        gone = [entry for entry in waiting if self._is_expired(entry, tip_timestamp_ms)]
        for entry in gone:
            self._take(entry)
        self._oldest_ms = min((pending.entry.timestamp_ms for pending in self), default=codec.MAX_UINT)
        return gone

    def block_connected(
        self, entries: Iterable[Entry], account_of: AccountOf, *, credited: Iterable[bytes] = ()
    ) -> Settled:
        """Take out what a block of the main chain has confirmed, and what it has made void.

        `account_of` may tell of a later tip already, where the blocks of a switch are told one by one.
        `credited` are keys that got coins beside the entries: whose coinbase has matured.
        """
        settled = Settled([], [])
        if not (self._pending or self._undone or self._winners):
            return settled  # nobody waits, as all through a first sync
        touched = dict.fromkeys(credited)
        queues, has_past = self._queues, len(self._undone) + len(self._winners) > 0
        for entry in entries:
            touched[entry.sender] = touched[entry.recipient] = None
            if has_past:
                self._note_winner(entry)
            queue = queues.get(entry.sender)
            rival = queue.waiting.get(entry.nonce) if queue is not None else None
            if queue is not None and rival is not None:
                self._settle(rival, queue, entry, settled)
        self._refresh(touched, account_of)  # ranks all whose entries were taken out
        return settled

    def _note_winner(self, confirmed: Entry) -> None:
        undone = self._undone.forget((confirmed.sender, confirmed.nonce))
        if undone is not None and undone != confirmed.txid:
            self._winners.note(undone, confirmed.txid)
        self._winners.forget(confirmed.txid)

    def _settle(self, waiting: Entry, queue: _Queue, confirmed: Entry, settled: Settled) -> None:
        """Take out the entry that waited under the nonce that `confirmed` has used."""
        pending = self._pull(waiting, queue)
        if waiting.txid != confirmed.txid:
            settled.conflicted.append(waiting)
            self._winners.note(waiting.txid, confirmed.txid)
            return
        settled.confirmed.append(waiting)
        if pending.own:
            self._own_confirmed.note(waiting.txid, waiting)

    def block_disconnected(
        self,
        entries: Iterable[Entry],
        account_of: AccountOf,
        tip_timestamp_ms: int,
        now_ms: int,
        *,
        debited: Iterable[bytes] = (),
    ) -> Returned:
        """Take back the entries of a block that left the main chain; they were verified when they joined it.

        Call this for each block that left, then `block_connected` for each that joined; `account_of` and the
        tip are those after the whole switch. An entry whose nonce the new branch has used does not come
        back, and is told of neither way. The limits on balance and on nonces ahead do not hold here: what is
        unpaid now may be paid by what comes back with it. `debited` are keys that lost a coinbase.
        """
        returned = Returned([], [])
        touched = dict.fromkeys(debited)
        for entry in entries:
            touched[entry.sender] = touched[entry.recipient] = None
            account = account_of(entry.sender)
            if entry.nonce < account.nonce:
                self._undone.note((entry.sender, entry.nonce), entry.txid)
            elif entry.txid not in self._pending:
                self._take_back(entry, account, tip_timestamp_ms, now_ms, returned)
        self._refresh(touched, account_of)
        return returned

    def _take_back(
        self, entry: Entry, account: Account, tip_timestamp_ms: int, now_ms: int, returned: Returned
    ) -> None:
        rival = self._at(entry)
        if rival is not None and rival.fee > entry.fee:
            self._winners.note(entry.txid, rival.txid)
            returned.lost.append(entry)
            return
        own = self._own_confirmed.forget(entry.txid) is not None
        if self._is_expired(entry, tip_timestamp_ms):
            returned.lost.append(entry)
            return
        try:
            added = self._insert(Pending(entry, own, now_ms), account, rival)
        except Refused:
            returned.lost.append(entry)
            return
        returned.pending.append(entry)
        returned.lost.extend(added.evicted)

    # ------------------------------------------------------------------------------------------ template

    def template(
        self, maximum_bytes: int, timestamp_ms: int, account_of: AccountOf, *, note: str = ""
    ) -> Template:
        """Choose entries for a block of at most `maximum_bytes`, with this timestamp and coinbase note.

        Highest class of fees first (a class is a power of two), in order of arrival within; a sender's
        earlier nonces come with it. Each rule is checked again: what cannot stand in this block is passed
        over with all that follows it, what can stand in none leaves the pool. Takes time in proportion to
        the entries chosen and passed over, whatever waits behind them.
        """
        room = maximum_bytes - block_overhead(note)
        template = Builder(self._parameters, timestamp_ms, account_of, room).choose(
            (entry for fee_class in reversed(self._classes) for entry in fee_class.values()),
            lambda sender: self._queues[sender].waiting,
        )
        for entry, _ in template.dropped:
            self.remove(entry.txid)
        return template

    # -------------------------------------------------------------------------------------------- inside

    def _amount(self, value: int) -> str:
        return format_amount(value, self._parameters.decimals, self._parameters.symbol)

    def _is_expired(self, entry: Entry, tip_timestamp_ms: int) -> bool:
        """Tell whether no block on this tip can hold the entry: block times ascend strictly."""
        return entry.timestamp_ms + self._parameters.lifetime_ms <= tip_timestamp_ms

    def _at(self, entry: Entry) -> Entry | None:
        """Return what waits under the entry's sender and nonce."""
        queue = self._queues.get(entry.sender)
        return queue.waiting.get(entry.nonce) if queue else None

    def _put(self, pending: Pending, account: Account) -> None:
        entry = pending.entry
        queue = self._queues.get(entry.sender)
        if queue is None:
            queue = self._queues[entry.sender] = _Queue(account)
        queue.account = account
        if queue.nonces and entry.nonce < queue.nonces[-1]:
            insort(queue.nonces, entry.nonce)
        else:
            queue.nonces.append(entry.nonce)
        queue.waiting[entry.nonce] = entry
        queue.cost += _cost(entry)
        self._pending[entry.txid] = pending
        if pending.own:
            self._own[entry.txid] = None
        self._classes[entry.fee.bit_length()][entry.txid] = entry
        self._bytes += len(entry.raw)
        self._oldest_ms = min(self._oldest_ms, entry.timestamp_ms)
        self._rank(entry.sender, queue)

    def _take(self, entry: Entry) -> tuple[Pending, Account]:
        """Return the entry as it was pending, and its sender's account as last told."""
        queue = self._queues[entry.sender]
        pending = self._pull(entry, queue)
        if queue.nonces:
            self._rank(entry.sender, queue)
        return pending, queue.account

    def _pull(self, entry: Entry, queue: _Queue) -> Pending:
        """Take an entry out of its sender's queue; whoever calls this ranks the sender anew."""
        del queue.nonces[bisect_left(queue.nonces, entry.nonce)]
        del queue.waiting[entry.nonce]
        queue.cost -= _cost(entry)
        pending = self._pending.pop(entry.txid)
        self._own.pop(entry.txid, None)
        del self._classes[entry.fee.bit_length()][entry.txid]
        self._bytes -= len(entry.raw)
        if not queue.nonces:
            del self._queues[entry.sender]
        return pending

    def _refresh(self, keys: Iterable[bytes], account_of: AccountOf) -> None:
        """Look again at what these senders can pay."""
        for key in keys:
            queue = self._queues.get(key)
            if queue is not None:
                queue.account = account_of(key)
                self._rank(key, queue)

    def _rank(self, sender: bytes, queue: _Queue) -> None:
        """Put the sender where it belongs among those that may be evicted."""
        self._stamp += 1
        queue.stamp = self._stamp
        if len(self._cheapest) > 2 * len(self._queues) + 1000:
            self._cheapest = [item for item in self._cheapest if self._is_current(item)]
            heapq.heapify(self._cheapest)
        tail = queue.tail
        if tail.txid not in self._own:
            heapq.heappush(self._cheapest, (queue.ready, tail.fee, -queue.stamp, sender))

    def _is_current(self, item: tuple[bool, int, int, bytes]) -> bool:
        queue = self._queues.get(item[3])
        return queue is not None and queue.stamp == -item[2]

    def _cheapest_queue(self) -> _Queue | None:
        """Return the sender whose highest nonce goes first; None where all of those are own."""
        while self._cheapest and not self._is_current(self._cheapest[0]):
            heapq.heappop(self._cheapest)
        return self._queues[self._cheapest[0][3]] if self._cheapest else None


def replacement_fee(old_fee: int) -> int:
    """Return the least fee that replaces an entry of this fee: a tenth more, rounded up, and at least 1."""
    return old_fee + max(1, -(-old_fee // 10))


def _cost(entry: Entry) -> int:
    return entry.amount + entry.fee
