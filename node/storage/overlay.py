"""The port over anything durable: what is staged lies over what is committed, and what is hot stays at hand.

Pure but for what lies below. The core reads and stages here, on one thread; a writer commits below on
another. What is below may therefore be newer than what was settled, never than what was staged, and a batch
in flight covers all that its own commit changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from node.ledger.state import Account, AccountState
from node.storage.cache import Cache
from node.storage.port import Batch, BlockRecord, Place, Scratch
from node.tree import Tree

HOT_ACCOUNTS: Final = 50_000
"""Accounts at hand, at least; some 15 MB."""
HOT_BLOCKS: Final = 4_096
"""Blocks of the tree at hand, at least: more than a batch of headers; some 6 MB."""

T = TypeVar("T")


class Durable(Protocol):
    """The reads of port.Store over what is committed; the main chain by ids, as a standing may be staged."""

    def tip(self) -> BlockRecord: ...
    def next_id(self) -> int: ...
    def record(self, block_id: int) -> BlockRecord: ...
    def find(self, block_hash: bytes) -> BlockRecord | None: ...
    def main_id(self, height: int) -> int | None: ...
    def main_headers(self, first: int, count: int) -> list[bytes]: ...
    def body(self, block_id: int) -> bytes | None: ...
    def account(self, key: bytes) -> Account: ...
    def leaves(self) -> list[BlockRecord]: ...
    def places_of(self, txid: bytes) -> list[Place]: ...
    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]: ...
    def value(self, name: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class _Layer:
    """One batch in flight, as reads ask for it."""

    batch: Batch
    records: dict[int, BlockRecord]
    ids: dict[bytes, int]
    """Block hash to id."""
    bodies: dict[int, bytes]
    first: int
    """The lowest height of the main chain that changes; above the tip where none does."""
    tip: BlockRecord
    """After this batch."""

    def account(self, key: bytes) -> AccountState | None:
        """Return what this batch makes of an account."""
        found = self.batch.accounts.get(key)
        if found is None and self.batch.scratch is not None:
            found = self.batch.scratch.held(key)
        return found


class OverlaidStore:
    """Satisfies port.Store."""

    def __init__(self, below: Durable, scratch: Callable[[Callable[[bytes], AccountState]], Scratch]) -> None:
        """`scratch` makes a scratch copy over the given reader of accounts."""
        self._below = below
        self._make_scratch = scratch
        self._layers: deque[_Layer] = deque()
        # Asked for on every header, so that not every layer is asked for what is in none.
        self._fresh_ids: dict[bytes, int] = {}
        self._accounts: Cache[bytes, AccountState] = Cache(HOT_ACCOUNTS)
        self._records: Cache[int, BlockRecord] = Cache(HOT_BLOCKS)
        self._ids: Cache[bytes, int] = Cache(HOT_BLOCKS)
        self._tip = self._durable_tip = below.tip()
        self._next_id = below.next_id()
        self._last_staged = 0
        self._tree = Tree(self)

    def tip(self) -> BlockRecord:
        """Return the last block of the main chain."""
        return self._tip

    def durable_tip(self) -> BlockRecord:
        """Return the last block of the main chain as committed and settled."""
        return self._durable_tip

    def next_id(self) -> int:
        """Return the id for the next new block."""
        return self._next_id

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""
        found = self._records.get(block_id)
        if found is None:
            found = self._in_flight(lambda layer: layer.records.get(block_id)) or self._below.record(block_id)
            self._records.put(block_id, found)
        return found

    def find(self, block_hash: bytes) -> BlockRecord | None:
        """Return the block of this hash."""
        block_id = self._ids.get(block_hash)
        if block_id is None:
            block_id = self._fresh_ids.get(block_hash)
        if block_id is None:
            found = self._below.find(block_hash)
            if found is None:
                return None
            block_id = found.id
        self._ids.put(block_hash, block_id)
        return self.record(block_id)

    def main_at(self, height: int) -> BlockRecord | None:
        """Return the main chain's block at this height, None above the tip."""
        if height > self._tip.height:
            return None
        if height >= self._first_in_flight():
            return self._tree.ancestor(self._tip, height)
        block_id = self._below.main_id(height)
        return None if block_id is None else self.record(block_id)

    def main_headers(self, first: int, count: int) -> list[bytes]:
        """Return the raw headers of the main chain from height `first` on, at most `count`, ascending."""
        low = max(first, self._first_in_flight())
        last = min(first + count - 1, self._tip.height)
        if low > last:
            return self._below.main_headers(first, last - first + 1) if first <= last else []
        headers = self._below.main_headers(first, low - first) if first < low else []
        branch = [self._tree.ancestor(self._tip, last)]
        while branch[-1].height > low:
            branch.append(self._tree.parent(branch[-1]))
        return headers + [record.header.raw for record in reversed(branch)]

    def body(self, block_id: int) -> bytes | None:
        """Return the raw bytes as stored, None where there are none. The caller hashes them again."""
        raw = self._in_flight(lambda layer: layer.bodies.get(block_id))
        return self._below.body(block_id) if raw is None else raw

    def account(self, key: bytes) -> Account:
        """Return the account at the tip."""
        return Account(*self.account_state(key))

    def account_state(self, key: bytes) -> AccountState:
        """Return the same as the ledger keeps it."""
        found = self._accounts.young.get(key)
        if found is None:
            found = self._accounts.get(key)
        if found is None:
            # Rarely: what is in flight was put at hand when it was staged.
            found = self._in_flight(lambda layer: layer.account(key)) or self._below.account(key)
            self._accounts.put(key, found)
        return found

    def leaves(self) -> list[BlockRecord]:
        """Return the durable blocks without children, ascending by id."""
        return self._below.leaves()

    def places_of(self, txid: bytes) -> list[Place]:
        """Return candidates for an entry or coinbase leaf on the durable main chain."""
        return self._below.places_of(txid)

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        """Return places before `before`, newest first, that may touch the account; durable only."""
        return self._below.history_of(key, before, limit)

    def value(self, name: str) -> bytes | None:
        """Return a small named value."""
        found = self._in_flight(lambda layer: layer.batch.values.get(name))
        return self._below.value(name) if found is None else found

    def scratch(self) -> Scratch:
        """Return an empty scratch copy over this store's accounts."""
        return self._make_scratch(self.account_state)

    def stage(self, batch: Batch) -> None:
        """Make the batch visible to reads. Numbers ascend; ValueError where they do not."""
        if batch.number <= self._last_staged:
            raise ValueError(f"batch {batch.number} staged after {self._last_staged}")
        self._last_staged = batch.number
        records = {record.id: record for record in batch.records}
        ids = {record.header.hash: record.id for record in batch.records}
        self._records.update(records)
        self._ids.update(ids)
        if records:
            self._next_id = max(self._next_id, max(records) + 1)
        first, self._tip = self._main_after(batch)
        if batch.scratch is not None:
            # Its accounts may be too many to look at one by one; they are read from it until it is settled.
            self._accounts.clear()
        self._accounts.update(batch.accounts)
        self._fresh_ids.update(ids)
        self._layers.append(_Layer(batch, records, ids, dict(batch.bodies), first, self._tip))

    def settle(self, number: int) -> None:
        """Drop the overlay of a batch that is durable (and of all before it); close its scratch."""
        while self._layers and self._layers[0].batch.number <= number:
            layer = self._layers.popleft()
            self._durable_tip = self.record(layer.tip.id)
            for block_hash in layer.ids:
                self._fresh_ids.pop(block_hash, None)  # durable, whatever later batches make of its standing
            if layer.batch.scratch is not None:
                layer.batch.scratch.close()

    def _main_after(self, batch: Batch) -> tuple[int, BlockRecord]:
        """Return the lowest height that the batch changes, and the tip after it, with its latest standing."""
        tip_id = self._tip.id
        changed = []
        if batch.switch is not None:
            tip_id = batch.switch.new.id
            changed.append(batch.switch.fork.height + 1)
        if batch.connected:
            tip_id = batch.connected[-1].record.id
            changed.append(batch.connected[0].record.height)
        tip = self.record(tip_id)
        return min(changed, default=tip.height + 1), tip

    def _first_in_flight(self) -> int:
        """Return the lowest height that a batch in flight changes; above the tip if none."""
        return min((layer.first for layer in self._layers), default=self._tip.height + 1)

    def _in_flight(self, look_up: Callable[[_Layer], T | None]) -> T | None:
        """Return the newest answer of the batches in flight."""
        for layer in reversed(self._layers):
            found = look_up(layer)
            if found is not None:
                return found
        return None
